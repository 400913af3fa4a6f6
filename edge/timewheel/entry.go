package timewheel

// Entry is one task of a wheel, embedded in what it times. The zero value is
// ready for use. An entry belongs to one wheel at a time and must not be copied
// or freed while [Entry.Active].
type Entry struct {
	// Owner is for the fire function to find what the entry times; the wheel
	// does not look at it.
	Owner any

	next, prev *Entry
	deadline   int64  // tick to fire at
	visit      int64  // tick at which the slot it stands in is looked at, <= deadline when put there
	place      uint16 // slot it stands in, as level<<slotBits | slot; dueSlot while its slot is looked at
	active     bool
}

// Active reports whether the entry is scheduled: added and neither fired,
// cancelled nor dropped by Stop.
func (e *Entry) Active() bool { return e.active }

// list is a FIFO of entries, linked through them.
type list struct{ head, tail *Entry }

func (l *list) push(e *Entry) {
	e.prev, e.next = l.tail, nil
	if l.tail == nil {
		l.head = e
	} else {
		l.tail.next = e
	}
	l.tail = e
}

func (l *list) remove(e *Entry) {
	if e.prev == nil {
		l.head = e.next
	} else {
		e.prev.next = e.next
	}
	if e.next == nil {
		l.tail = e.prev
	} else {
		e.next.prev = e.prev
	}
	e.next, e.prev = nil, nil
}
