package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"tmms/cluster/consensus"
	"tmms/cluster/gossip"
	"tmms/cluster/member"
	"tmms/cluster/state"
)

// operator does what operators ask of the whole cluster. It implements
// admin.RaftGroup and admin.KeyRotator.
type operator struct {
	group // its reads

	n *Node
}

// operator is what the admin port has of it.
func (n *Node) operator() operator { return operator{group: n.group, n: n} }

// errAlone refuses what needs a cluster.
var errAlone = fmt.Errorf("%w: this node is alone, its config has no cluster", member.ErrInvalid)

// Join adds a node to the raft group.
func (o operator) Join(ctx context.Context, name, address string) error {
	if o.n.alone() {
		return errAlone
	}
	return o.group.Join(ctx, name, address)
}

// Transfer hands the leadership over.
func (o operator) Transfer(ctx context.Context, nameOrID string) (string, error) {
	if o.n.alone() {
		return "", errAlone
	}
	return o.group.Transfer(ctx, nameOrID)
}

// Remove takes a node out of the raft group.
func (o operator) Remove(ctx context.Context, nameOrID string) error {
	if o.n.alone() {
		return errAlone
	}
	return o.group.Remove(ctx, nameOrID)
}

// Revoke takes certificates of nodes out of use, but for this node's own: the
// answer would not come.
func (o operator) Revoke(ctx context.Context, r consensus.Revocation) (state.RevokeResult, error) {
	if o.n.alone() {
		return state.RevokeResult{}, errAlone
	}
	if serial := o.n.backbone.identity.Serial(); r.Node == o.n.cfg.Node.Name || r.Serial == serial {
		return state.RevokeResult{}, fmt.Errorf("%w: it is the certificate of %s itself: ask another node",
			member.ErrInvalid, o.n.cfg.Node.Name)
	}
	return o.group.Revoke(ctx, r)
}

// operations are what a node has for its operators.
type operations struct {
	// Set at construction.
	keeper    *gossip.Keeper
	rotations chan rotation // one that waits for its turn

	rotating atomic.Bool
	voters   atomic.Pointer[consensus.Status] // as the leader told a node without a vote
}

// newOperations comes when the gossip is there.
func (n *Node) newOperations(context.Context) error {
	n.operations = &operations{
		keeper:    gossip.NewKeeper(n.backbone.gossip, n.saveGossipKeys),
		rotations: make(chan rotation, 1),
	}
	return nil
}

// operationParts run for the operators.
func (n *Node) operationParts() []Part {
	parts := []Part{{"gossip key", n.rotateKeys}}
	if _, votes := n.group.(localStatus); !votes {
		parts = append(parts, Part{"voters", n.followVoters})
	}
	return parts
}

// localStatus is what a node with a vote has, and one without has not.
type localStatus interface {
	LocalStatus() (consensus.Status, error)
}

// Of the look for changes of the raft group.
const (
	votersInterval = 10 * time.Second
	votersTimeout  = 3 * time.Second
)

// followVoters keeps a node without a vote up to date on who has one.
func (n *Node) followVoters(ctx context.Context) error {
	ticker := time.NewTicker(votersInterval)
	defer ticker.Stop()
	for {
		asking, cancel := context.WithTimeout(ctx, votersTimeout)
		if s, err := n.group.Status(asking); err == nil {
			n.operations.voters.Store(&s)
		}
		cancel()
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// raftServers are the members of the raft group, as far as this node knows; false
// before it has heard of any.
func (n *Node) raftServers() ([]consensus.Server, bool) {
	if voter, ok := n.group.(localStatus); ok {
		s, err := voter.LocalStatus()
		return s.Servers, err == nil && len(s.Servers) > 0
	}
	s := n.operations.voters.Load()
	if s == nil {
		return nil, false
	}
	return s.Servers, true
}

// errNotOrigin refuses what only origins may ask of others.
var errNotOrigin = fmt.Errorf("%w: its certificate has not the role origin", member.ErrForbidden)

var errQueryArgs = errors.New("the query is not understood")

// decodeArgs reads the arguments of a query. Its error does not show them: they
// may hold a secret.
func decodeArgs[T any](args json.RawMessage) (v T, err error) {
	if json.Unmarshal(args, &v) != nil {
		return v, fmt.Errorf("%w: %w", member.ErrInvalid, errQueryArgs)
	}
	return v, nil
}
