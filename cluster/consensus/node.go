package consensus

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"tmms/cluster/state"
	"tmms/media"
)

// Node is a member of the raft group with a local copy of the state. All its
// methods may be called from any goroutine, before, during and after Run.
type Node struct {
	// Set at construction.
	cfg       Config
	log       *slog.Logger
	now       func() time.Time
	transport raft.Transport
	id        string
	address   raft.ServerAddress
	ready     chan struct{} // closed when the node can take commands
	done      chan struct{} // closed when Run has ended
	failed    chan error    // the applier's fault, at most one

	current atomic.Pointer[revision]
	raft    atomic.Pointer[raft.Raft]

	mu    sync.RWMutex
	state *state.State // guarded by mu; raft's goroutine writes

	callMu sync.Mutex
	closed bool           // guarded by callMu: no more calls
	calls  sync.WaitGroup // Add only under callMu while not closed
}

// revision is a config with the channel that its successor closes.
type revision struct {
	config *state.Config
	next   chan struct{}
}

// New checks the config, and makes the data folder with the node's id in it.
// Nothing runs before [Node.Run].
func New(cfg Config, deps Deps) (*Node, error) {
	if err := cfg.validate(deps); err != nil {
		return nil, err
	}
	cfg.setDefaults()
	id, err := identity(cfg)
	if err != nil {
		return nil, err
	}
	n := &Node{
		cfg: cfg, log: deps.Log, now: deps.Now, transport: deps.Transport, id: id,
		ready: make(chan struct{}), done: make(chan struct{}), failed: make(chan error, 1),
		state: state.New(),
	}
	if n.now == nil {
		n.now = time.Now
	}
	if n.transport == nil {
		_, n.transport = raft.NewInmemTransport(raft.ServerAddress(id))
	}
	n.address = n.transport.LocalAddr()
	n.current.Store(&revision{config: n.state.Config(), next: make(chan struct{})})
	if deps.Registerer != nil {
		if err := n.register(deps.Registerer); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// ID is the node's id: a UUID minted with the data folder, unless configured.
func (n *Node) ID() string { return n.id }

// Ready is closed once the node knows a leader and has applied what was
// committed before: from then on reads are current and writes are taken.
func (n *Node) Ready() <-chan struct{} { return n.ready }

// Config is the config in force here; never nil, and cheap enough for any path.
func (n *Node) Config() *state.Config { return n.current.Load().config }

// Watch gives the config in force and a channel that is closed when there is a
// later one.
func (n *Node) Watch() (*state.Config, <-chan struct{}) {
	r := n.current.Load()
	return r.config, r.next
}

// History lists the config revisions that are kept, oldest first.
func (n *Node) History() []state.Revision {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.state.History()
}

// Placement says who owns a stream.
func (n *Node) Placement(key media.StreamKey) (state.Placement, bool) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.state.Placement(key)
}

// Placements lists all placements, ordered by key.
func (n *Node) Placements() []state.PlacedStream {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.state.Placements()
}

// Nodes lists the nodes of the cluster, ordered by id.
func (n *Node) Nodes() []state.Node {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.state.Nodes()
}

// AppliedIndex is the raft index that the local copy has reached.
func (n *Node) AppliedIndex() uint64 {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.state.Index()
}

// Leader gives the id and the transport address of the leader; ok is false
// while none is known.
func (n *Node) Leader() (id, address string, ok bool) {
	r := n.raft.Load()
	if r == nil {
		return "", "", false
	}
	addr, server := r.LeaderWithID()
	return string(server), string(addr), server != ""
}

// IsLeader reports whether this node leads.
func (n *Node) IsLeader() bool {
	id, _, ok := n.Leader()
	return ok && id == n.id
}
