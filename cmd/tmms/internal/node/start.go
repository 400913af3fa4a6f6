package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"tmms/cluster/state"
)

// Bounds on the start of a node that is alone, and on the farewell of an edge.
const (
	startTimeout = 20 * time.Second
	leaveTimeout = 2 * time.Second
)

// start waits for the cluster's state and makes the node known in it. Streams
// that the node held when it last ended without a farewell have lost their owner.
func (n *Node) start(ctx context.Context) error {
	if n.alone() { // the others may take any time to come
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, startTimeout)
		defer cancel()
	}
	select {
	case <-n.group.Ready():
	case <-ctx.Done():
		return fmt.Errorf("the cluster's state is not ready: %w", ctx.Err())
	}
	n.backbone.gossip.SetCluster(n.group.ClusterID())
	if err := n.firstConfig(ctx); err != nil {
		return err
	}
	if n.origin != nil { // the copy of a voter that is behind may not show yet what there is to disown
		if _, err := n.group.ReadIndex(ctx); err != nil {
			return err
		}
	}
	if err := n.group.Disown(ctx); err != nil {
		return err
	}
	return n.group.UpsertNode(ctx, n.describe())
}

// farewell makes the cluster forget an edge that ends; an origin comes back, and so
// does a node that is drained, as such.
func (n *Node) farewell(ctx context.Context) {
	if n.origin != nil || n.readiness() != nil || n.drained() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
	defer cancel()
	if err := n.group.Leave(ctx); err != nil {
		n.opt.Log.Info("the cluster was not told that this node ends", slog.Any("err", err))
	}
}

// firstConfig puts the built-in config in force if there was never one.
func (n *Node) firstConfig(ctx context.Context) error {
	if n.opt.FirstConfig == nil || n.group.Config().Revision() != 0 {
		return nil
	}
	_, err := n.group.SetConfig(ctx, 0, n.opt.FirstConfig, "tmms dev")
	if errors.Is(err, state.ErrConflict) {
		return nil // somebody was faster, theirs counts
	}
	return err
}

func (n *Node) describe() state.Node {
	d := state.Node{
		Name: n.cfg.Node.Name, Roles: n.roles(), Region: n.cfg.Node.Region, Zone: n.cfg.Node.Zone,
		Addresses: n.advertised(), Version: n.opt.Version,
	}
	if n.group.FeatureLevel() >= 1 { // see state.Needs
		d.Level = state.Level
	}
	if n.group.FeatureLevel() >= 2 { // see state.Needs
		d.Issues = n.cfg.Cluster.CAKeyFile != ""
	}
	return d
}
