package node

import (
	"math"
	"slices"

	"tmms/cluster/placement"
	"tmms/cmd/tmms/internal/nodeconfig"
	"tmms/media"
	"tmms/origin"
)

// yieldTo names the origin that is to have a stream in place of this one, for
// origin.Deps: who owns it already or, while this node is drained or full, who is
// best placed to. A drained node names one that is full before none.
func (n *Node) yieldTo(key media.StreamKey, failed []string) (to origin.Elsewhere, ok bool) {
	self := placement.Origin{
		ID: n.group.ID(), Region: n.cfg.Node.Region, Zone: n.cfg.Node.Zone,
		Load: n.load(), Draining: n.drained(), Healthy: true,
	}
	if p, placed := n.group.Placement(key); placed && !p.Orphan() {
		if !self.Draining || p.Owner == self.ID {
			return to, false // the claim says the same, or the stream is here
		}
		return n.elsewhere(p.Owner), true
	}
	fit := func(at *place) bool { return at.has(nodeconfig.RoleOrigin) && !slices.Contains(failed, at.id) }
	id, ok := placement.Owner(self, n.places.origins(fit))
	switch {
	case ok && id == self.ID:
		return to, false
	case !ok:
		at, some := n.places.find(fit)
		if !some {
			return to, false
		}
		id = at.id
	}
	return n.elsewhere(id), true
}

// elsewhere is another node as publishers find it.
func (n *Node) elsewhere(id string) origin.Elsewhere {
	d, _ := n.group.Node(id)
	return origin.Elsewhere{Owner: id, At: d.Addresses["rtmp"]}
}

// load is what this node tells of itself; it is full where another stream has no
// room.
func (n *Node) load() uint8 {
	if n.origin.Held() >= n.cfg.Origin.Limits.Streams {
		return math.MaxUint8
	}
	return uint8(n.told.Load()) //nolint:gosec // it was one
}
