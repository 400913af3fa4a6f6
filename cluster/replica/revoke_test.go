package replica_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"tmms/cluster/consensus"
	"tmms/cluster/fabric"
	"tmms/cluster/member"
	"tmms/cluster/state"
)

// readmitted has a certificate that was issued after the revocation.
const readmitted = 2 * time.Second

// cutOff waits until no node takes p any more: p loses every session that it has
// dialed, and gets no other.
func cutOff(t *testing.T, p *process, from []*process) {
	t.Helper()
	for _, other := range from {
		to := fabric.Target{Name: other.identity.Name(), Addr: other.fabric.Addr().String()}
		eventually(t, to.Name+" refuses "+p.identity.Name(), func() bool {
			_, err := p.fabric.Session(t.Context(), to, fabric.ALPNControl)
			return err != nil && strings.Contains(err.Error(), "revoked") || dialRefused(err)
		})
		back := fabric.Target{Name: p.identity.Name(), Addr: p.fabric.Addr().String()}
		eventually(t, to.Name+" dials "+p.identity.Name()+" no more", func() bool {
			_, err := other.fabric.Session(t.Context(), back, fabric.ALPNControl)
			return err != nil
		})
	}
}

func dialRefused(err error) bool {
	d, ok := errors.AsType[*fabric.DialError](err)
	return ok && d.Failure == fabric.Refused
}

// An edge that is revoked by name is cut off from every node at once, the
// cluster forgets it, and it comes back with another certificate.
func TestRevokeAnEdge(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "a", "b", "c")
	defer c.dump()
	voters := c.startAll()
	leader, _ := leaderOf(t, voters)
	gone, stays := c.start("gone", edge()).waitReady(), c.start("stays", edge()).waitReady()
	for _, e := range []*process{gone, stays} {
		if err := e.node.UpsertNode(t.Context(), state.Node{Name: e.identity.Name(), Roles: []string{"edge"}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := stays.node.Revoke(t.Context(), consensus.Revocation{Node: "gone"}); !errors.Is(err, member.ErrForbidden) {
		t.Errorf("an edge revokes: %v", err)
	}
	before := leader.node.AppliedIndex()
	eventually(t, "the edge has all of that", func() bool { return gone.node.AppliedIndex() == before })
	if _, err := voters[0].Revoke(t.Context(), consensus.Revocation{Node: "gone", By: "ops"}); err != nil {
		t.Fatal(err)
	}
	cutOff(t, gone, append(voters, stays))
	if _, known := leader.node.Node(gone.node.ID()); known {
		t.Error("the cluster still knows it")
	}
	if _, err := voters[1].node.SetConfig(t.Context(), 0, doc(time.Minute), "ops"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the other edge follows", func() bool { return stays.node.Config().Revision() == 1 })
	if gone.node.Config().Revision() != 0 || gone.node.AppliedIndex() > before+1 {
		t.Errorf("it still follows, at index %d", gone.node.AppliedIndex())
	}
	gone.kill()

	opt := edge()
	opt.later = -time.Minute
	again := c.start("gone", opt) // issued before the revocation, with another serial number
	eventually(t, "a refusal", func() bool {
		return strings.Contains(c.logs["gone"].String(), "does not accept this node's certificate")
	})
	again.kill()
	opt.later = readmitted
	again = c.start("gone", opt).waitReady()
	if again.node.Config().Revision() != 1 {
		t.Errorf("revision %d", again.node.Config().Revision())
	}
}

// A voter that is revoked loses its vote, even one that leads; without it the
// group must be able to decide.
func TestRevokeAVoter(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "a", "b", "c")
	c.lease = time.Second
	defer c.dump()
	list := c.startAll()
	leader, others := leaderOf(t, list)
	name := leader.identity.Name()
	if _, err := others[0].Revoke(t.Context(), consensus.Revocation{Node: name}); err != nil {
		t.Fatal(err)
	}
	cutOff(t, leader, others)
	next, _ := leaderOf(t, others)
	s, err := next.LocalStatus()
	if err != nil || len(s.Servers) != 2 {
		t.Errorf("the group is %+v, %v", s.Servers, err)
	}
	if _, err = next.node.SetConfig(t.Context(), 0, doc(time.Minute), "ops"); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err = leader.node.Claim(ctx, key("x")); err == nil {
		t.Error("who is revoked claims")
	}
}

// What would leave the group without a majority is refused, by name and by serial
// number, and changes nothing.
func TestRevokeKeepsTheQuorum(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "a", "b", "c")
	c.lease = time.Second
	defer c.dump()
	list := c.startAll()
	leader, others := leaderOf(t, list)
	others[1].kill()
	for _, r := range []consensus.Revocation{
		{Node: others[0].identity.Name()}, {Serial: others[0].identity.Serial()},
	} {
		_, err := leader.Revoke(t.Context(), r)
		if !errors.Is(err, consensus.ErrQuorum) {
			t.Errorf("%+v: %v", r, err)
		}
	}
	if revoked, _ := leader.WatchRevocations(); revoked.Len() != 0 {
		t.Errorf("revoked: %+v", revoked.All())
	}
	if s, err := leader.LocalStatus(); err != nil || len(s.Servers) != 3 {
		t.Errorf("the group is %+v, %v", s.Servers, err)
	}
	unused := strings.Repeat("5", len(leader.identity.Serial()))
	if _, err := leader.Revoke(t.Context(), consensus.Revocation{Serial: unused}); err != nil {
		t.Errorf("a certificate that nobody shows: %v", err)
	}
	for _, r := range []consensus.Revocation{{}, {Node: "a", Serial: unused}, {Node: "a/b"}, {Serial: "5f"}} {
		if _, err := leader.Revoke(t.Context(), r); !errors.Is(err, member.ErrInvalid) {
			t.Errorf("%+v: %v", r, err)
		}
	}
}

// One certificate of a voter: it is cut off until it has another, and stays a member.
func TestRevokeASerialNumber(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "a", "b", "c")
	c.lease = time.Second
	defer c.dump()
	list := c.startAll()
	leader, others := leaderOf(t, list)
	hit := others[0]
	name := hit.identity.Name()
	if _, err := others[1].Revoke(t.Context(), consensus.Revocation{Serial: hit.identity.Serial()}); err != nil {
		t.Fatal(err)
	}
	cutOff(t, hit, []*process{leader, others[1]})
	hit.kill()
	again := c.start(name, options{}).waitReady()
	if s, err := again.LocalStatus(); err != nil || len(s.Servers) != 3 {
		t.Errorf("the group is %+v, %v", s.Servers, err)
	}
}
