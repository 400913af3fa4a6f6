package replica_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tmms/cluster/consensus"
	"tmms/cluster/member"
	"tmms/cluster/state"
)

// upsert makes the processes known.
func (c *cluster) upsert(list map[string]*process, role string) {
	c.tb.Helper()
	for name, p := range list {
		if err := p.node.UpsertNode(c.tb.Context(), c.describe(name, []string{role})); err != nil {
			c.tb.Fatal(err)
		}
	}
}

// byName gives the voters by name.
func (c *cluster) byName(list []*process) map[string]*process {
	named := map[string]*process{}
	for i, v := range c.voters {
		named[v.Name] = list[i]
	}
	return named
}

// Requirement: C5 (the leadership goes where an operator wants it).
func TestTransfer(t *testing.T) {
	c := newCluster(t, "a", "b", "c")
	defer c.dump()
	list := c.startAll()
	leader, others := leaderOf(t, list)
	want := nameOf(t, leader, others[0].ID())
	if got, err := others[1].node.Transfer(t.Context(), want); err != nil || got != want {
		t.Fatalf("%s leads, %v; want %s", got, err, want)
	}
	eventually(t, "the other leads", func() bool { return others[0].IsLeader() })
	if got, err := others[0].node.Transfer(t.Context(), others[0].ID()); err != nil || got != want {
		t.Errorf("handed over to itself: %s, %v", got, err)
	}
	if _, err := others[0].node.Transfer(t.Context(), "nobody"); !errors.Is(err, member.ErrInvalid) {
		t.Errorf("to nobody: %v", err)
	}
	got, err := others[0].node.Transfer(t.Context(), "")
	if err != nil || got == want {
		t.Errorf("to anybody: %s, %v", got, err)
	}
}

// Requirement: C5 (a backup, taken from any node, is put in force through any: nodes
// that follow see it, streams that are live go on, no epoch comes twice).
func TestRestore(t *testing.T) {
	c := newCluster(t, "a", "b", "c")
	defer c.dump()
	list := c.startAll()
	_, others := leaderOf(t, list)
	e, away := c.start("e", edge()).waitReady(), c.start("w", edge()).waitReady()
	if _, err := others[0].node.SetConfig(t.Context(), 0, doc(time.Minute), "ops"); err != nil {
		t.Fatal(err)
	}
	ended, err := others[0].node.Claim(t.Context(), key("ended"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err = e.node.ReadIndex(t.Context()); err != nil {
		t.Fatal(err)
	}
	backup, err := e.node.Backup()
	if err != nil {
		t.Fatal(err)
	}
	away.stop()
	if err = others[0].node.Release(t.Context(), key("ended"), ended.Epoch); err != nil {
		t.Fatal(err)
	}
	live, err := others[0].node.Claim(t.Context(), key("live"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err = others[1].node.SetConfig(t.Context(), 1, doc(5*time.Minute), "ops"); err != nil {
		t.Fatal(err)
	}
	r, err := others[1].node.Restore(t.Context(), backup, member.RestoreOptions{By: "ops"})
	if err != nil || r.Revision != 3 || r.Streams != 1 || !r.Whole || r.Epoch <= live.Epoch {
		t.Fatalf("restored: %+v, %v", r, err)
	}
	if _, err = e.node.Restore(t.Context(), backup, member.RestoreOptions{}); !errors.Is(err, member.ErrForbidden) {
		t.Errorf("restored by an edge: %v", err)
	}
	next, err := others[1].node.Claim(t.Context(), key("next"))
	if err != nil || next.Epoch <= r.Epoch {
		t.Errorf("the next claim: %+v, %v", next, err)
	}
	for _, p := range []*process{list[0], list[1], list[2], e, c.start("w", edge()).waitReady()} {
		if _, err = p.node.ReadIndex(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, ok := p.node.Placement(key("live")); !ok || !sameOwner(got, live) {
			t.Errorf("the live stream: %+v, want %+v", got, live)
		}
		got, ok := p.node.Placement(key("ended"))
		if !ok || !got.Orphan() || got.T0MS != ended.T0MS || p.node.Config().Revision() != 3 {
			t.Errorf("the stream of the backup: %+v, revision %d", got, p.node.Config().Revision())
		}
	}

	fresh := newCluster(t, "a")
	defer fresh.dump()
	n := fresh.start("a", options{}).waitReady()
	r, err = n.node.Restore(t.Context(), backup, member.RestoreOptions{By: "ops"})
	if err != nil || r.Revision != 1 || r.Streams != 1 {
		t.Fatalf("restored into a fresh cluster: %+v, %v", r, err)
	}
	if _, err = n.node.Snapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
	n.stop()
	n = fresh.start("a", options{}).waitReady()
	if got, ok := n.node.Placement(key("ended")); !ok || got.T0MS != ended.T0MS || n.node.Config().Revision() != 1 {
		t.Errorf("after a restart: %+v, revision %d", got, n.node.Config().Revision())
	}
}

// Requirement: C5 (nodes of two releases make one cluster, which uses what the later
// one has brought when all know it, and it is said).
func TestFeatureLevel(t *testing.T) {
	c := newCluster(t, "a", "b", "c")
	const level = state.Level // of this release
	c.lease = time.Second
	defer c.dump()
	list := []*process{c.start("a", options{level: level + 1}), c.start("b", options{level: level + 1}), c.start("c", options{})}
	for _, p := range list {
		p.waitReady()
	}
	e := c.start("e", edge()).waitReady()
	named := c.byName(list)
	c.upsert(named, "origin")
	c.upsert(map[string]*process{"e": e}, "edge")
	raise := func(level int) (consensus.Levels, error) { return named["a"].node.RaiseLevel(t.Context(), level) }

	if _, err := e.node.RaiseLevel(t.Context(), level); !errors.Is(err, member.ErrForbidden) {
		t.Errorf("raised by an edge: %v", err)
	}
	now, err := e.node.Levels(t.Context())
	if err != nil || now.Level != level || len(now.Nodes) != 4 || now.Nodes[0].Level != level+1 || now.Nodes[2].Level != level || !now.Nodes[3].Answers {
		t.Fatalf("a group begins with what all founders know: %+v, %v", now, err)
	}
	if _, err = raise(level + 1); !errors.Is(err, member.ErrLevel) || !strings.HasSuffix(err.Error(), fmt.Sprintf("is not known to c (level %d), e (level %[1]d)", level)) {
		t.Errorf("raised too early: %v", err)
	}
	named["c"].stop()
	named["c"] = c.start("c", options{level: level + 1}).waitReady()
	e.stop()
	if _, err = raise(level + 1); !errors.Is(err, member.ErrLevel) || !strings.HasSuffix(err.Error(), "is not known to e (which does not answer)") {
		t.Errorf("raised without the edge: %v", err)
	}
	e = c.start("e", options{replica: true, roles: []string{"edge"}, level: level + 1}).waitReady()
	if err = e.node.Leave(t.Context()); err != nil { // it need not be waited for then
		t.Fatal(err)
	}
	if now, err = raise(level + 1); err != nil || now.Level != level+1 {
		t.Fatalf("not raised: %+v, %v", now, err)
	}
	eventually(t, "the edge sees it", func() bool { return e.node.FeatureLevel() == level+1 })
	if _, err = raise(level); !errors.Is(err, member.ErrInvalid) {
		t.Errorf("lowered: %v", err)
	}

	// Nodes of the earlier release end, and say why: one that has gone back to it, one
	// that is new, one without a vote. The leader would not take them in either.
	named["b"].stop()
	for name, opt := range map[string]options{"b": {}, "b anew": {noFolder: true}, "w": edge()} {
		old := c.start(strings.Fields(name)[0], opt)
		<-old.done
		tooOld, ok := errors.AsType[*state.TooOldError](old.endNode())
		if !ok || tooOld.Known != level || tooOld.Current != level+1 {
			t.Errorf("%s: %v", name, old.endNode())
		}
		old.kill()
	}
	named["b"] = c.start("b", options{level: level + 1}).waitReady()
	if _, err = named["b"].node.Claim(t.Context(), key("x")); err != nil {
		t.Error(err)
	}
}

// later is a command of a later release, which has one more field.
type later struct {
	state.Release

	Reason string `json:"reason"`
}

// Requirement: C5 (a release that asks for a command which the leader's does not know
// is told so).
func TestCommandOfALaterRelease(t *testing.T) {
	c := newCluster(t, "a", "b")
	defer c.dump()
	list := c.startAll()
	leader, others := leaderOf(t, list)
	_, err := others[0].Propose(t.Context(), later{Release: state.Release{Key: state.Key(key("x"))}})
	if !errors.Is(err, member.ErrLevel) || !strings.Contains(err.Error(), "unknown command") {
		t.Errorf("got %v", err)
	}
	if _, err = leader.node.Claim(t.Context(), key("x")); err != nil { // it goes on
		t.Error(err)
	}
}

// While a node of a release before feature levels is there, nothing gets into the
// log that it does not know.
func TestBeforeFeatureLevels(t *testing.T) {
	c := newCluster(t, "a", "b")
	defer c.dump()
	list := []*process{c.start("a", options{}), c.start("b", options{level: -1})} // says less than any release
	for _, p := range list {
		p.waitReady()
	}
	named := c.byName(list)
	c.upsert(named, "origin")
	for name, write := range map[string]func() error{
		"drain": func() error { return named["b"].node.SetDrain(t.Context(), named["a"].ID(), true, "ops") },
		"level of a node": func() error {
			d := c.describe("a", []string{"origin"})
			d.Level = 1
			return named["a"].node.UpsertNode(t.Context(), d)
		},
		"restore": func() error {
			b, err := named["a"].node.Backup()
			if err != nil {
				return err
			}
			_, err = named["a"].node.Restore(t.Context(), b, member.RestoreOptions{})
			return err
		},
	} {
		if err := write(); !errors.Is(err, member.ErrLevel) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := named["a"].node.RaiseLevel(t.Context(), state.Level); !errors.Is(err, member.ErrLevel) {
		t.Errorf("raised: %v", err)
	}
}

// Requirement: C5 (a voter that comes back at another address is found, by its name,
// keeps its id, and its vote counts).
func TestVoterMoves(t *testing.T) {
	c := newCluster(t, "a", "b", "c")
	defer c.dump()
	list := c.startAll()
	c.upsert(c.byName(list), "origin")
	leader, others := leaderOf(t, list)
	moved := others[0]
	id, name := moved.ID(), nameOf(t, leader, moved.ID())
	moved.stop()
	before := c.addr(name)
	c.addrs[name] = ""
	moved = c.start(name, options{self: true}).waitReady()
	if moved.ID() != id || c.addr(name) == before {
		t.Fatalf("it is %s at %s, was %s at %s", moved.ID(), c.addr(name), id, before)
	}
	c.upsert(map[string]*process{name: moved}, "origin") // as at every start
	s, err := moved.node.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range s.Servers {
		if m.ID == id && (m.Address != c.addr(name) || !m.Voter || m.Name != name) {
			t.Errorf("the leader knows %+v, it is at %s", m, c.addr(name))
		}
	}
	leader.kill() // now its vote is needed
	next, _ := leaderOf(t, []*process{moved, others[1]})
	if _, err := next.node.Claim(t.Context(), key("x")); err != nil {
		t.Error(err)
	}
}

// Case: corrupt-snapshot (the log does not make up for it: the node comes back as a
// new member, with the leader's state, and its former self is out).
func TestDamagedVoterRejoins(t *testing.T) {
	c := newCluster(t, "a", "b", "c")
	c.lease = time.Second
	defer c.dump()
	list := c.startAll()
	leader, others := leaderOf(t, list)
	p, err := leader.node.Claim(t.Context(), key("x"))
	if err != nil {
		t.Fatal(err)
	}
	former := others[0].ID()
	name := nameOf(t, leader, former)
	others[0].stop()
	damage(t, filepath.Join(c.dir, name))
	bad := c.start(name, options{})
	<-bad.done
	if err = bad.endNode(); err == nil || !strings.Contains(err.Error(), "comes back as a new member") {
		t.Fatalf("the damage: %v", err)
	}
	bad.kill()
	anew := c.start(name, options{}).waitReady()
	if got, ok := anew.node.Placement(key("x")); !ok || !sameOwner(got, p) || anew.ID() == former {
		t.Errorf("%s has %+v", anew.ID(), got)
	}
	eventually(t, "three voters again", func() bool {
		s, err := leader.LocalStatus()
		voters := 0
		for _, m := range s.Servers {
			if m.ID == former {
				return false
			}
			if m.Voter {
				voters++
			}
		}
		return err == nil && voters == 3
	})
}
