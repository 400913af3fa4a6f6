package node

import (
	"maps"
	"slices"
	"testing"
	"time"

	"tmms/cmd/tmms/internal/nodeconfig"
)

// at makes a place with the addresses of an edge and an origin.
func at(id string, near bool, load uint8, roles ...string) place {
	return place{id: id, near: near, load: load, roles: roles, addresses: map[string]string{
		"rtmp": id + ":1935", "http": id + ":8080", "https": id + ":8443",
	}}
}

func renewed(p place) place {
	p.renewed = true
	return p
}

// Who has to leave a node that is replaced is sent to one whose turn is over.
//
// Requirement: C5.
func TestRenewed(t *testing.T) {
	now := time.Now()
	ago := func(d time.Duration) int64 { return now.Add(-d).UnixMilli() }
	for name, c := range map[string]struct {
		its, own time.Duration // how long they run
		want     bool
	}{
		"just replaced":           {10 * time.Second, 30 * 24 * time.Hour, true},
		"its clock is ahead":      {-time.Minute, time.Hour, true},
		"as old as this one":      {time.Minute, time.Minute, false},
		"some younger":            {40 * time.Second, time.Minute, false},
		"older":                   {time.Hour, time.Minute, false},
		"long after the upgrade":  {2 * time.Hour, 30 * 24 * time.Hour, false},
		"this one has just begun": {10 * time.Second, 0, false},
	} {
		if got := isRenewed(now, ago(c.its), ago(c.own)); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// Viewers and publishers are sent to nodes of the region that have room, spread over
// them, else to those that are left.
func TestPlaces(t *testing.T) {
	const edge, origin = string(nodeconfig.RoleEdge), string(nodeconfig.RoleOrigin)
	for name, c := range map[string]struct {
		list []place
		want []string // all that may be named
	}{
		"none":                     {nil, []string{""}},
		"no edge":                  {[]place{at("o1", true, 0, origin)}, []string{""}},
		"near before far":          {[]place{at("e1", false, 0, edge), at("e2", true, 150, edge)}, []string{"e2:8080"}},
		"all that are near":        {[]place{at("e1", true, 9, edge), at("e2", true, 9, edge), at("e3", false, 0, edge)}, []string{"e1:8080", "e2:8080"}},
		"one with room first":      {[]place{at("e1", true, crowded, edge), at("e2", true, 9, edge, origin)}, []string{"e2:8080"}},
		"near and crowded":         {[]place{at("e1", true, 255, edge), at("e2", false, 0, edge)}, []string{"e1:8080"}},
		"in turns":                 {[]place{at("e1", true, 90, edge), renewed(at("e2", true, 99, edge)), renewed(at("e3", false, 0, edge))}, []string{"e2:8080"}},
		"renewed and crowded":      {[]place{at("e1", true, 90, edge), renewed(at("e2", true, crowded, edge))}, []string{"e1:8080"}},
		"far if there is no other": {[]place{at("o1", true, 0, origin), at("e2", false, 0, edge)}, []string{"e2:8080"}},
		"without the address":      {[]place{{id: "e1", near: true, roles: []string{edge}}, at("e2", false, 0, edge)}, []string{"e2:8080"}},
	} {
		t.Run(name, func(t *testing.T) {
			n := new(Node)
			n.places.list.Store(&c.list)
			named := map[string]bool{}
			for range 1000 {
				named[n.watchAt(false)] = true
			}
			if got := slices.Sorted(maps.Keys(named)); !slices.Equal(got, c.want) {
				t.Errorf("named %q, want %q", got, c.want)
			}
		})
	}
	n := new(Node)
	if got := n.addressOf(nodeconfig.RoleEdge, "rtmp"); got != "" {
		t.Errorf("%q is named before anything is known", got)
	}
	// By TLS only where the certificate's name may be known.
	list := []place{at("192.0.2.1", true, 0, edge), at("[2001:db8::1]", true, 0, edge), at("e9.example.org", false, 200, edge)}
	n.places.list.Store(&list)
	for range 100 {
		if got := n.watchAt(true); got != "e9.example.org:8443" {
			t.Fatalf("%q is named for TLS", got)
		}
	}
	// The less busy of two by chance: the busiest of many is named least.
	list = []place{at("e1", true, 10, edge), at("e2", true, 20, edge), at("e3", true, 30, edge)}
	n.places.list.Store(&list)
	count := map[string]int{}
	for range 3000 {
		count[n.watchAt(false)]++
	}
	if count["e1:8080"] <= count["e2:8080"] || count["e2:8080"] <= count["e3:8080"] || count["e3:8080"] == 0 {
		t.Errorf("named %v", count)
	}
}
