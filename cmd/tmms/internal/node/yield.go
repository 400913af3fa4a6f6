package node

import (
	"slices"

	"tmms/cmd/tmms/internal/nodeconfig"
	"tmms/media"
	"tmms/origin"
)

// yieldTo names the origin that is to have a stream in place of this one, for
// origin.Deps: who owns it already or, while this node is drained or full, one
// that is not.
func (n *Node) yieldTo(key media.StreamKey, failed []string) (to origin.Elsewhere, ok bool) {
	drained := n.drained()
	if !drained && !n.full() {
		return to, false
	}
	p, placed := n.group.Placement(key)
	if placed && !p.Orphan() {
		if !drained || p.Owner == n.group.ID() {
			return to, false // the claim says the same, or the stream is here
		}
		d, _ := n.group.Node(p.Owner)
		return origin.Elsewhere{Owner: p.Owner, At: d.Addresses["rtmp"]}, true
	}
	at, ok := n.places.find(func(at *place) bool {
		return at.has(nodeconfig.RoleOrigin) && !slices.Contains(failed, at.id)
	})
	if !ok || !drained && at.load >= crowded {
		return to, false
	}
	return origin.Elsewhere{Owner: at.id, At: at.addresses["rtmp"]}, true
}

// full tells that this node has no room for another stream: it is busy, or has as
// many as it may have.
func (n *Node) full() bool {
	return n.told.Load() >= fullLoad || n.origin.Held() >= n.cfg.Origin.Limits.Streams
}
