package consensus

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/raft"

	"tmms/cluster/state"
	"tmms/media"
)

// Why a command is refused, beside what package state says.
var (
	// ErrNotLeader refuses a write on a node that does not lead; Leader says who does.
	ErrNotLeader = errors.New("consensus: this node is not the leader")
	// ErrUncertain says that the command may or may not come into force: the
	// leader lost its leadership meanwhile.
	ErrUncertain = errors.New("consensus: leadership was lost; the command may still be applied")
	// ErrStopped refuses everything after the end of Run.
	ErrStopped = errors.New("consensus: stopped")
)

// Claim makes this node the owner of a stream in a new epoch. The error is a
// *state.OwnedError while another node owns it. It waits for Ready, and for the
// disk; ctx bounds the wait, after which the claim may still come into force.
func (n *Node) Claim(ctx context.Context, key media.StreamKey) (state.Placement, error) {
	if err := key.Validate(); err != nil {
		return state.Placement{}, fmt.Errorf("consensus: claim: %w", err)
	}
	result, err := n.propose(ctx, state.Claim{Key: state.Key(key), Node: n.id, AtUnixMS: n.now().UnixMilli()})
	if err != nil {
		return state.Placement{}, fmt.Errorf("consensus: claim: %w", err)
	}
	return resultOf[state.Placement](result)
}

// Release gives up the ownership that Claim gave with epoch. Releasing what is
// not placed is no error; a later epoch is a *state.StaleEpochError.
func (n *Node) Release(ctx context.Context, key media.StreamKey, epoch uint64) error {
	if _, err := n.propose(ctx, state.Release{Key: state.Key(key), Epoch: epoch}); err != nil {
		return fmt.Errorf("consensus: release: %w", err)
	}
	return nil
}

// SetConfig validates a document, hashes its publish keys, and puts it in force
// in the whole cluster if base is the current revision or state.AnyRevision. It
// returns the revision in force; the same document again takes no new one. The
// error is a *state.FaultsError or a *state.ConflictError. doc is not modified;
// by names who asks, for the history.
func (n *Node) SetConfig(ctx context.Context, base uint64, doc *state.Document, by string) (uint64, error) {
	if err := doc.Validate(); err != nil {
		return 0, err
	}
	doc = doc.Normalize()
	doc.HashKeys(n.Config(), newSalt)
	c := state.SetConfig{AtUnixMS: n.now().UnixMilli(), By: by, Document: *doc}
	if base != state.AnyRevision {
		c.BaseRevision = &base
	}
	result, err := n.propose(ctx, c)
	if err != nil {
		return 0, fmt.Errorf("consensus: set config: %w", err)
	}
	r, err := resultOf[state.SetConfigResult](result)
	return r.Revision, err
}

// UpsertNode tells the cluster about a node, usually this one; an empty ID
// means this one, and the time is set here.
func (n *Node) UpsertNode(ctx context.Context, node state.Node) error {
	if node.ID == "" {
		node.ID = n.id
	}
	node.AtUnixMS = n.now().UnixMilli()
	if _, err := n.propose(ctx, state.UpsertNode{Node: node}); err != nil {
		return fmt.Errorf("consensus: upsert node: %w", err)
	}
	return nil
}

// Snapshot writes a snapshot now and shortens the log. Nothing to write is no
// error.
func (n *Node) Snapshot(ctx context.Context) error {
	r, err := n.whenReady(ctx)
	if err != nil {
		return err
	}
	err = n.await(ctx, func() error { return r.Snapshot().Error() })
	if err != nil && !errors.Is(err, raft.ErrNothingNewToSnapshot) {
		return fmt.Errorf("consensus: snapshot: %w", err)
	}
	return nil
}

// propose replicates a command and gives its result once it is applied here.
// A result that is an error is returned as one.
func (n *Node) propose(ctx context.Context, c state.Command) (any, error) {
	b, err := state.Encode(c)
	if err != nil {
		return nil, err
	}
	if len(b) > media.MaxConfigBytes {
		return nil, fmt.Errorf("%d bytes, the limit is %d", len(b), media.MaxConfigBytes)
	}
	r, err := n.whenReady(ctx)
	if err != nil {
		return nil, err
	}
	var result any
	err = n.await(ctx, func() error {
		f := r.Apply(b, n.cfg.ApplyTimeout)
		fault := f.Error()
		if fault == nil {
			result = f.Response()
		}
		return fault
	})
	if err != nil {
		return nil, translate(err)
	}
	if refusal, ok := result.(error); ok {
		return nil, refusal
	}
	return result, nil
}

func (n *Node) whenReady(ctx context.Context) (*raft.Raft, error) {
	select {
	case <-n.ready:
		return n.raft.Load(), nil
	case <-n.done:
		return nil, ErrStopped
	case <-ctx.Done():
		return nil, fmt.Errorf("consensus is not ready: %w", context.Cause(ctx))
	}
}

// await runs call on a goroutine of its own, which stop waits for, and gives up
// waiting when ctx ends.
func (n *Node) await(ctx context.Context, call func() error) error {
	n.callMu.Lock()
	if n.closed {
		n.callMu.Unlock()
		return ErrStopped
	}
	n.calls.Add(1)
	n.callMu.Unlock()
	done := make(chan error, 1)
	go func() {
		defer n.calls.Done()
		done <- call()
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// translate hides raft's own errors behind ours.
func translate(err error) error {
	switch {
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipTransferInProgress):
		return fmt.Errorf("%w: %w", ErrNotLeader, err)
	case errors.Is(err, raft.ErrLeadershipLost):
		return fmt.Errorf("%w: %w", ErrUncertain, err)
	case errors.Is(err, raft.ErrRaftShutdown):
		return fmt.Errorf("%w: %w", ErrStopped, err)
	}
	return err
}

func resultOf[T any](result any) (T, error) {
	v, ok := result.(T)
	if !ok {
		return v, fmt.Errorf("consensus: result %T, want %T", result, v)
	}
	return v, nil
}
