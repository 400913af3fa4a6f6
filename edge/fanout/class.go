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
	cursor   int           // the slot for the next viewer
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

// advance lets passed go by and flushes the slots that became due, each at most
// once however late it is.
func (c *class) advance(e *Engine, passed time.Duration, factor float64) (worked bool) {
	if t := c.stretched(factor); t > c.interval {
		passed = time.Duration(float64(passed) * float64(c.interval) / float64(t))
	}
	c.time += passed
	due := int64(c.time / Tick)
	n := int64(len(c.slots))
	for t := max(c.done+1, due-n+1); t <= due; t++ {
		slot := c.slots[t%n]
		for i := len(slot) - 1; i >= 0; i-- { // backwards: a bucket may leave
			slot[i].flush(e)
			worked = true
			slot = c.slots[t%n]
			i = min(i, len(slot))
		}
	}
	c.done = due
	return worked
}
