package consensus

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tmms/cluster/state"
	"tmms/media"
)

// joinToken is one that the log takes.
func joinToken(n, uses int) state.JoinToken {
	return state.JoinToken{
		ID: fmt.Sprintf("%010x", n), Hash: strings.Repeat("ab", 32), Roles: []string{"edge"}, Uses: uses,
	}
}

func useOf(t state.JoinToken, name string, key int) state.UseToken {
	return state.UseToken{ID: t.ID, Hash: t.Hash, Node: name, Roles: []string{"edge"}, Key: fmt.Sprintf("%064x", key)}
}

// Tokens are put and used by way of any voter. Many that come at once through all of
// them with the last uses are let in as often as there are uses.
//
// Requirement: C5
func TestTokensRace(t *testing.T) {
	nodes := group(t, 3, 0, nil)
	leader, others := leaderOf(t, nodes)
	raise(t, leader)
	j, err := others[0].PutToken(t.Context(), joinToken(1, 4), time.Hour.Milliseconds())
	if err != nil {
		t.Fatal(err)
	}
	if _, err = leader.PutToken(t.Context(), joinToken(1, 4), time.Hour.Milliseconds()); !errors.Is(err, state.ErrToken) {
		t.Errorf("the same id twice: %v", err)
	}
	var mu sync.Mutex
	var coming sync.WaitGroup
	in := 0
	for i := range 16 {
		coming.Go(func() {
			_, fault := nodes[i%len(nodes)].UseToken(t.Context(), useOf(j, fmt.Sprintf("e%d", i), i))
			mu.Lock()
			defer mu.Unlock()
			if fault == nil {
				in++
			} else if !errors.Is(fault, state.ErrToken) || !strings.Contains(fault.Error(), "is used up") {
				t.Errorf("e%d: %v", i, fault)
			}
		})
	}
	coming.Wait()
	if in != 4 {
		t.Errorf("%d are let in by 4 uses", in)
	}
	if err = others[1].DropToken(t.Context(), j.ID); err != nil {
		t.Error(err)
	}
	if _, err = leader.UseToken(t.Context(), useOf(j, "late", 99)); !errors.Is(err, state.ErrToken) {
		t.Errorf("after it was revoked: %v", err)
	}
}

// Nobody is let in under the name of a node that is there, or of an origin; a node whose
// answer was lost is, again.
func TestNamesOfNewNodes(t *testing.T) {
	nodes := group(t, 3, 0, nil)
	leader, _ := leaderOf(t, nodes)
	raise(t, leader)
	j, err := leader.PutToken(t.Context(), joinToken(1, 100), time.Hour.Milliseconds())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []state.Node{{ID: "id-e1", Name: "e1", Roles: []string{"edge"}}, {ID: "id-o9", Name: "o9", Roles: []string{"origin"}}} {
		if err = leader.UpsertNode(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	use := func(name string, key int) error {
		_, fault := leader.UseToken(t.Context(), useOf(j, name, key))
		return fault
	}
	for name, want := range map[string]string{
		"e1": "a node that lives", "o9": "which is the name of", leader.cfg.Name: "a member of the raft group",
	} {
		if err = use(name, 1); !errors.Is(err, state.ErrToken) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	if err = errors.Join(use("e2", 2), use("e2", 2)); err != nil {
		t.Errorf("the same node twice: %v", err)
	}
	if err = use("e2", 3); err == nil || !strings.Contains(err.Error(), "let in just now") {
		t.Errorf("another node of the same name: %v", err)
	}
	left, _ := leader.JoinToken(j.ID)
	if left.Uses != 99 || left.LastNode != "e2" {
		t.Errorf("%+v", left)
	}
}

// Names are kept for a minute.
func TestPromises(t *testing.T) {
	var p promises
	now := time.Unix(0, 0)
	if !p.take("a", "k", now) || p.take("a", "l", now.Add(promiseLife-1)) || !p.take("a", "k", now) || !p.take("a", "l", now.Add(promiseLife)) {
		t.Error("who has the name?")
	}
	for i := range media.MaxNodes + 5 {
		p.take(fmt.Sprint(i, "-"), "k", now.Add(promiseLife))
	}
	if len(p.key) != media.MaxNodes {
		t.Errorf("%d names are kept, the limit is %d", len(p.key), media.MaxNodes)
	}
}

// There are so many tokens; those that have ended make room and leave by themselves.
func TestTokensAreBounded(t *testing.T) {
	var ahead atomic.Int64
	clock := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	r := start(t, Config{Lease: time.Second}, Deps{Now: clock}).waitReady(t)
	defer r.end(t)
	for i := range media.MaxJoinTokens {
		if _, err := r.PutToken(t.Context(), joinToken(i, 1), media.MinJoinTokenLife.Milliseconds()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.PutToken(t.Context(), joinToken(1000, 1), media.MinJoinTokenLife.Milliseconds()); !errors.Is(err, ErrInvalid) ||
		!strings.Contains(err.Error(), "64 join tokens are there") {
		t.Errorf("one more: %v", err)
	}
	if _, err := r.PutToken(t.Context(), joinToken(1000, 0), time.Hour.Milliseconds()); !errors.Is(err, ErrInvalid) {
		t.Errorf("no uses: %v", err)
	}
	ahead.Store(int64(media.MinJoinTokenLife))
	eventually(t, "no token that has ended", func() bool { return len(r.JoinTokens()) == 0 })
}
