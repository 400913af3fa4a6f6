package node

import (
	"slices"

	"tmms/cluster/gossip"
	"tmms/cluster/pki"
	"tmms/cluster/placement"
)

// members show the relay who is there; gossip comes after the relay is made.
type members struct{ n *Node }

// Members implements relay.Members.
func (m members) Members() []placement.Member {
	list := m.n.backbone.gossip.Members()
	all := make([]placement.Member, len(list))
	for i, g := range list {
		all[i] = placement.Member{
			ID: g.ID, Region: g.Region, Edge: slices.Contains(g.Roles, pki.RoleEdge),
			// A node that is drained is no shield: who has it as one moves to the next.
			Healthy: g.State == gossip.StateAlive && !m.n.group.Draining(g.ID), Load: g.Load, RTT: g.RTT,
		}
	}
	return all
}

// Changed implements relay.Members.
func (m members) Changed() <-chan struct{} { return m.n.backbone.gossip.Changed() }
