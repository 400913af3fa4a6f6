package fabric

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// linkKey names the one session that this node dials.
type linkKey struct {
	peerKey
	lane int
}

// link is what is known about the way to a node for one protocol. It belongs to
// Fabric.mu.
type link struct {
	session *Session  // nil: none
	began   time.Time // when session did
	call    *call     // the dial in flight; nil: none

	failures int       // dials that failed in a row, or led to a session that soon ended
	err      error     // how the last one failed
	addr     string    // what it dialed
	tried    time.Time // when it failed
	retry    time.Time // not before
}

// call is one dial, for all who wait for it.
type call struct {
	done    chan struct{} // closed when session or err is set
	session *Session
	err     error

	// Guarded by Fabric.mu.
	began time.Time
	stop  context.CancelFunc // ends the attempt
	anew  bool               // another attempt was asked for, which is done once
}

// renew ends an attempt that began before its peer did, or while that was away: its
// packets are sent again ever more seldom. One that is young may well be answered.
func (c *call) renew(now time.Time, t timing) {
	if !c.anew && now.Sub(c.began) > t.handshake/10 {
		c.anew = true
		c.stop()
	}
}

// wait is the time until addr may be dialed again; 0 is now. Another address
// than the one that failed is tried after the shortest pause.
func (l *link) wait(addr string, now time.Time, t timing) time.Duration {
	if l.failures == 0 {
		return 0
	}
	retry := l.retry
	if other := l.tried.Add(t.backoffMin); addr != l.addr && other.Before(retry) {
		retry = other
	}
	return max(0, retry.Sub(now))
}

// failed plans the next dial: full jitter below a bound that doubles, so that
// nodes that lost the same peer do not come back as one.
func (l *link) failed(addr string, err error, now time.Time, t timing) {
	bound := t.backoffMax
	if l.failures < 16 { // 2^16 times any pause is beyond every bound
		bound = min(bound, t.backoffMin<<l.failures)
	}
	l.failures++
	l.addr, l.err, l.tried = addr, err, now
	l.retry = now.Add(rand.N(bound) + time.Millisecond)
}

// briefly times the shortest pause is how long a session must live for its dial
// to count as a success: a peer that takes sessions only to end them is backed
// off from.
const briefly = 10

// ended takes away a session that has ended.
func (l *link) ended(s *Session, now time.Time, t timing) {
	if l.session != s { // it was taken away before
		return
	}
	l.session = nil
	if now.Sub(l.began) >= briefly*t.backoffMin {
		l.worked()
		return
	}
	err := fmt.Errorf("fabric: the session with %s ended at once: %w", s.target, context.Cause(s.Context()))
	l.failed(s.target.Addr, err, now, t)
}

// worked forgets the failures.
func (l *link) worked() {
	l.failures, l.err, l.addr = 0, nil, ""
	l.tried, l.retry = time.Time{}, time.Time{}
}

// idle reports whether nothing would be lost if the link was forgotten.
func (l *link) idle(now time.Time, t timing) bool {
	return l.session == nil && l.call == nil && now.Sub(l.retry) > 2*t.backoffMax
}
