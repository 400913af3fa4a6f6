package consensus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"tmms/cluster/fabric"
)

const (
	helloPause   = 250 * time.Millisecond
	helloTimeout = 2 * time.Second
)

// action is what a node without state does.
type action uint8

const (
	wait  action = iota // ask again
	found               // begin the group
	join                // start raft and wait for the leader
)

// answer is a voter's Hello, or why there is none.
type answer struct {
	Hello
	err error
}

// decide tells what a node without state does, given what the other voters
// answered. A group is begun only if every voter that the config names has
// answered, has no state, names the same voters and trusts the same CA, and
// only by the voter with the lowest name: so at most once. Any state found
// means that there is a group already. reason says what a node waits for; bad
// means that waiting alone will not help.
func decide(self Hello, others map[string]answer) (act action, reason string, bad bool) {
	if !slices.ContainsFunc(self.Voters, func(v Voter) bool { return v.Name == self.Name }) {
		return join, "this node is not among the configured voters", false
	}
	if self.Rejoins {
		return join, "this node has lost its state", false
	}
	var missing, faults []string
	for _, v := range self.Voters {
		if v.Name == self.Name {
			continue
		}
		a, asked := others[v.Name]
		switch {
		case !asked || a.err != nil:
			missing = append(missing, fmt.Sprintf("%s at %s (%v)", v.Name, v.Address, a.err))
		case a.CAFingerprint != self.CAFingerprint:
			faults = append(faults, fmt.Sprintf("%s trusts the CA %.16s, this node %.16s",
				v.Name, a.CAFingerprint, self.CAFingerprint))
		case a.HasState, a.Rejoins:
			return join, v.Name + " has, or had, state", false
		case !slices.Equal(a.Voters, self.Voters):
			faults = append(faults, fmt.Sprintf("%s is configured with the voters %s, this node with %s",
				v.Name, voterList(a.Voters), voterList(self.Voters)))
		}
	}
	switch {
	case len(faults) > 0:
		return wait, strings.Join(faults, "; "), true
	case len(missing) > 0:
		return wait, "no answer from " + strings.Join(missing, ", "), false
	case self.Voters[0].Name != self.Name: // they are sorted
		return wait, self.Voters[0].Name + " is to begin the group", false
	}
	return found, "", false
}

func voterList(voters []Voter) string {
	list := make([]string, 0, len(voters))
	for _, v := range voters {
		list = append(list, v.Name+"="+v.Address)
	}
	return strings.Join(list, ",")
}

// founding asks the other voters until it is clear whether this node, which has
// no state, begins the group. servers are those to begin with, none means join.
func (n *Node) founding(ctx context.Context) (servers []raft.Server, err error) {
	if n.cfg.alone() {
		n.first.Store(int64(*n.cfg.Level))
		return []raft.Server{{ID: raft.ServerID(n.ID()), Address: n.address}}, nil
	}
	last := ""
	for {
		self, err := n.Hello()
		if err != nil {
			return nil, err
		}
		others := n.askVoters(ctx)
		if err = n.fits(others); err != nil {
			return nil, fmt.Errorf("consensus: %w", err)
		}
		act, reason, bad := decide(self, others)
		switch act {
		case join:
			n.log.Info("waiting to be added to the group", slog.String("node", n.cfg.Name), slog.String("reason", reason))
			return nil, nil
		case found:
			return n.founders(others), nil
		case wait:
		}
		if reason != last {
			n.logWaiting(reason, bad)
			last = reason
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(helloPause):
		}
	}
}

func (n *Node) logWaiting(reason string, bad bool) {
	if bad {
		n.log.Error("the group cannot begin", slog.String("node", n.cfg.Name), slog.String("reason", reason))
		return
	}
	n.log.Info("the group has not begun", slog.String("node", n.cfg.Name), slog.String("reason", reason))
}

func (n *Node) founders(others map[string]answer) []raft.Server {
	servers := make([]raft.Server, 0, len(n.cfg.Voters))
	level := *n.cfg.Level
	for _, v := range n.cfg.Voters {
		id := n.ID()
		if v.Name != n.cfg.Name {
			id, level = others[v.Name].ID, min(level, others[v.Name].Level)
		}
		servers = append(servers, raft.Server{ID: raft.ServerID(id), Address: raft.ServerAddress(v.Name)})
	}
	n.first.Store(int64(level))
	return servers
}

// askVoters says hello to all other voters at once.
func (n *Node) askVoters(ctx context.Context) map[string]answer {
	ctx, cancel := context.WithTimeout(ctx, helloTimeout)
	defer cancel()
	var mu sync.Mutex
	var wg sync.WaitGroup
	answers := map[string]answer{}
	for _, v := range n.cfg.Voters {
		if v.Name == n.cfg.Name {
			continue
		}
		wg.Go(func() {
			a := n.ask(ctx, fabric.Target{Name: v.Name, Addr: v.Address})
			mu.Lock()
			defer mu.Unlock()
			answers[v.Name] = a
		})
	}
	wg.Wait()
	return answers
}

func (n *Node) ask(ctx context.Context, to fabric.Target) answer {
	h, err := n.peers.Hello(ctx, to)
	if err == nil && (h.Name != to.Name || h.ID == "") {
		err = fmt.Errorf("it says it is %q with id %q", h.Name, h.ID)
	}
	return answer{h, err}
}

// Hello is what this node says of itself to others; an error while it does not
// know yet whether it has state.
func (n *Node) Hello() (Hello, error) {
	st := n.stores.Load()
	if st == nil {
		return Hello{}, errStarting
	}
	has, err := raft.HasExistingState(st.logs, st.stable, st.snaps)
	if err != nil {
		return Hello{}, fmt.Errorf("consensus: read the raft log: %w", err)
	}
	trouble := ""
	if err = n.Trouble(); err != nil {
		trouble = err.Error()
	}
	return Hello{
		ID: n.ID(), Name: n.cfg.Name, CAFingerprint: n.cfg.CAFingerprint, Voters: n.cfg.Voters,
		HasState: has, ClusterID: n.ClusterID(), Applied: n.AppliedIndex(),
		Serial: n.serial(), Level: *n.cfg.Level, ClusterLevel: n.FeatureLevel(), Rejoins: n.rejoins(), Trouble: trouble,
		Slow: n.slowDisk(),
	}, nil
}

var errStarting = errors.New("the node is starting")
