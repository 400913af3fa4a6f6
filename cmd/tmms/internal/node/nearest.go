package node

import (
	"context"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"tmms/cluster/gossip"
	"tmms/cluster/placement"
	"tmms/cmd/tmms/internal/nodeconfig"
	"tmms/edge"
	"tmms/edge/viewer"
)

// Of the view of the nodes that clients are sent to.
const (
	// nearInterval is how often it is made anew, and nearShare the least pause in times
	// of what that took: a thousand nodes in thirty regions take 0.2 s of a core.
	nearInterval = time.Second
	nearShare    = 50
	// witnessesPerRegion is how many nodes of a region stand for where its clients are.
	witnessesPerRegion = 8
	// nearTries is how many nodes are looked at for one that a viewer can go to.
	nearTries = 8
)

// nearest answers where clients are to go, for edge.Deps, from a view of the cluster
// that is made anew every second, or in a large cluster every few: whoever asks waits for nothing, and costs little.
type nearest struct {
	node *Node // set at construction
	view atomic.Pointer[nearView]
}

// nearView is the nodes at one moment; immutable.
type nearView struct {
	nodes   map[string]*viewer.NearNode // by id
	regions map[string]*nearRegion      // those of the nodes
	self    string                      // this node's region
}

// nearRegion is the order of the nodes for the clients of a region, and how far they
// are.
type nearRegion struct {
	edges, origins orders
	rtt            map[string]time.Duration // by id; without those that are not known
}

// orders are for clients of no stream in particular, and for those of one.
type orders struct{ any, stream placement.Tiers }

// site is a node as the view is made of it.
type site struct {
	viewer.NearNode

	edge, origin bool
	at           placement.Place // to it, from this node
}

// followNearest keeps the view up to date until ctx ends.
func (n *Node) followNearest(ctx context.Context) error {
	select {
	case <-n.ready:
	case <-ctx.Done():
		return nil
	}
	for {
		begun := time.Now()
		n.nearest.view.Store(newNearView(n.cfg.Node.Region, n.sites()))
		select {
		case <-time.After(max(nearInterval, nearShare*time.Since(begun))):
		case <-ctx.Done():
			return nil
		}
	}
}

// sites are the nodes that are there and not drained, this one included.
func (n *Node) sites() []site {
	alive := map[string]gossip.Member{}
	for _, m := range n.backbone.gossip.Members() {
		if m.State == gossip.StateAlive {
			alive[m.ID] = m
		}
	}
	var list []site
	for _, d := range n.group.Nodes() {
		m, here := alive[d.ID]
		if !here || n.group.Draining(d.ID) {
			continue
		}
		s := site{
			NearNode: viewer.NearNode{
				ID: d.ID, Name: d.Name, Region: d.Region, Zone: d.Zone, Load: m.Load, Self: d.ID == n.group.ID(),
				Addresses: reachable(d.Addresses),
			},
			edge:   slices.Contains(d.Roles, string(nodeconfig.RoleEdge)),
			origin: slices.Contains(d.Roles, string(nodeconfig.RoleOrigin)),
			at:     placement.Place{ID: d.ID, At: m.Place, Known: m.Known, RTT: m.RTT},
		}
		if s.Self {
			s.Load = uint8(n.told.Load()) //nolint:gosec // it was one
			s.at = placement.Place{ID: d.ID, At: n.backbone.gossip.Here(), Known: true}
		}
		list = append(list, s)
	}
	return list
}

// reachable are the addresses of clients' protocols; over TLS those with a name, as
// certificates are not made for addresses that nodes find out by themselves.
func reachable(addresses map[string]string) map[string]string {
	out := map[string]string{}
	for _, kind := range []string{"rtmp", "http"} {
		if at := addresses[kind]; at != "" {
			out[kind] = at
		}
	}
	for _, kind := range []string{"rtmps", "https"} {
		if at := addresses[kind]; isNamed(at) {
			out[kind] = at
		}
	}
	return out
}

// newNearView orders the sites for each region; self is this node's.
func newNearView(self string, sites []site) *nearView {
	v := &nearView{nodes: map[string]*viewer.NearNode{}, regions: map[string]*nearRegion{self: nil}, self: self}
	for i := range sites {
		v.nodes[sites[i].ID] = &sites[i].NearNode
		v.regions[sites[i].Region] = nil
	}
	for region := range v.regions {
		v.regions[region] = newNearRegion(region, self, sites)
	}
	return v
}

func newNearRegion(region, self string, sites []site) *nearRegion {
	r := &nearRegion{rtt: distances(region, self, sites)}
	var edges, origins []placement.Site
	for i := range sites {
		s := &sites[i]
		candidate := placement.Site{ID: s.ID, Region: s.Region, Load: s.Load, RTT: r.rtt[s.ID]}
		if s.edge {
			edges = append(edges, candidate)
		}
		if s.origin {
			origins = append(origins, candidate)
		}
	}
	order := func(list []placement.Site) orders {
		return orders{any: placement.Near(region, list, false), stream: placement.Near(region, list, true)}
	}
	r.edges, r.origins = order(edges), order(origins)
	return r
}

// distances are the ways from a region to the sites: from the nearest of some of its
// own nodes, as the coordinates have it; from this one, if it is one of them, as it was
// measured.
func distances(region, self string, sites []site) map[string]time.Duration {
	var from []*site
	for i := range sites {
		if s := &sites[i]; s.Region == region && s.at.Known && len(from) < witnessesPerRegion {
			from = append(from, s)
		}
	}
	all := map[string]time.Duration{}
	for i := range sites {
		to := &sites[i]
		for _, w := range from {
			if w.ID == to.ID {
				continue
			}
			place := to.at
			if region != self {
				place.RTT = 0 // that is this node's way
			}
			if rtt, ok := place.Estimate(w.at.At); ok && rtt > 0 && (all[to.ID] == 0 || rtt < all[to.ID]) {
				all[to.ID] = rtt
			}
		}
	}
	return all
}

// Nearest implements edge.Near.
func (p *nearest) Nearest(q edge.NearQuery) edge.NearAnswer {
	region, how := p.regionOf(q.From, q.Region)
	answer := edge.NearAnswer{Region: region, How: how}
	v := p.view.Load()
	if v == nil {
		return answer
	}
	r := v.region(region)
	for _, s := range r.pick(q) {
		n := *v.nodes[s.ID]
		n.RTT = r.rtt[s.ID]
		answer.Nodes = append(answer.Nodes, n)
	}
	return answer
}

// regionOf is where a client is: as it says itself, as the table of networks has it, or
// else where it has come to.
func (p *nearest) regionOf(from netip.Addr, says string) (region, how string) {
	if says != "" {
		return says, viewer.ByParameter
	}
	if region, ok := p.node.group.Config().RegionOf(from); ok {
		return region, viewer.ByNetwork
	}
	return p.node.cfg.Node.Region, viewer.ByNode
}

// region is the order for a region; one without nodes has that of this node, which its
// clients have come to.
func (v *nearView) region(name string) *nearRegion {
	if r := v.regions[name]; r != nil {
		return r
	}
	return v.regions[v.self]
}

func (r *nearRegion) pick(q edge.NearQuery) []placement.Site {
	list := r.edges
	if q.Origin {
		list = r.origins
	}
	if q.Stream.Stream == "" {
		return list.any.Pick(placement.SeedOf(q.From.String()), q.Count)
	}
	return list.stream.Pick(placement.SeedOfStream(q.Stream), q.Count)
}

// Elsewhere implements edge.Near.
func (p *nearest) Elsewhere(who edge.Visitor) string {
	v := p.view.Load()
	policy := p.node.cfg.Edge.Redirect
	if v == nil || policy == nodeconfig.RedirectOff && !who.Refused {
		return ""
	}
	region, _ := p.regionOf(who.From, "")
	full := who.Refused || uint8(p.node.told.Load()) >= placement.CrowdedFrom //nolint:gosec // it was one
	foreign := policy == nodeconfig.RedirectRegion && region != v.self
	if !full && !foreign {
		return ""
	}
	q := edge.NearQuery{From: who.From, Stream: who.Stream, Count: nearTries}
	for _, s := range v.region(region).pick(q) {
		n := v.nodes[s.ID]
		at := n.Addresses[who.Kind]
		switch {
		case n.Self, at == "":
		case n.Load >= placement.CrowdedFrom:
			return "" // those behind it are full too
		case full, n.Region == region:
			return at
		}
	}
	return ""
}

// publishNearer names an origin of a publisher's own region, where that is another one
// than this node's, by the node's policy; "": it stays. It is for origin.Deps.
func (n *Node) publishNearer(from netip.Addr) string {
	v := n.nearest.view.Load()
	if v == nil || n.cfg.Origin.Redirect != nodeconfig.RedirectRegion {
		return ""
	}
	region, _ := n.nearest.regionOf(from, "")
	if region == v.self {
		return ""
	}
	for _, s := range v.region(region).pick(edge.NearQuery{From: from, Origin: true, Count: nearTries}) {
		node := v.nodes[s.ID]
		if at := node.Addresses["rtmp"]; at != "" && node.Region == region && node.Load < placement.CrowdedFrom {
			return at
		}
	}
	return ""
}
