package node

import (
	"context"

	"tmms/cluster/relay"
	"tmms/cmd/tmms/internal/nodeconfig"
)

// keepStandbys holds the streams that this node is the standby of: not before they are
// what this process is to hold, or it would have a part of one of which an earlier
// process had all, and be taken for that.
func (n *Node) keepStandbys(ctx context.Context) error {
	select {
	case <-n.ready:
		return n.backbone.keeper.Run(ctx)
	case <-ctx.Done():
		return nil
	}
}

// newPuller makes what gets streams from other nodes: an edge those that its viewers
// want, an origin those that it is the standby of.
func (n *Node) newPuller(deps relay.Deps) (err error) {
	b, edge := n.backbone, n.cfg.Node.Has(nodeconfig.RoleEdge)
	if edge {
		deps.Members = members{n}
	}
	if n.cfg.Node.Has(nodeconfig.RoleOrigin) {
		b.keeper = relay.NewKeeper(n.hub, n.group, n.group.ID(), deps)
	}
	b.puller, err = relay.NewPuller(n.hub, b.fabric, n.group, relay.PullConfig{
		SegmentBytes: memory("/") / segmentShare, OwnOnly: !edge,
	}, deps)
	return err
}
