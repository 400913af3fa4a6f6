package placement

import (
	"cmp"
	"hash/fnv"
	"io"
	"slices"

	"tmms/media"
)

// Order lists the nodes of a region in the order in which they are to be the
// shield of a stream, by rendezvous hash (highest random weight): each node is
// first for an equal share of the streams, and who comes or goes changes the order
// of the others for no stream. ids is not changed; the same set of ids gives the
// same order on every node and in every version.
func Order(region string, key media.StreamKey, ids []string) []string {
	seed := hash(region, key.Domain, key.App, key.Stream)
	type weighed struct {
		id     string
		weight uint64
	}
	all := make([]weighed, len(ids))
	for i, id := range ids {
		all[i] = weighed{id, mix(seed ^ mix(hash(id)))}
	}
	slices.SortFunc(all, func(a, b weighed) int {
		return cmp.Or(cmp.Compare(b.weight, a.weight), cmp.Compare(a.id, b.id))
	})
	order := make([]string, len(all))
	for i, w := range all {
		order[i] = w.id
	}
	return order
}

// hash is FNV-1a over the parts, which no byte can be moved between.
func hash(parts ...string) uint64 {
	h := fnv.New64a()
	for _, p := range parts {
		_, _ = io.WriteString(h, p)
		_, _ = h.Write([]byte{0})
	}
	return h.Sum64()
}

// mix spreads each bit over all others (the finalizer of SplitMix64): FNV alone
// leaves ids that differ in their last bytes alike in the upper bits.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}
