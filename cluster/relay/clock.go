package relay

import (
	"sync"
	"time"

	"tmms/media"
)

// clock estimates by how much another node's clock is ahead of this one's, from
// exchanges as of NTP (RFC 5905 section 8): of the newest ones that with the
// shortest round trip is right to half of it. It is safe for concurrent use.
type clock struct {
	mu sync.Mutex
	// Guarded by mu.
	samples []clockSample // oldest first
	suspect *clockSample  // one that contradicts them; nil: none
}

// clockSample is one exchange.
type clockSample struct {
	at     time.Time // when the answer came
	offset int64     // the other clock less this one, us
	rtt    int64     // us, without the time that the answer took to make
}

const (
	// clockSamples are kept; at a steady pace those of half a minute.
	clockSamples = 16
	// clockDriftPPM is by how much two clocks may drift apart, as a share in
	// millionths: ten times what crystals do.
	clockDriftPPM = 100
	// clockSlack is in microseconds what two samples may differ by beyond their
	// bounds: time stamps are taken late on a busy machine.
	clockSlack = 1000
)

// newClockSample works one exchange out: sent and received are this node's clock,
// arrived and answered the other's, all in unix microseconds; took is the whole
// exchange by a clock that never jumps. false: the other's stamps make no sense.
func newClockSample(sent, arrived, answered int64, now time.Time, took time.Duration) (s clockSample, ok bool) {
	rtt := took.Microseconds() - (answered - arrived)
	if answered < arrived || rtt < 0 || took > media.RelayClockTimeout {
		return s, false
	}
	received := now.UnixMicro()
	return clockSample{at: now, offset: ((arrived - sent) + (answered - received)) / 2, rtt: rtt}, true
}

// bound is how far off the sample's offset may be at a moment.
func (s *clockSample) bound(now time.Time) int64 {
	return s.rtt/2 + max(now.Sub(s.at).Microseconds(), 0)*clockDriftPPM/1e6
}

// agree tells that one offset can explain both samples.
func (s *clockSample) agree(o *clockSample, now time.Time) bool {
	d := s.offset - o.offset
	return max(d, -d) <= s.bound(now)+o.bound(now)+clockSlack
}

// add takes a sample. One that contradicts those before means that a clock has
// jumped, or that this exchange went over the jump: settled is false, and the
// next sample tells which.
func (c *clock) add(s clockSample) (settled bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	best := c.best(s.at)
	switch {
	case best == nil || best.agree(&s, s.at):
		c.suspect = nil
	case c.suspect != nil && c.suspect.agree(&s, s.at):
		c.samples = append(c.samples[:0], *c.suspect)
		c.suspect = nil
	default:
		c.suspect = &s
		return false
	}
	if len(c.samples) == clockSamples {
		c.samples = c.samples[:copy(c.samples, c.samples[1:])]
	}
	c.samples = append(c.samples, s)
	return true
}

// best is the sample with the least bound, nil before the first. mu is held.
func (c *clock) best(now time.Time) (best *clockSample) {
	for i := range c.samples {
		if s := &c.samples[i]; best == nil || s.bound(now) <= best.bound(now) {
			best = s
		}
	}
	return best
}

// offset is by how many microseconds the other node's clock is ahead of this
// one's, and how far off that may be; ok = false before the first exchange.
func (c *clock) offset(now time.Time) (offset, bound int64, ok bool) {
	if c == nil {
		return 0, 0, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	best := c.best(now)
	if best == nil {
		return 0, 0, false
	}
	return best.offset, best.bound(now), true
}
