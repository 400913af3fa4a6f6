package shape

import (
	"math/rand/v2"
	"time"
)

// wander moves a delay within -Jitter..Jitter. It goes in straight lines between
// points drawn at random, far enough apart that it never falls faster than half
// of the time that passes: packets that leave in order arrive in order.
type wander struct {
	rng        *rand.Rand
	from, to   float64 // -1..1, at the ends of the present line
	since, end time.Duration
}

// minStep is the least time between two points.
const minStep = 10 * time.Millisecond

// at gives the deviation at a time that does not go back.
func (w *wander) at(now, jitter time.Duration) time.Duration {
	if jitter == 0 {
		return 0
	}
	for now >= w.end {
		w.from, w.to = w.to, 2*w.rng.Float64()-1
		w.since = max(w.end, now-max(minStep, 4*jitter)) // after a pause: as if it had gone on
		w.end = w.since + max(minStep, 4*jitter)
	}
	part := float64(now-w.since) / float64(w.end-w.since)
	return time.Duration((w.from + part*(w.to-w.from)) * float64(jitter))
}
