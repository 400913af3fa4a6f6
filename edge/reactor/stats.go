package reactor

import (
	"sync/atomic"
	"time"
)

// Stats is a loop's numbers at one moment. Counters only rise.
type Stats struct {
	Conns         int64         // connections on the loop now
	Accepted      uint64        // by the loop's listeners
	AcceptErrors  uint64        // accepts that failed, for want of descriptors or otherwise
	Refused       uint64        // over Config.MaxPerIP
	Evicted       uint64        // unidentified ones closed because there were too many
	HandedOver    uint64        // given to a less loaded loop
	BytesSent     uint64        //
	BytesReceived uint64        //
	ShortSends    uint64        // sends that found the socket full
	MailboxDrops  uint64        // messages refused by a full mailbox
	Turns         uint64        // times the loop woke up
	Busy          time.Duration // time spent outside of wait, in all
	CPU           time.Duration // processor time of the loop's thread; 0 while it does not run
	BusyRatio     float64       // the same over the last one to two seconds, 0 to 1
	MaxLateness   time.Duration // how late OnTick hooks were at worst, in the last one to two seconds
	LongestTurn   time.Duration // in the last one to two seconds
	Overdue       time.Duration // how long the present turn has lasted, or how late the loop wakes up
	TurnTimes     TurnTimes
	Overruns      [numPhases]uint64 // turns longer than Overrun, by the phase that took most of them
}

// turnBuckets is the number of bounds of TurnTimes.
const turnBuckets = 16

// TurnTimes is how many turns have taken how long.
type TurnTimes [turnBuckets + 1]uint64

// TurnBounds are the upper bounds of TurnTimes, whose last entry has none.
func TurnBounds() [turnBuckets]time.Duration {
	const us, ms = time.Microsecond, time.Millisecond
	return [...]time.Duration{
		50 * us, 100 * us, 200 * us, 500 * us, ms, 2 * ms, 3 * ms, 5 * ms, 7 * ms, 10 * ms, 15 * ms, 20 * ms,
		50 * ms, 100 * ms, 200 * ms, time.Second,
	}
}

// statsWindow is the least time that BusyRatio and MaxLateness look back.
const statsWindow = time.Second

// counters is what the loop counts, plainly, and publishes once a turn.
type counters struct {
	accepted, acceptErrors, refused, evicted, handedOver uint64
	sent, received, shortSends, turns                    uint64
	busy                                                 time.Duration

	// The current window and the one before.
	windowStart, previousStart       time.Duration
	windowBusy, previousBusy         time.Duration // value of busy when they began
	windowLateness, previousLateness time.Duration
	windowLongest, previousLongest   time.Duration

	bounds   [turnBuckets]time.Duration
	times    TurnTimes
	overruns [numPhases]uint64
}

// published is the last turn's counters, read by any goroutine.
type published struct {
	accepted, acceptErrors, refused, evicted, handedOver atomic.Uint64
	sent, received, shortSends, turns                    atomic.Uint64
	busy, since, sinceBusy, lateness, longest            atomic.Int64

	place    atomic.Int64 // see place
	times    [turnBuckets + 1]atomic.Uint64
	overruns [numPhases]atomic.Uint64
	worst    atomic.Pointer[overrun] // the longest that the watch has not seen; nil: none
}

// Stats reads the loop's numbers; safe from any goroutine.
func (l *Loop) Stats() Stats {
	p := &l.published
	s := Stats{
		Conns:         l.conns.Load(),
		Accepted:      p.accepted.Load(),
		AcceptErrors:  p.acceptErrors.Load(),
		Refused:       p.refused.Load(),
		Evicted:       p.evicted.Load(),
		HandedOver:    p.handedOver.Load(),
		BytesSent:     p.sent.Load(),
		BytesReceived: p.received.Load(),
		ShortSends:    p.shortSends.Load(),
		MailboxDrops:  l.mailboxDrops.Load(),
		Turns:         p.turns.Load(),
		Busy:          time.Duration(p.busy.Load()),
		CPU:           threadCPU(int(l.thread.Load())),
		MaxLateness:   time.Duration(p.lateness.Load()),
		LongestTurn:   time.Duration(p.longest.Load()),
	}
	for i := range p.times {
		s.TurnTimes[i] = p.times[i].Load()
	}
	for i := range p.overruns {
		s.Overruns[i] = p.overruns[i].Load()
	}
	if l.thread.Load() != 0 {
		s.Overdue = place(p.place.Load()).overdue(l.reactor.clock())
	}
	// Against the clock, not the last turn: an idle loop takes none.
	if wall := l.reactor.clock() - time.Duration(p.since.Load()); wall > 0 {
		s.BusyRatio = min(1, float64(p.busy.Load()-p.sinceBusy.Load())/float64(wall))
	}
	return s
}

// record ends a turn that lasted from start to end.
func (l *Loop) record(start, end time.Duration) {
	c := &l.count
	c.turns++
	c.busy += end - start
	if end-c.windowStart >= statsWindow {
		c.previousStart, c.previousBusy, c.previousLateness = c.windowStart, c.windowBusy, c.windowLateness
		c.previousLongest = c.windowLongest
		c.windowStart, c.windowBusy, c.windowLateness, c.windowLongest = end, c.busy, 0, 0
	}
	c.windowLongest = max(c.windowLongest, end-start)
	l.sort(end - start)
	p := &l.published
	p.accepted.Store(c.accepted)
	p.acceptErrors.Store(c.acceptErrors)
	p.refused.Store(c.refused)
	p.evicted.Store(c.evicted)
	p.handedOver.Store(c.handedOver)
	p.sent.Store(c.sent)
	p.received.Store(c.received)
	p.shortSends.Store(c.shortSends)
	p.turns.Store(c.turns)
	p.busy.Store(int64(c.busy))
	p.since.Store(int64(c.previousStart))
	p.sinceBusy.Store(int64(c.previousBusy))
	p.lateness.Store(int64(max(c.windowLateness, c.previousLateness)))
	p.longest.Store(int64(max(c.windowLongest, c.previousLongest)))
}

// sort counts a turn by how long it took, and one that took too long by its phase.
func (l *Loop) sort(took time.Duration) {
	c, p := &l.count, &l.published
	i := 0
	for i < turnBuckets && took > c.bounds[i] {
		i++
	}
	c.times[i]++
	p.times[i].Store(c.times[i])
	if took <= Overrun {
		return
	}
	phase := l.turning.longest()
	c.overruns[phase]++
	p.overruns[phase].Store(c.overruns[phase])
	if w := p.worst.Load(); w == nil || w.took < took {
		p.worst.Store(&overrun{took: took, phase: phase, spent: l.turning.spent[phase], work: l.turning.work})
	}
}
