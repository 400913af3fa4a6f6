package placement

import (
	"cmp"
	"slices"
	"time"

	"tmms/media"
)

// Site is a node that clients may be sent to.
type Site struct {
	ID     string
	Region string // "" is that of the nodes that name none
	Load   uint8  // 0 idle to 255 full, as it says itself
	Full   bool   // it has no room: it is named behind all others
	// RTT is the way to it from where the clients are; 0: not known. It does not count
	// within the clients' region.
	RTT time.Duration

	mixed uint64 // of the id, once it is in a tier
}

// CrowdedFrom is the load, of 255, from which a node is full for who comes anew.
const CrowdedFrom uint8 = 200

// stickyBelow is the load, of 255, up to which all nodes are the same for the clients
// of one stream: it is to be on few of them, and each takes its part of the streams.
const stickyBelow uint8 = 160

// Tiers are sites in the order in which clients of a region are to be sent to them;
// those of one tier are equally good, and which of them a client gets, [Tiers.Pick]
// says.
type Tiers [][]Site

// Near orders sites for the clients of a region: those with room first; of these the
// region's own, then the others by the way to them, in steps of 20 ms, those of which
// nothing is known last; then by load, in eighths. For the clients of one stream
// (sticky) the load counts only above five eighths, so that it stays on few nodes as
// long as these have room. The order of sites does not matter; it is not changed.
func Near(region string, sites []Site, sticky bool) Tiers {
	order := slices.Clone(sites)
	for i := range order {
		order[i].mixed = mix(hash(order[i].ID))
	}
	rank := func(a, b Site) int {
		return cmp.Or(compareBool(a.full(), b.full()), compareBool(a.Region != region, b.Region != region),
			cmp.Compare(a.steps(region), b.steps(region)), cmp.Compare(a.busy(sticky), b.busy(sticky)))
	}
	slices.SortFunc(order, func(a, b Site) int { return cmp.Or(rank(a, b), cmp.Compare(a.ID, b.ID)) })
	var tiers Tiers
	for first := 0; first < len(order); {
		next := first + 1
		for next < len(order) && rank(order[first], order[next]) == 0 {
			next++
		}
		tiers = append(tiers, order[first:next:next])
		first = next
	}
	return tiers
}

func (s Site) full() bool { return s.Full || s.Load >= CrowdedFrom }

// steps is how far the site is from the clients of a region.
func (s Site) steps(region string) int64 {
	switch {
	case s.Region == region:
		return 0
	case s.RTT <= 0:
		return int64(maxSeconds*float64(time.Second)) / int64(rttStep)
	}
	return int64(s.RTT / rttStep)
}

// busy is the load as far as it counts.
func (s Site) busy(sticky bool) uint8 {
	if sticky && s.Load < stickyBelow {
		return 0
	}
	return s.Load / loadStep
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// SeedOfStream makes all clients of a stream come to the same nodes.
func SeedOfStream(key media.StreamKey) uint64 { return hash(key.Domain, key.App, key.Stream) }

// SeedOf spreads clients that ask for no stream; who is the same client's own text,
// such as its address.
func SeedOf(who string) uint64 { return hash(who) }

// Pick gives the first n sites, or all if there are fewer: tier by tier, and within
// one by rendezvous hash with the seed, so that who comes or goes moves only what is
// its own. It takes time in proportion to n and the tiers that it looks at.
func (t Tiers) Pick(seed uint64, n int) []Site {
	type weighed struct {
		Site

		weight uint64
	}
	var picked []Site
	for _, tier := range t {
		want := n - len(picked)
		if want <= 0 {
			break
		}
		best := make([]weighed, 0, min(want, len(tier))+1)
		for _, s := range tier {
			w := weighed{s, mix(seed ^ s.mixed)}
			at, _ := slices.BinarySearchFunc(best, w, func(a, b weighed) int {
				return cmp.Or(cmp.Compare(b.weight, a.weight), cmp.Compare(a.ID, b.ID))
			})
			if at == want {
				continue
			}
			best = slices.Insert(best, at, w)
			best = best[:min(len(best), want)]
		}
		for _, w := range best {
			picked = append(picked, w.Site)
		}
	}
	return picked
}
