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
}

// published is the last turn's counters, read by any goroutine.
type published struct {
	accepted, acceptErrors, refused, evicted, handedOver atomic.Uint64
	sent, received, shortSends, turns                    atomic.Uint64
	busy, since, sinceBusy, lateness                     atomic.Int64
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
		c.windowStart, c.windowBusy, c.windowLateness = end, c.busy, 0
	}
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
}
