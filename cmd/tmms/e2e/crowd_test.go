package e2e

import (
	"context"
	"sync"
	"testing"
	"time"

	"tmms/bench/crowd"
	"tmms/bench/play"
	"tmms/bench/publish"
	"tmms/bench/signal"
)

// TestFlashCrowd: hundreds of viewers by every protocol come to six edges in three
// regions, two seconds before the stream that they want; each gets a picture, and the
// origin sends the stream once for each region. "tmms-bench crowd" is the same with
// 10,000 viewers on 12 edges (CASES: flash-crowd).
//
// Requirement: C7
func TestFlashCrowd(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	shape := crowd.Shape{Regions: 3, Edges: 2}
	c, err := crowd.Start(ctx, binary, t.TempDir(), shape)
	defer c.Stop()
	if err != nil {
		t.Fatal(err)
	}
	flash := crowd.DefaultFlash()
	flash.Crowd.Viewers, flash.Crowd.Rate, flash.Crowd.Sources = 600, 600, 2
	r, err := flash.Run(ctx, c, shape.Regions)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("waited %v, %d subscriptions at most, settled after %v", r.Waited, r.Most, r.Settled)
	if n := r.Failed(); n > 0 {
		t.Errorf("%d viewers of %v got nothing: %q", n, r.Asked, r.Faults)
	}
	if r.Last != shape.Regions {
		t.Errorf("the origin has %d subscriptions, want %d", r.Last, shape.Regions)
	}
	if t.Failed() {
		t.Log(c.Logs())
	}
}

// TestShieldIsKilled: the viewers of the edges behind a shield whose process is killed
// get every frame, once and in order.
//
// Requirement: C7
func TestShieldIsKilled(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	c, err := crowd.Start(ctx, binary, t.TempDir(), crowd.Shape{Regions: 1, Edges: 3})
	defer c.Stop()
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	publishing, stop := context.WithCancel(ctx)
	defer stop()
	wg.Go(func() {
		form := signal.Config{BitrateBPS: 500_000, FPS: 25, GOP: 50}
		if err := publish.Run(publishing, publish.Config{URL: c.PublishURL("live/a"), Signal: form}, nil); err != nil {
			t.Error(err)
		}
	})
	// A viewer at each edge first, so that the shield is known.
	cfg := play.DefaultConfig()
	cfg.Viewers, cfg.Verify, cfg.Warmup, cfg.Duration = 5, 1, time.Second, 8*time.Second
	reports := make([]play.Report, len(c.Edges()))
	faults := make([]error, len(reports))
	var watching sync.WaitGroup
	for i, e := range c.Edges() {
		cfg := cfg
		cfg.URL = "http://" + e.HTTP + "/live/a.flv"
		watching.Go(func() { reports[i], faults[i] = play.Run(ctx, cfg, nil) })
	}
	shield := -1
	waitFor(t, 30*time.Second, "a shield", func() bool {
		for i := range reports {
			if c.EdgeSubscriptions(ctx, i) == len(reports)-1 {
				shield = i
			}
		}
		return shield >= 0 && c.Subscriptions(ctx) == 1
	})
	<-time.After(3 * time.Second) // into the counting
	c.Kill(shield)
	watching.Wait()
	for i, r := range reports {
		if i == shield {
			continue
		}
		t.Logf("edge %d: %+v, the latest frame %v", i, r.Check, r.Delay.Max())
		if faults[i] != nil || r.Lost > 0 || r.Check.Gaps+r.Check.Repeats+r.Check.Damaged+r.Check.Back > 0 || r.Check.Frames < 5*150 {
			t.Errorf("edge %d: %+v, %v", i, r, faults[i])
		}
		if late := r.Delay.Max(); late > 3*time.Second {
			t.Errorf("edge %d: a frame is %v late", i, late)
		}
	}
	if t.Failed() {
		t.Log(c.Logs())
	}
}
