package admin

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tmms/cluster/consensus"
	"tmms/cluster/gossip"
	"tmms/cluster/member"
	"tmms/cluster/state"
)

// raftGroup is the real group of the node, with others in it that are made up.
type raftGroup struct {
	*consensus.Node

	mu     sync.Mutex
	asked  []string // of Join and Remove
	refuse error    // what they answer
	read   func(ctx context.Context) error
	reads  int
	status func() (consensus.Status, error)
	lost   bool // no leader is known
}

func (g *raftGroup) change(what string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked = append(g.asked, what)
	return g.refuse
}

func (g *raftGroup) Join(_ context.Context, name, address string) error {
	return g.change("join " + name + " " + address)
}

func (g *raftGroup) Remove(_ context.Context, nameOrID string) error {
	return g.change("remove " + nameOrID)
}

func (g *raftGroup) Transfer(_ context.Context, to string) (string, error) {
	return "two", g.change("transfer " + to)
}

func (g *raftGroup) Levels(context.Context) (consensus.Levels, error) {
	return consensus.Levels{Level: 1, Nodes: []consensus.NodeLevel{{ID: "n1", Name: "one", Version: "test", Level: 2, Answers: true}}}, nil
}

func (g *raftGroup) RaiseLevel(_ context.Context, level int) (consensus.Levels, error) {
	return consensus.Levels{Level: level, Nodes: []consensus.NodeLevel{}}, g.change("level " + strconv.Itoa(level))
}

func (g *raftGroup) Revoke(_ context.Context, r consensus.Revocation) (state.RevokeResult, error) {
	err := g.change("revoke " + r.Node + r.Serial + " by " + r.By)
	return state.RevokeResult{Revocation: state.Revocation{
		Node: r.Node, Serial: r.Serial, By: r.By, AtUnixMS: 1_700_000_000_000, UntilUnixMS: 1_731_000_000_000,
	}, Lost: 2}, err
}

func (g *raftGroup) JoinTokens() []state.JoinToken {
	return []state.JoinToken{{ID: "0a0a0a0a0a", Hash: "not-to-be-shown", Roles: []string{"edge"}, Uses: 1, UntilUnixMS: 9_000, LastKey: "not-to-be-shown"}}
}

func (g *raftGroup) PutToken(_ context.Context, t state.JoinToken, lifeMS int64) (state.JoinToken, error) {
	t.AtUnixMS, t.UntilUnixMS = 1_000, 1_000+lifeMS
	return t, g.change(fmt.Sprintf("token %s of %s by %s for %d ms", t.ID, t.Hash, t.By, lifeMS))
}

func (g *raftGroup) DropToken(_ context.Context, id string) error { return g.change("no token " + id) }

func (g *raftGroup) JoinInfo() (JoinInfo, error) {
	return JoinInfo{Pin: "PIN", Issuers: "nobody"}, g.refuse
}

func (g *raftGroup) WatchRevocations() (*state.Revocations, <-chan struct{}) {
	s := state.New()
	for i, r := range []state.Revocation{{Node: "e1", By: "ops", UntilUnixMS: 9_000}, {Serial: "5f", AtUnixMS: 1_000, UntilUnixMS: 9_000}} {
		b, err := state.Encode(state.Revoke{Revocation: r})
		if err != nil {
			panic(err)
		}
		if _, err = s.Apply(uint64(i+1), b); err != nil {
			panic(err)
		}
	}
	return s.Revocations(), nil
}

func (g *raftGroup) Leader() (id, name string, ok bool) {
	if g.lost {
		return "", "", false
	}
	return "n1", "one", true
}

func (g *raftGroup) ReadIndex(ctx context.Context) (uint64, error) {
	g.mu.Lock()
	g.reads++
	g.mu.Unlock()
	if g.read != nil {
		return 0, g.read(ctx)
	}
	return g.Node.ReadIndex(ctx)
}

func (g *raftGroup) Status(context.Context) (consensus.Status, error) {
	if g.status != nil {
		return g.status()
	}
	return consensus.Status{
		ClusterID: "c", Leader: "n1", By: "n1", Term: 3, Committed: 70, LastIndex: 71, Level: 2,
		Servers: []consensus.Server{
			{ID: "n2", Name: "two", Address: "192.0.2.2:7400", Voter: true, RenewedAgo: 1500 * time.Millisecond},
			{ID: "n1", Name: "n1", Address: "192.0.2.1:7400", Voter: true, Leader: true},
		},
	}, nil
}

func TestRaftStatus(t *testing.T) {
	n := serve(t, Config{})
	var info RaftInfo
	a := n.do("GET", "/api/v1/raft", "").want(t, 200, &info)
	want := "{c n1 one n1 3 70 71 2 [{n1 one 192.0.2.1:7400 true true 0} {n2 two 192.0.2.2:7400 true false 1.5}] }"
	if got := fmt.Sprint(info); got != want || a.Header.Get(staleHeader) != "" {
		t.Errorf("got %s, %q\nwant %s", got, a.Header.Get(staleHeader), want)
	}
	n.group.status = func() (consensus.Status, error) { return consensus.Status{Leader: "n1", By: "n2"}, nil }
	if a = n.do("GET", "/api/v1/raft", "").want(t, 200, nil); a.Header.Get(staleHeader) == "" {
		t.Error("what a follower says is not marked")
	}
	n.group.status = func() (consensus.Status, error) { return consensus.Status{}, member.ErrNotLeader }
	n.do("GET", "/api/v1/raft", "").want(t, 503, nil)
}

func TestRaftChanges(t *testing.T) {
	const revoke, transfer, level = "/api/v1/revocations", "/api/v1/raft/transfer", "/api/v1/raft/level"
	const add, four = "/api/v1/raft/servers", `{"name":"four","address":"h4:7400"}`
	for name, tc := range map[string]struct {
		method, path, body string
		refuse             error
		status             int
		asked              string // of the group
		says               string
	}{
		"add":          {method: "POST", path: add, body: four, status: 200, asked: "join four h4:7400", says: `"four"`},
		"add-twice":    {method: "POST", path: add, body: four + four, status: 400},
		"add-nameless": {method: "POST", path: add, body: `{"name":"","address":"h:1"}`, status: 400, says: "name"},
		"add-nowhere":  {method: "POST", path: add, body: `{"name":"four","address":"h4"}`, status: 400, says: "HOST:PORT"},
		"add-port-0":   {method: "POST", path: add, body: `{"name":"four","address":"h4:0"}`, status: 400, says: "HOST:PORT"},
		"add-unknown":  {method: "POST", path: add, body: `{"nome":"four"}`, status: 422, says: "nome"},
		"add-no-vote":  {method: "POST", path: add, body: four, refuse: member.ErrInvalid, status: 400, asked: "join four h4:7400"},
		"add-leaderless": {
			method: "POST", path: add, body: four, refuse: member.ErrNotLeader, status: 503, asked: "join four h4:7400",
		},
		"add-by-edge":   {method: "POST", path: add, body: four, refuse: member.ErrForbidden, status: 403, asked: "join four h4:7400", says: "role origin"},
		"remove":        {method: "DELETE", path: add + "/two", status: 200, asked: "remove two", says: `"two"`},
		"remove-id":     {method: "DELETE", path: add + "/n2", status: 200, asked: "remove n2"},
		"remove-nobody": {method: "DELETE", path: add + "/x%2Fy", status: 404, says: `\"x/y\"`},
		"remove-quorum": {
			method: "DELETE", path: add + "/two", refuse: fmt.Errorf("%w: without two 1 of 2 voters are alive", consensus.ErrQuorum),
			status: 409, asked: "remove two", says: "no quorum",
		},
		"revoke":        {method: "POST", path: revoke, body: `{"node":"e1"}`, status: 200, asked: "revoke e1 by local", says: `"until":"2024-11-07T`},
		"revoke-serial": {method: "POST", path: revoke, body: `{"serial":"5f"}`, status: 200, asked: "revoke 5f by local", says: `"streams":2`},
		"revoke-quorum": {
			method: "POST", path: revoke, body: `{"node":"o1"}`, refuse: consensus.ErrQuorum, status: 409, asked: "revoke o1 by local",
		},
		"transfer":         {method: "POST", path: transfer, body: `{"name":"two"}`, status: 200, asked: "transfer two", says: `"two"`},
		"transfer-any":     {method: "POST", path: transfer, body: `{"name":""}`, status: 200, asked: "transfer "},
		"transfer-refused": {method: "POST", path: transfer, body: `{}`, refuse: consensus.ErrTransfer, status: 503, asked: "transfer "},
		"transfer-long":    {method: "POST", path: transfer, body: `{"name":"` + strings.Repeat("x", 300) + `"}`, status: 400},
		"level":            {method: "PUT", path: level, body: `{"level":2}`, status: 200, asked: "level 2", says: `"level":2`},
		"level-early": {
			method: "PUT", path: level, body: `{"level":3}`, status: 409, asked: "level 3", says: "e1 (level 2)",
			refuse: fmt.Errorf("%w: feature level 3 is not known to e1 (level 2)", member.ErrLevel),
		},
		"level-text":       {method: "PUT", path: level, body: `{"level":"2"}`, status: 422, says: "level"},
		"revoke-unknown":   {method: "POST", path: revoke, body: `{"name":"e1"}`, status: 422, says: "name"},
		"remove-uncertain": {method: "DELETE", path: add + "/two", refuse: member.ErrUncertain, status: 503, asked: "remove two"},
		"remove-get":       {method: "GET", path: add + "/two", status: 405},
	} {
		t.Run(name, func(t *testing.T) {
			n := serve(t, Config{})
			n.group.refuse = tc.refuse
			a := n.do(tc.method, tc.path, tc.body).want(t, tc.status, nil)
			if got := strings.Join(n.group.asked, ", "); got != tc.asked || !strings.Contains(string(a.body), tc.says) {
				t.Errorf("the group was asked %q, want %q; the answer is %s", got, tc.asked, a.body)
			}
		})
	}
}

// Requirement: C5 (who may only read changes nothing).
func TestRaftNeedsAdmin(t *testing.T) {
	n := serve(t, Config{TokensFile: tokensFile(t, tokensYAML)})
	for _, r := range [][2]string{
		{"POST", "/api/v1/raft/servers"},
		{"DELETE", "/api/v1/raft/servers/two"},
		{"POST", "/api/v1/gossip/key/rotate"},
		{"POST", "/api/v1/revocations"},
		{"POST", "/api/v1/raft/transfer"},
		{"POST", "/api/v1/raft/snapshot"},
		{"GET", "/api/v1/raft/backup"},
		{"POST", "/api/v1/raft/restore"},
		{"PUT", "/api/v1/raft/level"},
	} {
		n.do(r[0], r[1], `{}`).want(t, 401, nil)
		n.do(r[0], r[1], `{}`, "Authorization: Bearer "+readToken).want(t, 403, nil)
	}
	if len(n.group.asked) > 0 {
		t.Errorf("the group was asked %v", n.group.asked)
	}
	n.do("GET", "/api/v1/raft", "").want(t, 401, nil)
	n.do("GET", "/api/v1/raft", "", "Authorization: Bearer "+readToken).want(t, 200, nil)
}

// shows are the routes that show replicated state.
func shows() []string {
	return []string{
		"/api/v1/domains", "/api/v1/config", "/api/v1/history", "/api/v1/nodes", "/api/v1/streams", "/api/v1/raft",
		"/api/v1/revocations",
	}
}

// Requirement: C5 (reads are linearizable unless they say otherwise).
func TestReadsAreFresh(t *testing.T) {
	n := serve(t, Config{})
	for _, path := range shows() {
		before := n.group.reads
		a := n.do("GET", path, "").want(t, 200, nil)
		if n.group.reads != before+1 || a.Header.Get(staleHeader) != "" {
			t.Errorf("%s: %d reads, stale %q", path, n.group.reads-before, a.Header.Get(staleHeader))
		}
		a = n.do("GET", path+"?consistency=local", "").want(t, 200, nil)
		if n.group.reads != before+1 || a.Header.Get(staleHeader) != "" {
			t.Errorf("%s, local: %d reads, stale %q", path, n.group.reads-before, a.Header.Get(staleHeader))
		}
		n.do("GET", path+"?consistency=strong", "").want(t, 400, nil)
	}
	before := n.group.reads
	for _, path := range []string{"/metrics", "/healthz", "/readyz", "/api/v1/viewers", "/api/v1/log/level", "/"} {
		n.do("GET", path, "").want(t, 200, nil)
	}
	if n.group.reads != before {
		t.Errorf("%d reads where there is no state to show", n.group.reads-before)
	}
}

// Without a leader the copy is shown within two seconds, and is marked.
func TestReadsWithoutLeader(t *testing.T) {
	n := serve(t, Config{})
	n.group.read = func(ctx context.Context) error {
		<-ctx.Done()
		return fmt.Errorf("%w: %w", ctx.Err(), member.ErrNotLeader)
	}
	began := time.Now()
	a := n.do("GET", "/api/v1/domains", "").want(t, 200, nil)
	if took := time.Since(began); took < readTimeout || took > 2*readTimeout {
		t.Errorf("it took %s", took)
	}
	if got := a.Header.Get(staleHeader); got != "not up with the leader within 1.5s" {
		t.Errorf("stale %q", got)
	}
	n.group.read, n.group.lost = func(context.Context) error { return errors.New("gone") }, true
	for _, path := range shows() {
		for _, query := range []string{"", "?consistency=local"} {
			a = n.do("GET", path+query, "").want(t, 200, nil)
			if got := a.Header.Get(staleHeader); got != "no leader is known" {
				t.Errorf("%s%s: stale %q", path, query, got)
			}
		}
	}
	a = n.do("PUT", "/api/v1/config", `{"dry_run":true,`+oneDomain+`}`).want(t, 200, nil)
	if a.Header.Get(staleHeader) == "" {
		t.Error("a dry run against an old copy is not marked")
	}
}

// What is made of the state is not made of an old copy: a config whose marks stand for
// the keys in force, a revision that may have come since, a backup of another cluster.
func TestChangesWithoutLeader(t *testing.T) {
	n := serve(t, Config{})
	n.do("PUT", "/api/v1/config", "{"+oneDomain+"}").want(t, 200, nil)
	n.group.read = func(context.Context) error { return member.ErrNotLeader }
	n.do("PUT", "/api/v1/config", "{"+oneDomain+"}").want(t, 503, nil)
	n.do("POST", "/api/v1/rollback", `{"revision":2}`).want(t, 503, nil)
	n.do("POST", "/api/v1/rollback", `{"revision":1}`).want(t, 503, nil)
	n.do("POST", "/api/v1/raft/restore", "backup", "Content-Type: "+bytesType).want(t, 503, nil)
	if got := n.configs.Config().Revision(); got != 1 {
		t.Errorf("revision %d", got)
	}
}

func TestRotateKey(t *testing.T) {
	n := serve(t, Config{})
	const path = "/api/v1/gossip/key/rotate"
	n.rotate = func(skip bool) (gossip.Report, error) {
		return gossip.Report{
			Nodes: []string{"one", "two"}, Rounds: []gossip.Round{{Action: "add", Nodes: 2}},
			Skipped: []string{strconv.FormatBool(skip)},
		}, nil
	}
	a := n.do("POST", path, `{"skip_absent":true}`).want(t, 200, nil)
	if got := strings.TrimSpace(string(a.body)); got != `{"nodes":["one","two"],"rounds":[{"action":"add","nodes":2}],"skipped":["true"]}` {
		t.Errorf("got %s", got)
	}
	for status, err := range map[int]error{
		409: fmt.Errorf("%w: two leads it", gossip.ErrRotating),
		503: fmt.Errorf("%w in round one: three: no answer", gossip.ErrRotationStopped),
		400: fmt.Errorf("%w: this node is alone", member.ErrInvalid),
		403: member.ErrForbidden,
	} {
		n.rotate = func(bool) (gossip.Report, error) { return gossip.Report{}, err }
		if a = n.do("POST", path, `{}`).want(t, status, nil); !strings.Contains(string(a.body), err.Error()) {
			t.Errorf("got %s", a.body)
		}
	}
	n.do("POST", path, `{"key":"AAAA"}`).want(t, 422, nil)
	n.do("GET", path, "").want(t, 405, nil)
}

func TestRevocations(t *testing.T) {
	n := serve(t, Config{})
	var got revocationsReply
	n.do("GET", "/api/v1/revocations", "").want(t, 200, &got)
	if len(got.Revocations) != 2 || got.Revocations[0].Serial != "5f" || got.Revocations[1].Node != "e1" ||
		!got.Revocations[0].At.Equal(time.Unix(1, 0)) || got.Revocations[1].By != "ops" {
		t.Errorf("%+v", got)
	}
}
