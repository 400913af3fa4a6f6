package replica_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tmms/cluster/consensus"
	"tmms/cluster/control"
	"tmms/cluster/fabric"
	"tmms/cluster/member"
	"tmms/cluster/pki"
	"tmms/cluster/replica"
	"tmms/cluster/state"
	"tmms/media"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of a test; it is only ever used up by a failure.
const patience = 30 * time.Second

// cluster is the nodes of a test, on real sockets of the loopback.
type cluster struct {
	tb     testing.TB
	ca     *pki.CA
	dir    string
	lease  time.Duration
	voters []consensus.Voter
	addrs  map[string]string
	logs   map[string]*logBuffer // by name; of all processes of the node
	query  func(context.Context, pki.Peer, control.Query) (json.RawMessage, error)
}

func newCluster(tb testing.TB, voters ...string) *cluster {
	tb.Helper()
	ca, err := pki.NewCA(time.Now())
	if err != nil {
		tb.Fatal(err)
	}
	c := &cluster{tb: tb, ca: ca, dir: tb.TempDir(), addrs: map[string]string{}, logs: map[string]*logBuffer{}}
	for _, name := range voters {
		c.voters = append(c.voters, consensus.Voter{Name: name, Address: c.addr(name)})
	}
	return c
}

// addr gives the node's address, which stays the same for all its processes. Its port
// is none that the kernel gives to others who ask for any (ip(7), ip_local_port_range).
func (c *cluster) addr(name string) string {
	for c.addrs[name] == "" {
		conn, err := net.ListenPacket("udp", fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(20_000)))
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil {
			c.tb.Fatal(err)
		}
		c.addrs[name] = conn.LocalAddr().String()
		_ = conn.Close()
	}
	return c.addrs[name]
}

// process is one process of a node.
type process struct {
	*consensus.Node // nil without a vote
	node            membership
	tb              testing.TB
	client          *control.Client
	identity        *pki.Identity
	fabric          *fabric.Fabric
	endNode         func() error
	endFabric       func() error
	done            chan struct{}
	media           atomic.Pointer[func(id string) time.Duration] // what came from a node; nil: nothing ever did
}

// membership is what both kinds of nodes have.
type membership interface {
	ID() string
	Run(ctx context.Context) error
	Ready() <-chan struct{}
	Config() *state.Config
	Watch() (*state.Config, <-chan struct{})
	History() []state.Revision
	Placement(key media.StreamKey) (state.Placement, bool)
	Placements() []state.PlacedStream
	WatchPlacements() <-chan struct{}
	Nodes() []state.Node
	Node(id string) (state.Node, bool)
	AppliedIndex() uint64
	Leader() (id, name string, ok bool)
	Claim(ctx context.Context, key media.StreamKey) (state.Placement, error)
	Resume(ctx context.Context, key media.StreamKey, epoch uint64) (state.Placement, error)
	Release(ctx context.Context, key media.StreamKey, epoch uint64) error
	Disown(ctx context.Context) error
	Starting() bool
	SetConfig(ctx context.Context, base uint64, doc *state.Document, by string) (uint64, error)
	UpsertNode(ctx context.Context, node state.Node) error
	Leave(ctx context.Context) error
	ReadIndex(ctx context.Context) (uint64, error)
	Status(ctx context.Context) (consensus.Status, error)
	Join(ctx context.Context, name, address string) error
	Remove(ctx context.Context, nameOrID string) error
	WatchRevocations() (*state.Revocations, <-chan struct{})
	Revoke(ctx context.Context, r consensus.Revocation) (state.RevokeResult, error)
	Transfer(ctx context.Context, nameOrID string) (name string, err error)
	Snapshot(ctx context.Context) (consensus.SnapshotInfo, error)
	Backup() ([]byte, error)
	Restore(ctx context.Context, backup []byte, opt member.RestoreOptions) (member.Restored, error)
	FeatureLevel() int
	Levels(ctx context.Context) (consensus.Levels, error)
	RaiseLevel(ctx context.Context, level int) (consensus.Levels, error)
	SetDrain(ctx context.Context, node string, on bool, by string) error
}

var (
	_ membership      = (*consensus.Node)(nil)
	_ membership      = (*replica.Node)(nil)
	_ control.Group   = (*consensus.Node)(nil)
	_ consensus.Peers = (*control.Client)(nil)
)

// options change a process from the ordinary.
type options struct {
	ca       *pki.CA           // another one
	voters   []consensus.Voter // other ones
	roles    []string          // origin
	replica  bool              // without a vote
	noFolder bool              // all in memory
	later    time.Duration     // the certificate is issued so much later
	slow     bool              // raft's own times, as in a real cluster
	level    int               // feature level; 0: this release's
	self     bool              // tells its address when it is not found
	disk     func(consensus.Store) consensus.Store
}

// start starts a process of a node. It ends with the test, or by stop or kill.
func (c *cluster) start(name string, opt options) *process {
	c.tb.Helper()
	if opt.ca == nil {
		opt.ca = c.ca
	}
	if opt.voters == nil {
		opt.voters = c.voters
	}
	if opt.roles == nil {
		opt.roles = []string{pki.RoleOrigin}
	}
	if c.logs[name] == nil {
		c.logs[name] = &logBuffer{}
	}
	log := slog.New(slog.NewTextHandler(c.logs[name], &slog.HandlerOptions{Level: slog.LevelInfo}))
	cert, key, err := opt.ca.Issue(name, opt.roles, time.Now().Add(opt.later))
	if err != nil {
		c.tb.Fatal(err)
	}
	id, err := pki.NewIdentity(cert, key, opt.ca.CertPEM())
	if err != nil {
		c.tb.Fatal(err)
	}
	f, err := fabric.New(fabric.Config{Listen: c.addr(name)}, id, fabric.Deps{Log: log})
	if err != nil {
		c.tb.Fatal(err)
	}
	p := &process{tb: c.tb, done: make(chan struct{}), identity: id, fabric: f}
	p.client = control.NewClient(f, control.ClientConfig{
		Self:   name,
		Voters: func() []fabric.Target { return control.Targets(opt.voters, p.node.Nodes()) },
		Leader: func() (string, string, bool) { return p.node.Leader() },
	})
	level := &opt.level
	if opt.level == 0 {
		level = nil
	}
	var self func() state.Node
	if opt.self {
		self = func() state.Node { return c.describe(name, opt.roles) }
	}
	deps := control.ServerDeps{Log: log, Version: "test", Query: c.query, Seen: p.seen}
	dir := filepath.Join(c.dir, name)
	if opt.noFolder {
		dir = ""
	}
	if opt.replica {
		r, fault := replica.New(
			replica.Config{
				DataDir: dir, Name: name, CAFingerprint: id.CAFingerprint(), Lease: c.lease, Level: level,
				Owns: slices.Contains(opt.roles, pki.RoleOrigin),
			},
			replica.Deps{Log: log, Cluster: p.client})
		if fault != nil {
			c.tb.Fatal(fault)
		}
		p.node, deps.Self = r, r.Hello
	} else {
		cfg := consensus.Config{
			DataDir: dir, Name: name, Voters: opt.voters, CAFingerprint: id.CAFingerprint(), Lease: c.lease,
			Heartbeat: 200 * time.Millisecond, Level: level, SlowDisk: time.Second,
		}
		if opt.slow {
			cfg.Heartbeat, cfg.SlowDisk = 0, 0
		}
		n, fault := consensus.New(cfg, consensus.Deps{
			Log: log, Layer: f.RaftLayer, Peers: p.client, Serial: id.Serial, Wrap: opt.disk, Self: self,
			Witnesses: witnesses{f, p.client},
		})
		if fault != nil {
			c.tb.Fatal(fault)
		}
		p.node, p.Node, deps.Group = n, n, n
	}
	server, err := control.NewServer(deps)
	if err != nil {
		c.tb.Fatal(err)
	}
	f.Handle(fabric.ALPNControl, server.Serve)
	p.endFabric = running(f.Run, nil)
	endFabric := p.endFabric
	follow := running(func(ctx context.Context) error {
		f.FollowRevocations(ctx, p.node, nil)
		return nil
	}, nil)
	keep := running(func(ctx context.Context) error {
		return f.Keep(ctx, func() []fabric.Target { return control.Targets(opt.voters, p.node.Nodes()) })
	}, nil)
	p.endFabric = func() error { return errors.Join(follow(), keep(), endFabric()) }
	p.endNode = running(p.node.Run, p.done)
	c.tb.Cleanup(p.kill)
	return p
}

// describe is what a node tells of itself.
func (c *cluster) describe(name string, roles []string) state.Node {
	return state.Node{Name: name, Roles: roles, Addresses: map[string]string{"fabric": c.addr(name)}}
}

// running runs until the function that it gives is called.
func running(run func(context.Context) error, done chan struct{}) (end func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx)
		if done != nil {
			close(done)
		}
	}()
	return sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
}

// stop ends a process in order.
func (p *process) stop() {
	p.tb.Helper()
	if err := errors.Join(p.endNode(), p.endFabric()); err != nil {
		p.tb.Error(err)
	}
}

// kill takes the network from a process before it ends.
func (p *process) kill() {
	_ = p.endFabric()
	_ = p.endNode()
}

func (p *process) waitReady() *process {
	p.tb.Helper()
	select {
	case <-p.node.Ready():
	case <-p.done:
		p.tb.Fatalf("Run ended: %v", p.endNode())
	case <-time.After(patience):
		p.tb.Fatalf("%s is not ready", p.node.ID())
	}
	return p
}

// eventually polls until ok, for what has no channel to wait on.
func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			tb.Fatalf("never: %s", what)
		}
	}
}

// startAll starts the configured voters and waits until they are ready.
func (c *cluster) startAll() []*process {
	c.tb.Helper()
	var list []*process
	for _, v := range c.voters {
		list = append(list, c.start(v.Name, options{}))
	}
	for _, p := range list {
		p.waitReady()
	}
	return list
}

func leaderOf(tb testing.TB, list []*process) (leader *process, others []*process) {
	tb.Helper()
	eventually(tb, "a leader", func() bool {
		leader, others = nil, nil
		for _, p := range list {
			if p.IsLeader() && leader == nil {
				leader = p
				continue
			}
			others = append(others, p)
		}
		return leader != nil
	})
	return leader, others
}

// dump shows what the nodes have logged, should the test have failed.
func (c *cluster) dump() {
	if !c.tb.Failed() {
		return
	}
	for name, b := range c.logs {
		c.tb.Logf("--- %s\n%s", name, b)
	}
}

// logBuffer is a log that may be read while it is written.
type logBuffer struct {
	mu sync.Mutex
	b  []byte
}

func (l *logBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b = append(l.b, b...)
	return len(b), nil
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.b)
}

func key(format string, args ...any) media.StreamKey {
	return media.StreamKey{Domain: "a.example", App: "live", Stream: fmt.Sprintf(format, args...)}
}

// doc has one app, whose streams wait for grace.
func doc(grace time.Duration) *state.Document {
	g := state.Duration(grace)
	return &state.Document{Domains: []state.DomainDoc{{
		Name: "a.example", Apps: []state.AppDoc{{Name: "live", Grace: &g}},
	}}}
}
