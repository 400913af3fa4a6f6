package replica_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"tmms/cluster/member"
	"tmms/cluster/state"
)

// domains is how many a large config has: a thousand, a tenth of that where the race
// detector makes everything ten times as long.
func domains() int {
	if testing.Short() {
		return 100
	}
	return 1000
}

// large is a config of so many domains with ten apps each; one app in each domain has
// the grace.
func large(grace time.Duration) *state.Document {
	g := state.Duration(grace)
	d := &state.Document{}
	for i := range domains() {
		dom := state.DomainDoc{Name: fmt.Sprintf("d%04d.example", i), Aliases: []string{fmt.Sprintf("*.d%04d.example", i)}}
		for j := range 10 {
			dom.Apps = append(dom.Apps, state.AppDoc{Name: fmt.Sprintf("app%d", j)})
		}
		dom.Apps[0].Grace = &g
		d.Domains = append(d.Domains, dom)
	}
	return d
}

// A config of a thousand domains with ten apps each goes to all nodes in one go, by
// way of any origin, and so do the next ones.
//
// Requirement: C5 S5
func TestThousandDomains(t *testing.T) {
	c := newCluster(t, "a", "b", "c")
	defer c.dump()
	list := c.startAll()
	_, others := leaderOf(t, list)
	e := c.start("e", edge()).waitReady()
	for i := range uint64(3) {
		putLarge(t, others[i%2], i)
	}
	for name, p := range map[string]*process{"a": list[0], "b": list[1], "c": list[2], "e": e} {
		if _, err := p.node.ReadIndex(t.Context()); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		cfg := p.node.Config()
		d, err := cfg.Resolve(fmt.Sprintf("x.d%04d.example", domains()-1), "")
		if err != nil || cfg.Revision() != 3 || len(cfg.Domains()) != domains() || len(p.node.History()) != 3 {
			t.Fatalf("%s: revision %d, %d domains, %v", name, cfg.Revision(), len(cfg.Domains()), err)
		}
		if a, err := d.App("app0"); err != nil || a.Grace != 2*time.Second {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
	}
}

// putLarge puts the config after revision base in force. Who is told that it may or may
// not be, since the leader was lost on a busy machine, looks.
func putLarge(t *testing.T, p *process, base uint64) {
	t.Helper()
	for {
		revision, err := p.node.SetConfig(t.Context(), base, large(time.Duration(base)*time.Second), "ops")
		if errors.Is(err, member.ErrUncertain) {
			if _, err = p.node.ReadIndex(t.Context()); err == nil && p.node.Config().Revision() == base {
				continue
			}
			revision = p.node.Config().Revision()
		}
		if err != nil || revision != base+1 {
			t.Fatalf("revision %d, %v", revision, err)
		}
		return
	}
}

// A node that was away for so long that no voter has the commands since catches up by
// a snapshot, and follows by commands again.
func TestAwayForLong(t *testing.T) {
	c := newCluster(t, "a")
	defer c.dump()
	a := c.start("a", options{}).waitReady()
	if _, err := a.node.SetConfig(t.Context(), 0, doc(time.Minute), "ops"); err != nil {
		t.Fatal(err)
	}
	e := c.start("e", edge()).waitReady()
	if _, err := e.node.ReadIndex(t.Context()); err != nil {
		t.Fatal(err)
	}
	left := e.node.AppliedIndex()
	a.stop()
	eventually(t, "the node is alone", func() bool { _, _, ok := e.node.Leader(); return !ok })

	home := c.addrs["a"]
	delete(c.addrs, "a") // where the node does not look for it
	a = c.start("a", options{}).waitReady()
	for i := range 50 {
		if _, err := a.node.Claim(t.Context(), key("s%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := a.Snapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
	a.stop() // so it forgets the commands, which in a day others push out

	c.addrs["a"] = home
	a = c.start("a", options{}).waitReady()
	changes, _, err := a.Since(a.ClusterID(), left)
	if err != nil || len(changes) != 1 || changes[0].Snapshot == nil {
		t.Fatalf("the voter still has the commands: %d changes, %v", len(changes), err)
	}
	if _, err := a.node.SetConfig(t.Context(), 1, doc(2*time.Minute), "ops"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the node has caught up", func() bool {
		return e.node.Config().Revision() == 2 && len(e.node.Placements()) == 50
	})
	if _, err := a.node.Claim(t.Context(), key("after")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := e.node.ReadIndex(ctx); err != nil || len(e.node.Placements()) != 51 {
		t.Errorf("%d placements, %v", len(e.node.Placements()), err)
	}
}
