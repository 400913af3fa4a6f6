//go:build next

package relaywire

// V3 is the version of the release after this one, as tests of upgrades have it: its
// subscriptions begin in a way that a node of version 2 refuses. See ADR 11.
const V3 Version = 3

// Newest is the highest version that this release speaks.
const Newest = V3

// needed is the version that a stream begins with.
func (v Version) needed() Version {
	if v >= V3 {
		return V3
	}
	return V1
}
