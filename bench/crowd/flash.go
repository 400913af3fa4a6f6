package crowd

import (
	"context"
	"fmt"
	"time"

	"tmms/bench/publish"
	"tmms/bench/signal"
)

// Flash is a crowd that comes to a cluster before the stream that it wants.
type Flash struct {
	Crowd  Config        // without Edges and Stream
	Ahead  time.Duration // of the stream
	Settle time.Duration // by which the origin must have one subscription for each region
	Signal signal.Config
}

// DefaultFlash is 10,000 viewers that come two seconds ahead of the stream.
func DefaultFlash() Flash {
	return Flash{
		Crowd:  Config{Viewers: 10_000, Rate: 4000, Sources: 16, Timeout: time.Minute},
		Ahead:  2 * time.Second,
		Settle: time.Minute,
		Signal: signal.Config{BitrateBPS: 250_000, FPS: 25, GOP: 50},
	}
}

// FlashResult is what came of it.
type FlashResult struct {
	Result

	Most    int           // subscriptions that the origin had at once
	Last    int           // and in the end
	Settled time.Duration // from the stream's start on; 0: never
}

const flashStream = "live/crowd"

// Run lets the crowd come. An error is about the run itself; what the viewers got is
// in the result.
func (f Flash) Run(ctx context.Context, c *Cluster, regions int) (*FlashResult, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	f.Crowd.Edges, f.Crowd.Stream = c.Edges(), flashStream
	start := time.Now().Add(f.Ahead)
	published := make(chan error, 1)
	go func() {
		if err := until(ctx, start); err != nil {
			published <- nil
			return
		}
		published <- publish.Run(ctx, publish.Config{URL: c.PublishURL(flashStream), Signal: f.Signal}, nil)
	}()
	r := &FlashResult{Last: -1}
	counted := make(chan struct{})
	counting, stopCounting := context.WithCancel(ctx)
	go func() {
		defer close(counted)
		r.count(counting, c, regions, start)
	}()
	got, err := Run(ctx, ctx, f.Crowd, start)
	if err == nil {
		r.Result = *got
		_ = until(ctx, time.Now().Add(settledFor))
		r.await(ctx, c, regions, f.Settle)
	}
	stopCounting()
	<-counted
	cancel()
	if fault := <-published; fault != nil && err == nil {
		err = fmt.Errorf("crowd: the publisher: %w", fault)
	}
	return r, err
}

// settledFor is how long the number of subscriptions must be right.
const settledFor = 2 * time.Second

// count follows the origin's subscriptions.
func (r *FlashResult) count(ctx context.Context, c *Cluster, regions int, start time.Time) {
	for until(ctx, time.Now().Add(100*time.Millisecond)) == nil {
		n := c.Subscriptions(ctx)
		r.Most = max(r.Most, n)
		switch {
		case n != regions:
			r.Settled = 0
		case r.Settled == 0:
			r.Settled = time.Since(start)
		}
	}
}

// await waits until the origin has as many subscriptions as there are regions.
func (r *FlashResult) await(ctx context.Context, c *Cluster, regions int, limit time.Duration) {
	deadline, right := time.Now().Add(limit), time.Time{}
	for time.Now().Before(deadline) {
		r.Last = c.Subscriptions(ctx)
		switch {
		case r.Last != regions:
			right = time.Time{}
		case right.IsZero():
			right = time.Now()
		case time.Since(right) > settledFor:
			return
		}
		if until(ctx, time.Now().Add(100*time.Millisecond)) != nil {
			return
		}
	}
}
