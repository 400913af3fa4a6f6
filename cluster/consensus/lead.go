package consensus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"tmms/cluster/member"
	"tmms/cluster/state"
	"tmms/media"
)

const (
	// leaseTicks is how often in a term the leader looks for lapsed leases.
	leaseTicks = 20
	// settlePause is the time between two attempts to begin.
	settlePause = 100 * time.Millisecond
	// forgetAfter is how long a node that is no voter is remembered without a
	// sign of life.
	forgetAfter = time.Hour
)

// leadership is what a node keeps while it leads.
type leadership struct {
	node *Node
	raft *raft.Raft

	mu     sync.Mutex
	leases *leases // guarded by mu

	// Owned by the goroutine of run.
	tick    time.Time                      // the last one
	orphans map[media.StreamKey]orphanSeen // since when, by this leader's clock
}

type orphanSeen struct {
	epoch uint64
	since time.Time
}

// lead does the duties of a leader until ctx ends: first it applies what is
// committed and sets up a new state, then it watches leases, orphans and
// members.
func (n *Node) lead(ctx context.Context, r *raft.Raft) {
	for !n.settle(r) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(settlePause):
		}
	}
	now := time.Now()
	l := &leadership{
		node: n, raft: r, leases: newLeases(n.cfg.Lease, now), tick: now, orphans: map[media.StreamKey]orphanSeen{},
	}
	n.leading.Store(l)
	defer n.leading.CompareAndSwap(l, nil)
	n.markReady()
	var wg sync.WaitGroup
	defer wg.Wait()
	if n.peers != nil {
		wg.Go(func() { l.watchMembers(ctx) })
	}
	l.run(ctx)
}

// settle reports whether it came to its end; a node that does not lead any more
// is told by its context.
func (n *Node) settle(r *raft.Raft) bool {
	if err := r.Barrier(n.cfg.ApplyTimeout).Error(); err != nil {
		n.log.Warn("leadership was lost at once", slog.String("node", n.ID()), slog.Any("err", err))
		return false
	}
	if n.Initialized() {
		return n.firstLevel(r)
	}
	err := n.command(r, state.Init{UnixSeconds: n.now().Unix(), ClusterID: member.NewUUID()})
	if err != nil {
		n.log.Warn("state was not initialized", slog.String("node", n.ID()), slog.Any("err", err))
	}
	return err == nil && n.firstLevel(r)
}

// command replicates a command of the leader's own.
func (n *Node) command(r *raft.Raft, c state.Command) error {
	_, err := n.commandResult(r, c)
	return err
}

// commandResult is command with its result.
func (n *Node) commandResult(r *raft.Raft, c state.Command) (any, error) {
	if err := n.allowed(c); err != nil {
		return nil, err
	}
	b, err := state.Encode(c)
	if err != nil {
		return nil, err
	}
	f := r.Apply(b, n.cfg.ApplyTimeout)
	if err := f.Error(); err != nil {
		return nil, err
	}
	if refusal, ok := f.Response().(error); ok {
		return nil, refusal
	}
	return f.Response(), nil
}

// run looks for what time has brought until ctx ends.
func (l *leadership) run(ctx context.Context) {
	every := l.node.cfg.Lease / leaseTicks
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := time.Now()
		l.renew(l.node.ID())
		if now.Sub(l.tick) > l.node.cfg.Lease/4+every {
			l.stalled(now) // this process stood still and heard nobody
		}
		l.tick = now
		for _, act := range []func(time.Time) error{l.expire, l.dropOrphans, l.tidy, l.dropRevocations} {
			if err := act(now); err != nil {
				l.logFault(ctx, err)
				break
			}
		}
	}
}

func (l *leadership) logFault(ctx context.Context, err error) {
	if ctx.Err() != nil || errors.Is(err, raft.ErrLeadershipLost) || errors.Is(err, raft.ErrNotLeader) {
		return // the next leader goes on
	}
	l.node.log.Warn("a duty of the leader failed", slog.String("node", l.node.ID()), slog.Any("err", err))
}

// RenewLease notes a sign of life of a node; it is ErrNotLeader elsewhere than
// with the leader.
func (n *Node) RenewLease(id string) error {
	l := n.leads()
	if l == nil {
		return ErrNotLeader
	}
	if err := checkID(id); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if !l.renew(id) {
		return fmt.Errorf("%w: %d nodes hold a lease, the limit", ErrInvalid, media.MaxNodes)
	}
	return nil
}

// renew notes a sign of life of a node.
func (l *leadership) renew(id string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.leases.renew(id, time.Now())
}

func (l *leadership) stalled(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leases.grantAll(now)
}

func (l *leadership) age(id string, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.leases.age(id, now)
}

// alive reports whether a node's lease holds.
func (l *leadership) alive(id string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.leases.lapsed(id, now)
}

// expire takes the streams of nodes whose lease has lapsed.
func (l *leadership) expire(now time.Time) error {
	epoch := l.node.Epoch() // claims from here on are signs of life
	for _, id := range l.node.Owners() {
		if l.alive(id, now) {
			continue
		}
		c := state.ExpireNode{Node: id, MaxEpoch: epoch, AtUnixMS: l.node.now().UnixMilli()}
		if err := l.node.command(l.raft, c); err != nil {
			return err
		}
		l.node.log.Warn("a node's lease has lapsed, its streams wait for another owner",
			slog.String("node", id), slog.Duration("silent", l.age(id, now)))
	}
	return nil
}

// dropOrphans releases streams whose publisher did not come back to any node
// within the app's grace. The grace is counted by this leader's own clock.
func (l *leadership) dropOrphans(now time.Time) error {
	seen := map[media.StreamKey]orphanSeen{}
	var due []state.Orphan
	for _, p := range l.node.Orphans() {
		o, known := l.orphans[p.Key]
		if !known || o.epoch != p.Epoch {
			o = orphanSeen{epoch: p.Epoch, since: now}
		}
		seen[p.Key] = o
		if now.Sub(o.since) >= l.grace(p.Key) && len(due) < state.MaxDrop {
			due = append(due, state.Orphan{Key: state.Key(p.Key), Epoch: p.Epoch})
		}
	}
	l.orphans = seen
	if len(due) == 0 {
		return nil
	}
	if err := l.node.command(l.raft, state.DropOrphans{Orphans: due}); err != nil {
		return err
	}
	l.node.log.Info("streams without an owner were released", slog.Int("streams", len(due)))
	return nil
}

// grace is how long an orphan waits; not at all if its app is gone.
func (l *leadership) grace(key media.StreamKey) time.Duration {
	d, err := l.node.Config().Domain(key.Domain)
	if err != nil {
		return 0
	}
	app, err := d.App(key.App)
	if err != nil {
		return 0
	}
	return app.Grace
}

// tidy forgets nodes that are no members of the group and have not been heard
// of for long, or whose name a later node has taken over.
func (l *leadership) tidy(now time.Time) error {
	l.mu.Lock()
	l.leases.forget(forgetAfter, now)
	l.mu.Unlock()
	members := l.members()
	latest := map[string]state.Node{}
	nodes := l.node.Nodes()
	for _, d := range nodes {
		if old, ok := latest[d.Name]; !ok || d.AtUnixMS > old.AtUnixMS {
			latest[d.Name] = d
		}
	}
	for _, d := range nodes {
		age := l.age(d.ID, now)
		replaced := latest[d.Name].ID != d.ID && !l.alive(d.ID, now)
		if members[d.ID] || (age <= forgetAfter && !replaced) {
			continue
		}
		if err := l.node.command(l.raft, state.RemoveNode{Node: d.ID, AtUnixMS: l.node.now().UnixMilli()}); err != nil {
			return err
		}
		l.node.log.Info("a node was forgotten", slog.String("node", d.ID), slog.String("name", d.Name),
			slog.Duration("silent", age))
	}
	return nil
}

// successor is the voter that answers first, if any of the others does.
func (l *leadership) successor(ctx context.Context) (to raft.Server, ok bool) {
	servers := l.servers()
	ctx, cancel := context.WithTimeout(ctx, l.node.cfg.Heartbeat)
	defer cancel()
	answered := make(chan raft.Server, len(servers))
	var asking sync.WaitGroup
	for _, s := range servers {
		if s.Suffrage != raft.Voter || string(s.ID) == l.node.ID() {
			continue
		}
		asking.Go(func() {
			if l.answers(ctx, s) {
				answered <- s
				cancel()
			}
		})
	}
	asking.Wait()
	select {
	case to = <-answered:
		return to, true
	default:
		return raft.Server{}, false
	}
}

// members are the ids of the group.
func (l *leadership) members() map[string]bool {
	ids := map[string]bool{}
	for _, s := range l.servers() {
		ids[string(s.ID)] = true
	}
	return ids
}

func (l *leadership) servers() []raft.Server {
	return slices.Clone(l.raft.GetConfiguration().Configuration().Servers)
}
