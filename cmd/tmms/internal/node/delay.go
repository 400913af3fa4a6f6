package node

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Between two samples of the scheduling delay: at random, so that the sampler
// does not keep step with the loops' ticks.
const (
	minSamplePause = 50 * time.Millisecond
	maxSamplePause = 250 * time.Millisecond
)

// delay samples how late a goroutine that asked to be woken runs: what raft,
// gossip and the sessions suffer too where the loops leave no processor.
type delay struct {
	seconds prometheus.Histogram
}

func newDelay() *delay {
	return &delay{seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "tmms_node_scheduling_delay_seconds", Help: "How late a goroutine runs that was to be woken, sampled.",
		Buckets: []float64{.0002, .0005, .001, .002, .005, .01, .02, .035, .05, .1, .2, .5, 1, 2},
	})}
}

// run samples until ctx ends.
func (d *delay) run(ctx context.Context) error {
	for {
		pause := minSamplePause + rand.N(maxSamplePause-minSamplePause)
		timer := time.NewTimer(pause)
		start := time.Now()
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
		d.seconds.Observe(max(0, time.Since(start)-pause).Seconds())
	}
}
