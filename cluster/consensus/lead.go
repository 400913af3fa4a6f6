package consensus

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"tmms/cluster/duties"
	"tmms/cluster/member"
	"tmms/cluster/state"
)

const (
	// leaseTicks is how often in a term the leader looks at what has no hurry.
	leaseTicks = 20
	// settlePause is the time between two attempts to begin.
	settlePause = 100 * time.Millisecond
)

// leadership is what a node keeps while it leads.
type leadership struct {
	node *Node
	raft *raft.Raft

	court  *court
	deaths chan struct{} // holds one: somebody may be dead

	promised promises

	relieved relieving
	giving   sync.WaitGroup // of those

	// Owned by the goroutine of run.
	duties *duties.Duties
}

// lead does the duties of a leader until ctx ends: first it applies what is
// committed and sets up a new state, then it watches nodes, streams and members.
func (n *Node) lead(ctx context.Context, r *raft.Raft) {
	for !n.settle(r) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(settlePause):
		}
	}
	l := &leadership{
		node: n, raft: r, court: newCourt(n.ID(), n.cfg.Lease), deaths: make(chan struct{}, 1),
		duties: duties.New(n.cfg.Relief),
	}
	n.leading.Store(l)
	defer n.leading.CompareAndSwap(l, nil)
	n.markReady()
	var wg sync.WaitGroup
	defer wg.Wait()
	if n.peers != nil {
		wg.Go(func() { l.watchMembers(ctx) })
		wg.Go(func() { l.watchDisk(ctx) })
	}
	wg.Go(func() { l.watchNodes(ctx) })
	defer l.giving.Wait()
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

// run does what the deaths of nodes and time have brought, until ctx ends. Commands
// wait for disks, so nobody is judged here.
func (l *leadership) run(ctx context.Context) {
	ticker := time.NewTicker(l.node.cfg.Lease / leaseTicks)
	defer ticker.Stop()
	balance := func(now time.Time) error { return l.balance(ctx, now) }
	for {
		due := []func(time.Time) error{l.bury}
		select {
		case <-ctx.Done():
			return
		case <-l.deaths:
		case <-ticker.C:
			due = append(due, l.revive, l.dropOrphans, l.chooseStandbys, balance, l.tidy, l.dropRevocations, l.dropTokens)
		}
		now := time.Now()
		for _, act := range due {
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

// successor is the voter that answers first, if any of the others does; one whose disk
// is slow only if no other answers.
func (l *leadership) successor(ctx context.Context) (to raft.Server, ok bool) {
	servers := l.servers()
	ctx, cancel := context.WithTimeout(ctx, l.node.cfg.Heartbeat)
	defer cancel()
	answered, slow := make(chan raft.Server, len(servers)), make(chan raft.Server, len(servers))
	var asking sync.WaitGroup
	for _, s := range servers {
		if s.Suffrage != raft.Voter || string(s.ID) == l.node.ID() {
			continue
		}
		asking.Go(func() {
			switch h, ok := l.hello(ctx, s); {
			case ok && h.Slow:
				slow <- s
			case ok:
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
	}
	select {
	case to = <-slow:
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
