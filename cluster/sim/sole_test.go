package sim

import (
	"math/rand/v2"
	"testing"
	"time"

	"tmms/cluster/verdict"
)

// lucky is a court that asks eight edges by chance, always, and waits for no other.
type lucky struct{ *verdict.Court }

func (lucky) Round(_, edges []string, now time.Duration) []string {
	rng := rand.New(rand.NewPCG(uint64(now), 1))
	rng.Shuffle(len(edges), func(i, j int) { edges[i], edges[j] = edges[j], edges[i] })
	return edges[:min(8, len(edges))]
}

func (lucky) Asked(string, []string, bool) {}

// soleSubscriber is a cluster of hundreds of edges in which nobody has a way any more to
// the owner of a stream, but for one edge that watches it. It gives for how long the
// owner keeps the stream.
func soleSubscriber(t *testing.T, rules Rules) time.Duration {
	t.Helper()
	rules.Story = true
	w := newWorldOf(11, rules, func(*rand.Rand) size { return size{voters: 3, origins: 1, edges: 300, streams: 1} })
	w.streams[0].home = w.origins[3]
	sole := w.nodes[150]
	for _, n := range w.nodes {
		n.watching = nil
	}
	sole.watching = []int{0}
	w.begin()
	w.runTo(calmUntil)
	owner := w.byID[w.check.streams[0].now.Owner]
	if owner != w.origins[3] || owner.up && sole.media[owner.index] == 0 {
		t.Fatalf("nothing is as it should be: %v owns the stream, media came at %s", owner, sole.media[owner.index])
	}
	cut := &cut{side: make([]bool, len(w.nodes)), spares: sole}
	cut.side[owner.index] = true
	w.net.cuts = append(w.net.cuts, cut)
	began := w.now
	owner.troubled = began + time.Minute
	for w.check.streams[0].now.Owner == owner.id && w.failure == "" && w.now < began+time.Minute {
		w.runTo(w.now + 10*time.Millisecond)
	}
	if w.failure != "" {
		t.Fatal(w.failure, w.story())
	}
	return w.now - began
}

// A single subscriber among hundreds of edges keeps the owner of its stream alive, until
// that has not renewed its lease for a term; by chance it would not.
func TestSoleSubscriber(t *testing.T) {
	if got := soleSubscriber(t, Rules{}); got < leaseTerm-renewEvery || got > leaseTerm+time.Second {
		t.Errorf("the owner is dead after %s, its lease ends after %s to %s", got, leaseTerm-renewEvery, leaseTerm)
	}
	chance := Rules{Court: func(cfg verdict.Config, now time.Duration) Court { return lucky{verdict.New(cfg, now)} }}
	if got := soleSubscriber(t, chance); got > 3*time.Second {
		t.Errorf("by chance it was dead after %s: nothing is proved", got)
	}
}
