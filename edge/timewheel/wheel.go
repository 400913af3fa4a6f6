package timewheel

import (
	"math"
	"math/bits"
	"time"
)

const (
	slotBits  = 6
	numSlots  = 1 << slotBits
	slotMask  = numSlots - 1
	numLevels = 11 // 66 bits: more than any tick number has
	dueSlot   = numLevels << slotBits
)

// Wheel fires entries at their deadlines. It has one owner, the loop whose
// thread calls Advance; no method may be called from another goroutine.
type Wheel struct {
	tick   time.Duration
	origin time.Duration // time of tick 0

	current int64 // last tick that was passed
	// earliest is the first tick that Add and Extend may choose: the one after
	// current, and while Advance is firing the one after its target, so that an
	// entry which re-adds itself in the past cannot keep Advance busy for ever.
	earliest int64
	firing   bool
	paused   bool // Pause was called by the fire function
	stopped  bool
	length   int

	occupied [numLevels]uint64 // a bit for each slot that has an entry
	slots    [dueSlot + 1]list // the last one holds the entries of the slot that is looked at
}

// New makes a wheel of the given tick, at least a nanosecond; now is the time of
// tick 0 and the phase of all others.
func New(tick, now time.Duration) *Wheel {
	return &Wheel{tick: max(tick, 1), origin: now, earliest: 1}
}

// Len is the number of scheduled entries.
func (w *Wheel) Len() int { return w.length }

// Add schedules e to fire in the first Advance that reaches at, rounded up to
// a tick; a time that has passed means the next tick. If e is scheduled already
// its deadline is replaced. After Stop it does nothing.
func (w *Wheel) Add(e *Entry, at time.Duration) {
	if w.stopped {
		return
	}
	if e.active {
		w.Extend(e, at)
		return
	}
	e.deadline = w.deadline(at)
	e.active = true
	w.length++
	w.insert(e)
}

// Extend moves the deadline of a scheduled entry to at; the last call counts.
// A later deadline, the usual case, is only noted: the entry is put in anew
// when its old slot passes. It reports false, and does nothing, if e is not
// scheduled.
func (w *Wheel) Extend(e *Entry, at time.Duration) bool {
	if !e.active {
		return false
	}
	e.deadline = w.deadline(at)
	if e.deadline < e.visit {
		w.unlink(e)
		w.insert(e)
	}
	return true
}

// Cancel takes e out; it will not fire. It reports whether e was scheduled.
func (w *Wheel) Cancel(e *Entry) bool {
	if !e.active {
		return false
	}
	w.unlink(e)
	w.release(e)
	return true
}

// Advance moves the wheel to now and calls fire, on the caller's goroutine and
// in the order of deadlines, for each entry whose deadline has come; entries of
// one deadline fire together. An entry is no longer scheduled when fire gets
// it. fire may add, extend, cancel and stop at will; what it adds fires in a
// later Advance. Ticks that were missed are caught up, and a time that goes
// backwards is ignored. It returns the number of entries fired.
func (w *Wheel) Advance(now time.Duration, fire func(*Entry)) int {
	target := max(w.floor(now), w.current)
	if w.firing || w.stopped || target == w.current && !w.halfway() {
		return 0
	}
	w.firing, w.paused, w.earliest = true, false, target+1
	fired := w.empty(fire) // what a paused Advance has left of its slot
	for !w.paused {
		level, slot, at, ok := w.first()
		if !ok || at > target {
			w.current = target
			break
		}
		w.current = at
		w.lift(level, slot)
		fired += w.empty(fire)
	}
	w.firing = false
	return fired
}

// Pause, called by a fire function, ends the Advance with the entry in hand; the
// next Advance goes on with the entry after it. So a caller bounds what it does
// at once, whatever is due.
func (w *Wheel) Pause() { w.paused = w.firing }

// Next gives a time before which no entry fires: the earliest time at which
// Advance has something to do, which may be only the spreading of a slot. ok is
// false if nothing is scheduled.
func (w *Wheel) Next() (at time.Duration, ok bool) {
	_, _, tick, ok := w.first()
	if w.halfway() {
		tick, ok = w.current, true
	}
	if !ok {
		return 0, false
	}
	if tick > int64((math.MaxInt64-max(w.origin, 0))/w.tick) {
		return math.MaxInt64, true
	}
	return w.origin + time.Duration(tick)*w.tick, true
}

// Stop drops every entry without firing it and makes later Adds do nothing.
// Called by a fire function it also ends the Advance.
func (w *Wheel) Stop() {
	w.stopped = true
	for i := range w.slots {
		for e := w.slots[i].head; e != nil; e = w.slots[i].head {
			w.slots[i].remove(e)
			w.release(e)
		}
	}
	w.occupied = [numLevels]uint64{}
}

// first finds the earliest occupied slot and the tick at which it begins.
func (w *Wheel) first() (level, slot int, at int64, ok bool) {
	for level = range numLevels {
		if set := w.occupied[level]; set != 0 {
			slot = bits.TrailingZeros64(set)
			shift := level * slotBits
			window := uint64(w.current) >> shift &^ slotMask // the digits above, and a zero
			return level, slot, int64((window | uint64(slot)) << shift), true
		}
	}
	return 0, 0, 0, false
}

// halfway tells that an Advance was paused inside a slot.
func (w *Wheel) halfway() bool { return w.slots[dueSlot].head != nil }

// lift takes a slot whose time has come out, to be emptied.
func (w *Wheel) lift(level, slot int) {
	from, due := &w.slots[level<<slotBits|slot], &w.slots[dueSlot]
	w.occupied[level] &^= 1 << slot
	*due, *from = *from, list{}
	for e := due.head; e != nil; e = e.next {
		e.place = dueSlot
	}
}

// empty goes through the slot that was lifted: entries that are due fire, the
// others, because the slot is wide or because they were extended, go to the
// slot of their deadline.
func (w *Wheel) empty(fire func(*Entry)) (fired int) {
	due := &w.slots[dueSlot]
	// fire may change the list: take one entry at a time.
	for e := due.head; e != nil && !w.paused; e = due.head {
		due.remove(e)
		if e.deadline > w.current {
			w.insert(e)
			continue
		}
		w.release(e)
		fired++
		fire(e)
	}
	return fired
}

// insert puts e into the slot of its deadline, which is after the current tick.
func (w *Wheel) insert(e *Entry) {
	level := (bits.Len64(uint64(e.deadline^w.current)) - 1) / slotBits
	shift := level * slotBits
	slot := int(uint64(e.deadline)>>shift) & slotMask
	e.visit = e.deadline >> shift << shift
	e.place = uint16(level<<slotBits | slot)
	w.occupied[level] |= 1 << slot
	w.slots[e.place].push(e)
}

func (w *Wheel) unlink(e *Entry) {
	l := &w.slots[e.place]
	l.remove(e)
	if l.head == nil && e.place != dueSlot {
		w.occupied[e.place>>slotBits] &^= 1 << (e.place & slotMask)
	}
}

func (w *Wheel) release(e *Entry) {
	e.active = false
	w.length--
}

// floor is the last tick at or before a time, at least 0.
func (w *Wheel) floor(at time.Duration) int64 {
	if at <= w.origin {
		return 0
	}
	return int64(w.since(at) / w.tick)
}

// deadline is the first tick at or after a time that an entry may still choose.
func (w *Wheel) deadline(at time.Duration) int64 {
	if !w.firing {
		w.earliest = w.current + 1
	}
	if at <= w.origin {
		return w.earliest
	}
	since := w.since(at)
	tick := int64(since / w.tick)
	if since%w.tick != 0 {
		tick++
	}
	return max(tick, w.earliest)
}

// since is at - origin for at > origin, without overflow.
func (w *Wheel) since(at time.Duration) time.Duration {
	if d := at - w.origin; d > 0 {
		return d
	}
	return math.MaxInt64
}
