package consensus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
)

// readPause is the time between two attempts to reach the leader.
const readPause = 100 * time.Millisecond

// ReadIndex returns when the local copy has everything that was committed
// before the call: what is read then is linearizable. It gives the index of the
// last such command, and waits for a leader until ctx ends.
func (n *Node) ReadIndex(ctx context.Context) (uint64, error) {
	for {
		index, err := n.readOnce(ctx)
		if err == nil {
			return index, n.WaitIndex(ctx, index)
		}
		if n.peers == nil || errors.Is(err, ErrStopped) {
			return 0, err
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("consensus: read index: %w: %w", context.Cause(ctx), err)
		case <-time.After(readPause):
		}
	}
}

func (n *Node) readOnce(ctx context.Context) (uint64, error) {
	if n.peers == nil || n.leads() != nil {
		index, err := n.LeaderReadIndex(ctx)
		if n.peers == nil || !errors.Is(err, ErrNotLeader) {
			return index, err
		}
	}
	return n.peers.ReadIndex(ctx)
}

// LeaderReadIndex is the leader's part of [Node.ReadIndex]; elsewhere it is
// ErrNotLeader. A new leader has a barrier of its term behind it before it
// answers, so its commit index is not an old one.
func (n *Node) LeaderReadIndex(ctx context.Context) (uint64, error) {
	l, st := n.leads(), n.stores.Load()
	if l == nil || st == nil {
		return 0, ErrNotLeader
	}
	commit := l.raft.CommitIndex()
	_, err := await(ctx, n, func() (struct{}, error) { return struct{}{}, l.raft.VerifyLeader().Error() })
	if err != nil {
		return 0, notLeader(err)
	}
	index, err := lastCommand(st.logs, commit)
	if err != nil {
		return 0, fmt.Errorf("consensus: read index: %w", err)
	}
	if err := n.WaitIndex(ctx, index); err != nil {
		return 0, err
	}
	return max(index, min(commit, n.AppliedIndex())), nil
}

// notLeader is for questions: asked again they do no harm.
func notLeader(err error) error {
	if err = translate(err); errors.Is(err, ErrUncertain) {
		return fmt.Errorf("%w: %w", ErrNotLeader, err)
	}
	return err
}

// lastCommand finds the last command up to an index; raft's log has entries of
// its own between them, which the state never sees. 0 means that it is no
// longer in the log, and so part of every leader's state.
func lastCommand(logs raft.LogStore, index uint64) (uint64, error) {
	for ; index > 0; index-- {
		var entry raft.Log
		err := logs.GetLog(index, &entry)
		if errors.Is(err, raft.ErrLogNotFound) {
			return 0, nil
		}
		if err != nil || entry.Type == raft.LogCommand {
			return index, err
		}
	}
	return 0, nil
}
