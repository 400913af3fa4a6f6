package pipeline

import (
	"testing"
	"time"

	"tmms/media"
)

// Case pdt: monotone whatever the wall clock does.
func TestWallClock(t *testing.T) {
	base := time.Unix(1000, 0)
	var c wallClock
	for i, s := range []struct {
		run  time.Duration // a run starts, then; 0: none
		dts  media.Timestamp
		wall time.Duration
		want time.Duration
	}{
		{5 * time.Second, 100, 3 * time.Second, 5 * time.Second}, // not before its run
		{0, 1100, 6 * time.Second, 6 * time.Second},
		{0, 2100, 11 * time.Second, 7 * time.Second},  // 4 s behind is a slow network
		{0, 3100, 14 * time.Second, 14 * time.Second}, // 6 s is not
		{0, 4100, 0, 15 * time.Second},
		{20 * time.Second, 5100, 21 * time.Second, 21 * time.Second},
		{10 * time.Second, 6100, 11 * time.Second, 22 * time.Second}, // never back
	} {
		if s.run > 0 {
			c.startRun(base.Add(s.run))
		}
		c.observe(s.dts, base.Add(s.wall))
		if got := c.at(s.dts).Sub(base); got != s.want {
			t.Fatalf("step %d: %v, want %v", i, got, s.want)
		}
	}
}
