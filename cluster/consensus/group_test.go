package consensus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"tmms/cluster/fabric"
	"tmms/cluster/state"
)

// peers reaches the other nodes of a test directly.
type peers struct {
	mu    sync.Mutex
	nodes map[string]*Node // by name
	ears  ears
}

func (p *peers) set(n *Node) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.nodes == nil {
		p.nodes = map[string]*Node{}
	}
	p.nodes[n.cfg.Name] = n
}

func (p *peers) leader() *Node {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range p.nodes {
		if n.leading.Load() != nil {
			return n
		}
	}
	return nil
}

func (p *peers) Hello(_ context.Context, to fabric.Target) (Hello, error) {
	p.mu.Lock()
	n := p.nodes[to.Name]
	p.mu.Unlock()
	if n == nil {
		return Hello{}, errors.New("no such node")
	}
	return n.Hello()
}

func (p *peers) Propose(ctx context.Context, c state.Command) (uint64, any, error) {
	if l := p.leader(); l != nil {
		return l.Lead(ctx, c)
	}
	return 0, nil, ErrNotLeader
}

func (p *peers) ReadIndex(ctx context.Context) (uint64, error) {
	if l := p.leader(); l != nil {
		return l.LeaderReadIndex(ctx)
	}
	return 0, ErrNotLeader
}

func (p *peers) Renew(_ context.Context, id string, starting bool) error {
	if l := p.leader(); l != nil {
		return l.RenewLease(id, starting)
	}
	return ErrNotLeader
}

func (p *peers) Join(ctx context.Context, name, address string) error {
	if l := p.leader(); l != nil {
		return l.Join(ctx, name, address)
	}
	return ErrNotLeader
}

func (p *peers) Remove(ctx context.Context, name string) error {
	if l := p.leader(); l != nil {
		return l.Remove(ctx, name)
	}
	return ErrNotLeader
}

func (p *peers) Revoke(ctx context.Context, r Revocation) (state.RevokeResult, error) {
	if l := p.leader(); l != nil {
		return l.LeadRevoke(ctx, r)
	}
	return state.RevokeResult{}, ErrNotLeader
}

func (p *peers) Transfer(ctx context.Context, to string) (string, error) {
	if l := p.leader(); l != nil {
		return l.LeadTransfer(ctx, to)
	}
	return "", ErrNotLeader
}

func (p *peers) Level(ctx context.Context, level int) (Levels, error) {
	if l := p.leader(); l != nil {
		return l.LeadLevel(ctx, level)
	}
	return Levels{}, ErrNotLeader
}

func (p *peers) Status(context.Context) (Status, error) {
	if l := p.leader(); l != nil {
		return l.LocalStatus()
	}
	return Status{}, ErrNotLeader
}

// group starts n voters that reach each other through memory; log may be nil.
func group(t *testing.T, n int, heartbeat time.Duration, log *slog.Logger) []*running {
	t.Helper()
	return groupOf(t, n, func(cfg *Config, deps *Deps) { cfg.Heartbeat, deps.Log = heartbeat, log })
}

// groupOf is group with what change makes of each node.
func groupOf(t *testing.T, n int, change func(cfg *Config, deps *Deps)) []*running {
	t.Helper()
	var voters []Voter
	var transports []*raft.InmemTransport
	for i := range n {
		name := fmt.Sprint("n", i)
		_, tr := raft.NewInmemTransport(raft.ServerAddress(name))
		for _, other := range transports {
			tr.Connect(other.LocalAddr(), other)
			other.Connect(tr.LocalAddr(), tr)
		}
		transports = append(transports, tr)
		voters = append(voters, Voter{Name: name, Address: name})
	}
	var nodes []*running
	p := &peers{}
	for i := range n {
		cfg, deps := Config{Name: voters[i].Name, Voters: voters}, Deps{Transport: transports[i], Peers: p, Witnesses: &p.ears}
		change(&cfg, &deps)
		r := start(t, cfg, deps)
		p.set(r.Node)
		nodes = append(nodes, r)
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
	nodes := group(t, 3, 100*time.Millisecond, nil)
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
		mine, err := r.Claim(t.Context(), key(r.ID()))
		if got, ok := r.Placement(key(r.ID())); err != nil || !ok || got != mine || mine.Owner != r.ID() {
			t.Errorf("a follower's claim: %+v, %v; its own copy has %+v", mine, err, got)
		}
		if id, _, ok := r.Leader(); !ok || id != leader.ID() {
			t.Errorf("%s thinks %q leads", r.ID(), id)
		}
	}

	leader.end(t)
	next, _ := leaderOf(t, others)
	var owned *state.OwnedError
	if _, err := next.Claim(t.Context(), key("x")); !errors.As(err, &owned) {
		t.Fatalf("a claim is decided by the new leader: %v", err)
	}
	if owned.Placement != p {
		t.Errorf("the new leader knows %+v, want %+v", owned.Placement, p)
	}
}

// A leader that is stopped hands its leadership over: nobody waits for an
// election timeout, and a write is never refused. Requirement: C5.
func TestLeaderHandsOver(t *testing.T) {
	logs := &logBuffer{}
	// Longer than a busy machine holds a goroutine up.
	const heartbeat = 2 * time.Second
	nodes := group(t, 3, heartbeat, slog.New(slog.NewTextHandler(logs, nil)))
	leader, others := leaderOf(t, nodes)
	logs.reset()
	leader.end(t)
	for i, r := range others {
		if _, err := r.Claim(t.Context(), key(fmt.Sprint("after", i))); err != nil {
			t.Errorf("a claim after the leader's end: %v", err)
		}
	}
	text := logs.String()
	if !strings.Contains(text, "leadership was given up") || strings.Contains(text, "heartbeat timeout reached") {
		t.Errorf("the log says\n%s", text)
	}
	next, _ := leaderOf(t, others)
	last := others[0]
	if last == next {
		last = others[1]
	}
	last.end(t)
	next.end(t) // nobody answers it
}

// A voter that was cut off and comes back does not depose the leader: it asks for
// votes only once it might get them (pre-vote), so its term has not risen.
// Requirement: C5.
func TestCutOffVoterDoesNotDisturb(t *testing.T) {
	logs := &logBuffer{}
	nodes := group(t, 3, 100*time.Millisecond, slog.New(slog.NewTextHandler(logs, &slog.HandlerOptions{Level: slog.LevelDebug})))
	leader, others := leaderOf(t, nodes)
	lost, rest := others[0], []*running{leader, others[1]}
	wires := func(r *running) *raft.InmemTransport { return r.transport.(*raft.InmemTransport) }
	for _, r := range rest {
		wires(r).Disconnect(lost.address)
		wires(lost).Disconnect(r.address)
	}
	logs.reset()
	asked := func(times int) func() bool {
		return func() bool {
			return lost.raft.Load().State() == raft.Candidate && strings.Count(logs.String(), "pre-vote") > times
		}
	}
	eventually(t, "it asks for pre-votes", asked(4))
	before := lost.raft.Load().CurrentTerm()
	eventually(t, "it has asked many times", asked(20))
	if _, err := leader.Claim(t.Context(), key("meanwhile")); err != nil {
		t.Fatal(err)
	}
	if got := lost.raft.Load().CurrentTerm(); got > before { // with a higher one it would depose the leader
		t.Errorf("its term rose from %d to %d", before, got)
	}
	for _, r := range rest {
		wires(r).Connect(lost.address, wires(lost))
		wires(lost).Connect(r.address, wires(r))
	}
	eventually(t, "it follows", func() bool {
		_, _, known := lost.Leader()
		_, placed := lost.Placement(key("meanwhile"))
		return known && placed
	})
}

// logBuffer is a log that can be read while it is written.
type logBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logBuffer) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b.Reset()
}
