package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"tmms/cluster/consensus"
	"tmms/cluster/state"
	"tmms/media"
)

// Times of a node's start.
const (
	startTimeout = 20 * time.Second
	// leftoverWait is how long placements from before a crash are kept for
	// publishers that come back; longer than the default grace.
	leftoverWait = 30 * time.Second
)

// start waits for the raft group and makes the node known in it.
func (n *Node) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	select {
	case <-n.raft.Ready():
	case <-ctx.Done():
		return fmt.Errorf("the raft group is not ready: %w", ctx.Err())
	}
	if err := n.firstConfig(ctx); err != nil {
		return err
	}
	return n.raft.UpsertNode(ctx, n.describe())
}

// firstConfig puts the built-in config in force if there was never one.
func (n *Node) firstConfig(ctx context.Context) error {
	if n.opt.FirstConfig == nil || n.raft.Config().Revision() != 0 {
		return nil
	}
	_, err := n.raft.SetConfig(ctx, 0, n.opt.FirstConfig, "tmms dev")
	if errors.Is(err, state.ErrConflict) {
		return nil // somebody was faster, theirs counts
	}
	return err
}

func (n *Node) describe() state.Node {
	roles := make([]string, len(n.cfg.Node.Roles))
	for i, r := range n.cfg.Node.Roles {
		roles[i] = string(r)
	}
	return state.Node{
		Name: n.cfg.Node.Name, Roles: roles, Region: n.cfg.Node.Region, Zone: n.cfg.Node.Zone,
		Addresses: n.advertised(), Version: n.opt.Version,
	}
}

// releaser gives placements back.
type releaser interface {
	Release(ctx context.Context, key media.StreamKey, epoch uint64) error
}

// sweep gives back the placements that this node held when it last ended
// without a farewell, unless their publishers have come back by then: their
// epoch is another one, which Release leaves alone. It returns when ctx ends.
func sweep(ctx context.Context, r releaser, left []state.PlacedStream, log *slog.Logger) error {
	select {
	case <-ctx.Done():
		return nil
	case <-time.After(leftoverWait):
	}
	for _, p := range left {
		err := r.Release(ctx, p.Key, p.Epoch)
		if err != nil && !errors.Is(err, state.ErrStaleEpoch) {
			log.Warn("placement of an earlier run was not released",
				slog.String("stream", p.Key.String()), slog.Any("err", err))
		}
	}
	<-ctx.Done()
	return nil
}

// leftovers are the placements that this node holds although it has just started.
func leftovers(raft *consensus.Node) []state.PlacedStream {
	var mine []state.PlacedStream
	for _, p := range raft.Placements() {
		if p.Owner == raft.ID() {
			mine = append(mine, p)
		}
	}
	return mine
}
