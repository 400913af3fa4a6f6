package node

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"tmms/cluster/placement"
	"tmms/cluster/state"
	"tmms/cmd/tmms/internal/nodeconfig"
	"tmms/edge"
	"tmms/edge/viewer"
	"tmms/media"
)

// configOnly is a group of which only the config is asked.
type configOnly struct {
	group

	config *state.Config
}

func (c configOnly) Config() *state.Config { return c.config }

// siteAt is a node so many seconds along a line.
func siteAt(name, region string, load uint8, along float64, roles ...nodeconfig.Role) site {
	at := placement.Origo()
	at.Vec[0] = along
	return site{
		NearNode: viewer.NearNode{
			ID: "id-" + name, Name: name, Region: region, Load: load,
			Addresses: map[string]string{"rtmp": name + ":1935", "http": name + ":8080"},
		},
		edge: slices.Contains(roles, nodeconfig.RoleEdge), origin: slices.Contains(roles, nodeconfig.RoleOrigin),
		at: placement.Place{ID: "id-" + name, At: at, Known: true},
	}
}

// startView is a node in eu that sees some sites, of which e1 is itself.
func startView(t *testing.T, redirect string, sites ...site) *Node {
	t.Helper()
	doc, err := state.ParseYAML([]byte("domains: []\nregions:\n- {name: us, networks: [10.2.0.0/16]}\n- {name: mars, networks: [10.3.0.0/16]}"))
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := state.NewConfig(1, doc)
	if err != nil {
		t.Fatal(err)
	}
	n := &Node{group: configOnly{config: cfg}}
	n.nearest.node = n
	n.cfg.Node.Region, n.cfg.Edge.Redirect, n.cfg.Origin.Redirect = "eu", redirect, redirect
	for i := range sites {
		if sites[i].Name == "e1" {
			sites[i].Self = true
			n.told.Store(uint32(sites[i].Load))
		}
	}
	n.nearest.view.Store(newNearView("eu", sites))
	return n
}

const (
	edgeRole   = nodeconfig.RoleEdge
	originRole = nodeconfig.RoleOrigin
)

func threeRegions() []site {
	return []site{
		siteAt("e1", "eu", 0, 0, edgeRole), siteAt("e2", "eu", 40, 0.001, edgeRole), siteAt("o1", "eu", 0, 0.001, originRole),
		siteAt("e3", "us", 0, 0.08, edgeRole), siteAt("o2", "us", 0, 0.08, originRole, edgeRole), siteAt("e4", "as", 0, 0.2, edgeRole),
	}
}

func TestNearestNodes(t *testing.T) {
	n := startView(t, nodeconfig.RedirectOff, threeRegions()...)
	names := func(q edge.NearQuery) string {
		answer := n.nearest.Nearest(q)
		list := []string{answer.Region, answer.How}
		for _, d := range answer.Nodes {
			list = append(list, d.Name)
		}
		return strings.Join(list, " ")
	}
	us, nowhere := netip.MustParseAddr("10.2.1.1"), netip.MustParseAddr("192.0.2.1")
	for _, c := range []struct {
		q    edge.NearQuery
		want string
	}{
		{edge.NearQuery{From: nowhere, Count: 2}, "eu node e1 e2"},
		{edge.NearQuery{From: nowhere, Count: 9, Origin: true}, "eu node o1 o2"},
		{edge.NearQuery{From: us, Count: 9, Origin: true}, "us network o2 o1"},
		{edge.NearQuery{From: us, Region: "as", Count: 1}, "as parameter e4"},
		{edge.NearQuery{From: netip.MustParseAddr("10.3.1.1"), Count: 1}, "mars network e1"},
		{edge.NearQuery{Count: 0}, "eu node"},
	} {
		if got := names(c.q); got != c.want {
			t.Errorf("%+v: %s, want %s", c.q, got, c.want)
		}
	}
	answer := n.nearest.Nearest(edge.NearQuery{From: us, Count: 9})
	if len(answer.Nodes) != 5 || answer.Nodes[4].Name != "e4" {
		t.Fatalf("%+v", answer)
	}
	for _, d := range answer.Nodes {
		want := map[string]time.Duration{"eu": 80 * time.Millisecond, "as": 120 * time.Millisecond}[d.Region]
		if off := d.RTT - want; d.Region != "us" && (off < -2*time.Millisecond || off > 2*time.Millisecond) {
			t.Errorf("%s is %v from us, want %v", d.Name, d.RTT, want)
		}
	}
	// From this node's own region the way is as it was measured.
	sites := threeRegions()
	sites[3].at.RTT = 300 * time.Millisecond
	if n = startView(t, "off", sites...); n.nearest.view.Load().regions["eu"].rtt["id-e3"] != 300*time.Millisecond {
		t.Errorf("e3 is %v from eu", n.nearest.view.Load().regions["eu"].rtt["id-e3"])
	}
	n.nearest.view.Store(nil)
	if answer = n.nearest.Nearest(edge.NearQuery{From: us, Count: 9}); answer.Region != "us" || len(answer.Nodes) != 0 {
		t.Errorf("before anything is known: %+v", answer)
	}
}

// Who is sent on, and who stays, by policy.
func TestElsewhere(t *testing.T) {
	us, eu := netip.MustParseAddr("10.2.1.1"), netip.MustParseAddr("192.0.2.1")
	full := func(names ...string) []site {
		list := threeRegions()
		for i := range list {
			if slices.Contains(names, list[i].Name) {
				list[i].Load = placement.CrowdedFrom
			}
		}
		return list
	}
	onlyEU := threeRegions()[:3]
	for _, c := range []struct {
		name, policy string
		sites        []site
		who          edge.Visitor
		want         []string
	}{
		{"off", "off", full("e1"), edge.Visitor{From: us, Kind: "http"}, []string{""}},
		{"of this region", "region", full(), edge.Visitor{From: eu, Kind: "http"}, []string{""}},
		{"of another region", "region", full(), edge.Visitor{From: us, Kind: "http"}, []string{"e3:8080", "o2:8080"}},
		{"by RTMP", "region", full("e3"), edge.Visitor{From: us, Kind: "rtmp"}, []string{"o2:1935"}},
		{"by TLS, where nobody has it", "region", full(), edge.Visitor{From: us, Kind: "https"}, []string{""}},
		{"of another region that is full", "region", full("e3", "o2"), edge.Visitor{From: us, Kind: "http"}, []string{""}},
		{"of another region without edges", "region", onlyEU, edge.Visitor{From: us, Kind: "http"}, []string{""}},
		{"of another region, by load only", "load", full(), edge.Visitor{From: us, Kind: "http"}, []string{""}},
		{"full", "load", full("e1"), edge.Visitor{From: eu, Kind: "http"}, []string{"e2:8080"}},
		{"full, as the region is", "load", full("e1", "e2"), edge.Visitor{From: eu, Kind: "http"}, []string{"e3:8080", "o2:8080"}},
		{"full, as all are", "load", full("e1", "e2", "e3", "o2", "e4"), edge.Visitor{From: eu, Kind: "http"}, []string{""}},
		{"refused", "off", full(), edge.Visitor{From: eu, Kind: "rtmp", Refused: true}, []string{"e2:1935"}},
	} {
		n := startView(t, c.policy, c.sites...)
		for i := range 50 {
			c.who.Stream = media.StreamKey{Domain: "default", App: "live", Stream: fmt.Sprint("s", i)}
			if got := n.nearest.Elsewhere(c.who); !slices.Contains(c.want, got) {
				t.Errorf("%s: %q, want one of %q", c.name, got, c.want)
				break
			}
		}
	}
}

func TestPublishNearer(t *testing.T) {
	us, eu := netip.MustParseAddr("10.2.1.1"), netip.MustParseAddr("192.0.2.1")
	for policy, want := range map[string]string{"off": "", "region": "o2:1935"} {
		n := startView(t, policy, threeRegions()...)
		if got := n.publishNearer(us); got != want {
			t.Errorf("%s: a publisher in us is sent to %q, want %q", policy, got, want)
		}
		if got := n.publishNearer(eu) + n.publishNearer(netip.MustParseAddr("10.3.1.1")); got != "" {
			t.Errorf("%s: others are sent to %q", policy, got)
		}
	}
}

// A view of a thousand nodes in thirty regions.
func BenchmarkNearView(b *testing.B) {
	var sites []site
	for i := range 1000 {
		sites = append(sites, siteAt(fmt.Sprint("n", i), fmt.Sprint("r", i%30), uint8(i), float64(i%30)/100, edgeRole))
	}
	b.ReportAllocs()
	for b.Loop() {
		newNearView("r0", sites)
	}
}
