package duties

import (
	"slices"
	"testing"
	"time"

	"tmms/cluster/state"
	"tmms/cluster/verdict"
	"tmms/media"
)

// copyOf is a state that can be decided from.
type copyOf struct{ *state.State }

func (c copyOf) RangePlacements(do func(media.StreamKey, state.Placement) bool) { c.Range(do) }

// court finds some dead, and doubts others.
type court struct{ dead, suspect, starting []string }

func (c court) Verdict(id string, _ time.Duration) verdict.Path {
	if slices.Contains(c.dead, id) {
		return verdict.BySilence
	}
	return verdict.Alive
}
func (court) Silent(string, time.Duration) time.Duration { return 2 * time.Second }
func (court) Age(string, time.Duration) time.Duration    { return time.Second }
func (c court) Suspect(id string, _ time.Duration) bool  { return slices.Contains(c.suspect, id) }
func (c court) Starting(id string) bool                  { return slices.Contains(c.starting, id) }

// cluster is a state with origins and streams.
type cluster struct {
	t *testing.T
	s *state.State
	c court
}

func key(name string) media.StreamKey { return media.StreamKey{Domain: "d", App: "a", Stream: name} }

func newCluster(t *testing.T, level int, origins ...string) *cluster {
	t.Helper()
	c := &cluster{t: t, s: state.New()}
	c.apply(state.Init{UnixSeconds: 1, ClusterID: "c"})
	doc := state.Document{Domains: []state.DomainDoc{{Name: "d", Apps: []state.AppDoc{{Name: "a"}}}}}
	c.apply(state.SetConfig{Document: *doc.Normalize()})
	c.apply(state.RaiseLevel{Level: level})
	for _, id := range origins {
		c.apply(state.UpsertNode{Node: state.Node{ID: id, Name: id, Roles: []string{RoleOrigin}, Zone: id}})
	}
	return c
}

func (c *cluster) apply(command state.Command) {
	c.t.Helper()
	b, err := state.Encode(command)
	if err != nil {
		c.t.Fatal(err)
	}
	result, err := c.s.Apply(c.s.Index()+1, b)
	if refusal, refused := result.(error); err != nil || refused {
		c.t.Fatalf("%T: %v, %v", command, refusal, err)
	}
}

// stream is claimed by owner; standby is in sync, if there is one.
func (c *cluster) stream(name, owner, standby string) {
	c.t.Helper()
	c.apply(state.Claim{Key: state.Key(key(name)), Node: owner})
	if standby != "" {
		p, _ := c.s.Placement(key(name))
		c.apply(state.SetStandby{Key: state.Key(key(name)), Epoch: p.Epoch, To: standby, InSync: true})
	}
}

func (c *cluster) at(now time.Duration) Moment {
	return Moment{View: copyOf{c.s}, Court: c.c, Now: now, AtUnixMS: 7}
}

// Who is dead at the time gets nothing: the streams of several dead nodes go to
// standbys that live, or wait.
func TestBury(t *testing.T) {
	c := newCluster(t, state.Level, "n1", "n2", "n3", "n4")
	c.stream("moves", "n1", "n3")
	c.stream("waits", "n1", "n2")
	c.stream("other", "n4", "n3")
	c.c.dead = []string{"n1", "n2"}
	deaths := Bury(c.at(0))
	if len(deaths) != 2 || deaths[0].Node != "n1" || deaths[1].Node != "n2" || deaths[0].Silent != 2*time.Second {
		t.Fatalf("%+v", deaths)
	}
	for _, d := range deaths {
		c.apply(d.Command)
	}
	moved, _ := c.s.Placement(key("moves"))
	waits, _ := c.s.Placement(key("waits"))
	other, _ := c.s.Placement(key("other"))
	if moved.Owner != "n3" || !waits.Orphan() || other.Owner != "n4" || other.Standby != "n3" {
		t.Errorf("%+v\n%+v\n%+v", moved, waits, other)
	}
	if again := Bury(c.at(0)); len(again) != 0 {
		t.Errorf("buried twice: %+v", again)
	}
}

// Until the cluster was raised to standbys, streams of the dead become orphans, and
// nobody gets a standby.
func TestBeforeTheLevel(t *testing.T) {
	c := newCluster(t, 0, "n1", "n2")
	c.stream("s", "n1", "")
	c.c.dead = []string{"n1"}
	if _, old := Bury(c.at(0))[0].Command.(state.ExpireNode); !old {
		t.Error("not by what every release knows")
	}
	c.c.dead = nil
	if got := New(0).Standbys(c.at(0)); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

func TestDrop(t *testing.T) {
	c := newCluster(t, state.Level, "n1")
	c.stream("s", "n1", "")
	c.apply(state.ExpireNode{Node: "n1", MaxEpoch: c.s.Epoch()})
	d := New(0)
	grace := 20 * time.Second // the default
	for _, tc := range []struct {
		now time.Duration
		due bool
	}{{time.Second, false}, {grace, false}, {grace + time.Second, true}} {
		if got, due := d.Drop(c.at(tc.now)); due != tc.due || due && got.Orphans[0].Key != state.Key(key("s")) {
			t.Errorf("%s: %+v, %v", tc.now, got, due)
		}
	}
	c.stream("s", "n1", "") // it came back, and was lost once more
	c.apply(state.ExpireNode{Node: "n1", MaxEpoch: c.s.Epoch()})
	if got, due := d.Drop(c.at(grace + 2*time.Second)); due {
		t.Errorf("the grace of another epoch counts: %+v", got)
	}
}

func TestRevive(t *testing.T) {
	c := newCluster(t, state.Level, "n1", "n2")
	c.stream("s", "n1", "n2")
	c.apply(state.ExpireNode{Node: "n1", MaxEpoch: c.s.Epoch()})
	c.c.suspect = []string{"n2"}
	if got := New(0).Revive(c.at(0)); len(got) != 0 {
		t.Errorf("to one in doubt: %+v", got)
	}
	c.c.suspect = nil
	moves := New(0).Revive(c.at(0))
	if len(moves) != 1 || moves[0].To != "n2" {
		t.Fatalf("%+v", moves)
	}
	c.apply(moves[0])
}

// An orphan goes to its standby before another node's claim of it, if that is in sync
// and lives.
func TestHeir(t *testing.T) {
	c := newCluster(t, state.Level, "n1", "n2", "n3")
	c.stream("s", "n1", "n2")
	c.stream("bare", "n1", "")
	claim := func(name, by string) state.Claim { return state.Claim{Key: state.Key(key(name)), Node: by} }
	if got, ok := Heir(c.at(0), claim("s", "n3")); ok {
		t.Errorf("from its owner: %+v", got)
	}
	c.apply(state.ExpireNode{Node: "n1", MaxEpoch: c.s.Epoch()})
	c.c.suspect = []string{"n2"}
	if got, ok := Heir(c.at(0), claim("s", "n3")); ok {
		t.Errorf("to one in doubt: %+v", got)
	}
	c.c.suspect = nil
	for _, none := range []state.Claim{claim("s", "n2"), claim("bare", "n3"), claim("none", "n3")} {
		if got, ok := Heir(c.at(0), none); ok {
			t.Errorf("%+v: %+v", none, got)
		}
	}
	for _, by := range []string{"n3", "n1"} { // the former owner has nothing of it any more
		move, ok := Heir(c.at(0), claim("s", by))
		if !ok || move.To != "n2" {
			t.Fatalf("claimed by %s: %+v, %t", by, move, ok)
		}
	}
	c.apply(state.SetDrain{Node: "n2", On: true})
	if got, ok := Heir(c.at(0), claim("s", "n3")); ok {
		t.Errorf("to one that is drained: %+v", got)
	}
	c.apply(state.SetDrain{Node: "n2"})
	move, _ := Heir(c.at(0), claim("s", "n3"))
	c.apply(move)
	if p, _ := c.s.Placement(key("s")); p.Owner != "n2" {
		t.Errorf("%+v", p)
	}
}

// Of what a node gives up itself nothing goes to one in doubt, whatever it says.
func TestFarewell(t *testing.T) {
	c := newCluster(t, state.Level, "n1", "n2", "n3")
	c.stream("moves", "n1", "n2")
	c.stream("waits", "n1", "n3")
	c.stream("other", "n2", "n1")
	c.c.suspect = []string{"n3"}
	own := state.FailOver{Node: "n1", MaxEpoch: c.s.Epoch(), Except: []string{"n2"}}
	c.apply(Farewell(c.at(0), own))
	moves, _ := c.s.Placement(key("moves"))
	waits, _ := c.s.Placement(key("waits"))
	other, _ := c.s.Placement(key("other"))
	if moves.Owner != "n2" || !waits.Orphan() || waits.Standby != "n3" || other.Owner != "n2" || other.Standby != "" {
		t.Errorf("%+v\n%+v\n%+v", moves, waits, other)
	}
}

// Whose process has started since it was in sync inherits nothing, in whatever way, and
// is made the standby of nothing, until it says that it has joined.
func TestStarting(t *testing.T) {
	c := newCluster(t, state.Level, "n1", "n2", "n3")
	c.stream("s", "n1", "n2")
	own := state.FailOver{Node: "n1", MaxEpoch: c.s.Epoch()}
	claim := state.Claim{Key: state.Key(key("s")), Node: "n3"}
	c.c.starting = []string{"n2"}
	if got := Farewell(c.at(0), own); !slices.Equal(got.Except, []string{"n2"}) {
		t.Errorf("a farewell leaves out %q", got.Except)
	}
	c.stream("bare", "n1", "")
	if got := New(0).Standbys(c.at(0)); len(got) != 1 || got[0].To != "n3" {
		t.Errorf("standbys: %+v", got)
	}
	c.c.dead = []string{"n1"}
	c.apply(Bury(c.at(0))[0].Command)
	if p, _ := c.s.Placement(key("s")); !p.Orphan() || !p.InSync {
		t.Fatalf("buried: %+v", p)
	}
	if move, ok := Heir(c.at(0), claim); ok {
		t.Errorf("before a claim: %+v", move)
	}
	if moves := New(0).Revive(c.at(0)); len(moves) != 0 {
		t.Errorf("there again: %+v", moves)
	}
	c.c.starting = nil
	if moves := New(0).Revive(c.at(0)); len(moves) != 1 {
		t.Errorf("once it has said so: %+v", moves)
	}
}

func TestStandbys(t *testing.T) {
	c := newCluster(t, state.Level, "n1", "n2", "n3")
	c.stream("s", "n1", "")
	d := New(0)
	first := d.Standbys(c.at(0))
	if len(first) != 1 || first[0].To == "n1" {
		t.Fatalf("%+v", first)
	}
	c.apply(first[0])
	if got := d.Standbys(c.at(time.Second)); len(got) != 0 {
		t.Errorf("it has one: %+v", got)
	}
	c.apply(state.SetStandby{Key: first[0].Key, Epoch: first[0].Epoch, From: first[0].To}) // taken out
	if got := d.Standbys(c.at(2 * time.Second)); len(got) != 0 {
		t.Errorf("at once again: %+v", got)
	}
	next := d.Standbys(c.at(standbyPause + time.Second))
	if len(next) != 1 || next[0].To == first[0].To || next[0].To == "n1" {
		t.Fatalf("the one that did not keep up again: %+v", next)
	}
	c.apply(next[0])
	c.apply(state.SetDrain{Node: next[0].To, On: true})
	if got := d.Standbys(c.at(time.Minute)); len(got) != 1 || got[0].From != next[0].To || got[0].To != first[0].To {
		t.Errorf("one that goes stays: %+v", got)
	}
	c.c.suspect = []string{"n1"}
	if got := d.Standbys(c.at(time.Minute)); len(got) != 0 {
		t.Errorf("while its owner is in doubt: %+v", got)
	}
}
