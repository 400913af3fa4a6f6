package gossip

import (
	"slices"
	"testing"
	"time"
)

func of(cluster string) func(*peer) *peer {
	return func(p *peer) *peer {
		p.SetCluster(cluster)
		return p
	}
}

// Two clusters with the same key, such as a copy that was made to try something, stay
// two: a node that is told to join the other one takes nothing from it, and gives it
// nothing. Who does not say where it belongs is let in.
func TestClustersDoNotMerge(t *testing.T) {
	a1 := of("a")(start(t, "n1"))
	a2 := of("a")(start(t, "n2", joins(a1.addr())))
	b1 := of("b")(start(t, "n1"))
	b3 := of("b")(start(t, "n3", joins(b1.addr())))
	for _, p := range []*peer{a1, a2} {
		p.await("all of its cluster, saying so", tagged("n1", "n2"))
	}
	for _, p := range []*peer{b1, b3} {
		p.await("all of its cluster, saying so", tagged("n1", "n3"))
	}
	stray := of("b")(start(t, "n4", joins(a1.addr(), b1.addr()))) // its config names both
	for _, p := range []*peer{stray, b1, b3} {
		p.awaitStates("n1:alive", "n3:alive", "n4:alive")
	}
	stray.awaitLog("it is of another cluster")
	for _, p := range []*peer{a1, a2} {
		p.awaitStates("n1:alive", "n2:alive")
	}
	if got := stray.member("n1").Addr; got != b1.Addr() {
		t.Errorf("n1 is at %s, want %s", got, b1.Addr())
	}
	old := start(t, "n5", joins(a2.addr())) // of an earlier release
	for _, p := range []*peer{old, a1, a2} {
		p.awaitStates("n1:alive", "n2:alive", "n5:alive")
	}
}

// tagged waits for members that all say where they belong.
func tagged(names ...string) func([]Member) bool {
	return func(members []Member) bool {
		var got []string
		for _, m := range members {
			if m.State == StateAlive && m.Cluster != "" {
				got = append(got, m.Name)
			}
		}
		return slices.Equal(got, names)
	}
}

// Each node learns where the others are with its probes.
func TestPlaces(t *testing.T) {
	for _, p := range trio(t) {
		p.awaitPlaces()
	}
}

// awaitPlaces waits until p knows where all others are. Nobody is woken for that.
func (p *peer) awaitPlaces() {
	p.t.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	unknown := func(m Member) bool { return m.Name != p.self.Name && !m.Known }
	for slices.ContainsFunc(p.Members(), unknown) {
		if time.Now().After(deadline) {
			p.t.Fatalf("%s does not know where all are: %+v", p.self.Name, p.Members())
		}
		<-tick.C
	}
}
