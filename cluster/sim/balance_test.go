package sim

import (
	"math/rand/v2"
	"testing"
	"time"
)

// calm is a cluster to which nothing happens: five origins, and streams that are all
// published to the second one. settled is called once they have standbys in sync.
func calm(t *testing.T, streams, weight int, settled func(w *world)) *world {
	t.Helper()
	w := newWorldOf(7, Rules{Story: true}, func(*rand.Rand) size {
		return size{voters: 3, origins: 2, edges: 2, streams: streams}
	})
	for _, n := range w.nodes {
		n.base = 0
	}
	for _, st := range w.streams {
		st.home, st.weight = w.nodes[1], weight
	}
	w.begin()
	w.runTo(calmUntil)
	settled(w)
	return w
}

// owned counts the streams of a node.
func owned(w *world, n *node) (count int) {
	for i := range w.check.streams {
		if w.check.streams[i].now.Owner == n.id {
			count++
		}
	}
	return count
}

func (w *world) mustBeWell(t *testing.T) {
	t.Helper()
	if w.failure == "" {
		w.failure = w.wrong()
	}
	if w.failure != "" {
		t.Fatalf("%s\n%s", w.failure, w.story())
	}
}

// An origin that has too much to do gives streams away until it has not, and no more.
func TestLoadsConverge(t *testing.T) {
	for _, weight := range []int{11, 25, 60} {
		w := calm(t, 20, weight, func(*world) {})
		w.runTo(5 * time.Minute)
		w.mustBeWell(t)
		relieved := w.relieved
		full := 0
		for _, n := range w.origins {
			if n.load >= 205 {
				full++
			}
		}
		// 20 times 25 is less than five origins may have, 20 times 60 more.
		if relieved == 0 || relieved > 20 || full > 0 && weight < 60 {
			t.Errorf("weight %d: %d streams were moved, %d origins have too much to do", weight, relieved, full)
		}
		if weight == 11 && relieved != 2 { // from 220 to 198
			t.Errorf("%d streams were moved, 2 are enough", relieved)
		}
		w.runTo(9 * time.Minute) // nothing goes back: the checker looks
		w.mustBeWell(t)
		if weight < 60 && w.relieved != relieved {
			t.Errorf("weight %d: %d streams more were moved", weight, w.relieved-relieved)
		}
	}
}

// Where the standbys of a full origin are full too, streams go to others all the same.
func TestReliefFindsAnotherStandby(t *testing.T) {
	w := calm(t, 6, 10, func(w *world) {
		idle := 0
		for _, n := range w.origins {
			n.base = 200
			standsBy := false
			for i := range w.check.streams {
				standsBy = standsBy || w.check.streams[i].now.Standby == n.id
			}
			if n != w.nodes[1] && !standsBy {
				n.base = 0
				idle++
			}
		}
		if idle == 0 { // all of them have a part: one of them has room, and stands by for nothing
			t.Fatal("every origin stands by for a stream")
		}
	})
	w.runTo(2 * time.Minute)
	w.mustBeWell(t)
	if got := owned(w, w.nodes[1]); got > 1 || w.relieved == 0 {
		t.Errorf("it owns %d streams still, %d were moved", got, w.relieved)
	}
}
