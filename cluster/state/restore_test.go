package state

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"tmms/media"
)

// backup packs a state as a command.
func backup(tb testing.TB, s *State) Restore {
	tb.Helper()
	b, err := s.Snapshot()
	if err != nil {
		tb.Fatal(err)
	}
	c, whole, err := NewRestore(b, media.MaxConfigBytes)
	if err != nil || !whole {
		tb.Fatal(whole, err)
	}
	c.AtUnixMS, c.By = 2_000_000, "ops"
	return c
}

func restored(t *testing.T, s *State, c Restore) RestoreResult {
	t.Helper()
	r, ok := run(t, s, c).(RestoreResult)
	if !ok {
		t.Fatalf("got %T", r)
	}
	return r
}

// Requirement: C5 (a cluster that has lost everything takes a backup whole: all
// revisions, the nodes, who is revoked or drained; streams wait for a claim).
func TestRestoreIntoAFreshCluster(t *testing.T) {
	old := full(t)
	run(t, old, UpsertNode{Node{ID: "e1", Name: "edge-1"}}, UpsertNode{Node{ID: "g", Name: "gone"}},
		UpsertNode{Node{ID: "o", Name: "origin-1"}}, SetDrain{Node: "e1", On: true, AtUnixMS: 9}, RaiseLevel{Level: 1},
		SetStandby{Key: Key{"a.example", "live", "s0"}, Epoch: old.placements[media.StreamKey{Domain: "a.example", App: "live", Stream: "s0"}].Epoch, To: "n9", InSync: true})
	s := New()
	run(t, s, Init{UnixSeconds: 1500, ClusterID: "anew"}, UpsertNode{Node{ID: "o9", Name: "origin-1"}},
		Revoke{Revocation{Serial: "60", AtUnixMS: 4, UntilUnixMS: 3_000_000}})
	c := backup(t, old)
	c.AtUnixMS = 5 // before the revocations of full have ended
	r := restored(t, s, c)
	want := RestoreResult{
		Revision: 3, Changed: true, Revisions: 3, Streams: 50, Nodes: 1, Revocations: 3, Level: 1, Epoch: s.Epoch(),
	}
	if r != want {
		t.Errorf("got %+v\nwant %+v", r, want)
	}
	if s.ClusterID() != "anew" || !slices.EqualFunc(s.History(), old.History(), func(a, b Revision) bool {
		return a.Number == b.Number && a.By == b.By && bytes.Equal(a.Config, b.Config)
	}) {
		t.Errorf("cluster %s, history %+v", s.ClusterID(), s.History())
	}
	if app := s.Config().findApp("a.example", "live"); app == nil || !app.CheckPublishKey(testKey) {
		t.Error("the publish key was lost")
	}
	for _, p := range s.Placements() {
		before := old.placements[p.Key]
		if !p.Orphan() || p.LostBy != before.Owner || p.Epoch != before.Epoch || p.T0MS != before.T0MS || p.LostAtMS != 5 ||
			p.Standby != "" || p.InSync {
			t.Fatalf("%+v became %+v", before, p.Placement)
		}
	}
	if _, known := s.Node("o"); known {
		t.Error("the former self of a node that is here came back")
	}
	if _, known := s.Node("g"); known {
		t.Error("a node whose name is revoked came back")
	}
	if !s.Draining("e1") {
		t.Error("a drain was lost")
	}
}

// Requirement: C5 (what runs is not contradicted: live streams keep owner, epoch
// and standby; the config of the backup is the next revision).
func TestRestoreIntoARunningCluster(t *testing.T) {
	s := initialized(t)
	live, ended := Key{"d", "a", "live"}, Key{"d", "a", "ended"}
	run(t, s, SetConfig{By: "ops", Document: *docOf("a.example")}, UpsertNode{Node{ID: "n", Name: "n"}},
		Claim{Key: live, Node: "n", AtUnixMS: 1}, Claim{Key: ended, Node: "n", AtUnixMS: 2})
	c := backup(t, s)
	first := s.placements[media.StreamKey(live)]
	run(t, s, SetConfig{By: "ops", Document: *docOf("b.example")}, Release{Key: ended, Epoch: s.Epoch()},
		Release{Key: live, Epoch: first.Epoch}, Claim{Key: live, Node: "m", AtUnixMS: 3}, RemoveNode{Node: "n"},
		Revoke{Revocation{Node: "x", AtUnixMS: 1, UntilUnixMS: 9_000_000}})
	run(t, s, SetStandby{Key: live, Epoch: s.Epoch(), To: "k", InSync: true})
	before := s.placements[media.StreamKey(live)]
	r := restored(t, s, c)
	if want := (RestoreResult{Revision: 3, Changed: true, Revisions: 1, Streams: 1, Revocations: 1, Epoch: s.Epoch()}); r != want {
		t.Errorf("got %+v\nwant %+v", r, want)
	}
	if got := s.placements[media.StreamKey(live)]; got != before || got.Epoch == first.Epoch {
		t.Errorf("the live stream's placement %+v became %+v", before, got)
	}
	if p := s.placements[media.StreamKey(ended)]; !p.Orphan() || p.LostBy != "n" || p.T0MS != 2 {
		t.Errorf("the stream of the backup: %+v", p)
	}
	if h := s.History(); len(h) != 3 || h[2].Number != 3 || h[2].By != "ops" || h[2].AtUnixMS != 2_000_000 ||
		!bytes.Equal(h[2].Config, h[0].Config) || s.Config().Revision() != 3 {
		t.Errorf("history %+v", h)
	}
	if len(s.Nodes()) != 0 {
		t.Errorf("a node that has left came back: %+v", s.Nodes())
	}
	// No epoch comes twice, not the ones given since the backup either.
	next := placementResult(t, run(t, s, Claim{Key: Key{"d", "a", "new"}, Node: "n"}))
	if next.Epoch != r.Epoch+1 || next.Epoch <= before.Epoch+1<<epochShift || next.Epoch <= 2000<<epochShift {
		t.Errorf("the next epoch is %d", next.Epoch)
	}
	if again := restored(t, s, c); again.Changed || again.Revision != 3 || again.Streams != 0 || again.Epoch <= next.Epoch {
		t.Errorf("restored twice: %+v", again)
	}
}

func TestRestoreRefusals(t *testing.T) {
	if got := run(t, New(), backup(t, full(t))); !errors.Is(got.(error), ErrNotInitialized) {
		t.Errorf("before init: %v", got)
	}
	for name, packed := range map[string][]byte{"nothing": nil, "no deflate": []byte("x"), "cut": backup(t, full(t)).Backup[:100]} {
		s := initialized(t)
		if _, err := s.Apply(2, mustEncode(t, Restore{Backup: packed})); !errors.Is(err, ErrUnknownCommand) || !errors.Is(err, ErrSnapshot) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := NewRestore([]byte("x"), 1<<20); !errors.Is(err, ErrSnapshot) {
		t.Errorf("no snapshot: %v", err)
	}
}

// What does not fit into the log is left out: placements, then old revisions.
func TestRestoreIsBounded(t *testing.T) {
	s := initialized(t)
	for i := range 20 {
		names := make([]string, 20)
		for j := range names {
			names[j] = fmt.Sprintf("n%x.example", (i*1000003+j*7919)*2654435761%(1<<40))
		}
		run(t, s, SetConfig{By: "ops", Document: *docOf(names...)}, Claim{Key: Key{"d", "a", strings.Repeat("s", i)}, Node: "n"})
	}
	b, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	all, _, err := NewRestore(b, media.MaxConfigBytes)
	if err != nil {
		t.Fatal(err)
	}
	size := len(mustEncode(t, all))
	revisions, streams := -1, -1
	for limit := size; ; limit = limit * 9 / 10 {
		c, whole, err := NewRestore(b, limit)
		if whole && limit < len(all.Backup) {
			t.Errorf("whole in %d bytes of %d", limit, size)
		}
		if err != nil {
			if !errors.Is(err, ErrSnapshot) {
				t.Fatal(err)
			}
			break
		}
		got, err := c.Open()
		if err != nil || got.Config().Revision() != 20 || len(c.Backup) > limit {
			t.Fatalf("at %d bytes: revision %d, %v", limit, got.Config().Revision(), err)
		}
		revisions, streams = len(got.History()), got.PlacementCount()
	}
	if revisions != 1 || streams != 0 {
		t.Errorf("at last %d revisions and %d placements", revisions, streams)
	}
}
