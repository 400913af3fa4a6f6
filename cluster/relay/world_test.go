package relay

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tmms/cluster/fabric"
	"tmms/cluster/pki"
	"tmms/cluster/placement"
	"tmms/cluster/state"
	"tmms/media"
)

// world is the cluster's state as all nodes of a test see it.
type world struct {
	t    testing.TB
	ca   *pki.CA
	tune func(*Server) // changes what is set at construction, of those that start next; nil: nothing

	mu         sync.Mutex
	placements map[media.StreamKey]state.Placement
	nodes      map[string]state.Node
	changed    chan struct{}
	roster     *roster                    // nil: there are no shields
	pulls      PullConfig                 // of edges in regions
	behind     map[string]state.Placement // what nodes by their id know instead of placements
}

// hold lets a node know an older placement, nil the present one.
func (w *world) hold(m *member, p *state.Placement) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p == nil {
		delete(w.behind, m.id)
	} else {
		w.behind[m.id] = *p
	}
	close(w.changed)
	w.changed = make(chan struct{})
}

// roster is what all nodes of a world hear of each other.
type roster struct {
	mu      sync.Mutex
	members map[string]placement.Member
	changed chan struct{}
}

func (r *roster) Members() (list []placement.Member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.members {
		list = append(list, m)
	}
	return list
}

func (r *roster) Changed() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changed
}

// set changes what is heard of a node.
func (r *roster) set(m placement.Member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.members[m.ID] = m
	close(r.changed)
	r.changed = make(chan struct{})
}

func newWorld(tb testing.TB) *world {
	tb.Helper()
	ca, err := pki.NewCA(time.Now())
	if err != nil {
		tb.Fatal(err)
	}
	return &world{
		t: tb, ca: ca, placements: map[media.StreamKey]state.Placement{}, nodes: map[string]state.Node{},
		changed: make(chan struct{}), behind: map[string]state.Placement{},
	}
}

// place changes a placement; nil takes it away.
func (w *world) place(k media.StreamKey, p *state.Placement) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p == nil {
		delete(w.placements, k)
	} else {
		w.placements[k] = *p
	}
	close(w.changed)
	w.changed = make(chan struct{})
}

// member is a node of the world.
type member struct {
	*world

	id       string
	hub      *Hub
	fabric   *fabric.Fabric
	server   *Server
	puller   *Puller
	registry *prometheus.Registry
	cable    *cable // to its fabric; nil in a world without regions
	stop     func() // ends it, at once
}

func (m *member) ID() string { return m.id }

func (m *member) Placement(k media.StreamKey) (state.Placement, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p, behind := m.behind[m.id]; behind {
		return p, true
	}
	p, ok := m.placements[k]
	return p, ok
}

func (m *member) WatchPlacements() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.changed
}

func (m *member) Node(id string) (state.Node, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, ok := m.nodes[id]
	return n, ok
}

// quick has short times.
func quick() PullConfig {
	return PullConfig{
		Linger: 200 * time.Millisecond, Stall: time.Second, Gone: 200 * time.Millisecond,
		Settle: 2 * time.Second, RetryMin: 10 * time.Millisecond, RetryMax: 100 * time.Millisecond,
		Steady: 200 * time.Millisecond,
	}
}

// join starts a node with both ends of the relay.
func (w *world) join(name string, cfg PullConfig, roles ...string) *member {
	w.t.Helper()
	m := w.start(name, roles...)
	var err error
	deps := Deps{Log: slog.New(slog.DiscardHandler), Registerer: m.registry}
	if w.roster != nil {
		deps.Members = w.roster
	}
	m.puller, err = NewPuller(m.hub, m.fabric, m, cfg, deps)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.puller.Run(ctx) }()
	rest := m.stop
	m.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
		rest()
	})
	w.t.Cleanup(m.stop)
	return m
}

// start starts a node that only serves.
func (w *world) start(name string, roles ...string) *member {
	w.t.Helper()
	return w.startWith(name, nil, roles...)
}

// startWith starts a node with another handler of the relay's sessions.
func (w *world) startWith(
	name string, handler func(m *member, ctx context.Context, s *fabric.Session), roles ...string,
) *member {
	w.t.Helper()
	if len(roles) == 0 {
		roles = []string{pki.RoleOrigin, pki.RoleEdge}
	}
	m := &member{world: w, id: "id-" + name, hub: NewHub(), registry: prometheus.NewRegistry()}
	cert, key, err := w.ca.Issue(name, roles, time.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	id, err := pki.NewIdentity(cert, key, w.ca.CertPEM())
	if err != nil {
		w.t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	m.fabric, err = fabric.New(fabric.Config{Listen: "127.0.0.1:0"}, id, fabric.Deps{Log: log})
	if err != nil {
		w.t.Fatal(err)
	}
	m.server, err = NewServer(m.hub, m, Deps{Log: log, Registerer: m.registry})
	if err != nil {
		w.t.Fatal(err)
	}
	if w.tune != nil {
		w.tune(m.server)
	}
	if handler == nil {
		handler = func(m *member, ctx context.Context, s *fabric.Session) { m.server.Serve(ctx, s) }
	}
	m.fabric.Handle(fabric.ALPNRelay, func(ctx context.Context, s *fabric.Session) { handler(m, ctx, s) })
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.fabric.Run(ctx) }()
	m.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	})
	w.t.Cleanup(m.stop)
	addr := m.fabric.Addr().String()
	if w.roster != nil {
		m.cable = newCable(w.t, m.fabric.Addr())
		addr = m.cable.addr()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.nodes[m.id] = state.Node{
		ID: m.id, Name: name, Roles: roles, Addresses: map[string]string{"fabric": addr},
	}
	w.nodes = maps.Clone(w.nodes)
	return m
}

// publish begins a stream at the node.
func (m *member) publish(k media.StreamKey, epoch uint64) *feeder {
	m.t.Helper()
	m.place(k, &state.Placement{Epoch: epoch, Owner: m.id})
	w, err := m.hub.Publish(k, epoch, LiveOptions{StartedAt: time.Now()})
	if err != nil {
		m.t.Fatal(err)
	}
	return &feeder{t: m.t, w: w, gop: 25, size: 1000, id: media.PacketID{Epoch: epoch}}
}

// open gives a reader's feed of the stream.
func (m *member) open(k media.StreamKey) *Feed {
	m.t.Helper()
	f, err := m.hub.Open(k)
	if err != nil {
		m.t.Fatal(err)
	}
	return f
}

// eventually waits until ok says yes.
func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	deadline := time.Now().Add(30 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(deadline) {
			tb.Fatalf("not in time: %s", what)
		}
		<-tick.C
	}
}

// caughtUp waits until the feed has the last packet that f wrote.
func (f *feeder) caughtUp(feed *Feed) *Live {
	f.t.Helper()
	want := f.id
	want.Index--
	var live *Live
	eventually(f.t, "the last packet", func() bool {
		live = feed.Live()
		return live != nil && lastOf(live) == want
	})
	return live
}

// lastOf is the identity of the last packet in the log.
func lastOf(l *Live) media.PacketID {
	all := entries(l)
	if len(all) == 0 {
		return media.PacketID{}
	}
	return all[len(all)-1].ID
}
