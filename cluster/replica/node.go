package replica

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tmms/cluster/consensus"
	"tmms/cluster/control"
	"tmms/cluster/member"
	"tmms/cluster/state"
)

// Config of a [Node].
type Config struct {
	// DataDir holds the node's id; it is created. Empty means a new id with
	// every process. The state is never on disk.
	DataDir string
	// ID overrides the minted id. A data folder that has another one is refused.
	ID string
	// Name is the node's name in its certificate.
	Name string
	// CAFingerprint is that of the cluster's CA.
	CAFingerprint string
	// Level is the feature level that this node knows, state.Level if nil.
	Level *int
	// Lease is the term of the node's lease, member.DefaultTerm if 0: the voters'.
	Lease time.Duration
	// Owns says that the node may own streams, which a lease that lapses takes from
	// it. Without it the node renews by member.IdleTerm.
	Owns bool
}

// Cluster is how a node reaches the voters: a *control.Client.
type Cluster interface {
	Watch(ctx context.Context, clusterID string, from uint64, f control.Follower) error
	Propose(ctx context.Context, c state.Command) (index uint64, result any, err error)
	ReadIndex(ctx context.Context) (uint64, error)
	Renew(ctx context.Context, id string, starting bool) error
	Join(ctx context.Context, name, address string) error
	Remove(ctx context.Context, nameOrID string) error
	Revoke(ctx context.Context, r consensus.Revocation) (state.RevokeResult, error)
	Transfer(ctx context.Context, nameOrID string) (name string, err error)
	Level(ctx context.Context, level int) (consensus.Levels, error)
	Status(ctx context.Context) (consensus.Status, error)
}

// Deps are what a [Node] works with.
type Deps struct {
	Log     *slog.Logger // required
	Cluster Cluster      // required
	// Registerer takes the metrics; nil means none are kept.
	Registerer prometheus.Registerer
	// Now is the clock that stamps commands; time.Now if nil.
	Now func() time.Time
}

// Node is a node without a vote. All its methods may be called from any
// goroutine, before, during and after Run.
type Node struct {
	*member.View   // reads of the local copy
	*member.Writes // commands, forwarded to the leader

	// Set at construction.
	cfg     Config
	log     *slog.Logger
	cluster Cluster
	copy    *member.Copy
	lease   *member.Lease
	ready   chan struct{} // closed when the copy has caught up for the first time
	done    chan struct{} // closed when Run has ended

	leader    atomic.Pointer[control.Mark] // the last mark
	following atomic.Bool
	readyOnce sync.Once
}

// How a watch is tried again: after a pause that doubles, with jitter.
const (
	firstPause   = 100 * time.Millisecond
	longestPause = 2 * time.Second
	// readPause is the time between two attempts to reach the leader.
	readPause = 100 * time.Millisecond
)

// New makes the data folder with the node's id in it. Nothing runs before [Node.Run].
func New(cfg Config, deps Deps) (*Node, error) {
	if deps.Log == nil || deps.Cluster == nil || cfg.Lease < 0 {
		return nil, fmt.Errorf("replica: needs a logger, a way to the cluster and a lease of %s >= 0", cfg.Lease)
	}
	if cfg.Lease == 0 {
		cfg.Lease = member.DefaultTerm
	}
	if cfg.Level == nil {
		cfg.Level = new(state.Level)
	}
	if !cfg.Owns {
		cfg.Lease = max(cfg.Lease, member.IdleTerm)
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	id, err := member.Identity(cfg.DataDir, cfg.ID)
	if err != nil {
		return nil, fmt.Errorf("replica: %w", err)
	}
	n := &Node{
		cfg: cfg, log: deps.Log, cluster: deps.Cluster, copy: member.NewCopy(), lease: member.NewLease(cfg.Lease),
		ready: make(chan struct{}), done: make(chan struct{}),
	}
	if !cfg.Owns { // it renews seldom from the first time on, though many of them start at once
		n.lease.Started()
	}
	n.View = n.copy.View
	n.Writes = member.NewWrites(member.WritesConfig{
		ID: id, View: n.View, Lease: n.lease, Now: deps.Now, Attempt: n.attempt,
	})
	if deps.Registerer != nil {
		if err := n.register(deps.Registerer); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// Run follows the state until ctx ends (then it returns nil) or a command, a
// snapshot or a feature level comes that this version does not know. It can be called once.
func (n *Node) Run(ctx context.Context) error {
	defer close(n.done)
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	wg.Go(func() {
		n.lease.Run(ctx, func(ctx context.Context, starting bool) error { return n.cluster.Renew(ctx, n.ID(), starting) })
	})
	last := ""
	for pause := firstPause; ; {
		f := &follower{node: n}
		err := n.cluster.Watch(ctx, n.ClusterID(), n.AppliedIndex(), f)
		n.following.Store(false)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, state.ErrUnknownCommand), errors.Is(err, state.ErrNewer):
			return fmt.Errorf("replica: %w", err)
		case f.marked:
			pause = firstPause
		}
		if text := err.Error(); text != last {
			n.log.Info("the state is not followed", slog.String("node", n.ID()), slog.Any("err", err))
			last = text
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause/2 + rand.N(pause)):
		}
		pause = min(2*pause, longestPause)
	}
}

// follower is one watch.
type follower struct {
	node   *Node
	marked bool
}

// Change implements control.Follower.
func (f *follower) Change(c member.Change) error {
	if c.Snapshot != nil {
		if err := f.node.copy.Restore(c.Snapshot); err != nil {
			return err
		}
		return f.node.fits()
	}
	if at := f.node.AppliedIndex(); c.Index <= at {
		return fmt.Errorf("replica: the command at index %d comes after that at %d", c.Index, at)
	}
	if _, err := f.node.copy.Apply(c.Index, c.Command); err != nil {
		return err
	}
	return f.node.fits()
}

// fits refuses a state that this release can't work with.
func (n *Node) fits() error { return state.FitsRelease(*n.cfg.Level, n.FeatureLevel()) }

// Mark implements control.Follower.
func (f *follower) Mark(m control.Mark) error {
	n := f.node
	f.marked = true
	n.following.Store(true)
	n.leader.Store(&m)
	if !n.Initialized() {
		return nil
	}
	n.readyOnce.Do(func() {
		n.log.Info("the state is followed", slog.String("node", n.ID()), slog.Uint64("index", n.AppliedIndex()),
			slog.Uint64("revision", n.Config().Revision()))
		close(n.ready)
	})
	return nil
}

// Ready is closed once the copy has caught up with a voter for the first time.
func (n *Node) Ready() <-chan struct{} { return n.ready }

// Following reports whether a voter is followed right now; else the copy is the
// last state known.
func (n *Node) Following() bool { return n.following.Load() }

// Leader gives the id and the name of the leader as the voter that is followed
// knows it; ok is false while none is known.
func (n *Node) Leader() (id, name string, ok bool) {
	m := n.leader.Load()
	if m == nil || !n.following.Load() {
		return "", "", false
	}
	return m.Leader, m.LeaderName, m.Leader != ""
}

// IsLeader is false: a node without a vote never leads.
func (n *Node) IsLeader() bool { return false }

// Hello is what this node says of itself to others.
func (n *Node) Hello() consensus.Hello {
	return consensus.Hello{
		ID: n.ID(), Name: n.cfg.Name, CAFingerprint: n.cfg.CAFingerprint, ClusterID: n.ClusterID(), Applied: n.AppliedIndex(),
		Level: *n.cfg.Level,
	}
}

// attempt is a [member.Attempt].
func (n *Node) attempt(ctx context.Context, c state.Command) (uint64, any, error) {
	select {
	case <-n.done:
		return 0, nil, consensus.ErrStopped
	case <-n.ready:
		return n.cluster.Propose(ctx, c)
	case <-ctx.Done():
		return 0, nil, fmt.Errorf("the state is not known yet: %w", context.Cause(ctx))
	}
}

// ReadIndex returns when the local copy has everything that was committed
// before the call: what is read then is linearizable. It gives the index of the
// last such command, and waits for a leader until ctx ends.
func (n *Node) ReadIndex(ctx context.Context) (uint64, error) {
	for {
		index, err := n.cluster.ReadIndex(ctx)
		if err == nil {
			return index, n.WaitIndex(ctx, index)
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("replica: read index: %w: %w", context.Cause(ctx), err)
		case <-n.done:
			return 0, consensus.ErrStopped
		case <-time.After(readPause):
		}
	}
}

// Status gives the raft group as the leader knows it.
func (n *Node) Status(ctx context.Context) (consensus.Status, error) { return n.cluster.Status(ctx) }

// Join adds a running voter to the raft group.
func (n *Node) Join(ctx context.Context, name, address string) error {
	return n.cluster.Join(ctx, name, address)
}

// Remove takes a member, by name or id, out of the raft group.
func (n *Node) Remove(ctx context.Context, nameOrID string) error {
	return n.cluster.Remove(ctx, nameOrID)
}

// Transfer hands the leadership over, see consensus.Node.Transfer.
func (n *Node) Transfer(ctx context.Context, nameOrID string) (name string, err error) {
	return member.Again(ctx, func(ctx context.Context) (string, error) { return n.cluster.Transfer(ctx, nameOrID) })
}

// Levels gives the feature levels of the cluster and its nodes.
func (n *Node) Levels(ctx context.Context) (consensus.Levels, error) { return n.level(ctx, 0) }

func (n *Node) level(ctx context.Context, level int) (consensus.Levels, error) {
	return member.Again(ctx, func(ctx context.Context) (consensus.Levels, error) { return n.cluster.Level(ctx, level) })
}

// RaiseLevel raises the cluster's feature level, see consensus.Node.RaiseLevel.
func (n *Node) RaiseLevel(ctx context.Context, level int) (consensus.Levels, error) {
	if level <= 0 {
		return consensus.Levels{}, fmt.Errorf("%w: feature level %d", member.ErrInvalid, level)
	}
	return n.level(ctx, level)
}

// Snapshot is refused: there is no raft log here.
func (n *Node) Snapshot(context.Context) (consensus.SnapshotInfo, error) {
	return consensus.SnapshotInfo{}, fmt.Errorf("%w: this node has no raft log; ask one that votes", member.ErrInvalid)
}

// Revoke takes certificates out of use on all nodes.
func (n *Node) Revoke(ctx context.Context, r consensus.Revocation) (state.RevokeResult, error) {
	if err := r.Check(); err != nil {
		return state.RevokeResult{}, err
	}
	return member.Again(ctx, func(ctx context.Context) (state.RevokeResult, error) { return n.cluster.Revoke(ctx, r) })
}

func (n *Node) register(reg prometheus.Registerer) error {
	gauges := []struct {
		name, help string
		value      func() float64
	}{
		{"tmms_cluster_leader", "1 if this node leads the raft group, else 0.", func() float64 { return 0 }},
		{"tmms_cluster_following", "1 if this node follows the state of a voter, else 0.", func() float64 {
			if n.Following() {
				return 1
			}
			return 0
		}},
		{"tmms_cluster_applied_index", "Raft index that the local state has reached.", func() float64 {
			return float64(n.AppliedIndex())
		}},
		{"tmms_config_revision", "Revision of the domain config in force on this node.", func() float64 {
			return float64(n.Config().Revision())
		}},
		{"tmms_cluster_placements", "Streams that are placed, those that have lost their owner too.", func() float64 {
			return float64(n.PlacementCount())
		}},
	}
	for _, g := range gauges {
		c := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: g.name, Help: g.help}, g.value)
		if err := reg.Register(c); err != nil {
			return fmt.Errorf("replica: register %s: %w", g.name, err)
		}
	}
	return nil
}
