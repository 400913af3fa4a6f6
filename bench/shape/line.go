package shape

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// maxPacket is the largest packet, in bytes.
const maxPacket = 2048

// Counters are what a direction has done with packets since it began.
type Counters struct {
	Offered, OfferedBytes     int64 // that came in
	Forwarded, ForwardedBytes int64 // that came out
	Lost                      int64 // by the loss model
	Dropped                   int64 // by the full queue
	Overflowed                int64 // by the bound on the packets that a direction holds
	// Missed are those that the kernel dropped before the link could read them;
	// of a [Line] there are none.
	Missed int64
	// Late counts the packets that came out more than a millisecond after their
	// time; MostLate is the longest such time of all. They tell how true the link is.
	Late     int64
	MostLate time.Duration
}

// String gives all counters in a line.
func (c Counters) String() string {
	return fmt.Sprintf("offered %d (%d bytes), forwarded %d (%d bytes), lost %d, dropped by the queue %d, overflowed %d, "+
		"missed %d, late by over 1 ms %d, at most %s", c.Offered, c.OfferedBytes, c.Forwarded, c.ForwardedBytes,
		c.Lost, c.Dropped, c.Overflowed, c.Missed, c.Late, c.MostLate)
}

// lateness is what [Counters].Late counts.
const lateness = time.Millisecond

// Line is one direction of a link. Times are since some moment and do not go
// back. It holds at most 32 MiB. It has one owner.
type Line struct {
	params Params
	losses losses
	wander wander
	count  Counters

	waiting ring // the first is in the bottleneck until sent
	sent    time.Duration
	flight  ring
	last    time.Duration // when the last in flight comes out
	free    [][]byte
	popped  []byte // what Pop gave, to be reused
}

// NewLine makes a direction. The same seed gives the same losses.
func NewLine(p Params, seed uint64) (*Line, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	of := func(stream uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, stream)) } //nolint:gosec // a model
	return &Line{params: p, losses: losses{rng: of(1)}, wander: wander{rng: of(2)}}, nil
}

// Params are those in force.
func (l *Line) Params() Params { return l.params }

// Set changes the parameters from now on. Packets that are past the bottleneck
// keep their time, those before it go on at the new rate, also those that would
// not find room in a shorter queue.
func (l *Line) Set(now time.Duration, p Params) error {
	if err := p.Validate(); err != nil {
		return err
	}
	l.advance(now)
	before := l.params.RateBPS
	l.params = p
	switch {
	case l.waiting.size == 0 || p.RateBPS == before:
	case p.RateBPS == 0:
		for l.waiting.size > 0 {
			l.depart(now, l.waiting.pop().data)
		}
	default: // the rest of the packet in the bottleneck
		l.sent = now + time.Duration(float64(l.sent-now)*float64(before)/float64(p.RateBPS))
	}
	return nil
}

// Push takes a packet of at most 2,048 bytes that came in at now; it is copied.
func (l *Line) Push(now time.Duration, data []byte) {
	l.advance(now)
	l.count.Offered++
	l.count.OfferedBytes += int64(len(data))
	switch {
	case l.params.RateBPS > 0 && l.waiting.size > l.params.Queue:
		l.count.Dropped++
	case l.waiting.size+l.flight.size >= maxHeld:
		l.count.Overflowed++
	case l.params.RateBPS == 0:
		l.depart(now, l.copyOf(data))
	default:
		if l.waiting.size == 0 {
			l.sent = now + l.span(len(data))
		}
		l.waiting.push(packet{data: l.copyOf(data)})
	}
}

// Pop gives the next packet that has come out by now, nil if there is none. It is
// valid until the next call on l.
func (l *Line) Pop(now time.Duration) []byte {
	if l.popped != nil {
		l.free, l.popped = append(l.free, l.popped), nil
	}
	l.advance(now)
	if l.flight.size == 0 || l.flight.first().at > now {
		return nil
	}
	p := l.flight.pop()
	l.popped = p.data
	l.count.Forwarded++
	l.count.ForwardedBytes += int64(len(p.data))
	late := now - p.at
	l.count.MostLate = max(l.count.MostLate, late)
	if late > lateness {
		l.count.Late++
	}
	return p.data
}

// Next is when Pop may have the next packet; ok is false while there is none.
func (l *Line) Next() (at time.Duration, ok bool) {
	switch {
	case l.flight.size > 0:
		return l.flight.first().at, true
	case l.waiting.size > 0:
		return l.sent, true
	}
	return 0, false
}

// Counters are those of packets that have come and gone.
func (l *Line) Counters() Counters { return l.count }

// advance moves packets through the bottleneck up to now.
func (l *Line) advance(now time.Duration) {
	for l.waiting.size > 0 && l.sent <= now {
		p := l.waiting.pop()
		l.depart(l.sent, p.data)
		if l.waiting.size > 0 {
			l.sent += l.span(len(l.waiting.first().data))
		}
	}
}

// depart loses a packet or sends it on its way, at the time when the bottleneck
// has sent it.
func (l *Line) depart(at time.Duration, data []byte) {
	if l.losses.next(l.params.Loss, l.params.Burst) {
		l.count.Lost++
		l.free = append(l.free, data)
		return
	}
	l.last = max(l.last, at+l.params.Delay+l.wander.at(at, l.params.Jitter)) // no packet overtakes another
	l.flight.push(packet{data: data, at: l.last})
}

// span is how long the bottleneck needs for a packet.
func (l *Line) span(bytes int) time.Duration {
	return time.Duration(float64(bytes) * 8 * float64(time.Second) / float64(l.params.RateBPS))
}

// copyOf copies a packet into memory of the line's own.
func (l *Line) copyOf(data []byte) []byte {
	var b []byte
	if n := len(l.free); n > 0 {
		b, l.free = l.free[n-1], l.free[:n-1]
	} else {
		b = make([]byte, 0, maxPacket)
	}
	return append(b[:0], data...)
}
