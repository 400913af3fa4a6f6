package origin_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tmms/cluster/fabric"
	"tmms/cluster/pki"
	"tmms/cluster/relay"
	"tmms/cluster/state"
	"tmms/media"
	"tmms/media/rtmp"
	"tmms/origin"
)

// group is a cluster in one process: the real state machine without raft, and
// the real fabric.
type group struct {
	t  *testing.T
	ca *pki.CA

	mu      sync.Mutex
	state   *state.State
	index   uint64
	changed chan struct{}
	refused int             // claims
	gone    map[string]bool // nodes whose lease lapsed, which reach nobody
	ahead   time.Duration   // of the clock that claims are stamped with
}

func newGroup(t *testing.T) *group {
	t.Helper()
	ca, err := pki.NewCA(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	g := &group{t: t, ca: ca, state: state.New(), changed: make(chan struct{}), gone: map[string]bool{}}
	g.apply(state.Init{UnixSeconds: time.Now().Unix(), ClusterID: "test"})
	return g
}

// apply commits a command and gives its result.
func (g *group) apply(c state.Command) any {
	b, err := state.Encode(c)
	if err != nil {
		g.t.Error(err)
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.index++
	result, err := g.state.Apply(g.index, b)
	if err != nil {
		g.t.Error(err)
		return err
	}
	close(g.changed)
	g.changed = make(chan struct{})
	return result
}

// expire takes a node's streams from it, as the end of its lease does. It does
// not come back.
func (g *group) expire(id string) {
	g.mu.Lock()
	g.gone[id] = true
	g.mu.Unlock()
	g.lapse(id)
}

// fail lets the cluster find out that a node is dead: its streams go to their
// standbys. The node reaches nobody from before on.
func (g *group) fail(id string) {
	g.apply(state.FailOver{Node: id, MaxEpoch: 1 << 62, AtUnixMS: time.Now().UnixMilli()})
}

// kill makes a node reach nobody, and nobody it.
func (c *clusterNode) kill(g *group) {
	g.mu.Lock()
	g.gone[c.id] = true
	g.mu.Unlock()
	c.wire.setCut(true)
}

// lapse takes a node's streams from it, which may take them back.
func (g *group) lapse(id string) {
	g.apply(state.ExpireNode{Node: id, MaxEpoch: 1 << 62, AtUnixMS: time.Now().UnixMilli()})
}

// member is the group as one node sees it.
type member struct {
	*group

	id string
}

func (m member) ID() string { return m.id }

func (m member) Claim(_ context.Context, key media.StreamKey) (state.Placement, error) {
	switch r := m.apply(state.Claim{Key: state.Key(key), Node: m.id, AtUnixMS: time.Now().Add(m.ahead).UnixMilli()}).(type) {
	case state.Placement:
		return r, nil
	case error:
		m.mu.Lock()
		defer m.mu.Unlock()
		m.refused++
		return state.Placement{}, r
	}
	panic("unknown result")
}

func (m member) Release(_ context.Context, key media.StreamKey, epoch uint64) error {
	err, _ := m.apply(state.Release{Key: state.Key(key), Epoch: epoch}).(error)
	return err
}

func (m member) Resume(_ context.Context, key media.StreamKey, epoch uint64) (state.Placement, error) {
	if m.isGone() {
		return state.Placement{}, context.DeadlineExceeded
	}
	switch r := m.apply(state.Resume{Key: state.Key(key), Node: m.id, Epoch: epoch}).(type) {
	case state.Placement:
		return r, nil
	case error:
		return state.Placement{}, r
	}
	panic("unknown result")
}

func (m member) SetStandby(_ context.Context, c state.SetStandby) (state.Placement, error) {
	if m.isGone() {
		return state.Placement{}, context.DeadlineExceeded
	}
	return placedBy(m.apply(c))
}

func (m member) Move(_ context.Context, key media.StreamKey, epoch uint64, to string) (state.Placement, error) {
	return placedBy(m.apply(state.Move{Key: state.Key(key), Epoch: epoch, To: to, AtUnixMS: time.Now().UnixMilli()}))
}

// placedBy is what a command on a placement gives.
func placedBy(result any) (state.Placement, error) {
	if err, refused := result.(error); refused {
		return state.Placement{}, err
	}
	return result.(state.Placement), nil
}

func (m member) PlacedAt(node string) []state.PlacedStream {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state.PlacedAt(node)
}

func (m member) StandbyOf(node string) []state.PlacedStream {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state.StandbyOf(node)
}

func (m member) Disown(context.Context) error {
	m.lapse(m.id)
	return nil
}

func (m member) isGone() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.gone[m.id]
}

func (m member) Placement(key media.StreamKey) (state.Placement, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state.Placement(key)
}

func (m member) WatchPlacements() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.changed
}

func (m member) Node(id string) (state.Node, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, n := range m.state.Nodes() {
		if n.ID == id {
			return n, true
		}
	}
	return state.Node{}, false
}

// refusals counts the claims that were refused.
func (g *group) refusals() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.refused
}

// placement is the one of a stream.
func (g *group) placement(stream string) (state.Placement, bool) {
	return member{group: g}.Placement(media.StreamKey{Domain: "default", App: "live", Stream: stream})
}

// clusterNode is an origin of a group, with its fabric.
type clusterNode struct {
	*node

	id   string
	rtmp string // address of its RTMP port
	wire *wire  // what others reach it by

	successors successors // of the streams that it does not take
}

// start runs an origin.
func (g *group) start(name string) *clusterNode {
	g.t.Helper()
	cert, key, err := g.ca.Issue(name, []string{pki.RoleOrigin}, time.Now())
	if err != nil {
		g.t.Fatal(err)
	}
	identity, err := pki.NewIdentity(cert, key, g.ca.CertPEM())
	if err != nil {
		g.t.Fatal(err)
	}
	c := &clusterNode{id: "id-" + name, node: &node{
		t: g.t, hub: relay.NewHub(), log: &logBuffer{}, metrics: prometheus.NewRegistry(),
		budget: rtmp.NewBudget(media.MaxPartialBytesProcess),
	}}
	m := member{g, c.id}
	log := slog.New(slog.NewTextHandler(c.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	f, err := fabric.New(fabric.Config{Listen: "127.0.0.1:0"}, identity, fabric.Deps{Log: log})
	if err != nil {
		g.t.Fatal(err)
	}
	server, err := relay.NewServer(c.hub, m, relay.Deps{Log: log, Registerer: c.metrics})
	if err != nil {
		g.t.Fatal(err)
	}
	c.Origin, err = origin.New(origin.DefaultConfig(), origin.Deps{
		Hub: c.hub, Claims: m, Apps: apps{testConfig(g.t)}, Budget: c.budget, Log: log, Registerer: c.metrics,
		Now: time.Now, Placements: m, Node: c.id, Forward: relay.NewPusher(f, m, time.Now),
		PlayAt:  func() string { return "edge.example.com:1935" },
		WatchAt: func() string { return "edge.example.com:8080" },
		Yield:   c.successors.next,
	})
	if err != nil {
		g.t.Fatal(err)
	}
	puller, err := relay.NewPuller(c.hub, f, m, relay.PullConfig{}, relay.Deps{Log: log, Registerer: c.metrics})
	if err != nil {
		g.t.Fatal(err)
	}
	keeper := relay.NewKeeper(c.hub, m, c.id, relay.Deps{Log: log})
	server.OnPush(c.AcceptPush)
	f.Handle(fabric.ALPNRelay, server.Serve)
	c.wire = newWire(g.t, f.Addr())
	g.apply(state.UpsertNode{Node: state.Node{
		ID: c.id, Name: name, Roles: []string{"origin"}, Addresses: map[string]string{"fabric": c.wire.addr()},
	}})
	c.run(f, puller, keeper)
	c.rtmp = c.listen()
	return c
}

// run starts the fabric and the origin; stop ends them in the order of a node.
func (c *clusterNode) run(f *fabric.Fabric, puller *relay.Puller, keeper *relay.Keeper) {
	start := func(run func(context.Context) error) (stop func()) {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- run(ctx) }()
		return func() {
			cancel()
			if err := <-done; err != nil {
				c.t.Error(err)
			}
		}
	}
	stopFabric, stopPuller, stopKeeper, stopOrigin := start(f.Run), start(puller.Run), start(keeper.Run), start(c.Run)
	c.stop = sync.OnceFunc(func() {
		stopOrigin()
		stopKeeper()
		stopPuller()
		stopFabric()
		if s, h := len(c.Streams()), c.hub.Len(); s+h != 0 {
			c.t.Errorf("%d streams, %d feeds are left after Run", s, h)
		}
	})
	c.t.Cleanup(c.stop)
}

// publish starts a publisher at the node, whose first second of media is there.
func (c *clusterNode) publish(stream string) *client {
	c.t.Helper()
	p := dial(c.t, c.rtmp, "rtmp://h/live/"+stream, rtmp.OrderFFmpeg).ready()
	p.publish(0, 1000)
	return p
}

// own makes the node the owner of a stream, which has 78 packets and is in its
// grace then.
func (c *clusterNode) own(stream string) {
	c.t.Helper()
	p := c.publish(stream)
	c.waitPackets(stream, 78)
	p.quit()
	waitFor(c.t, "grace", func() bool { return c.state() == "grace" })
}

// wire is the network in front of a node, which can be cut.
type wire struct {
	front *net.UDPConn
	node  netip.AddrPort

	mu    sync.Mutex
	cut   bool                            // guarded by mu
	peers map[netip.AddrPort]*net.UDPConn // guarded by mu
	wg    sync.WaitGroup
}

func newWire(t *testing.T, node netip.AddrPort) *wire {
	t.Helper()
	front, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{front: front, node: node, peers: map[netip.AddrPort]*net.UDPConn{}}
	w.wg.Go(w.forth)
	t.Cleanup(w.close)
	return w
}

func (w *wire) addr() string { return w.front.LocalAddr().String() }

// setCut makes the node unreachable, as its sudden death does.
func (w *wire) setCut(cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = cut
}

func (w *wire) isCut() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.cut
}

func (w *wire) close() {
	_ = w.front.Close()
	w.mu.Lock()
	for _, p := range w.peers {
		_ = p.Close()
	}
	w.mu.Unlock()
	w.wg.Wait()
}

// forth carries what comes for the node.
func (w *wire) forth() {
	buf := make([]byte, 65536)
	for {
		n, from, err := w.front.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		if w.isCut() {
			continue
		}
		if p := w.peer(from); p != nil {
			p.Write(bytes.Clone(buf[:n])) //nolint:errcheck // lost, as on any network
		}
	}
}

// peer is the socket that stands for one who talks to the node.
func (w *wire) peer(from netip.AddrPort) *net.UDPConn {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p := w.peers[from]; p != nil {
		return p
	}
	p, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(w.node))
	if err != nil {
		return nil
	}
	w.peers[from] = p
	w.wg.Go(func() {
		buf := make([]byte, 65536)
		for {
			n, err := p.Read(buf)
			if err != nil {
				return
			}
			if !w.isCut() {
				w.front.WriteToUDPAddrPort(buf[:n], from) //nolint:errcheck // lost, as on any network
			}
		}
	})
	return p
}
