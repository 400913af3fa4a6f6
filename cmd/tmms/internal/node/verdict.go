package node

import (
	"context"

	"tmms/cluster/consensus"
	"tmms/cluster/control"
	"tmms/cluster/fabric"
	"tmms/cluster/verdict"
	"tmms/cmd/tmms/internal/nodeconfig"
)

// witnesses are what this node and the others have heard.
type witnesses struct {
	*fabric.Fabric

	control *control.Client
}

// Seen implements consensus.Witnesses.
func (w witnesses) Seen(
	ctx context.Context, to fabric.Target, about []string,
) (map[string]verdict.Report, error) {
	return w.control.Seen(ctx, to, about)
}

// witness says what this node has heard of another.
func (n *Node) witness(id string) verdict.Report {
	r := verdict.Report{Media: verdict.Never}
	if n.group == nil { // not made yet
		return r
	}
	r.Starting = n.group.Starting()
	if d, ok := n.group.Node(id); ok {
		_, r.Silent, r.Known = n.backbone.fabric.Heard(d.Name)
	}
	if p := n.backbone.puller; p != nil {
		if since, ok := p.MediaFrom(id); ok {
			r.Media = since
		}
	}
	return r
}

// busy is what gossip tells of the load of nodes, and of the way to them.
func (n *Node) busy() map[string]consensus.Busy {
	g := n.backbone.gossip
	if g == nil { // not made yet
		return nil
	}
	members := g.Members()
	all := make(map[string]consensus.Busy, len(members))
	for _, m := range members {
		all[m.ID] = consensus.Busy{Load: m.Load, RTT: m.RTT}
	}
	return all
}

// keepOrigins keeps a session between this origin and each other one, until ctx ends.
func (n *Node) keepOrigins(ctx context.Context) error {
	if n.alone() || !n.cfg.Node.Has(nodeconfig.RoleOrigin) {
		<-ctx.Done()
		return nil
	}
	return n.backbone.fabric.Keep(ctx, n.voters)
}
