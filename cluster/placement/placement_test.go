package placement

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"tmms/media"
)

func stream(i int) media.StreamKey {
	return media.StreamKey{Domain: "default", App: "live", Stream: fmt.Sprint("s", i)}
}

// nodes are ids as nodes have them: of one form, some nearly alike.
func nodes(n int) []string {
	rng := rand.New(rand.NewPCG(1, 2))
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("%08x-0000-4000-8000-%012x", rng.Uint32(), rng.Uint64()&0xffffffffffff)
		if i%3 == 0 {
			ids[i] = fmt.Sprintf("edge-%d", i)
		}
	}
	return ids
}

// TestOrderIsTheSameEverywhere: neither the order in which a node has heard of the
// others nor its version matters.
func TestOrderIsTheSameEverywhere(t *testing.T) {
	ids := nodes(12)
	rng := rand.New(rand.NewPCG(3, 4))
	for i := range 200 {
		want := Order("eu", stream(i), ids)
		mine := slices.Clone(ids)
		rng.Shuffle(len(mine), func(a, b int) { mine[a], mine[b] = mine[b], mine[a] })
		if got := Order("eu", stream(i), mine); !slices.Equal(got, want) {
			t.Fatalf("%v, want %v", got, want)
		}
	}
	// What nodes of other versions say; a change here moves every stream of a cluster.
	for i, want := range [][]string{
		{"edge-1", "edge-4", "edge-2", "edge-3"},
		{"edge-1", "edge-2", "edge-3", "edge-4"},
		{"edge-2", "edge-3", "edge-4", "edge-1"},
	} {
		if got := Order("eu", stream(i), []string{"edge-1", "edge-2", "edge-3", "edge-4"}); !slices.Equal(got, want) {
			t.Errorf("stream %d: %v, want %v", i, got, want)
		}
	}
	if len(Order("eu", stream(1), nil)) != 0 {
		t.Error("an order of nobody")
	}
}

// TestOrderBalances: each node is first, and second, for about an equal share.
func TestOrderBalances(t *testing.T) {
	const streams = 20_000
	for _, n := range []int{2, 4, 12, 50} {
		ids := nodes(n)
		for place := range 2 {
			count := map[string]int{}
			for i := range streams {
				count[Order("eu", stream(i), ids)[place]]++
			}
			for _, id := range ids {
				if share := float64(count[id]) * float64(n) / streams; share < 0.8 || share > 1.2 {
					t.Errorf("%d nodes: %s has %.2f of its share in place %d", n, id, share, place)
				}
			}
		}
	}
}

// TestOrderMovesLittle: a node that comes takes its share and nothing else moves;
// one that goes leaves its streams to those who were second, evenly.
func TestOrderMovesLittle(t *testing.T) {
	const streams = 5000
	ids := nodes(8)
	all, newest := ids, ids[7]
	moved := 0
	heirs := map[string]int{}
	for i := range streams {
		before, after := Order("eu", stream(i), all[:7]), Order("eu", stream(i), all)
		if without := slices.DeleteFunc(slices.Clone(after), func(id string) bool { return id == newest }); !slices.Equal(without, before) {
			t.Fatalf("the order of the others has changed: %v, %v", before, after)
		}
		if after[0] == newest {
			moved++
			heirs[after[1]]++
		}
	}
	if moved < streams/8*8/10 || moved > streams/8*12/10 {
		t.Errorf("%d of %d streams moved, want an eighth", moved, streams)
	}
	for id, n := range heirs {
		if n < moved/7/2 || n > moved/7*2 {
			t.Errorf("%s inherits %d of %d", id, n, moved)
		}
	}
}

func TestJudge(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		name        string
		node, owner Path
		want        Verdict
		then        Path // after which it is fit again
		still       Path // after which it is not
	}{
		{"near", Path{RTT: ms}, Path{RTT: 80 * ms}, Fit, Path{}, Path{}},
		{"nothing is known", Path{}, Path{}, Fit, Path{}, Path{}},
		{"as near as the owner", Path{RTT: 30 * ms}, Path{RTT: ms}, Fit, Path{}, Path{}},
		{"overloaded", Path{Load: 241}, Path{}, Overloaded, Path{Load: 100}, Path{Load: 230}},
		{"far", Path{RTT: 150 * ms}, Path{RTT: 40 * ms}, Far, Path{RTT: 60 * ms}, Path{RTT: 120 * ms}},
		{"far, the owner's way not known", Path{RTT: 600 * ms}, Path{}, Far, Path{RTT: 100 * ms}, Path{RTT: 400 * ms}},
		{"lossy", Path{Loss: .12}, Path{Loss: .01}, Lossy, Path{Loss: .01}, Path{Loss: .08}},
		{"no more lossy than the owner's way", Path{Loss: .12}, Path{Loss: .08}, Fit, Path{}, Path{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			samples := func(j Judge, n int, p Path) Judge {
				for range n {
					j = j.Sample(p, c.owner)
				}
				return j
			}
			j := samples(Judge{}, Agree-1, c.node)
			if j.Verdict() != Fit {
				t.Errorf("%v after %d samples", j.Verdict(), Agree-1)
			}
			if j = samples(j, 1, c.node); j.Verdict() != c.want {
				t.Fatalf("%v, want %v", j.Verdict(), c.want)
			}
			if c.want == Fit {
				return
			}
			if j = samples(j, 2*Agree, c.still); j.Verdict() != c.want {
				t.Errorf("%v between the limits", j.Verdict())
			}
			if j = samples(j, Agree, c.then); j.Verdict() != Fit {
				t.Errorf("still %v", j.Verdict())
			}
		})
	}
}

// TestJudgeSettles: a way that is good and bad in turn changes nothing.
func TestJudgeSettles(t *testing.T) {
	var j Judge
	for i := range 100 {
		j = j.Sample(Path{Load: uint8(i % 2 * 255), Loss: float64(i % 3)}, Path{})
		if j.Verdict() != Fit {
			t.Fatalf("%v after sample %d", j.Verdict(), i)
		}
	}
}

func TestChoose(t *testing.T) {
	for _, c := range []struct {
		name  string
		order []Candidate
		want  int
	}{
		{"nobody", nil, -1},
		{"the first", []Candidate{{}, {}}, 0},
		{"the first has failed", []Candidate{{Barred: true}, {}}, 1},
		{"the first has no room", []Candidate{{Verdict: Overloaded}, {}}, 1},
		{"nobody has room", []Candidate{{Verdict: Far}, {Verdict: Overloaded}, {Verdict: Overloaded}}, 1},
		{"all are worse than the owner", []Candidate{{Verdict: Far}, {Verdict: Lossy}}, -1},
		{"the first has just come", []Candidate{{Verdict: New}, {}}, 1},
	} {
		if got := Choose(c.order); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}
