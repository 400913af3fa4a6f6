package consensus

import (
	"fmt"
	"sync"
	"time"

	"tmms/cluster/verdict"
	"tmms/media"
)

// court is a [verdict.Court] for the leader's goroutines, which have clocks.
type court struct {
	base time.Time // has a monotonic reading

	mu    sync.Mutex
	court *verdict.Court // guarded by mu
	dead  []string       // guarded by mu; who was dead when they were last looked for
}

// newCourt gives everybody a full lease.
func newCourt(self string, term time.Duration) *court {
	return &court{base: time.Now(), court: verdict.New(verdict.Config{Self: self, Term: term}, 0)}
}

// with gives the court and the time to do.
func (c *court) with(now time.Time, do func(*verdict.Court, time.Duration)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	do(c.court, now.Sub(c.base))
}

func (c *court) forget(after time.Duration, now time.Time) {
	c.with(now, func(v *verdict.Court, at time.Duration) { v.Forget(after, at) })
}

// RenewLease notes a sign of life of a node, and whether that is starting, see
// [member.Lease.Starting]; it is ErrNotLeader elsewhere than with the leader.
func (n *Node) RenewLease(id string, starting bool) error {
	l := n.leads()
	if l == nil {
		return ErrNotLeader
	}
	if err := checkID(id); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if !l.renewal(id, starting) {
		return fmt.Errorf("%w: %d nodes hold a lease, the limit", ErrInvalid, media.MaxNodes)
	}
	return nil
}

// renew notes a sign of life of a node.
func (l *leadership) renew(id string) {
	l.court.with(time.Now(), func(v *verdict.Court, at time.Duration) { v.Renewed(id, at) })
}

// renewal is renew by the node itself; false: too many nodes hold a lease.
func (l *leadership) renewal(id string, starting bool) (ok bool) {
	l.court.with(time.Now(), func(v *verdict.Court, at time.Duration) {
		ok = v.Renewed(id, at)
		v.Starts(id, starting)
	})
	return ok
}

// age is the time since a node's lease was renewed or given.
func (l *leadership) age(id string, now time.Time) (age time.Duration) {
	l.court.with(now, func(v *verdict.Court, at time.Duration) { age = v.Age(id, at) })
	return age
}

// alive reports whether a node is not found dead.
func (l *leadership) alive(id string, now time.Time) bool {
	path, _ := l.verdict(id, now)
	return path == verdict.Alive
}

// verdict says how a node was found dead, and for how long nothing has come from it.
func (l *leadership) verdict(id string, now time.Time) (path verdict.Path, silent time.Duration) {
	l.court.with(now, func(v *verdict.Court, at time.Duration) {
		path, silent = v.Verdict(id, at), v.Silent(id, at)
		if path == verdict.ByLease {
			silent = v.Age(id, at)
		}
	})
	return path, silent
}

// suspect reports whether a claim against a node's streams is to wait.
func (l *leadership) suspect(id string, now time.Time) (is bool) {
	l.court.with(now, func(v *verdict.Court, at time.Duration) { is = v.Suspect(id, at) })
	return is
}
