package placement

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// shown is "a b | c d": tiers, and the sites of each.
func shown(t Tiers) string {
	var tiers []string
	for _, tier := range t {
		var ids []string
		for _, s := range tier {
			ids = append(ids, s.ID)
		}
		tiers = append(tiers, strings.Join(ids, " "))
	}
	return strings.Join(tiers, " | ")
}

func TestNear(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		name   string
		sites  []Site
		sticky bool
		want   string
	}{
		{"nobody", nil, false, ""},
		{"the region's own first", []Site{{ID: "a", Region: "us", RTT: ms}, {ID: "b", Region: "eu", RTT: 90 * ms}}, false, "b | a"},
		{"the others by distance", []Site{
			{ID: "a", Region: "us", RTT: 90 * ms}, {ID: "b", Region: "as", RTT: 160 * ms}, {ID: "c", Region: "uk", RTT: 12 * ms},
		}, false, "c | a | b"},
		{"about as far is the same", []Site{{ID: "a", Region: "us", RTT: 85 * ms}, {ID: "b", Region: "ca", RTT: 99 * ms}}, false, "a b"},
		{"of whom nothing is known last", []Site{{ID: "a", Region: "us"}, {ID: "b", Region: "as", RTT: 300 * ms}}, false, "b | a"},
		{"less busy first", []Site{
			{ID: "a", Region: "eu", Load: 100}, {ID: "b", Region: "eu", Load: 31}, {ID: "c", Region: "eu"}, {ID: "d", Region: "eu", Load: 33},
		}, false, "b c | d | a"},
		{"a stream stays while there is room", []Site{
			{ID: "a", Region: "eu", Load: 100}, {ID: "b", Region: "eu", Load: 31}, {ID: "c", Region: "eu", Load: 161}, {ID: "d", Region: "eu", Load: 195},
		}, true, "a b | c | d"},
		{"the region before the load", []Site{{ID: "a", Region: "us"}, {ID: "b", Region: "eu", Load: 199}}, false, "b | a"},
		{"full ones behind all others", []Site{
			{ID: "a", Region: "us", Load: 220}, {ID: "b", Region: "eu", Load: 200}, {ID: "c", Region: "us", Load: 190, RTT: 200 * ms}, {ID: "d", Region: "eu", Full: true},
		}, false, "c | d | b | a"},
	} {
		for range 3 {
			if got := shown(Near("eu", c.sites, c.sticky)); got != c.want {
				t.Errorf("%s: %s, want %s", c.name, got, c.want)
			}
			slices.Reverse(c.sites)
		}
	}
}

// A region's name that no node has is one like any other.
func TestNearOfARegionWithoutNodes(t *testing.T) {
	sites := []Site{{ID: "a", Region: "us", Load: 90}, {ID: "b", Region: "eu"}}
	if got := shown(Near("mars", sites, false)); got != "b | a" {
		t.Errorf("got %s", got)
	}
}

// TestNearHolds: over many clusters at random, all sites come once, none that is full
// comes before one with room, and none of another region before one of the clients'
// that has room.
func TestNearHolds(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 9))
	for range 500 {
		sites := make([]Site, rng.IntN(40))
		for i := range sites {
			sites[i] = Site{
				ID: fmt.Sprint("n", i), Region: []string{"", "eu", "us"}[rng.IntN(3)], Load: uint8(rng.IntN(256)),
				Full: rng.IntN(9) == 0, RTT: time.Duration(rng.IntN(300)) * time.Millisecond,
			}
		}
		for _, sticky := range []bool{false, true} {
			tiers := Near("eu", sites, sticky)
			all := tiers.Pick(rng.Uint64(), len(sites)+1)
			if len(all) != len(sites) {
				t.Fatalf("%d of %d sites", len(all), len(sites))
			}
			seen := map[string]bool{}
			for i, s := range all {
				if seen[s.ID] {
					t.Fatalf("%s comes twice", s.ID)
				}
				seen[s.ID] = true
				if i == 0 {
					continue
				}
				before := all[i-1]
				if before.full() && !s.full() || before.full() == s.full() && before.Region != "eu" && s.Region == "eu" {
					t.Fatalf("%+v comes before %+v", before, s)
				}
			}
			for n := range all {
				if got := tiers.Pick(0, n); len(got) != n || !slices.Equal(got, tiers.Pick(0, len(all))[:n]) {
					t.Fatalf("the first %d are no beginning of all", n)
				}
			}
		}
	}
}

// TestPickSpreads: each of equal sites is first for an equal share of the streams, and
// one that goes leaves its own to the others while nothing else moves.
func TestPickSpreads(t *testing.T) {
	const streams = 20_000
	var sites []Site
	for _, id := range nodes(8) {
		sites = append(sites, Site{ID: id, Region: "eu", Load: uint8(len(sites) * 15)})
	}
	all, fewer := Near("eu", sites, true), Near("eu", sites[1:], true)
	count := map[string]int{}
	for i := range streams {
		seed := SeedOfStream(stream(i))
		first := all.Pick(seed, 1)[0].ID
		count[first]++
		if then := fewer.Pick(seed, 1)[0].ID; first != sites[0].ID && then != first {
			t.Fatalf("stream %d moves from %s to %s", i, first, then)
		}
	}
	for _, s := range sites {
		if share := float64(count[s.ID]) * 8 / streams; share < 0.8 || share > 1.2 {
			t.Errorf("%s has %.2f of its share", s.ID, share)
		}
	}
	if SeedOf("192.0.2.1") == SeedOf("192.0.2.2") {
		t.Error("two clients have one seed")
	}
}

func BenchmarkPick(b *testing.B) {
	var sites []Site
	for _, id := range nodes(1000) {
		sites = append(sites, Site{ID: id, Region: "eu"})
	}
	tiers := Near("eu", sites, true)
	b.ReportAllocs()
	for b.Loop() {
		tiers.Pick(7, 4)
	}
}
