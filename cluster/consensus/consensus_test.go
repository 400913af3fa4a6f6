package consensus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"tmms/cluster/state"
	"tmms/media"
)

// A leadership that was being handed to a node that has ended waits, in raft, for
// the memory transport's timeout of 5 s.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreTopFunction("github.com/hashicorp/raft.(*InmemTransport).makeRPC"),
		goleak.IgnoreTopFunction("github.com/hashicorp/raft.(*Raft).leaderLoop.func2"))
}

// patience bounds every wait of a test; it is only ever used up by a failure.
const patience = 20 * time.Second

// running is a node whose Run is under way.
type running struct {
	*Node
	stop func() error // ends Run and gives its error; may be called again
}

func start(t *testing.T, cfg Config, deps Deps) *running {
	t.Helper()
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	n, err := New(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	stop := sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() { _ = stop() })
	return &running{Node: n, stop: stop}
}

func (r *running) waitReady(t *testing.T) *running {
	t.Helper()
	select {
	case <-r.Ready():
	case <-r.done:
		t.Fatalf("Run ended: %v", r.stop())
	case <-time.After(patience):
		t.Fatal("not ready")
	}
	return r
}

func (r *running) end(t *testing.T) {
	t.Helper()
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
}

// eventually polls until ok, for what has no channel to wait on.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never: %s", what)
		}
	}
}

func doc(names ...string) *state.Document {
	d := &state.Document{}
	for _, n := range names {
		d.Domains = append(d.Domains, state.DomainDoc{Name: n, Apps: []state.AppDoc{{Name: "live"}}})
	}
	return d
}

func key(stream string) media.StreamKey {
	return media.StreamKey{Domain: "default", App: "live", Stream: stream}
}

func TestOneNodeInMemory(t *testing.T) {
	began := time.Now()
	n := start(t, Config{}, Deps{}).waitReady(t)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("ready only after %s", took)
	}
	id, _, ok := n.Leader()
	if !ok || id != n.ID() || !n.IsLeader() {
		t.Errorf("leader is %q, %v", id, ok)
	}
	if n.Config() == nil || n.Config().Revision() != 0 {
		t.Error("the first config is not the empty one")
	}
	p, err := n.Claim(t.Context(), key("x"))
	if err != nil || p.Owner != n.ID() || p.Epoch>>20 < uint64(began.Unix()) {
		t.Fatalf("claim: %+v, %v", p, err)
	}
	if got, ok := n.Placement(key("x")); !ok || got != p {
		t.Errorf("placement: %+v, %v", got, ok)
	}
	if list := n.Placements(); len(list) != 1 || list[0].Key != key("x") {
		t.Errorf("placements: %+v", list)
	}
	if err := n.Release(t.Context(), key("x"), p.Epoch-1); !errors.Is(err, state.ErrStaleEpoch) {
		t.Errorf("stale release: %v", err)
	}
	if err := n.Release(t.Context(), key("x"), p.Epoch); err != nil {
		t.Error(err)
	}
	if _, err := n.Claim(t.Context(), key("../x")); !errors.Is(err, media.ErrName) {
		t.Errorf("a bad name: %v", err)
	}
	if err := n.UpsertNode(t.Context(), state.Node{Name: "me"}); err != nil {
		t.Error(err)
	}
	if nodes := n.Nodes(); len(nodes) != 1 || nodes[0].ID != n.ID() || nodes[0].AtUnixMS == 0 {
		t.Errorf("nodes: %+v", nodes)
	}
	n.end(t)
	if _, err := n.Claim(t.Context(), key("x")); !errors.Is(err, ErrStopped) {
		t.Errorf("after the end: %v", err)
	}
}

// Requirement: C5 (config and placement survive a restart). Requirement: S5.
func TestRestartWithDataFolder(t *testing.T) {
	for _, snapshots := range []bool{false, true} {
		t.Run(fmt.Sprint("snapshot ", snapshots), func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			first := start(t, Config{DataDir: dir}, Deps{}).waitReady(t)
			if _, err := first.SetConfig(t.Context(), 0, doc("a.example"), "ops"); err != nil {
				t.Fatal(err)
			}
			p, err := first.Claim(t.Context(), key("x"))
			if err != nil {
				t.Fatal(err)
			}
			if snapshots {
				if _, err = first.Snapshot(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if _, err = first.SetConfig(t.Context(), 1, doc("b.example"), "ops"); err != nil {
				t.Fatal(err)
			}
			first.end(t)

			second := start(t, Config{DataDir: dir}, Deps{}).waitReady(t)
			if second.ID() != first.ID() {
				t.Errorf("the node's id changed from %s to %s", first.ID(), second.ID())
			}
			if got, ok := second.Placement(key("x")); !ok || got != p {
				t.Errorf("placement: %+v, want %+v", got, p)
			}
			if _, err = second.Config().Resolve("b.example", ""); err != nil || second.Config().Revision() != 2 {
				t.Errorf("config revision %d: %v", second.Config().Revision(), err)
			}
			if h := second.History(); len(h) != 2 || h[0].By != "ops" {
				t.Errorf("history: %+v", h)
			}
			again, err := second.Claim(t.Context(), key("x"))
			if err != nil || again.Epoch <= p.Epoch || again.T0MS != p.T0MS {
				t.Errorf("claimed again: %+v, %v", again, err)
			}
		})
	}
}

// Requirement: C5 (of claims that race, each epoch is given once).
func TestClaimsRace(t *testing.T) {
	n := start(t, Config{}, Deps{}).waitReady(t)
	const racers = 32
	var wg sync.WaitGroup
	epochs := make([]uint64, racers)
	for i := range racers {
		wg.Go(func() {
			p, err := n.Claim(t.Context(), key(fmt.Sprint("s", i%3)))
			if err != nil {
				t.Error(err)
			}
			epochs[i] = p.Epoch
		})
	}
	wg.Wait()
	seen := map[uint64]bool{}
	for _, e := range epochs {
		if seen[e] {
			t.Fatalf("epoch %d was given twice", e)
		}
		seen[e] = true
	}
}

// Requirement: S5 (a reload is atomic: whoever holds a config keeps it whole).
func TestSetConfig(t *testing.T) {
	n := start(t, Config{}, Deps{}).waitReady(t)
	before, changed := n.Watch()
	secret := doc("a.example")
	secret.Domains[0].Apps[0].Auth = &state.AuthDoc{Publish: &state.PublishAuthDoc{Keys: []string{"s3cret"}}}
	rev, err := n.SetConfig(t.Context(), 0, secret, "ops")
	if err != nil || rev != 1 {
		t.Fatalf("revision %d, %v", rev, err)
	}
	select {
	case <-changed:
	default:
		t.Error("those who watch were not told")
	}
	if before.Revision() != 0 {
		t.Error("a config that was held has changed")
	}
	t.Run("keys are hashed", func(t *testing.T) {
		app, err := n.Config().Domains()[0].App("live")
		if err != nil || !app.CheckPublishKey("s3cret") || app.CheckPublishKey("S3cret") {
			t.Errorf("the key does not open the app: %v", err)
		}
		if strings.Contains(string(n.History()[0].Config), "s3cret") {
			t.Error("the history holds a plain key")
		}
		if secret.Domains[0].Apps[0].Auth.Publish.Keys[0] != "s3cret" {
			t.Error("the caller's document was modified")
		}
	})
	t.Run("the same again takes no revision", func(t *testing.T) {
		if rev, err := n.SetConfig(t.Context(), state.AnyRevision, secret, "ops"); err != nil || rev != 1 {
			t.Errorf("revision %d, %v", rev, err)
		}
	})
	t.Run("conflict", func(t *testing.T) {
		if _, err := n.SetConfig(t.Context(), 0, doc("b.example"), "ops"); !errors.Is(err, state.ErrConflict) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("faults", func(t *testing.T) {
		var faults *state.FaultsError
		_, err := n.SetConfig(t.Context(), 1, doc("!", "?"), "ops")
		if !errors.As(err, &faults) || len(faults.Faults) != 2 {
			t.Errorf("got %v", err)
		}
	})
	t.Run("too large", func(t *testing.T) {
		big := doc("b.example")
		by := strings.Repeat("x", media.MaxConfigBytes)
		if _, err := n.SetConfig(t.Context(), 1, big, by); err == nil || len(err.Error()) > 200 {
			t.Errorf("got %.300v", err)
		}
	})
}

func TestUnknownCommandEndsRun(t *testing.T) {
	dir := t.TempDir()
	n := start(t, Config{DataDir: dir}, Deps{}).waitReady(t)
	later := []byte(`{"v":1,"type":"of a later version","data":{}}`)
	f := n.raft.Load().Apply(later, time.Second)
	if err := f.Error(); err != nil {
		t.Fatal(err)
	}
	<-n.done
	if err := n.stop(); !errors.Is(err, state.ErrUnknownCommand) {
		t.Fatalf("Run ended with %v", err)
	}
	// The command is in the log for good: this version cannot run here again.
	again := start(t, Config{DataDir: dir}, Deps{})
	<-again.done
	if err := again.stop(); !errors.Is(err, state.ErrUnknownCommand) {
		t.Fatalf("the second Run ended with %v", err)
	}
}

// reseal adds a snapshot that raft's checksum covers, but ours does not.
func reseal(t *testing.T, dir string, content []byte) {
	t.Helper()
	store, err := raft.NewFileSnapshotStore(dir, retainedSnapshots, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, transport := raft.NewInmemTransport("")
	sink, err := store.Create(raft.SnapshotVersionMax, 1000, 9, raft.Configuration{}, 1, transport)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sink.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := sink.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestDataFolderFaults(t *testing.T) {
	quiet := Deps{Log: slog.New(slog.DiscardHandler)}
	t.Run("a file is in the way", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := New(Config{DataDir: path}, quiet); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("not writable", func(t *testing.T) {
		dir := "/proc/self" // not writable for root either
		if _, err := New(Config{DataDir: dir}, quiet); err == nil || !strings.Contains(err.Error(), dir) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("in use", func(t *testing.T) {
		dir := t.TempDir()
		start(t, Config{DataDir: dir}, Deps{}).waitReady(t)
		second := start(t, Config{DataDir: dir}, Deps{})
		<-second.done
		if err := second.stop(); err == nil || !strings.Contains(err.Error(), "in use by another process") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("another node's", func(t *testing.T) {
		dir := t.TempDir()
		if _, err := New(Config{DataDir: dir, ID: "one"}, quiet); err != nil {
			t.Fatal(err)
		}
		if _, err := New(Config{DataDir: dir, ID: "two"}, quiet); err == nil {
			t.Error("the id of another node is taken")
		}
		if n, err := New(Config{DataDir: dir}, quiet); err != nil || n.ID() != "one" {
			t.Errorf("the id was not kept: %v", err)
		}
	})
	t.Run("no id", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "node.id"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := New(Config{DataDir: dir}, quiet); err == nil {
			t.Error("an empty id is taken")
		}
	})
}

func TestConfigFaults(t *testing.T) {
	two := []Voter{{Name: "a", Address: "a"}, {Name: "b", Address: "b"}}
	twice := []Voter{{Name: "a", Address: "a"}, {Name: "a", Address: "b"}}
	_, tr := raft.NewInmemTransport("a")
	for name, c := range map[string]struct {
		cfg  Config
		deps Deps
	}{
		"no log":       {Config{}, Deps{}},
		"no transport": {Config{Name: "a", Voters: two}, Deps{Log: slog.Default(), Peers: &peers{}}},
		"no peers":     {Config{Name: "a", Voters: two}, Deps{Log: slog.Default(), Transport: tr}},
		"no name":      {Config{Voters: two}, Deps{Log: slog.Default(), Transport: tr, Peers: &peers{}}},
		"twice":        {Config{Name: "a", Voters: twice}, Deps{Log: slog.Default(), Transport: tr, Peers: &peers{}}},
		"negative":     {Config{Heartbeat: -1}, Deps{Log: slog.Default()}},
	} {
		if _, err := New(c.cfg, c.deps); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestNotReadyYet(t *testing.T) {
	n, err := New(Config{}, Deps{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := n.Claim(ctx, key("x")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, _, ok := n.Leader(); ok {
		t.Error("a leader is known before Run")
	}
	if err := n.Run(ctx); err != nil {
		t.Errorf("Run with an ended context: %v", err)
	}
}

func TestEndWhileCommandsAreOnTheirWay(t *testing.T) {
	n := start(t, Config{}, Deps{}).waitReady(t)
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			for ctx := t.Context(); ; {
				_, err := n.Claim(ctx, key(fmt.Sprint("s", i)))
				if err == nil {
					continue
				}
				if !errors.Is(err, ErrStopped) && !errors.Is(err, ErrUncertain) && !errors.Is(err, ErrNotLeader) {
					t.Errorf("got %v", err)
				}
				return
			}
		})
	}
	eventually(t, "some claims", func() bool { return len(n.Placements()) > 10 })
	n.end(t)
	wg.Wait()
}

func TestMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	n := start(t, Config{}, Deps{Registerer: reg}).waitReady(t)
	if _, err := n.Claim(t.Context(), key("x")); err != nil {
		t.Fatal(err)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		got[f.GetName()] = f.GetMetric()[0].GetGauge().GetValue()
	}
	if got["tmms_cluster_leader"] != 1 || got["tmms_cluster_placements"] != 1 || got["tmms_cluster_applied_index"] < 2 ||
		len(got) != 11 || got["tmms_cluster_disk_stuck"] != 0 {
		t.Errorf("got %v", got)
	}
	if _, err := New(Config{}, Deps{Log: slog.Default(), Registerer: reg}); err == nil {
		t.Error("two nodes share a registry")
	}
}
