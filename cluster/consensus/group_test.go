package consensus

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"tmms/cluster/state"
)

// group starts n voters that reach each other through memory.
func group(t *testing.T, n int) []*running {
	t.Helper()
	var voters []Voter
	var transports []*raft.InmemTransport
	for i := range n {
		id := fmt.Sprint("n", i)
		_, tr := raft.NewInmemTransport(raft.ServerAddress(id))
		for _, other := range transports {
			tr.Connect(other.LocalAddr(), other)
			other.Connect(tr.LocalAddr(), tr)
		}
		transports = append(transports, tr)
		voters = append(voters, Voter{ID: id, Address: id})
	}
	var nodes []*running
	for i := range n {
		cfg := Config{ID: voters[i].ID, Voters: voters, Heartbeat: 100 * time.Millisecond}
		nodes = append(nodes, start(t, cfg, Deps{Transport: transports[i]}))
	}
	for _, r := range nodes {
		r.waitReady(t)
	}
	return nodes
}

func leaderOf(t *testing.T, nodes []*running) (leader *running, others []*running) {
	t.Helper()
	eventually(t, "a leader", func() bool {
		leader, others = nil, nil
		for _, r := range nodes {
			if r.IsLeader() && leader == nil {
				leader = r
				continue
			}
			others = append(others, r)
		}
		return leader != nil
	})
	return leader, others
}

// Requirement: C5 (config and placement are replicated, every node sees the
// same revision, and a claim is decided once for all). Requirement: S5.
func TestGroup(t *testing.T) {
	nodes := group(t, 3)
	leader, others := leaderOf(t, nodes)
	rev, err := leader.SetConfig(t.Context(), 0, doc("a.example"), "ops")
	if err != nil {
		t.Fatal(err)
	}
	p, err := leader.Claim(t.Context(), key("x"))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range others {
		eventually(t, "the placement on "+r.ID(), func() bool {
			got, ok := r.Placement(key("x"))
			return ok && got == p
		})
		if r.Config().Revision() != rev {
			t.Errorf("%s is at revision %d, want %d", r.ID(), r.Config().Revision(), rev)
		}
		if _, err := r.Claim(t.Context(), key("y")); !errors.Is(err, ErrNotLeader) {
			t.Errorf("a follower's claim: %v", err)
		}
		if id, _, ok := r.Leader(); !ok || id != leader.ID() {
			t.Errorf("%s thinks %q leads", r.ID(), id)
		}
	}

	leader.end(t)
	next, _ := leaderOf(t, others)
	var owned *state.OwnedError
	eventually(t, "a claim is decided by the new leader", func() bool {
		_, err := next.Claim(t.Context(), key("x"))
		return errors.As(err, &owned)
	})
	if owned.Placement != p {
		t.Errorf("the new leader knows %+v, want %+v", owned.Placement, p)
	}
}
