package consensus

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"tmms/cluster/member"
	"tmms/cluster/state"
	"tmms/media"
)

// Node is a member of the raft group with a local copy of the state. All its
// methods may be called from any goroutine, before, during and after Run.
type Node struct {
	*member.View   // reads of the local copy
	*member.Writes // commands, forwarded to the leader

	// Set at construction.
	cfg     Config
	log     *slog.Logger
	now     func() time.Time
	peers   Peers  // nil: none
	layer   *layer // nil: transport is given
	address raft.ServerAddress

	ownSerial func() string // nil: not known
	witnesses Witnesses     // nil: there are only leases
	busy      func() map[string]Busy
	giveAway  func(ctx context.Context, owner string, key media.StreamKey, epoch uint64) error // nil: nobody is asked
	verdicts  *verdictMetrics
	raftTimes *raftTimes
	yields    yields
	held      atomic.Int64      // claims that wait for a verdict
	wrap      func(Store) Store // nil: the store as it is
	self      func() state.Node // nil: nothing is told
	copy      *member.Copy
	lease     *member.Lease
	ready     chan struct{} // closed when the node can take commands
	done      chan struct{} // closed when Run has ended
	failed    chan error    // the applier's fault, at most one

	transport raft.Transport // set at construction, or by Run over layer
	stores    atomic.Pointer[stores]
	raft      atomic.Pointer[raft.Raft]
	leading   atomic.Pointer[leadership] // nil unless this node leads and has begun to
	readyOnce sync.Once
	first     atomic.Int64 // the level that a group begins with which this node founds

	callMu sync.Mutex
	closed bool           // guarded by callMu: no more calls
	calls  sync.WaitGroup // Add only under callMu while not closed
}

// New checks the config, and makes the data folder with the node's id in it.
// Nothing runs before [Node.Run].
func New(cfg Config, deps Deps) (*Node, error) {
	if err := cfg.validate(deps); err != nil {
		return nil, err
	}
	cfg.setDefaults()
	id, err := member.Identity(cfg.DataDir, cfg.ID)
	if err != nil {
		return nil, fmt.Errorf("consensus: %w", err)
	}
	n := &Node{
		cfg: cfg, log: deps.Log, now: deps.Now, transport: deps.Transport, peers: deps.Peers,
		ownSerial: deps.Serial, wrap: deps.Wrap, self: deps.Self,
		witnesses: deps.Witnesses, busy: deps.Busy, giveAway: deps.GiveAway,
		verdicts:  newVerdictMetrics(),
		raftTimes: newRaftTimes(),
		copy:      member.NewCopy(), lease: member.NewLease(cfg.Lease),
		ready: make(chan struct{}), done: make(chan struct{}), failed: make(chan error, 1),
	}
	if n.now == nil {
		n.now = time.Now
	}
	n.View = n.copy.View
	n.Writes = member.NewWrites(member.WritesConfig{
		ID: id, View: n.View, Lease: n.lease, Now: n.now, Attempt: n.attempt, Once: n.peers == nil,
	})
	n.connect(deps)
	if deps.Registerer != nil {
		if err := n.register(deps.Registerer); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// connect chooses how raft reaches the others: the given transport, the
// fabric, or not at all.
func (n *Node) connect(deps Deps) {
	n.address = raft.ServerAddress(n.cfg.Name)
	switch {
	case n.transport != nil:
		n.address = n.transport.LocalAddr()
	case deps.Layer != nil && !n.cfg.alone():
		n.layer = newLayer(n, deps.Layer)
	default:
		n.address = raft.ServerAddress(n.ID())
		_, n.transport = raft.NewInmemTransport(n.address)
	}
}

// Ready is closed once the node knows a leader and has applied what was
// committed before: from then on reads are current and writes are taken.
func (n *Node) Ready() <-chan struct{} { return n.ready }

// Leader gives the id and the name of the leader; ok is false while none is
// known.
func (n *Node) Leader() (id, name string, ok bool) {
	r := n.raft.Load()
	if r == nil || n.Trouble() != nil { // raft may not have heard of another leader
		return "", "", false
	}
	_, server := r.LeaderWithID()
	if server == "" {
		return "", "", false
	}
	return string(server), n.nameOf(r, server), true
}

// nameOf gives the name of a member of the group: its raft address.
func (n *Node) nameOf(r *raft.Raft, id raft.ServerID) string {
	if string(id) == n.ID() && n.cfg.Name != "" {
		return n.cfg.Name
	}
	for _, s := range r.GetConfiguration().Configuration().Servers {
		if s.ID == id {
			return string(s.Address)
		}
	}
	return ""
}

// IsLeader reports whether this node leads.
func (n *Node) IsLeader() bool {
	r := n.raft.Load()
	return r != nil && r.State() == raft.Leader && n.Trouble() == nil
}

// whenReady waits until the node takes commands.
func (n *Node) whenReady(ctx context.Context) (*raft.Raft, error) {
	select {
	case <-n.ready:
		return n.raft.Load(), nil
	case <-n.done:
		return nil, ErrStopped
	case <-ctx.Done():
		return nil, fmt.Errorf("consensus is not ready: %w", context.Cause(ctx))
	}
}
