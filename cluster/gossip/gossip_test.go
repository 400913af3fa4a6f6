package gossip

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is more than anything here takes, even on a busy machine.
const patience = 30 * time.Second

var key1, key2 = bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 16)

// lines is a log that can be read while it is written.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), text)
}

// peer is a running member.
type peer struct {
	*Gossip
	t    *testing.T
	logs *lines
	reg  *prometheus.Registry
	stop func() // says farewell
}

func meta(name string) Meta {
	return Meta{
		ID: "id-" + name, Name: name, Roles: []string{"origin", "edge"}, Region: "eu", Zone: "a", Version: "v1",
		Addrs: Addrs{Fabric: "127.0.0.1:7400", HTTP: "[::1]:8080"},
	}
}

type option func(*Config, *Meta)

func withKey(k ...[]byte) option   { return func(c *Config, _ *Meta) { c.Keys = k } }
func listenAt(addr string) option  { return func(c *Config, _ *Meta) { c.Listen = addr } }
func joins(addrs ...string) option { return func(c *Config, _ *Meta) { c.Join = addrs } }

// start runs a member until the test's end.
func start(t *testing.T, name string, opts ...option) *peer {
	t.Helper()
	return startTuned(t, name, func(*Gossip) {}, opts...)
}

// startTuned is start with settings that no config has.
func startTuned(t *testing.T, name string, tune func(*Gossip), opts ...option) *peer {
	t.Helper()
	cfg := Config{Listen: "127.0.0.1:0", Keys: [][]byte{key1}, Preset: PresetLocal}
	self := meta(name)
	for _, o := range opts {
		o(&cfg, &self)
	}
	p := &peer{t: t, logs: new(lines), reg: prometheus.NewRegistry()}
	var err error
	p.Gossip, err = New(cfg, self, Deps{
		Log: slog.New(slog.NewTextHandler(p.logs, &slog.HandlerOptions{Level: slog.LevelDebug})), Registerer: p.reg,
	})
	if err != nil {
		t.Fatal(err)
	}
	tune(p.Gossip)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	p.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(p.stop)
	return p
}

func (p *peer) addr() string { return p.Addr().String() }

// kill takes the network away without a farewell.
func (p *peer) kill() {
	p.t.Helper()
	if err := p.transport.Shutdown(); err != nil {
		p.t.Fatal(err)
	}
	p.stop()
}

// await waits until what p knows of the members satisfies ok.
func (p *peer) await(what string, ok func([]Member) bool) {
	p.t.Helper()
	deadline := time.After(patience)
	for {
		changed := p.Changed()
		if ok(p.Members()) {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			p.t.Fatalf("%s: not %s after %s: %v\n%s", p.self.Name, what, patience, show(p.Members()), p.logs.b.String())
		}
	}
}

// awaitStates waits for "name:state" of every member.
func (p *peer) awaitStates(want ...string) {
	p.t.Helper()
	p.await(strings.Join(want, " "), func(m []Member) bool { return slices.Equal(show(m), want) })
}

func show(members []Member) []string {
	list := make([]string, 0, len(members))
	for _, m := range members {
		list = append(list, m.Name+":"+string(m.State))
	}
	return list
}

func (p *peer) member(name string) Member {
	p.t.Helper()
	i := slices.IndexFunc(p.Members(), func(m Member) bool { return m.Name == name })
	if i < 0 {
		p.t.Fatalf("%s does not know %s", p.self.Name, name)
	}
	return p.Members()[i]
}

// trio is n1 to n3, where each joins the one before.
func trio(t *testing.T) []*peer {
	t.Helper()
	a := start(t, "n1")
	b := start(t, "n2", joins(a.addr()))
	c := start(t, "n3", joins(b.addr()))
	for _, p := range []*peer{a, b, c} {
		p.awaitStates("n1:alive", "n2:alive", "n3:alive")
	}
	return []*peer{a, b, c}
}

// Requirement: C1 (join by any member, and every node has the same member list).
func TestJoinByAnyMember(t *testing.T) {
	var peers []*peer
	var want []string
	for i := range 5 {
		var o []option
		if i > 0 {
			o = append(o, joins(peers[i/2].addr())) // of n1, n1, n2, n2
		}
		name := fmt.Sprintf("n%d", i+1)
		peers, want = append(peers, start(t, name, o...)), append(want, name+":alive")
	}
	for _, p := range peers {
		p.awaitStates(want...)
		for i, m := range p.Members() {
			w := meta(m.Name)
			w.ID = "id-" + m.Name
			if m.ID != w.ID || !slices.Equal(m.Roles, w.Roles) || m.Region != w.Region || m.Zone != w.Zone ||
				m.Version != w.Version || m.Addrs != w.Addrs || m.Addr != peers[i].Addr() || m.Since.IsZero() {
				t.Errorf("%s knows %+v, want %+v", p.self.Name, m, w)
			}
		}
	}
}

func TestWrongKeyIsKeptOut(t *testing.T) {
	in := trio(t)
	stranger := start(t, "zz", withKey(key2), joins(in[0].addr(), in[1].addr()))
	// What it tried is over when it says that it tries on.
	stranger.awaitLog("no member of the cluster answers yet")
	stranger.awaitStates("zz:alive")
	for _, p := range in {
		p.awaitStates("n1:alive", "n2:alive", "n3:alive")
	}
}

func (p *peer) awaitLog(text string) {
	p.t.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for p.logs.count(text) == 0 {
		if time.Now().After(deadline) {
			p.t.Fatalf("%s did not log %q", p.self.Name, text)
		}
		<-tick.C
	}
}

func TestKilledIsDeadAndComesBack(t *testing.T) {
	peers := trio(t)
	var mu sync.Mutex
	suspected := 0
	var watching sync.WaitGroup
	peers[2].kill()
	for _, p := range peers[:2] {
		watching.Go(func() {
			seen := false
			p.await("n3:dead", func(m []Member) bool {
				seen = seen || slices.Contains(show(m), "n3:suspect")
				return slices.Contains(show(m), "n3:dead")
			})
			mu.Lock()
			defer mu.Unlock()
			if seen {
				suspected++
			}
		})
	}
	watching.Wait()
	if suspected == 0 {
		t.Error("nobody saw n3 as suspect before it was dead")
	}
	back := start(t, "n3", joins(peers[0].addr()))
	for _, p := range append(peers[:2:2], back) {
		p.awaitStates("n1:alive", "n2:alive", "n3:alive")
		if got := p.member("n3").Addr; got != back.Addr() {
			t.Errorf("%s has n3 at %s, want %s", p.self.Name, got, back.Addr())
		}
	}
}

// A node that comes back at another address before the others have given up the
// old one gets its name nevertheless, and each logs the conflict once.
func TestMovedBeforeItWasDead(t *testing.T) {
	peers := trio(t)
	peers[2].kill()
	back := start(t, "n3", joins(peers[0].addr(), peers[1].addr()))
	for _, p := range append(peers[:2:2], back) {
		p.awaitStates("n1:alive", "n2:alive", "n3:alive")
		p.await("n3 at its new address", func([]Member) bool { return p.member("n3").Addr == back.Addr() })
		if n := p.logs.count("two nodes have one name"); n > 1 {
			t.Errorf("%s logged the conflict %d times", p.self.Name, n)
		}
		if n := p.logs.count("level=WARN msg=gossip event=\"Conflicting address"); n > 0 {
			t.Errorf("%s: memberlist's own lines are warnings", p.self.Name)
		}
	}
}

func TestLeave(t *testing.T) {
	peers := trio(t)
	began := time.Now()
	peers[1].stop()
	if d := time.Since(began); d > 5*time.Second {
		t.Errorf("the farewell took %s", d)
	}
	for _, p := range []*peer{peers[0], peers[2]} {
		p.awaitStates("n1:alive", "n2:left", "n3:alive")
	}
	back := start(t, "n2", joins(peers[2].addr()))
	for _, p := range []*peer{peers[0], back, peers[2]} {
		p.awaitStates("n1:alive", "n2:alive", "n3:alive")
	}
}

// A lone node has nobody to wait for.
func TestLeaveAlone(t *testing.T) {
	p := start(t, "n1")
	p.awaitStates("n1:alive")
	began := time.Now()
	p.stop()
	if d := time.Since(began); d > 500*time.Millisecond {
		t.Errorf("the farewell took %s", d)
	}
}

func TestLoadSpreads(t *testing.T) {
	peers := trio(t)
	for load := range uint8(201) { // most of these are never told
		peers[0].SetLoad(load)
	}
	for _, p := range peers {
		p.await("load 200", func([]Member) bool { return p.member("n1").Load == 200 })
		if m := p.member("n1"); m.State != StateAlive || m.Region != "eu" {
			t.Errorf("got %+v", m)
		}
	}
}

// The way to each other member is measured; nobody is woken for it.
func TestProbesMeasure(t *testing.T) {
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for _, p := range trio(t) {
		for measured := 0; measured < 2; <-tick.C {
			measured = 0
			for _, m := range p.Members() {
				if m.RTT < 0 || m.RTT > patience || m.RTT > 0 && m.Name == p.self.Name {
					t.Fatalf("%+v", m)
				}
				if m.RTT > 0 {
					measured++
				}
			}
			if time.Now().After(deadline) {
				t.Fatalf("not measured: %+v", p.Members())
			}
		}
	}
}

// A seed that is not there yet, or no more, is found when it comes.
func TestLostSeedIsFound(t *testing.T) {
	seed := start(t, "n1")
	at := seed.addr()
	seed.kill()
	p := start(t, "n2", joins(at, "127.0.0.1:1"))
	p.awaitLog("no member of the cluster answers yet")
	for range 2 {
		seed = start(t, "n1", listenAt(at))
		p.awaitStates("n1:alive", "n2:alive")
		seed.awaitStates("n1:alive", "n2:alive")
		seed.kill()
		p.awaitStates("n1:dead", "n2:alive")
	}
	if n := p.logs.count("no member of the cluster answers yet"); n != 1 {
		t.Errorf("it said so %d times", n)
	}
}

// A member that died is found again by those whose config doesn't name it.
func TestDeadMemberIsFound(t *testing.T) {
	a := start(t, "n1")
	b := start(t, "n2", joins(a.addr()))
	a.awaitStates("n1:alive", "n2:alive")
	at := b.addr()
	b.kill()
	a.awaitStates("n1:alive", "n2:dead")
	b = start(t, "n2", listenAt(at)) // joins nobody
	b.awaitStates("n1:alive", "n2:alive")
	a.awaitStates("n1:alive", "n2:alive")
}

func TestRotateKey(t *testing.T) {
	peers := trio(t)
	for _, step := range []func(*Gossip) error{
		func(g *Gossip) error { return g.AddKey(key2) },
		func(g *Gossip) error { return g.UseKey(key2) },
		func(g *Gossip) error { return g.RemoveKey(key1) },
	} {
		for _, p := range peers {
			if err := step(p.Gossip); err != nil {
				t.Fatal(err)
			}
		}
	}
	peers = append(peers, start(t, "n4", withKey(key2), joins(peers[0].addr())))
	old := start(t, "zz", joins(peers[0].addr()))
	old.awaitLog("no member of the cluster answers yet")
	for _, p := range peers {
		p.awaitStates("n1:alive", "n2:alive", "n3:alive", "n4:alive")
		if keys := p.Keys(); len(keys) != 1 || !bytes.Equal(keys[0], key2) {
			t.Errorf("keys %v", keys)
		}
	}
}

func TestKeyRefusals(t *testing.T) {
	g := newGossip(t, Config{})
	for _, tc := range []struct {
		name string
		err  error
		want error
	}{
		{"short", g.AddKey(key1[:31]), ErrKeySize},
		{"in-use", g.RemoveKey(key1), ErrKeyInUse},
		{"unknown", g.UseKey(key2), ErrUnknownKey},
		{"remove-unknown", g.RemoveKey(key2), nil},
		{"add", g.AddKey(key2), nil},
		{"twice", g.AddKey(key2), nil},
		{"third", g.AddKey(bytes.Repeat([]byte{3}, 24)), ErrTooManyKeys},
		{"use", g.UseKey(key2), nil},
		{"now-in-use", g.RemoveKey(key2), ErrKeyInUse},
		{"remove", g.RemoveKey(key1), nil},
	} {
		if !errors.Is(tc.err, tc.want) || (tc.err == nil) != (tc.want == nil) {
			t.Errorf("%s: got %v, want %v", tc.name, tc.err, tc.want)
		}
	}
}

// newGossip makes one that doesn't run.
func newGossip(t *testing.T, cfg Config) *Gossip {
	t.Helper()
	if cfg.Keys == nil {
		cfg.Keys = [][]byte{key1}
	}
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	g, err := New(cfg, meta("n1"), Deps{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	return g
}

func TestNewRefuses(t *testing.T) {
	deps := Deps{Log: slog.New(slog.DiscardHandler)}
	_, err := New(Config{
		Listen: "127.0.0.1:0", Keys: [][]byte{key1[:5]}, Join: []string{"nowhere", "a:0"}, Advertise: ":1", Preset: "mars",
	}, Meta{Name: "A", Roles: []string{"origin", "king"}}, Deps{})
	for _, want := range []string{
		"no logger", "key 1 has 5 bytes", `join "nowhere"`, `join "a:0"`, `advertise ":1"`, `preset "mars"`, `name "A"`,
		"no id", `role "king"`,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
	if _, err = New(Config{Listen: "127.0.0.1:0"}, meta("n1"), deps); err == nil {
		t.Error("a config without keys is taken")
	}
	busy := newGossip(t, Config{})
	_, err = New(Config{Listen: busy.Addr().String(), Keys: [][]byte{key1}}, meta("n1"), deps)
	if err == nil || !strings.Contains(err.Error(), busy.Addr().String()) {
		t.Errorf("busy port: %v", err)
	}
}

// Run returns also while it still looks up its own name, and it runs once.
func TestRunEnds(t *testing.T) {
	g := newGossip(t, Config{Advertise: "nowhere.invalid:1"})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := g.Run(ctx); err != nil {
		t.Error(err)
	}
	if err := g.Run(t.Context()); !errors.Is(err, errRan) {
		t.Errorf("the second time: %v", err)
	}
}

func TestMetrics(t *testing.T) {
	peers := trio(t)
	peers[2].stop()
	peers[0].awaitStates("n1:alive", "n2:alive", "n3:left")
	families, err := peers[0].reg.Gather()
	if err != nil || len(families) != 2 || families[0].GetName() != "tmms_cluster_members" ||
		families[1].GetName() != "tmms_gossip_health_score" {
		t.Fatalf("%v, %v", families, err)
	}
	if score := families[1].GetMetric()[0].GetGauge().GetValue(); score < 0 || score > 8 {
		t.Errorf("health score %f", score)
	}
	got := map[string]float64{}
	for _, m := range families[0].GetMetric() {
		got[m.GetLabel()[0].GetValue()] = m.GetGauge().GetValue()
	}
	if len(got) != 4 || got["alive"] != 2 || got["left"] != 1 || got["suspect"] != 0 || got["dead"] != 0 {
		t.Errorf("got %v", got)
	}
}

func TestChooseAddress(t *testing.T) {
	parse := func(list string) (all []net.Addr) {
		for s := range strings.FieldsSeq(list) {
			ip, n, err := net.ParseCIDR(s)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, &net.IPNet{IP: ip, Mask: n.Mask})
		}
		return all
	}
	for _, tc := range []struct {
		addrs string
		only4 bool
		want  string
	}{
		{"127.0.0.1/8 ::1/128 fe80::1/64", false, "invalid IP"},
		{"127.0.0.1/8 2001:db8::1/64 192.0.2.1/24 10.0.0.1/8 10.0.0.2/8", false, "10.0.0.1"},
		{"2001:db8::1/64 192.0.2.1/24", false, "192.0.2.1"},
		{"fe80::1/64 2001:db8::1/64", false, "2001:db8::1"},
		{"2001:db8::1/64", true, "invalid IP"},
	} {
		got, ok := choose(parse(tc.addrs), tc.only4)
		if got.String() != tc.want || ok == (tc.want == "invalid IP") {
			t.Errorf("%s: got %s, %v", tc.addrs, got, ok)
		}
	}
}
