package replica_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"tmms/cluster/consensus"
	"tmms/cluster/member"
	"tmms/cluster/pki"
	"tmms/cluster/state"
)

// sameCluster checks that all nodes are one group, and gives its id.
func sameCluster(t *testing.T, list []*process) string {
	t.Helper()
	id := list[0].ClusterID()
	for _, p := range list {
		s, err := p.LocalStatus()
		if err != nil || len(s.Servers) != len(list) || s.ClusterID != id || id == "" {
			t.Fatalf("%+v, %v; want cluster %s of %d", s, err, id, len(list))
		}
	}
	return id
}

// The voters begin one group, once, whatever the order in which they come, and
// a restart with state never begins another.
func TestBootstrap(t *testing.T) {
	for name, order := range map[string][]string{
		"at once": {"a", "b", "c"}, "backwards": {"c", "b", "a"}, "lowest in the middle": {"b", "a", "c"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, "a", "b", "c")
			defer c.dump()
			var list []*process
			for i, v := range order {
				if i == 2 && name != "at once" { // the last one is late
					eventually(t, "the others wait", func() bool {
						return strings.Contains(c.logs[order[0]].String()+c.logs[order[1]].String(), "no answer from "+v)
					})
					if len(list[0].ClusterID()) > 0 {
						t.Fatal("a group began without all of its voters")
					}
				}
				list = append(list, c.start(v, options{}))
			}
			for _, p := range list {
				p.waitReady()
			}
			id := sameCluster(t, list)
			if _, err := list[1].node.SetConfig(t.Context(), 0, doc(time.Minute), "ops"); err != nil {
				t.Fatal(err)
			}
			for _, p := range list {
				p.stop()
			}
			again := c.startAll()
			if got := sameCluster(t, again); got != id {
				t.Errorf("cluster %s after a restart, want %s", got, id)
			}
			for _, p := range again {
				if _, err := p.node.ReadIndex(t.Context()); err != nil || p.node.Config().Revision() != 1 {
					t.Errorf("revision %d, %v", p.node.Config().Revision(), err)
				}
			}
			begun := 0
			for _, l := range c.logs {
				begun += strings.Count(l.String(), "the group begins")
			}
			if begun != 1 {
				t.Errorf("a group began %d times", begun)
			}
		})
	}
}

// Nodes that do not agree on who they are do not begin a group, and say why.
func TestBootstrapRefused(t *testing.T) {
	t.Run("voters", func(t *testing.T) {
		t.Parallel()
		c := newCluster(t, "a", "b")
		c.start("a", options{})
		b := c.start("b", options{voters: append([]consensus.Voter{{Name: "c", Address: "127.0.0.1:9"}}, c.voters...)})
		eventually(t, "a's log", func() bool {
			return strings.Contains(c.logs["a"].String(), "b is configured with the voters a=")
		})
		if b.ClusterID() != "" {
			t.Error("a group began")
		}
	})
	t.Run("ca", func(t *testing.T) {
		t.Parallel()
		c := newCluster(t, "a", "b")
		other, err := pki.NewCA(time.Now())
		if err != nil {
			t.Fatal(err)
		}
		c.start("a", options{})
		b := c.start("b", options{ca: other})
		eventually(t, "a's log", func() bool {
			return strings.Contains(c.logs["a"].String(), "not signed by a CA of this cluster")
		})
		if b.ClusterID() != "" {
			t.Error("a group began")
		}
	})
}

// Requirement: C5 (writes on any voter, with typed refusals; reads after
// ReadIndex see every write that was acknowledged anywhere).
func TestFollowersForward(t *testing.T) {
	c := newCluster(t, "a", "b", "c")
	defer c.dump()
	list := c.startAll()
	leader, others := leaderOf(t, list)
	one, two := others[0].node, others[1].node
	rev, err := one.SetConfig(t.Context(), 0, doc(time.Minute), "ops")
	if err != nil || rev != 1 {
		t.Fatal(rev, err)
	}
	if _, err = two.ReadIndex(t.Context()); err != nil || two.Config().Revision() != 1 {
		t.Errorf("a linearizable read sees revision %d, %v", two.Config().Revision(), err)
	}
	p, err := one.Claim(t.Context(), key("x"))
	if err != nil || p.Owner != one.ID() {
		t.Fatal(p, err)
	}
	if got, ok := one.Placement(key("x")); !ok || got != p {
		t.Errorf("its own copy has %+v", got)
	}
	var owned *state.OwnedError
	if _, err = two.Claim(t.Context(), key("x")); !errors.As(err, &owned) || owned.Placement != p || owned.Key != key("x") {
		t.Errorf("claimed by another: %v", err)
	}
	var stale *state.StaleEpochError
	if err = two.Release(t.Context(), key("x"), p.Epoch-1); !errors.As(err, &stale) || stale.Current != p.Epoch {
		t.Errorf("stale release: %v", err)
	}
	var conflict *state.ConflictError
	if _, err = two.SetConfig(t.Context(), 7, doc(time.Second), "ops"); !errors.As(err, &conflict) || conflict.Current != 1 {
		t.Errorf("conflict: %v", err)
	}
	var faults *state.FaultsError
	bad := &state.Document{Domains: []state.DomainDoc{{Name: "!"}}}
	if _, err = two.SetConfig(t.Context(), 1, bad, "ops"); !errors.As(err, &faults) {
		t.Errorf("faults: %v", err)
	}
	if _, err = two.Resume(t.Context(), key("y"), 1); !errors.Is(err, state.ErrNotPlaced) {
		t.Errorf("resume: %v", err)
	}
	if err = two.UpsertNode(t.Context(), state.Node{Name: "somebody else"}); !errors.Is(err, member.ErrForbidden) {
		t.Errorf("a node speaks for another: %v", err)
	}
	s, err := two.Status(t.Context())
	if err != nil || s.By != leader.ID() || len(s.Servers) != 3 {
		t.Errorf("status: %+v, %v", s, err)
	}
	if err := one.Release(t.Context(), key("x"), p.Epoch); err != nil {
		t.Error(err)
	}
	if _, ok := one.Placement(key("x")); ok {
		t.Error("its own copy still has what was released")
	}
}

// Case: kill-leader. Requirement: C5 (what was acknowledged is never lost, no
// epoch is given twice).
func TestKillLeader(t *testing.T) {
	c := newCluster(t, "a", "b", "c")
	defer c.dump()
	list := c.startAll()
	epochs := map[uint64]bool{}
	for round := range 3 {
		leader, others := leaderOf(t, list)
		var mu sync.Mutex
		acked := map[string]state.Placement{}
		claim := func(ctx context.Context, p *process, stream string) {
			got, err := p.node.Claim(ctx, key("%s", stream))
			if err != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if epochs[got.Epoch] {
				t.Errorf("epoch %d was given twice", got.Epoch)
			}
			epochs[got.Epoch], acked[stream] = true, got
		}
		writers, end := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for i, p := range others {
			wg.Go(func() {
				for n := 0; writers.Err() == nil; n++ {
					claim(writers, p, strings.Repeat("x", n%50)+string(rune('0'+i))+string(rune('a'+round)))
				}
			})
		}
		eventually(t, "writes", func() bool { mu.Lock(); defer mu.Unlock(); return len(acked) > 20 })
		killed := time.Now()
		leader.kill()
		next, _ := leaderOf(t, others)
		took := time.Since(killed)
		t.Logf("a new leader after %s", took)
		if took > 5*time.Second {
			t.Errorf("a new leader only after %s", took)
		}
		if _, err := next.node.Claim(t.Context(), key("after%d", round)); err != nil {
			t.Errorf("a claim after the leader's death: %v", err)
		}
		end()
		wg.Wait()
		for _, p := range others {
			if _, err := p.node.ReadIndex(t.Context()); err != nil {
				t.Fatal(err)
			}
			for stream, want := range acked {
				if got, ok := p.node.Placement(key("%s", stream)); !ok || got.Epoch < want.Epoch || got.Owner != want.Owner {
					t.Errorf("%s: acknowledged %+v, now %+v", stream, want, got)
				}
			}
		}
		for i, p := range list {
			if p == leader {
				list[i] = c.start(c.voters[i].Name, options{}).waitReady()
			}
		}
	}
}
