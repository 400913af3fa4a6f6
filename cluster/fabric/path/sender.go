package path

import (
	"time"

	"github.com/klauspost/reedsolomon"

	"tmms/media"
)

// Sender is the sending end of one direction: it numbers sources, keeps them
// for a while, and makes combinations of them. It has one owner.
type Sender struct {
	// Set at construction.
	field  reedsolomon.LowLevel
	id     ID
	budget *Budget

	// Sources.
	ring         []*sent // as many as a power of two
	oldest, next Seq     // the ring has oldest and those up to next
	began, last  time.Duration
	keep         time.Duration

	// Combinations.
	parity   float64
	credit   float64 // combinations that are due
	quick    float64 // that may be made for the sake of time
	since    int     // sources since the last one
	repaired time.Duration
	seed     uint16
	scratch  vector

	allow  float64 // resends that may be made
	counts SenderCounts
}

// sent is a source that may be sent again.
type sent struct {
	at time.Duration
	vector
}

// SenderCounts is what a [Sender] has sent: packets, and bytes without IP and UDP.
type SenderCounts struct {
	Sources, SourceBytes uint64
	Repairs, RepairBytes uint64
	Resends, ResendBytes uint64
}

// NewSender makes one whose first source is first; false if the budget has no
// room for it.
func NewSender(now time.Duration, id ID, first Seq, budget *Budget) (*Sender, bool) {
	if !budget.take(firstRing * vectorMemory) {
		return nil, false
	}
	return &Sender{
		id: id, budget: budget, ring: make([]*sent, firstRing), oldest: first, next: first, began: now,
		keep: time.Second, parity: minParity, allow: maxHoles,
	}, true
}

// Close gives back what s holds of the budget; s is not used any more.
func (s *Sender) Close() {
	s.budget.give(len(s.ring) * vectorMemory)
	s.ring = nil
}

// ID is that of the packets it makes.
func (s *Sender) ID() ID { return s.id }

// Seq is the number of the next source.
func (s *Sender) Seq() Seq { return s.next }

// Counts gives the counters.
func (s *Sender) Counts() SenderCounts { return s.counts }

// Strength sets how many combinations are made for a source, none with 0, and
// for how long sources are kept.
func (s *Sender) Strength(parity float64, keep time.Duration) { s.parity, s.keep = parity, keep }

// Source appends packet, of at most [media.MaxFabricPacket] bytes, as a source.
func (s *Sender) Source(now time.Duration, packet, to []byte) []byte {
	s.makeRoom(now)
	p := s.ring[int(s.next)&(len(s.ring)-1)]
	if p == nil {
		p = new(sent)
		s.ring[int(s.next)&(len(s.ring)-1)] = p
	}
	p.at = now
	p.set(packet)
	to = Source{s.next, Ticks(now)}.append(to, KindSource, s.id)
	s.next++
	s.last = now
	s.since++
	parity := s.parity
	if parity > 0 && s.early(now) {
		parity = max(parity, firstParity)
	}
	s.credit = min(s.credit+parity, 8)
	s.quick = min(s.quick+maxParity, 4)
	s.allow = min(s.allow+maxResent, maxHoles)
	s.counts.Sources++
	s.counts.SourceBytes += uint64(len(packet))
	return append(to, packet...)
}

func (s *Sender) early(now time.Duration) bool { return now-s.began < firstSpell }

// makeRoom makes the ring larger if what is to be kept needs it, within the
// bounds, or forgets the oldest source.
func (s *Sender) makeRoom(now time.Duration) {
	n := len(s.ring)
	if s.next.Sub(s.oldest) < n {
		return
	}
	young := now-s.ring[int(s.oldest)&(n-1)].at < s.keep
	if !young || 2*n > media.MaxFabricPathPackets || !s.budget.take(n*vectorMemory) {
		s.oldest++
		return
	}
	larger := make([]*sent, 2*n)
	for q := s.oldest; q != s.next; q++ {
		larger[int(q)&(2*n-1)] = s.ring[int(q)&(n-1)]
	}
	s.ring = larger
}

// Repair appends a combination if one is due. Call it until none is.
func (s *Sender) Repair(now, roundTrip time.Duration, to []byte) ([]byte, bool) {
	spell := repairSpell
	if s.early(now) {
		spell = firstRepairSpell
	}
	timely := s.since > 0 && s.quick >= 1 && now-s.repaired >= spell
	if s.parity == 0 || s.credit < 1 && !timely {
		return to, false
	}
	return s.repair(now, roundTrip, to)
}

// Flush appends a combination if the last sources have none and no other has
// followed them.
func (s *Sender) Flush(now, roundTrip time.Duration, to []byte) ([]byte, bool) {
	if s.parity == 0 || s.since == 0 || s.quick < 1 || now-s.last < flushPause {
		return to, false
	}
	return s.repair(now, roundTrip, to)
}

// Flushed reports whether Flush has nothing to do until there is another source.
func (s *Sender) Flushed() bool { return s.parity == 0 || s.since == 0 || s.quick < 1 }

func (s *Sender) repair(now, roundTrip time.Duration, to []byte) ([]byte, bool) {
	s.credit, s.quick = max(s.credit-1, -maxDebt), max(s.quick-1, 0)
	s.since, s.repaired = 0, now
	s.seed++
	r := Repair{First: s.next, Seed: s.seed, Sent: Ticks(now), RoundTrip: Ticks(min(roundTrip, maxRoundTrip))}
	v := &s.scratch
	v.n = 0
	for r.First != s.oldest && r.Count < media.MaxFabricRepairWindow {
		q := r.First - 1
		p := s.ring[int(q)&(len(s.ring)-1)]
		if now-p.at > repairAge {
			break
		}
		v.add(coefficient(s.seed, q), &p.vector, s.field)
		r.First, r.Count = q, r.Count+1
	}
	if r.Count == 0 {
		return to, false
	}
	n := len(to)
	to = append(r.append(to, s.id), v.b[:v.n]...)
	s.counts.Repairs++
	s.counts.RepairBytes += uint64(len(to) - n)
	return to, true
}

// Resend appends a source once more, if it is still there and not too many were
// asked for.
func (s *Sender) Resend(seq Seq, to []byte) ([]byte, bool) {
	if seq.Sub(s.oldest) < 0 || seq.Sub(s.next) >= 0 || s.allow < 1 {
		return to, false
	}
	s.allow--
	p := s.ring[int(seq)&(len(s.ring)-1)]
	n := len(to)
	to = append(Source{seq, Ticks(p.at)}.append(to, KindResend, s.id), p.b[lengthSize:p.n]...)
	s.counts.Resends++
	s.counts.ResendBytes += uint64(len(to) - n)
	return to, true
}
