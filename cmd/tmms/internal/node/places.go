package node

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"tmms/cluster/gossip"
	"tmms/cluster/placement"
	"tmms/cmd/tmms/internal/nodeconfig"
)

// place is another node to which this one may send viewers and publishers.
type place struct {
	id        string
	roles     []string
	region    string
	zone      string
	near      bool // in this node's region
	renewed   bool // it has started lately, see isRenewed
	load      uint8
	rtt       time.Duration
	addresses map[string]string
}

// has tells whether the node has a role.
func (p *place) has(role nodeconfig.Role) bool { return slices.Contains(p.roles, string(role)) }

// rank is how good a place is: the lower the better.
func (p *place) rank() (rank int) {
	if !p.near {
		rank += 4
	}
	if p.load >= crowded {
		rank += 2
	}
	if !p.renewed {
		rank++
	}
	return rank
}

// renewedFor is how long a node counts as one that has started lately: a region's nodes
// are replaced one by one within that time.
const renewedFor = time.Hour

// isRenewed tells that a node, which started at its, has run for less than half as long
// as this one, which started at own, and for less than renewedFor; both in ms since
// 1970. While nodes are replaced one by one that is one whose turn is over: who is sent
// there is not sent on when the next node's turn comes. It is also the emptiest.
func isRenewed(now time.Time, its, own int64) bool {
	up := now.Sub(time.UnixMilli(its))
	return up < renewedFor && up < now.Sub(time.UnixMilli(own))/2
}

// places are the other nodes that are there and not drained. They are found anew
// when that may have changed, so that a loop can ask for each viewer.
type places struct {
	list atomic.Pointer[[]place]
}

// look finds the places anew.
func (p *places) look(n *Node) {
	alive := map[string]gossip.Member{}
	for _, m := range n.backbone.gossip.Members() {
		if m.State == gossip.StateAlive {
			alive[m.ID] = m
		}
	}
	nodes, now := n.group.Nodes(), time.Now()
	own := now.UnixMilli() // where it is not known yet nobody is younger
	for i := range nodes {
		if nodes[i].ID == n.group.ID() {
			own = nodes[i].AtUnixMS
		}
	}
	var list []place
	for _, d := range nodes {
		m, ok := alive[d.ID]
		if !ok || d.ID == n.group.ID() || n.group.Draining(d.ID) {
			continue
		}
		list = append(list, place{
			id: d.ID, roles: d.Roles, region: d.Region, zone: d.Zone, near: d.Region == n.cfg.Node.Region,
			renewed: isRenewed(now, d.AtUnixMS, own), load: m.Load, rtt: m.RTT, addresses: d.Addresses,
		})
	}
	p.list.Store(&list)
}

// find chooses among those that are fit: in this node's region if there is one, one
// that is not crowded if there is one there, of those one that has started lately, and
// of these the less busy of two by chance, so that not all are sent to the same one.
// ok = false: none is fit.
func (p *places) find(fit func(*place) bool) (found place, ok bool) {
	list := p.list.Load()
	if list == nil {
		return found, false
	}
	var best []*place
	for i := range *list {
		at := &(*list)[i]
		if !fit(at) || len(best) > 0 && at.rank() > best[0].rank() {
			continue
		}
		if len(best) > 0 && at.rank() < best[0].rank() {
			best = best[:0]
		}
		best = append(best, at)
	}
	if len(best) == 0 {
		return found, false
	}
	one, other := best[rand.IntN(len(best))], best[rand.IntN(len(best))]
	if other.load < one.load {
		one = other
	}
	return *one, true
}

// origins are the places that are fit, as candidates for streams.
func (p *places) origins(fit func(*place) bool) (all []placement.Origin) {
	list := p.list.Load()
	if list == nil {
		return nil
	}
	for i := range *list {
		if at := &(*list)[i]; fit(at) {
			all = append(all, placement.Origin{
				ID: at.id, Region: at.region, Zone: at.zone, Load: at.load, RTT: at.rtt, Healthy: true,
			})
		}
	}
	return all
}

// addressOf names an address of another node with a role, see places.find; "": none
// is known.
func (n *Node) addressOf(role nodeconfig.Role, kind string) string {
	at, _ := n.places.find(func(at *place) bool { return at.has(role) && at.addresses[kind] != "" })
	return at.addresses[kind]
}

// watchAt names an address of another edge for HTTP; "": none is known. Over TLS it
// is one with a name: certificates are not made for addresses that nodes find out
// by themselves.
func (n *Node) watchAt(secure bool) string {
	if !secure {
		return n.addressOf(nodeconfig.RoleEdge, "http")
	}
	const kind = "https"
	at, _ := n.places.find(func(at *place) bool { return at.has(nodeconfig.RoleEdge) && isNamed(at.addresses[kind]) })
	return at.addresses[kind]
}

// isNamed tells that an address, HOST:PORT, has the name of a host.
func isNamed(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	_, err = netip.ParseAddr(host)
	return err != nil
}
