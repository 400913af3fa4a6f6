package replica_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"tmms/cluster/consensus"
	"tmms/cluster/control"
	"tmms/cluster/fabric"
	"tmms/cluster/member"
	"tmms/cluster/pki"
	"tmms/cluster/replica"
	"tmms/cluster/state"
)

func edge() options { return options{replica: true, roles: []string{pki.RoleEdge}} }

// An edge has nothing that an earlier process of it had: a thousand that start at once do
// not renew their leases often for that.
func TestOnlyOriginsStart(t *testing.T) {
	for _, owns := range []bool{true, false} {
		n, err := replica.New(replica.Config{DataDir: t.TempDir(), Name: "n", Owns: owns}, replica.Deps{
			Log: slog.New(slog.DiscardHandler), Cluster: struct{ replica.Cluster }{},
		})
		if err != nil || n.Starting() != owns {
			t.Errorf("owns streams: %t, starting: %t, %v", owns, n.Starting(), err)
		}
	}
}

// Requirement: C5 (a node without a vote follows config and placement, goes on
// after a break, and serves the last known state when no voter answers).
func TestReplica(t *testing.T) {
	c := newCluster(t, "a", "b", "c")
	defer c.dump()
	list := c.startAll()
	leader, others := leaderOf(t, list)
	if _, err := leader.node.SetConfig(t.Context(), 0, doc(time.Minute), "ops"); err != nil {
		t.Fatal(err)
	}
	e := c.start("e", edge()).waitReady()
	if _, err := e.node.ReadIndex(t.Context()); err != nil || e.node.Config().Revision() != 1 {
		t.Errorf("revision %d, %v", e.node.Config().Revision(), err)
	}
	id := e.node.ID()
	if err := e.node.UpsertNode(t.Context(), state.Node{Name: "e", Roles: []string{"edge"}}); err != nil {
		t.Fatal(err)
	}
	if d, ok := e.node.Node(id); !ok || d.Name != "e" || len(e.node.Nodes()) != 1 {
		t.Errorf("nodes: %+v", e.node.Nodes())
	}
	changed := e.node.WatchPlacements()
	p, err := others[0].node.Claim(t.Context(), key("x"))
	if err != nil {
		t.Fatal(err)
	}
	<-changed
	if _, err = e.node.ReadIndex(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, ok := e.node.Placement(key("x")); !ok || got != p {
		t.Errorf("placement: %+v, want %+v", got, p)
	}
	if by, name, ok := e.node.Leader(); !ok || by != leader.ID() || c.addrs[name] == "" {
		t.Errorf("the leader is %q, %q, %v", by, name, ok)
	}

	t.Run("edges may not", func(t *testing.T) {
		if _, err = e.node.Claim(t.Context(), key("mine")); !errors.Is(err, member.ErrForbidden) {
			t.Errorf("claim: %v", err)
		}
		if _, err = e.node.SetConfig(t.Context(), 1, doc(0), "edge"); !errors.Is(err, member.ErrForbidden) {
			t.Errorf("set config: %v", err)
		}
		if err = e.node.Release(t.Context(), key("x"), p.Epoch); !errors.Is(err, member.ErrForbidden) {
			t.Errorf("release: %v", err)
		}
		if err = e.node.UpsertNode(t.Context(), state.Node{Name: "a"}); !errors.Is(err, member.ErrForbidden) {
			t.Errorf("upsert of another: %v", err)
		}
		if err = e.node.UpsertNode(t.Context(), state.Node{Name: "e", Roles: []string{"origin"}}); !errors.Is(err, member.ErrForbidden) {
			t.Errorf("upsert with another role: %v", err)
		}
		if err = e.node.Join(t.Context(), "e", c.addr("e")); !errors.Is(err, member.ErrForbidden) {
			t.Errorf("join: %v", err)
		}
		if err = e.node.Remove(t.Context(), "a"); !errors.Is(err, member.ErrForbidden) {
			t.Errorf("remove: %v", err)
		}
	})

	leader.kill()
	next, rest := leaderOf(t, others)
	p2, err := next.node.Claim(t.Context(), key("y"))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the edge follows another voter", func() bool {
		got, ok := e.node.Placement(key("y"))
		return ok && got == p2
	})

	next.kill()
	rest[0].kill()
	eventually(t, "the edge is alone", func() bool { _, _, ok := e.node.Leader(); return !ok })
	if got, ok := e.node.Placement(key("x")); !ok || got != p || e.node.Config().Revision() != 1 {
		t.Errorf("the last known state is gone: %+v", got)
	}
	for _, v := range c.voters {
		c.start(v.Name, options{})
	}
	eventually(t, "the edge follows again", func() bool { _, _, ok := e.node.Leader(); return ok })
	if err := e.node.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, ok := e.node.Node(id); ok {
		t.Error("the edge left and is still known")
	}
	if n := strings.Count(c.logs["e"].String(), "the state is followed"); n != 1 {
		t.Errorf("ready %d times", n)
	}
	e.stop()
	if again := c.start("e", edge()).waitReady(); again.node.ID() != id {
		t.Errorf("the id changed from %s to %s", id, again.node.ID())
	}
}

// Requirement: C5 (a dead owner's streams lose their owner; another node's claim
// takes a new epoch and keeps the stream's time).
func TestLeaseExpires(t *testing.T) {
	c := newCluster(t, "a", "b", "c")
	c.lease = time.Second
	defer c.dump()
	list := c.startAll()
	leader, others := leaderOf(t, list)
	owner, other := others[0], others[1]
	if _, err := leader.node.SetConfig(t.Context(), 0, doc(3*time.Second), "ops"); err != nil {
		t.Fatal(err)
	}
	p, err := owner.node.Claim(t.Context(), key("taken"))
	if err != nil {
		t.Fatal(err)
	}
	lost, err := owner.node.Claim(t.Context(), key("lost"))
	if err != nil {
		t.Fatal(err)
	}
	kept, err := other.node.Claim(t.Context(), key("kept"))
	if err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	_ = owner.endFabric() // it goes on, cut off from the others
	eventually(t, "the stream loses its owner", func() bool {
		got, ok := other.node.Placement(key("taken"))
		return ok && got.Orphan()
	})
	if took := time.Since(killed); took < 600*time.Millisecond {
		t.Errorf("the lease of %s was over after %s", c.lease, took)
	}
	orphan, _ := other.node.Placement(key("taken"))
	if orphan.Epoch != p.Epoch || orphan.T0MS != p.T0MS || orphan.LostBy != owner.ID() || orphan.LostAtMS == 0 {
		t.Errorf("the orphan of %+v is %+v", p, orphan)
	}
	eventually(t, "the node that is cut off refuses claims at once", func() bool {
		// One that began before the lease was over would wait for a leader.
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		_, refused := owner.node.Claim(ctx, key("new"))
		return errors.Is(refused, member.ErrLeaseLapsed)
	})
	got, err := other.node.Claim(t.Context(), key("taken"))
	if err != nil || got.Epoch <= p.Epoch || got.T0MS != p.T0MS || got.Owner != other.ID() || got.LostBy != "" {
		t.Errorf("claimed after %+v: %+v, %v", p, got, err)
	}
	if now, ok := other.node.Placement(key("lost")); !ok || !now.Orphan() || now.Epoch != lost.Epoch {
		t.Errorf("an orphan did not wait for its grace: %+v, %v", now, ok)
	}
	eventually(t, "an orphan is released after the grace", func() bool {
		_, ok := other.node.Placement(key("lost"))
		return !ok
	})
	if now, ok := other.node.Placement(key("kept")); !ok || now != kept {
		t.Errorf("a node that lives lost %+v, now %+v", kept, now)
	}
}

// A node whose lease lapsed while it went on streaming takes its stream back in
// the same epoch, unless another has claimed it; a node that starts anew owns
// nothing.
func TestResumeAndDisown(t *testing.T) {
	c := newCluster(t, "a", "b", "c")
	c.lease = time.Second
	defer c.dump()
	list := c.startAll()
	if _, err := list[0].node.SetConfig(t.Context(), 0, doc(time.Minute), "ops"); err != nil {
		t.Fatal(err)
	}
	o := c.start("o", options{replica: true}).waitReady()
	if err := o.node.UpsertNode(t.Context(), state.Node{Name: "o", Roles: []string{"origin"}}); err != nil {
		t.Fatal(err)
	}
	p, err := o.node.Claim(t.Context(), key("x"))
	if err != nil {
		t.Fatal(err)
	}
	orphaned := func() bool {
		got, ok := list[0].node.Placement(key("x"))
		return ok && got.Orphan()
	}
	_, err = list[1].Propose(t.Context(), state.ExpireNode{Node: o.node.ID(), MaxEpoch: p.Epoch, AtUnixMS: 1})
	if err != nil && !errors.Is(err, member.ErrForbidden) {
		t.Fatal(err)
	}
	if list[1].IsLeader() == errors.Is(err, member.ErrForbidden) {
		t.Errorf("a node expires another: %v", err)
	}
	if err = o.node.Disown(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "an orphan", orphaned)
	got, err := o.node.Resume(t.Context(), key("x"), p.Epoch)
	if err != nil || got != p {
		t.Errorf("resumed %+v, %v, want %+v", got, err, p)
	}
	o.kill()
	eventually(t, "the lease lapses", orphaned)
	again := c.start("o", options{replica: true}).waitReady()
	if err := again.node.Disown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := list[0].node.Claim(t.Context(), key("x")); err != nil || got.T0MS != p.T0MS {
		t.Fatal(got, err)
	}
	var stale *state.StaleEpochError
	if _, err := again.node.Resume(t.Context(), key("x"), p.Epoch); !errors.As(err, &stale) {
		t.Errorf("resumed what another owns: %v", err)
	}
}

// A voter that lost its data folder is replaced, a node that is not configured
// joins by request, and no member is removed without whom there is no quorum.
func TestMembers(t *testing.T) {
	c := newCluster(t, "a", "b", "c")
	c.lease = time.Second
	defer c.dump()
	list := c.startAll()
	leader, others := leaderOf(t, list)
	p, err := others[0].node.Claim(t.Context(), key("x"))
	if err != nil {
		t.Fatal(err)
	}
	voters := func(of *process) (names []string) {
		s, err := of.LocalStatus()
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range s.Servers {
			if m.Voter {
				names = append(names, m.Name+"="+m.ID)
			}
		}
		return names
	}

	lost := others[1]
	former := lost.ID()
	lost.stop()
	if err := others[0].Remove(t.Context(), others[0].ID()); !errors.Is(err, consensus.ErrQuorum) {
		t.Fatalf("removed without whom there is no quorum: %v", err)
	}
	name := ""
	for _, v := range c.voters {
		if v.Name != nameOf(t, leader, leader.ID()) && v.Name != nameOf(t, leader, others[0].ID()) {
			name = v.Name
		}
	}
	anew := c.start(name, options{noFolder: true}).waitReady()
	eventually(t, "the new self has a vote", func() bool {
		all := strings.Join(voters(leader), " ")
		return strings.Contains(all, name+"="+anew.ID()) && !strings.Contains(all, former)
	})
	if got, ok := anew.node.Placement(key("x")); !ok || got.Epoch != p.Epoch {
		t.Errorf("the new self has %+v", got)
	}

	d := c.start("d", options{})
	eventually(t, "d is added", func() bool { // it has to open its stores first
		return anew.node.Join(t.Context(), "d", c.addr("d")) == nil
	})
	d.waitReady()
	eventually(t, "four voters", func() bool { return len(voters(leader)) == 4 })
	if err := d.node.Remove(t.Context(), "d"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "three voters", func() bool { return len(voters(leader)) == 3 })
	if err := anew.node.Remove(t.Context(), "nobody"); !errors.Is(err, member.ErrInvalid) {
		t.Errorf("remove of nobody: %v", err)
	}
}

func nameOf(t *testing.T, p *process, id string) string {
	t.Helper()
	s, err := p.LocalStatus()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range s.Servers {
		if m.ID == id {
			return m.Name
		}
	}
	t.Fatalf("no member %s in %+v", id, s)
	return ""
}

// A node answers for the lists that only it has, long ones too.
func TestQuery(t *testing.T) {
	c := newCluster(t, "a")
	long := strings.Repeat("viewer ", 200_000)
	c.query = func(_ context.Context, from pki.Peer, q control.Query) (json.RawMessage, error) {
		if q.Kind != "viewers" {
			return nil, errors.New("no such list")
		}
		return json.Marshal(map[string]string{"for": from.Name, "args": string(q.Args), "list": long})
	}
	c.start("a", options{}).waitReady()
	e := c.start("e", edge()).waitReady()
	to := fabric.Target{Name: "a", Addr: c.addr("a")}
	b, err := e.client.Query(t.Context(), to, control.Query{Kind: "viewers", Args: json.RawMessage(`"live"`)})
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]string
	if err = json.Unmarshal(b, &got); err != nil || got["for"] != "e" || got["args"] != `"live"` || got["list"] != long {
		t.Errorf("got %.100s, %v", b, err)
	}
	if _, err = e.client.Query(t.Context(), to, control.Query{Kind: "other"}); err == nil || err.Error() != "no such list" {
		t.Errorf("got %v", err)
	}
	// The edge itself answers too.
	h, err := c.start("f", edge()).client.Hello(t.Context(), fabric.Target{Name: "e", Addr: c.addr("e")})
	if err != nil || h.ID != e.node.ID() || h.HasState || h.Version != "test" {
		t.Errorf("hello: %+v, %v", h, err)
	}
}
