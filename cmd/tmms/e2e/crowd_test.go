package e2e

import (
	"context"
	"testing"
	"time"

	"tmms/bench/crowd"
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
