package member

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// Terms of the leases.
const (
	// DefaultTerm is how long the leader waits for a renewal before it takes a
	// node's streams from it.
	DefaultTerm = 10 * time.Second
	// IdleTerm is that of a node which owns no streams: nothing is taken from it but
	// its place in the list of nodes, after an hour, and a thousand of them must not
	// cost the leader anything.
	IdleTerm = 5 * time.Minute
	// renewalsPercent is the time between two renewals, of a term: 3 s with the
	// default.
	renewalsPercent = 30
	// startRenewals is that time while the node starts: a new leader must know of it
	// before it finds anybody dead.
	startRenewals = 300 * time.Millisecond
)

// Lease is a node's own view of its lease. It is safe for use from any goroutine.
type Lease struct {
	term time.Duration
	base time.Time    // has a monotonic reading
	last atomic.Int64 // ns from base to the last sign that the leader has heard of us

	started atomic.Bool
}

// NewLease gives a lease that holds for one term from now.
func NewLease(term time.Duration) *Lease { return &Lease{term: term, base: time.Now()} }

// Renewed notes that the leader has just heard of this node.
func (l *Lease) Renewed() { l.last.Store(int64(time.Since(l.base))) }

// Check gives an error that wraps [ErrLeaseLapsed] if the last renewal is more
// than a term ago.
func (l *Lease) Check() error {
	if age := time.Since(l.base) - time.Duration(l.last.Load()); age > l.term {
		return fmt.Errorf("%w: last renewed %s ago, the term is %s", ErrLeaseLapsed, age.Truncate(time.Millisecond), l.term)
	}
	return nil
}

// Starting reports whether this process has yet to take the node's name off what an
// earlier one of it had. Whoever decides from the placements meanwhile must not take
// it for the standby in sync that they show.
func (l *Lease) Starting() bool { return !l.started.Load() }

// Started says that nothing is left of an earlier process; of a node that owns nothing
// and stands by for nothing there never is.
func (l *Lease) Started() { l.started.Store(true) }

// Run renews the lease until ctx ends, and says whether the node is starting; a renewal
// that fails is tried again soon. The lease is renewed by the start.
func (l *Lease) Run(ctx context.Context, renew func(ctx context.Context, starting bool) error) {
	l.Renewed()
	every := l.term * renewalsPercent / 100
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		pause := every
		if l.Starting() {
			pause = min(every, startRenewals)
		}
		if l.renewOnce(ctx, every, renew) != nil {
			pause = jitter(every / 4)
		}
		timer.Reset(pause)
	}
}

func (l *Lease) renewOnce(
	ctx context.Context, limit time.Duration, renew func(ctx context.Context, starting bool) error,
) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	asked := time.Since(l.base) // the leader counts from later on
	err := renew(ctx, l.Starting())
	if err == nil {
		l.last.Store(int64(asked))
	}
	return err
}

// jitter gives a time between half of d and one and a half.
func jitter(d time.Duration) time.Duration {
	return d/2 + rand.N(max(d, 1))
}
