package state

import (
	"errors"
	"fmt"
	"testing"

	"tmms/media"
)

func mustEncode(tb testing.TB, c Command) []byte {
	tb.Helper()
	b, err := Encode(c)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// run applies commands one after the other and returns the last result.
func run(tb testing.TB, s *State, commands ...Command) any {
	tb.Helper()
	var result any
	for _, c := range commands {
		var err error
		if result, err = s.Apply(s.Index()+1, mustEncode(tb, c)); err != nil {
			tb.Fatalf("%T: %v", c, err)
		}
	}
	return result
}

func initialized(tb testing.TB) *State {
	tb.Helper()
	s := New()
	run(tb, s, Init{UnixSeconds: 1000, ClusterID: "c"})
	return s
}

func placementResult(t *testing.T, result any) Placement {
	t.Helper()
	p, ok := result.(Placement)
	if !ok {
		t.Fatalf("result is %T %v, want a placement", result, result)
	}
	return p
}

func TestInitStartsTheEpochsOnce(t *testing.T) {
	s := New()
	if r := run(t, s, Init{UnixSeconds: 1000, ClusterID: "c"}); r != (InitResult{First: true, ClusterID: "c"}) {
		t.Errorf("first init: %+v", r)
	}
	if r := run(t, s, Init{UnixSeconds: 2000, ClusterID: "d"}); r != (InitResult{ClusterID: "c"}) {
		t.Errorf("second init: %+v", r)
	}
	p := placementResult(t, run(t, s, Claim{Key: Key{"d", "a", "s"}, Node: "n1", AtUnixMS: 5}))
	if want := uint64(1000<<20 + 1); p.Epoch != want {
		t.Errorf("first epoch is %d, want %d", p.Epoch, want)
	}
}

func TestClaimBeforeInitIsRefused(t *testing.T) {
	if err, _ := run(t, New(), Claim{Node: "n"}).(error); !errors.Is(err, ErrNotInitialized) {
		t.Errorf("got %v", err)
	}
}

// Requirement: C5 (stream placement: one owner an epoch, fenced by compare-and-set).
func TestPlacement(t *testing.T) {
	s := initialized(t)
	key := Key{"default", "live", "x"}
	first := placementResult(t, run(t, s, Claim{Key: key, Node: "n1", AtUnixMS: 100}))
	if first.Owner != "n1" || first.T0MS != 100 || first.ClaimedAtMS != 100 {
		t.Fatalf("first claim: %+v", first)
	}

	t.Run("owned elsewhere", func(t *testing.T) {
		var owned *OwnedError
		err, _ := run(t, s, Claim{Key: key, Node: "n2", AtUnixMS: 200}).(error)
		if !errors.As(err, &owned) || !errors.Is(err, ErrOwned) || owned.Placement != first {
			t.Fatalf("got %v", err)
		}
		if p, _ := s.Placement(media.StreamKey(key)); p != first {
			t.Fatalf("placement changed to %+v", p)
		}
	})

	var second Placement
	t.Run("claimed again by its owner", func(t *testing.T) {
		second = placementResult(t, run(t, s, Claim{Key: key, Node: "n1", AtUnixMS: 300}))
		want := Placement{Epoch: first.Epoch + 1, Owner: "n1", ClaimedAtMS: 300, T0MS: 100}
		if second != want {
			t.Fatalf("got %+v, want %+v", second, want)
		}
	})

	t.Run("stale release", func(t *testing.T) {
		var stale *StaleEpochError
		err, _ := run(t, s, Release{Key: key, Epoch: first.Epoch}).(error)
		if !errors.As(err, &stale) || !errors.Is(err, ErrStaleEpoch) || stale.Current != second.Epoch {
			t.Fatalf("got %v", err)
		}
		if _, ok := s.Placement(media.StreamKey(key)); !ok {
			t.Fatal("the placement is gone")
		}
	})

	t.Run("release", func(t *testing.T) {
		if r := run(t, s, Release{Key: key, Epoch: second.Epoch}); r != nil {
			t.Fatalf("got %v", r)
		}
		if r := run(t, s, Release{Key: key, Epoch: second.Epoch}); r != nil {
			t.Fatalf("released again: %v", r)
		}
		if s.PlacementCount() != 0 {
			t.Fatal("the placement is still there")
		}
	})

	t.Run("another node afterwards", func(t *testing.T) {
		p := placementResult(t, run(t, s, Claim{Key: key, Node: "n2", AtUnixMS: 900}))
		if p.Epoch <= second.Epoch || p.T0MS != 900 {
			t.Fatalf("got %+v", p)
		}
	})
}

func TestBumpEpochs(t *testing.T) {
	for _, c := range []struct {
		name string
		now  int64
		want uint64
	}{
		{"clock ahead of the counter", 5000, 5000<<20 + 1<<20},
		{"clock behind the counter", 10, 1000<<20 + 1<<20},
		{"clock before 1970", -5, 1000<<20 + 1<<20},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := initialized(t)
			s.BumpEpochs(c.now)
			p := placementResult(t, run(t, s, Claim{Key: Key{"d", "a", "s"}, Node: "n"}))
			if p.Epoch != c.want+1 {
				t.Errorf("next epoch is %d, want %d", p.Epoch, c.want+1)
			}
		})
	}
}

func TestUnknownCommandStopsTheApplier(t *testing.T) {
	for name, command := range map[string]string{
		"empty":                 ``,
		"no json":               `claim`,
		"later version":         `{"v":2,"type":"claim","data":{}}`,
		"unknown type":          `{"v":1,"type":"lease","data":{}}`,
		"unknown field":         `{"v":1,"type":"release","data":{"key":{},"epoch":1,"why":"x"}}`,
		"field of the envelope": `{"v":1,"type":"release","data":{"epoch":1},"at":4}`,
		"wrong type":            `{"v":1,"type":"release","data":{"epoch":"one"}}`,
		"no data":               `{"v":1,"type":"release"}`,
		"trailing bytes":        `{"v":1,"type":"release","data":{"epoch":1}} {}`,
		"config of a later version": `{"v":1,"type":"set_config","data":{"document":{"domains":[
			{"name":"d","apps":[{"name":"a","limits":{"viewers":3}}]}]}}}`,
		"config with a plain key": `{"v":1,"type":"set_config","data":{"document":{"domains":[
			{"name":"d","apps":[{"name":"a","auth":{"publish":{"keys":["plain"]}}}]}]}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			s := initialized(t)
			before, err := s.Snapshot()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Apply(2, []byte(command)); !errors.Is(err, ErrUnknownCommand) {
				t.Fatalf("got %v", err)
			}
			if s.Index() != 1 {
				t.Errorf("index moved to %d", s.Index())
			}
			if _, err := s.Apply(3, mustEncode(t, UpsertNode{})); !errors.Is(err, ErrUnknownCommand) {
				t.Errorf("a later command was applied: %v", err)
			}
			if _, err := s.Snapshot(); !errors.Is(err, ErrUnknownCommand) {
				t.Errorf("a snapshot hides the command: %v", err)
			}
			if err := s.Restore(before); err != nil {
				t.Errorf("restore does not start it again: %v", err)
			}
		})
	}
}

func TestNodesAreReplacedAndOrdered(t *testing.T) {
	s := initialized(t)
	for i := range 20 {
		run(t, s, UpsertNode{Node{ID: fmt.Sprintf("n%02d", (i*7)%20), Name: "old"}})
	}
	run(t, s, UpsertNode{Node{ID: "n05", Name: "new", Addresses: map[string]string{"rtmp": ":1935"}}})
	nodes := s.Nodes()
	if len(nodes) != 20 || nodes[5].Name != "new" || nodes[6].Name != "old" {
		t.Fatalf("got %+v", nodes)
	}
	for i := 1; i < len(nodes); i++ {
		if nodes[i-1].ID >= nodes[i].ID {
			t.Fatalf("order: %s before %s", nodes[i-1].ID, nodes[i].ID)
		}
	}
}

func docOf(names ...string) *Document {
	d := &Document{}
	for _, n := range names {
		d.Domains = append(d.Domains, DomainDoc{Name: n, Apps: []AppDoc{{Name: "live"}}})
	}
	return d.Normalize()
}

func TestSetConfig(t *testing.T) {
	s := initialized(t)
	set := func(base uint64, names ...string) any {
		return run(t, s, SetConfig{BaseRevision: &base, AtUnixMS: 7, By: "ops", Document: *docOf(names...)})
	}
	if r := set(0, "a.example"); r != (SetConfigResult{Revision: 1, Changed: true}) {
		t.Fatalf("first: %+v", r)
	}
	held := s.Config()
	if r := set(1, "a.example"); r != (SetConfigResult{Revision: 1}) {
		t.Fatalf("the same again: %+v", r)
	}
	var conflict *ConflictError
	if err, _ := set(0, "b.example").(error); !errors.As(err, &conflict) || conflict.Current != 1 {
		t.Fatalf("stale base: %v", err)
	}
	if r := set(1, "b.example"); r != (SetConfigResult{Revision: 2, Changed: true}) {
		t.Fatalf("second: %+v", r)
	}
	if r := run(t, s, SetConfig{Document: *docOf("c.example")}); r != (SetConfigResult{Revision: 3, Changed: true}) {
		t.Fatalf("without a base: %+v", r)
	}
	if _, err := s.Config().Resolve("c.example", ""); err != nil {
		t.Error(err)
	}
	if _, err := held.Resolve("a.example", ""); err != nil || held.Revision() != 1 {
		t.Errorf("a config that is held has changed: revision %d, %v", held.Revision(), err)
	}
}

func TestHistoryIsBounded(t *testing.T) {
	s := initialized(t)
	for i := range historyLen + 10 {
		run(t, s, SetConfig{By: "ops", Document: *docOf(fmt.Sprintf("d%d.example", i))})
	}
	h := s.History()
	if len(h) != historyLen || h[0].Number != 11 || h[len(h)-1].Number != historyLen+10 {
		t.Fatalf("%d revisions, %d to %d", len(h), h[0].Number, h[len(h)-1].Number)
	}
	doc, err := h[0].Document()
	if err != nil || doc.Domains[0].Name != "d10.example" {
		t.Fatalf("oldest: %+v, %v", doc, err)
	}
}

func TestHistoryIsBoundedInBytes(t *testing.T) {
	s := New()
	for i := range 4 {
		s.history = append(s.history, Revision{Number: uint64(i), Config: make([]byte, historyBytes/2)})
		s.trimHistory()
	}
	if len(s.history) != 2 || s.history[1].Number != 3 {
		t.Fatalf("%d revisions are kept", len(s.history))
	}
	s.history = []Revision{{Config: make([]byte, historyBytes+1)}}
	if s.trimHistory(); len(s.history) != 1 {
		t.Fatal("the revision in force was dropped")
	}
}

// Requirement: C5 (an orphan's next owner gets a new epoch and the same time; what
// a node claimed after the decision to expire it stays its own).
func TestOrphans(t *testing.T) {
	s := initialized(t)
	k := Key{"d", "a", "s"}
	p, ok := run(t, s, Claim{Key: k, Node: "n1", AtUnixMS: 10}).(Placement)
	if !ok {
		t.Fatal("not claimed")
	}
	decided := s.Epoch()
	later := run(t, s, Claim{Key: Key{"d", "a", "later"}, Node: "n1", AtUnixMS: 11})
	if got := run(t, s, ExpireNode{Node: "n1", MaxEpoch: decided, AtUnixMS: 20}); got != any(ExpireResult{Lost: 1}) {
		t.Errorf("got %+v", got)
	}
	orphan, _ := s.Placement(media.StreamKey(k))
	if want := (Placement{Epoch: p.Epoch, ClaimedAtMS: 10, T0MS: 10, LostBy: "n1", LostAtMS: 20}); orphan != want || !orphan.Orphan() {
		t.Errorf("got %+v, want %+v", orphan, want)
	}
	if got, _ := s.Placement(media.StreamKey{Domain: "d", App: "a", Stream: "later"}); any(got) != later {
		t.Errorf("a claim after the decision was expired: %+v", got)
	}
	if o := s.Orphans(); len(o) != 1 || o[0].Key != media.StreamKey(k) {
		t.Errorf("orphans: %+v", o)
	}
	if o := s.Owners(); len(o) != 1 || o[0] != "n1" {
		t.Errorf("owners: %v", o)
	}
	b, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	restored := New()
	if err = restored.Restore(b); err != nil {
		t.Fatal(err)
	}
	for _, each := range []*State{s, restored} {
		got, ok := run(t, each, Claim{Key: k, Node: "n2", AtUnixMS: 30}).(Placement)
		if !ok || got.Epoch <= p.Epoch || got.T0MS != 10 || got.Owner != "n2" || got.LostBy != "" || got.LostAtMS != 0 {
			t.Errorf("claimed: %+v", got)
		}
	}
}
