package path

import (
	"slices"
	"time"

	"tmms/media"
)

// Receiver is the receiving end of one direction. It gives packets in the order
// of their sources, as long as a gap is repaired soon; what comes later than
// that is given when it comes. It gives none twice. It has one owner.
type Receiver struct {
	// Set at construction.
	id     ID
	budget *Budget
	ring   []*held

	// Sources.
	top     Seq // behind the highest one that has come
	out     Seq // the next one to give
	late    []*held
	holes   []hole // sorted
	decoder decoder

	// Requests.
	roundTrip time.Duration
	reorder   time.Duration // how late sources came that were not lost
	allow     float64       // sources that may be requested
	ranges    []Range

	// Reports.
	delay    delay
	marks    int // packets to be marked as having met congestion
	counts   Report
	runs     float64
	worstAt  time.Duration
	heard    time.Duration // when the newest source came
	lostAt   time.Duration // when the last one was counted as lost
	reported time.Duration
	fresh    bool // something has come since
}

// held is a place in the ring.
type held struct {
	seq Seq
	ok  bool
	vector
}

// hole is a source that is missing.
type hole struct {
	seq   Seq
	run   int // that many were missing in a row
	since time.Duration
	asked time.Duration
	tries int
}

// NewReceiver makes one that expects the source first; false if the budget has
// no room for it.
func NewReceiver(id ID, first Seq, budget *Budget) (*Receiver, bool) {
	if !budget.take(window * vectorMemory) {
		return nil, false
	}
	return &Receiver{
		id: id, budget: budget, ring: make([]*held, window), top: first, out: first, allow: maxHoles,
	}, true
}

// Close gives back what r holds of the budget; r is not used any more.
func (r *Receiver) Close() {
	r.budget.give(window * vectorMemory)
	*r = Receiver{}
}

// ID is that of the packets it takes.
func (r *Receiver) ID() ID { return r.id }

// Heard is when the newest source came; 0: none has.
func (r *Receiver) Heard() time.Duration { return r.heard }

// LostAt is when the last source was counted as lost; 0: none ever was.
func (r *Receiver) LostAt() time.Duration { return r.lostAt }

// Source takes a source or a resend, and whether its packet says that it may be
// marked (RFC 3168 section 5). What there is to give then Next has.
func (r *Receiver) Source(now time.Duration, markable bool, b []byte) error {
	s, packet, err := ParseSource(b)
	if err != nil {
		return err
	}
	ahead := s.Seq.Sub(r.top)
	if Kind(b[0]) == KindResend {
		if ahead < 0 {
			r.fill(now, s.Seq, packet, true)
		}
		return nil
	}
	if ahead > maxJump {
		r.restart(s.Seq)
		ahead = 0
	}
	r.delay.sample(now, s.Sent)
	r.fresh = true
	if ahead < 0 {
		r.fill(now, s.Seq, packet, false)
		return nil
	}
	r.miss(now, ahead)
	if ahead > 0 && r.delay.crowded() {
		r.crowd(now, ahead, markable)
	}
	r.extend(s.Seq + 1)
	r.counts.Received++
	r.counts.Echo, r.heard = s.Sent, now
	r.allow = min(r.allow+maxResent, maxHoles)
	r.store(s.Seq, packet)
	return nil
}

// restart begins anew at seq.
func (r *Receiver) restart(seq Seq) {
	r.giveUp(r.heard, len(r.holes))
	r.decoder.reset()
	for _, h := range r.ring {
		if h != nil {
			h.ok = false
		}
	}
	r.late = nil
	r.top, r.out = seq, seq
}

// extend moves top. After a leap the ring has no room for what waited.
func (r *Receiver) extend(top Seq) {
	r.top = top
	if r.top.Sub(r.out) > window {
		r.out = r.top - window
	}
}

// miss notes that the n sources from top on are missing.
func (r *Receiver) miss(now time.Duration, n int) {
	switch {
	case n == 0:
		return
	case n > maxHoles:
		r.counts.Lost += uint32(n)
		r.counts.Unrepaired += uint32(n)
		r.runs++
		r.lostAt = now
		r.decoder.reset()
		r.giveUp(now, len(r.holes))
		return
	}
	if over := len(r.holes) + n - maxHoles; over > 0 {
		r.giveUp(now, over)
	}
	for i := range n {
		r.holes = append(r.holes, hole{seq: r.top + Seq(i), run: n, since: now})
	}
}

// crowd lets QUIC know that the n sources that were just found missing met a
// full queue: by a mark, so that they can be repaired for all that, else by
// leaving them to it. One mark for all: they are one event to a sender, and with
// several all connections of the path would halve at once.
func (r *Receiver) crowd(now time.Duration, n int, markable bool) {
	r.counts.Crowded += uint32(n)
	if markable {
		r.marks = min(r.marks+1, maxMarks)
		return
	}
	if n = min(n, len(r.holes)); n > 0 {
		last := r.holes[len(r.holes)-n:]
		for i := range last {
			r.lost(now, &last[i])
			r.counts.Unrepaired++
		}
		r.holes = r.holes[:len(r.holes)-n]
	}
}

// giveUp forgets the n oldest holes.
func (r *Receiver) giveUp(now time.Duration, n int) {
	if n == 0 {
		return
	}
	r.decoder.forget(r.holes[n-1].seq + 1)
	for i := range r.holes[:n] {
		r.lost(now, &r.holes[i])
		r.counts.Unrepaired++
	}
	r.holes = slices.Delete(r.holes, 0, n)
}

// lost counts a source that did not come by itself.
func (r *Receiver) lost(now time.Duration, h *hole) {
	r.counts.Lost++
	r.runs += 1 / float64(h.run)
	r.lostAt = now
	if h.run >= r.counts.Worst || h.since-r.worstAt > worstAge {
		r.counts.Worst, r.worstAt = h.run, h.since
	}
}

// find gives the place of the first hole that is not before seq.
func (r *Receiver) find(seq Seq) (int, bool) {
	return slices.BinarySearchFunc(r.holes, seq, func(h hole, seq Seq) int { return h.seq.Sub(seq) })
}

// fill takes a source from before top.
func (r *Receiver) fill(now time.Duration, seq Seq, packet []byte, resend bool) {
	i, ok := r.find(seq)
	if !ok {
		return
	}
	h := r.holes[i]
	r.holes = slices.Delete(r.holes, i, i+1)
	if resend {
		r.lost(now, &h)
		r.counts.Resent++
	} else {
		r.counts.Received++
		r.reorder = max(r.reorder, now-h.since)
	}
	p := r.store(seq, packet)
	r.decoder.known(seq, &p.vector, func(seq Seq, v *vector) { r.repaired(now, seq, v) })
}

// store puts a source into its place. One behind which others were given is
// given now.
func (r *Receiver) store(seq Seq, packet []byte) *held {
	p := r.place(seq)
	p.set(packet)
	if seq.Sub(r.out) < 0 {
		r.late = append(r.late, p)
	}
	return p
}

// place gives the place of seq in the ring; a source too old for it gets one of its own.
func (r *Receiver) place(seq Seq) *held {
	if r.top.Sub(seq) > window {
		return &held{seq: seq, ok: true}
	}
	p := r.ring[int(seq)&(window-1)]
	if p == nil {
		p = new(held)
		r.ring[int(seq)&(window-1)] = p
	}
	p.seq, p.ok = seq, true
	return p
}

// known gives a source that has come and still has its place.
func (r *Receiver) known(seq Seq) *held {
	if p := r.ring[int(seq)&(window-1)]; p != nil && p.ok && p.seq == seq {
		return p
	}
	return nil
}

// Repair takes a combination. What there is to give then Next has.
func (r *Receiver) Repair(now time.Duration, b []byte) error {
	p, combination, err := ParseRepair(b)
	if err != nil {
		return err
	}
	if p.RoundTrip > 0 {
		r.roundTrip = p.RoundTrip.Sub(0)
	}
	end := p.First + Seq(p.Count)
	if n := end.Sub(r.top); n > 0 && n <= media.MaxFabricRepairWindow {
		r.miss(now, n) // the newest are missing, which nothing else shows
		r.extend(end)
	}
	first, _ := r.find(p.First)
	last, _ := r.find(end)
	if last <= first || last-first > maxTerms || end.Sub(r.top) > 0 || r.top.Sub(p.First) > window {
		return nil
	}
	w := r.decoder.take()
	w.v.n = copy(w.v.b[:], combination)
	if !r.reduce(w, p, r.holes[first:last]) {
		r.decoder.free = append(r.decoder.free, w)
		return nil
	}
	r.decoder.insert(w, func(seq Seq, v *vector) { r.repaired(now, seq, v) })
	return nil
}

// reduce takes what is known out of an equation; false if something was given up.
func (r *Receiver) reduce(w *row, p Repair, missing []hole) bool {
	for q := p.First; q != p.First+Seq(p.Count); q++ {
		c := coefficient(p.Seed, q)
		if len(missing) > 0 && missing[0].seq == q {
			w.terms = append(w.terms, term{q, c})
			missing = missing[1:]
			continue
		}
		h := r.known(q)
		if h == nil {
			return false
		}
		w.v.add(c, &h.vector, r.decoder.field)
	}
	return true
}

// repaired takes a source that a combination gave.
func (r *Receiver) repaired(now time.Duration, seq Seq, v *vector) {
	i, ok := r.find(seq)
	packet, good := v.packet()
	if !ok || !good {
		return
	}
	r.lost(now, &r.holes[i])
	r.counts.Repaired++
	r.holes = slices.Delete(r.holes, i, i+1)
	r.store(seq, packet)
}

// Next gives the next packet that there is to give, and whether it is to be
// marked (CE). It is valid until the next call of another method.
func (r *Receiver) Next(now time.Duration) (packet []byte, mark, ok bool) {
	if packet, ok = r.next(now); ok && r.marks > 0 {
		r.marks--
		mark = true
	}
	return packet, mark, ok
}

func (r *Receiver) next(now time.Duration) (packet []byte, ok bool) {
	if len(r.late) > 0 {
		p := r.late[0]
		r.late = slices.Delete(r.late, 0, 1)
		return p.b[lengthSize:p.n], true
	}
	for r.out != r.top {
		p := r.known(r.out)
		if p == nil && r.waits(now) {
			return nil, false
		}
		r.out++
		if p != nil {
			return p.b[lengthSize:p.n], true
		}
	}
	return nil, false
}

// waits reports whether out is missing and may still be repaired in time. The
// ring must have room for what comes meanwhile.
func (r *Receiver) waits(now time.Duration) bool {
	if r.top.Sub(r.out) > window/2 {
		return false
	}
	i, ok := r.find(r.out)
	return ok && now-r.holes[i].since < r.hold()
}

// hold is how long packets wait for one in front of them.
func (r *Receiver) hold() time.Duration {
	return min(max(r.roundTrip*holdShare/100, minHold), maxHold)
}

// Waiting reports whether Next has something that it did not have before, by
// the time that has passed.
func (r *Receiver) Waiting(now time.Duration) bool {
	return len(r.late) > 0 || r.out != r.top && !r.waits(now)
}

// Idle reports whether nothing is missing.
func (r *Receiver) Idle() bool { return len(r.holes) == 0 && !r.fresh }

// Request appends a request for what is missing too long, if there is anything.
func (r *Receiver) Request(now time.Duration, to []byte) ([]byte, bool) {
	r.expire(now)
	r.ranges = r.ranges[:0]
	patience := r.patience()
	for i := range r.holes {
		h := &r.holes[i]
		due := h.since + patience
		if h.tries > 0 {
			due = h.asked + r.roundTrip + retryMargin
		}
		if now >= due && h.tries < maxTries && r.allow >= 1 && r.ask(h.seq) {
			h.tries++
			h.asked = now
			r.allow--
		}
	}
	if len(r.ranges) == 0 {
		return to, false
	}
	return appendRequest(to, r.id, r.ranges), true
}

// ask puts seq into the ranges; false if they are full.
func (r *Receiver) ask(seq Seq) bool {
	n := len(r.ranges)
	switch {
	case n > 0 && r.ranges[n-1].First+Seq(r.ranges[n-1].N) == seq:
		r.ranges[n-1].N++
	case n == maxRanges:
		return false
	default:
		r.ranges = append(r.ranges, Range{seq, 1})
	}
	return true
}

// patience is how long a missing source may be repaired before it is requested.
func (r *Receiver) patience() time.Duration {
	return max(min(r.roundTrip*patienceShare/100, maxPatience), min(r.reorder+r.reorder/4, r.roundTrip/2), minPatience)
}

// expire gives up what is missing too long, or too far behind.
func (r *Receiver) expire(now time.Duration) {
	limit := r.patience() + maxTries*(r.roundTrip+retryMargin)
	n := 0
	for n < len(r.holes) && (now-r.holes[n].since > limit || r.top.Sub(r.holes[n].seq) > maxJump/2) {
		n++
	}
	r.giveUp(now, n)
}

// Report appends a report, if one is due.
func (r *Receiver) Report(now time.Duration, to []byte) ([]byte, bool) {
	if !r.fresh || now-r.reported < reportPause {
		return to, false
	}
	r.fresh, r.reported = false, now
	r.reorder -= r.reorder / 64
	return r.Counts(now).append(to, r.id), true
}

// Counts gives what a report would say.
func (r *Receiver) Counts(now time.Duration) Report {
	c := r.counts
	c.Top, c.Held, c.Runs = r.top, Ticks(now)-Ticks(r.heard), uint32(r.runs)
	c.Queue, c.Congested = Ticks(r.delay.standing), r.delay.congested
	return c
}
