package consensus

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"tmms/cluster/pki"
	"tmms/cluster/state"
	"tmms/media"
)

// promiseLife is how long a name is kept for the node that was let in under it: until
// it has told the cluster of itself.
const promiseLife = time.Minute

// promises are names of nodes that were let in and are not known yet.
type promises struct {
	mu  sync.Mutex
	key map[string]promise // guarded by mu; by name
}

type promise struct {
	key   string // hash of the node's key
	until time.Time
}

// take keeps a name for a key, if it is not kept for another.
func (p *promises) take(name, key string, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for n, kept := range p.key {
		if !now.Before(kept.until) {
			delete(p.key, n)
		}
	}
	if kept, ok := p.key[name]; ok && kept.key != key || !ok && len(p.key) >= media.MaxNodes {
		return false
	}
	if p.key == nil {
		p.key = make(map[string]promise)
	}
	p.key[name] = promise{key, now.Add(promiseLife)}
	return true
}

// checkToken refuses what only the leader knows to be wrong with a token, or its use.
func (n *Node) checkToken(c state.Command) error {
	switch c := c.(type) {
	case state.PutToken:
		return n.roomForToken()
	case state.UseToken:
		return n.nameFree(c)
	}
	return nil
}

// roomForToken refuses one join token too many.
func (n *Node) roomForToken() error {
	now, there := n.now().UnixMilli(), 0
	for _, t := range n.JoinTokens() {
		if t.UntilUnixMS > now {
			there++
		}
	}
	if there >= media.MaxJoinTokens {
		return fmt.Errorf("%d join tokens are there, the limit is %d: revoke some", there, media.MaxJoinTokens)
	}
	return nil
}

// nameFree refuses to let a node in under the name of another one: one that lives, is a
// member of the raft group, or is an origin where the newcomer is none.
func (n *Node) nameFree(c state.UseToken) error {
	l := n.leads()
	if l == nil {
		return ErrNotLeader
	}
	taken := func(by string) error {
		return &state.TokenError{
			ID: c.ID, Reason: fmt.Sprintf("was shown by a node named %.64q, which is the name of %s", c.Node, by),
		}
	}
	now := time.Now()
	for _, s := range l.servers() {
		if string(s.Address) == c.Node {
			return taken("a member of the raft group")
		}
	}
	for _, d := range n.Nodes() {
		switch {
		case d.Name != c.Node:
		case l.alive(d.ID, now):
			return taken("a node that lives")
		case slices.Contains(d.Roles, pki.RoleOrigin) && !slices.Contains(c.Roles, pki.RoleOrigin):
			return taken("an origin")
		}
	}
	if !l.promised.take(c.Node, c.Key, now) {
		return taken("a node that was let in just now")
	}
	return nil
}

// dropTokens takes those off the list that have ended.
func (l *leadership) dropTokens(time.Time) error {
	at := l.node.now().UnixMilli()
	if !slices.ContainsFunc(l.node.JoinTokens(), func(t state.JoinToken) bool { return t.UntilUnixMS <= at }) {
		return nil
	}
	return l.node.command(l.raft, state.DropToken{AtUnixMS: at})
}
