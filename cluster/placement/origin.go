package placement

import (
	"cmp"
	"slices"
	"time"
)

// Origin is a node that may own streams.
type Origin struct {
	ID           string
	Region, Zone string        // "" is not known
	Load         uint8         // 0 idle to 255 full, as it says itself
	RTT          time.Duration // to it, from who chooses; 0: not known
	Draining     bool          // it is given nothing any more
	Healthy      bool          // nobody doubts that it lives
	Streams      int           // that it owns or stands by for
}

// loadStep is the difference in load that counts: what is less is noise, and would
// send all streams of a moment to one node.
const loadStep = 32

// rttStep is the same for the way to it.
const rttStep = 20 * time.Millisecond

// fit reports whether it may be given a stream.
func (o Origin) fit() bool { return o.Healthy && !o.Draining && o.Load < overloadedFrom }

// Standby gives the node that is to follow a stream of owner; false: none is fit for
// it. It should share with the owner as little of what can fail as there is, and be
// near it still: another zone of the region, then another region, then the same
// zone; among these the one with the least load, then with the fewest streams.
func Standby(owner Origin, candidates []Origin) (id string, ok bool) {
	return best(candidates, func(o Origin) (int, bool) { return apart(owner, o), o.ID != owner.ID && o.fit() })
}

// apart ranks where a standby is.
func apart(owner, o Origin) int {
	switch {
	case o.Region != owner.Region:
		return 1
	case o.Zone != owner.Zone:
		return 0
	}
	return 2
}

// Owner gives the node that is to own a stream whose publisher has come to self;
// false: none is fit for it. It is self, since every other one costs a way between
// nodes, as long as it is no worse than overloaded; then one of its region, of its
// zone first, that has become idle enough to stay it.
func Owner(self Origin, candidates []Origin) (id string, ok bool) {
	if self.fit() {
		return self.ID, true
	}
	id, ok = best(candidates, func(o Origin) (int, bool) {
		return near(self, o), o.ID != self.ID && o.fit() && o.Load < overloadedTo
	})
	if !ok && self.Healthy && !self.Draining { // the others are no better
		return self.ID, true
	}
	return id, ok
}

// near ranks where an owner is.
func near(self, o Origin) int {
	switch {
	case o.Region != self.Region:
		return 2
	case o.Zone != self.Zone:
		return 1
	}
	return 0
}

// best gives the candidate of the lowest rank that is least busy and nearest.
func best(candidates []Origin, rank func(Origin) (rank int, fit bool)) (id string, ok bool) {
	type ranked struct {
		Origin

		rank int
	}
	var found []ranked
	for _, o := range candidates {
		if r, fit := rank(o); fit {
			found = append(found, ranked{o, r})
		}
	}
	if len(found) == 0 {
		return "", false
	}
	return slices.MinFunc(found, func(a, b ranked) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.Load/loadStep, b.Load/loadStep),
			cmp.Compare(a.Streams, b.Streams), cmp.Compare(a.RTT/rttStep, b.RTT/rttStep), cmp.Compare(a.ID, b.ID))
	}).ID, true
}
