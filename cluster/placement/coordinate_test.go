package placement

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// world is nodes on a map with a last mile each; the round trips are what they measure.
type world struct {
	x, y, mile []float64 // ms
}

func (w *world) rtt(i, j int) time.Duration {
	ms := math.Hypot(w.x[i]-w.x[j], w.y[i]-w.y[j]) + w.mile[i] + w.mile[j]
	return time.Duration(ms * float64(time.Millisecond))
}

// Nodes that measured only some of the others know nearly how far all are, though
// each round trip they saw was longer by up to a fifth.
func TestCoordinatesConverge(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const nodes = 40
	w := &world{}
	for range nodes {
		w.x, w.y = append(w.x, rng.Float64()*100), append(w.y, rng.Float64()*100)
		w.mile = append(w.mile, 1+rng.Float64()*10)
	}
	at := slices.Repeat([]Coordinate{Origo()}, nodes)
	for range 400 {
		for i := range at {
			j := (i + 1 + rng.IntN(nodes/2)) % nodes // never the other half
			if i != j {
				noise := 1 + rng.Float64()*0.2
				at[i] = at[i].Moved(at[j], time.Duration(float64(w.rtt(i, j))*noise), uint64(i*nodes+j))
			}
		}
	}
	var wrong []float64
	for i := range nodes {
		if !at[i].Valid() || at[i].Error > 0.5 {
			t.Errorf("node %d: %+v", i, at[i])
		}
		for j := range i {
			truth := w.rtt(i, j).Seconds()
			wrong = append(wrong, math.Abs(at[i].RTT(at[j]).Seconds()-truth)/truth)
		}
	}
	slices.Sort(wrong)
	if median, p90 := wrong[len(wrong)/2], wrong[len(wrong)*9/10]; median > 0.2 || p90 > 0.6 {
		t.Errorf("wrong by %.0f%% in the median and %.0f%% at p90", 100*median, 100*p90)
	}
}

// What comes from elsewhere can't bring a coordinate to where it is none.
func TestCoordinateStaysValid(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	anywhere := func() Coordinate {
		c := Coordinate{Height: minHeight + rng.Float64()*(maxSeconds-minHeight), Error: rng.Float64() * maxError}
		for i := range c.Vec {
			c.Vec[i] = (2*rng.Float64() - 1) * maxSeconds
		}
		return c
	}
	c := Origo()
	for i := range 20_000 {
		if i%100 == 0 {
			c = anywhere()
		}
		rtt := time.Duration(rng.Int64N(int64(12 * time.Second)))
		if c = c.Moved(anywhere(), rtt, rng.Uint64()); !c.Valid() {
			t.Fatalf("after %d: %+v", i, c)
		}
	}
	for _, bad := range []Coordinate{
		{},
		{Height: 1, Error: math.NaN()},
		{Height: math.Inf(1)},
		{Height: 1, Vec: [dimensions]float64{0, math.NaN()}},
		{Height: 1, Vec: [dimensions]float64{11}},
		{Height: 1, Error: 2},
	} {
		if bad.Valid() {
			t.Errorf("%+v is valid", bad)
		}
	}
}

// Two nodes that begin at one place part, whoever measures first.
func TestCoordinatesPart(t *testing.T) {
	a, b := Origo(), Origo()
	for i := range 200 {
		a = a.Moved(b, 50*time.Millisecond, 7)
		b = b.Moved(a, 50*time.Millisecond, uint64(i))
	}
	if d := a.RTT(b); d < 45*time.Millisecond || d > 55*time.Millisecond {
		t.Errorf("%s apart, want 50ms", d)
	}
	if still := a.Moved(b, 0, 1); still != a {
		t.Error("nothing measured moves it")
	}
}

func TestEstimate(t *testing.T) {
	at := func(ms float64) Coordinate {
		return Coordinate{Vec: [dimensions]float64{ms / 1000}, Height: minHeight, Error: 0.1}
	}
	for _, tc := range []struct {
		place Place
		least time.Duration // 0: nothing is known
	}{
		{Place{ID: "unknown"}, 0},
		{Place{ID: "far", At: at(80), Known: true}, 80 * time.Millisecond},
		{Place{ID: "measured", At: at(90), Known: true, RTT: 20 * time.Millisecond}, 20 * time.Millisecond},
		{Place{ID: "broken", At: Coordinate{}, Known: true}, 0},
	} {
		rtt, ok := tc.place.Estimate(at(0))
		if ok != (tc.least > 0) || rtt < tc.least || rtt > tc.least+5*time.Millisecond {
			t.Errorf("%s: %s, %v", tc.place.ID, rtt, ok)
		}
	}
}
