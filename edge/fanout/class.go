package fanout

import "time"

// class spreads the viewers of one flush interval T over T/Tick slots.
type class struct {
	interval time.Duration
	slots    [][]*bucket
	done     int64 // the last tick that was flushed
	cursor   int   // the slot for the next viewer
}

func newClass(t time.Duration, now time.Duration) *class {
	n := max(1, int(t/Tick))
	return &class{interval: t, slots: make([][]*bucket, n), done: int64(now / Tick)}
}

// next is the slot for a new viewer.
func (c *class) next() int {
	c.cursor++
	if c.cursor >= len(c.slots) {
		c.cursor = 0
	}
	return c.cursor
}

// tick flushes the slots that became due up to now, each at most once however
// late the tick is.
func (c *class) tick(e *Engine, now time.Duration) (worked bool) {
	due := int64(now / Tick)
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
	c.done = max(c.done, due)
	return worked
}
