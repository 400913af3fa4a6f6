package consensus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"tmms/cluster/state"
	"tmms/media"
)

// attempt is a [member.Attempt]: here if this node leads, else with the leader.
func (n *Node) attempt(ctx context.Context, c state.Command) (uint64, any, error) {
	if _, err := n.whenReady(ctx); err != nil {
		return 0, nil, err
	}
	if n.peers != nil && !n.IsLeader() {
		return n.forward(ctx, c)
	}
	index, result, err := n.Lead(ctx, c)
	if n.peers != nil && errors.Is(err, ErrNotLeader) {
		return n.forward(ctx, c)
	}
	return index, result, err
}

func (n *Node) forward(ctx context.Context, c state.Command) (uint64, any, error) {
	select {
	case <-n.done:
		return 0, nil, ErrStopped
	default:
		return n.peers.Propose(ctx, c)
	}
}

// Lead replicates a command if this node leads, and gives its index and its
// result, which may be a refusal. Otherwise the error wraps ErrNotLeader,
// ErrUncertain or ErrInvalid.
func (n *Node) Lead(ctx context.Context, c state.Command) (index uint64, result any, err error) {
	r, err := n.whenReady(ctx)
	if err != nil {
		return 0, nil, err
	}
	if fault := n.Trouble(); fault != nil {
		return 0, nil, fmt.Errorf("%w: %w", ErrNotLeader, fault)
	}
	if err = n.allowed(c); err != nil {
		return 0, nil, err
	}
	if err = n.check(c); err != nil {
		return 0, nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if c, err = n.completed(c); err != nil {
		return 0, nil, err
	}
	b, err := state.Encode(c)
	if err != nil {
		return 0, nil, err
	}
	if len(b) > media.MaxConfigBytes {
		return 0, nil, fmt.Errorf("%w: %d bytes, the limit is %d", ErrInvalid, len(b), media.MaxConfigBytes)
	}
	n.signOfLife(c)
	n.hold(ctx, c)
	began := time.Now()
	f, err := await(ctx, n, func() (raft.ApplyFuture, error) {
		if fault := n.endow(c); fault != nil {
			return nil, fault
		}
		f := r.Apply(b, n.cfg.ApplyTimeout)
		return f, f.Error()
	})
	if err != nil {
		return 0, nil, translate(err)
	}
	n.raftTimes.committed(time.Since(began))
	n.countMoves(c, f.Response())
	return f.Index(), f.Response(), nil
}

// countMoves counts what an owner has asked for: its streams at their standbys. Some it
// was asked to give away.
func (n *Node) countMoves(c state.Command, result any) {
	switch c := c.(type) {
	case state.Move:
		if _, placed := result.(state.Placement); !placed {
			return
		}
		if l := n.leads(); l != nil && l.relieved.has(c) {
			n.verdicts.moved(byBalance, 1)
			return
		}
		n.verdicts.moved(byOwner, 1)
	case state.FailOver:
		if r, ok := result.(state.FailOverResult); ok {
			n.verdicts.moved(byOwner, r.Moved)
		}
	}
}

// signOfLife renews the lease of a node that claims: it is there.
func (n *Node) signOfLife(c state.Command) {
	l := n.leads()
	if l == nil {
		return
	}
	switch c := c.(type) {
	case state.Claim:
		l.renew(c.Node)
	case state.Resume:
		l.renew(c.Node)
	}
}

// check refuses what must not get into the log. The limits may change between
// versions, so the state machine itself does not know them.
func (n *Node) check(c state.Command) error {
	switch c := c.(type) {
	case state.Claim:
		return errors.Join(media.StreamKey(c.Key).Validate(), checkID(c.Node))
	case state.Resume:
		return errors.Join(media.StreamKey(c.Key).Validate(), checkID(c.Node))
	case state.SetStandby:
		return errors.Join(media.StreamKey(c.Key).Validate(), checkName(c.From), checkName(c.To))
	case state.Move:
		return errors.Join(media.StreamKey(c.Key).Validate(), checkID(c.To))
	case state.SetDrain:
		return errors.Join(checkID(c.Node), checkName(c.By))
	case state.Checked:
		return errors.Join(c.Check(), n.checkToken(c))
	case state.RemoveNode:
		return checkID(c.Node)
	case state.ExpireNode:
		return checkID(c.Node)
	case state.FailOver:
		return checkID(c.Node)
	case state.UpsertNode:
		return n.checkNode(c.Node)
	case state.Restore:
		return n.checkRestore(c)
	case state.SetConfig:
		if err := c.Document.Validate(); err != nil {
			return err
		}
		_, err := state.NewConfig(1, &c.Document)
		return err
	}
	return fmt.Errorf("a %T is for the leader alone", c)
}

func (n *Node) checkNode(d state.Node) error {
	if _, known := n.Node(d.ID); !known && len(n.Nodes()) >= media.MaxNodes {
		return fmt.Errorf("the cluster has %d nodes, the limit", media.MaxNodes)
	}
	if len(d.Name) > media.MaxName || len(d.Roles) > maxRoles || len(d.Addresses) > maxAddresses {
		return fmt.Errorf("node %.40q with %d roles and %d addresses is too large", d.Name, len(d.Roles), len(d.Addresses))
	}
	if d.Level < 0 || d.Level > maxLevel {
		return fmt.Errorf("node %.40q has the feature level %d, the limits are 0 and %d", d.Name, d.Level, maxLevel)
	}
	for _, s := range []string{d.Region, d.Zone, d.Version} {
		if len(s) > media.MaxName {
			return fmt.Errorf("%.40q has %d bytes, the limit is %d", s, len(s), media.MaxName)
		}
	}
	for k, a := range d.Addresses {
		if len(k) > media.MaxName || len(a) > media.MaxName {
			return fmt.Errorf("address %.40q at %.40q is too long, the limit is %d", k, a, media.MaxName)
		}
	}
	return checkID(d.ID)
}

// Bounds of a node's description.
const (
	maxRoles     = 8
	maxAddresses = 16
)

// checkName bounds what may be empty.
func checkName(s string) error {
	if len(s) > media.MaxName {
		return fmt.Errorf("%.40q has %d bytes, the limit is %d", s, len(s), media.MaxName)
	}
	return nil
}

func checkID(id string) error {
	if id == "" || len(id) > media.MaxName {
		return fmt.Errorf("node id %.40q has %d bytes, the limits are 1 and %d", id, len(id), media.MaxName)
	}
	return nil
}

// await runs call on a goroutine of its own, which stop waits for, and gives up
// waiting when ctx ends.
func await[T any](ctx context.Context, n *Node, call func() (T, error)) (result T, err error) {
	n.callMu.Lock()
	if n.closed {
		n.callMu.Unlock()
		return result, ErrStopped
	}
	n.calls.Add(1)
	n.callMu.Unlock()
	type outcome struct {
		result T
		err    error
	}
	done := make(chan outcome, 1)
	go func() {
		defer n.calls.Done()
		got, fault := call()
		done <- outcome{got, fault}
	}()
	select {
	case o := <-done:
		return o.result, o.err
	case <-ctx.Done():
		return result, context.Cause(ctx)
	}
}

// translate hides raft's own errors behind ours.
func translate(err error) error {
	switch {
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipTransferInProgress),
		errors.Is(err, raft.ErrEnqueueTimeout):
		return fmt.Errorf("%w: %w", ErrNotLeader, err)
	case errors.Is(err, raft.ErrLeadershipLost):
		return fmt.Errorf("%w: %w", ErrUncertain, err)
	case errors.Is(err, raft.ErrRaftShutdown):
		return fmt.Errorf("%w: %w", ErrStopped, err)
	}
	return err
}
