package fanout

import "time"

// class spreads the viewers of one flush interval T over T/Tick slots. Under
// load its own time runs slower than the loop's, and T is longer by as much.
type class struct {
	interval time.Duration
	limit    time.Duration // of the interval under load
	slots    [][]*bucket
	time     time.Duration // the class's own
	done     int64         // the last tick of it that was flushed
	rest     rest          // of the tick behind it
	cursor   int           // the slot for the next viewer
}

// rest is what is left of a slot whose flush was cut short. Who is among the
// first ones, of buckets or viewers, stays there until it has had its turn: in
// place of one that leaves comes the last one. So none is left out; one that
// had its turn may have another.
type rest struct {
	bucket  *bucket // in hand; nil: no slot was cut short
	viewers int     // the first ones of it, still to have their turn
	buckets int     // the first ones of the slot, still to be flushed
}

func newClass(t, limit time.Duration) *class {
	return &class{interval: t, limit: limit, slots: make([][]*bucket, max(1, int(t/Tick)))}
}

// next is the slot for a new viewer.
func (c *class) next() int {
	c.cursor++
	if c.cursor >= len(c.slots) {
		c.cursor = 0
	}
	return c.cursor
}

// stretched is the interval under a load that asks for it to be longer by a factor.
func (c *class) stretched(factor float64) time.Duration {
	return min(time.Duration(float64(c.interval)*factor), c.limit)
}

// pass lets time go by. What became due more than an interval ago is forgotten:
// each slot is flushed at most once, however late it is.
func (c *class) pass(passed time.Duration, factor float64) {
	if t := c.stretched(factor); t > c.interval {
		passed = time.Duration(float64(passed) * float64(c.interval) / float64(t))
	}
	c.time += passed
	if late := c.due() - c.done - int64(len(c.slots)); late > 0 {
		c.time -= time.Duration(late) * Tick
	}
}

// due is the last tick of the class's own time.
func (c *class) due() int64 { return int64(c.time / Tick) }

// flush flushes the slots that are due, in order, beginning with the rest of the
// one that was cut short. cut: the time for slots is up, and some are left.
func (c *class) flush(e *Engine) (worked, cut bool) {
	for due := c.due(); c.done < due; c.done++ {
		some, all := c.flushSlot(e, (c.done+1)%int64(len(c.slots)))
		if worked = worked || some; !all {
			return worked, true
		}
	}
	return worked, false
}

// flushSlot flushes what is left of a slot, backwards, for a bucket may leave.
func (c *class) flushSlot(e *Engine, slot int64) (worked, all bool) {
	r := &c.rest
	if r.bucket == nil {
		r.buckets = len(c.slots[slot])
	}
	for {
		if r.bucket == nil {
			r.buckets = min(r.buckets, len(c.slots[slot])) - 1
			if r.buckets < 0 {
				return worked, true
			}
			r.bucket = c.slots[slot][r.buckets]
			r.viewers = len(r.bucket.viewers)
		}
		worked = true
		if r.viewers = r.bucket.flush(e, r.viewers); r.viewers > 0 {
			return worked, false
		}
		r.bucket = nil
	}
}
