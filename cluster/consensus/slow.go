package consensus

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

// Of a disk that works, but so slowly that the group waits for its node: each command
// takes as long as a write of the leader's.
const (
	// slowPart of the time after which raft is cut off makes a write a slow one: 1 s.
	slowPart = 5
	// slowWindow is within what time two writes have to be slow to make the disk a slow
	// one: one alone may wait for a snapshot, or for another process.
	slowWindow = 30 * time.Second
	// slowRest is how long a disk counts as slow after its last slow write, and the least
	// time between two leaderships that a node gives up for that: they must not wander.
	slowRest = time.Minute
	// yieldRetry is the pause after a leader was not rid of its leadership.
	yieldRetry = 10 * time.Second
)

// slowness is how slow a disk is. Its owner's lock guards it.
type slowness struct {
	last  time.Time // slow write
	until time.Time // the disk counts as slow
}

// note takes a slow write.
func (s *slowness) note(now time.Time) {
	if !s.last.IsZero() && now.Sub(s.last) <= slowWindow {
		s.until = now.Add(slowRest)
	}
	s.last = now
}

func (s *slowness) is(now time.Time) bool { return now.Before(s.until) }

// timed notes how long a write has taken.
func (d *disk) timed(took time.Duration, now time.Time) {
	if took < d.limit/slowPart {
		return
	}
	d.slowWrites.Add(1)
	d.mu.Lock()
	defer d.mu.Unlock()
	before := d.slow.is(now)
	if d.slow.note(now); !before && d.slow.is(now) {
		d.log.Warn("the disk of the raft log is slow: this node does not lead while another voter can",
			slog.Duration("took", took))
	}
}

// isSlow reports whether the disk counts as slow.
func (d *disk) isSlow(now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.slow.is(now)
}

// slowDisk reports whether this node had better not lead.
func (n *Node) slowDisk() bool {
	st := n.stores.Load()
	return st != nil && st.disk.isSlow(time.Now())
}

// yields is what a node knows of the leaderships that it gave up for its disk's sake.
type yields struct {
	count atomic.Int64
	next  time.Time // not before; owned by whoever leads, one at a time
}

// watchDisk gives the leadership up to a voter whose disk is sound while this node's
// is slow, until ctx ends.
func (l *leadership) watchDisk(ctx context.Context) {
	n := l.node
	ticker := time.NewTicker(n.cfg.SlowDisk / slowPart)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if now := time.Now(); n.slowDisk() && !now.Before(n.yields.next) {
			n.yields.next = now.Add(l.yield(ctx))
		}
	}
}

// yield hands the leadership over, and gives the time until that may be tried again.
func (l *leadership) yield(ctx context.Context) (pause time.Duration) {
	n := l.node
	to, ok := l.inService(ctx, true)
	if !ok {
		n.log.Warn("the disk is slow, and no other voter is in service with one that is not: this node leads on",
			slog.String("node", n.ID()))
		return slowRest
	}
	n.log.Warn("the disk is slow: leadership is handed over", slog.String("node", n.ID()),
		slog.String("name", string(to.Address)))
	if _, err := n.LeadTransfer(ctx, string(to.ID)); err != nil && l.raft.State() == raft.Leader {
		n.log.Warn("leadership was not handed over", slog.String("node", n.ID()), slog.Any("err", err))
		return yieldRetry
	}
	n.yields.count.Add(1)
	return slowRest
}
