package lab

import (
	"testing"
	"time"
)

func TestBuckets(t *testing.T) {
	before := map[string]float64{
		`x_bucket{loop="0",le="0.01"}`: 10, `x_bucket{loop="0",le="0.02"}`: 10,
		`x_bucket{loop="0",le="+Inf"}`: 10,
	}
	after := map[string]float64{
		`x_bucket{loop="0",le="0.01"}`: 60, `x_bucket{loop="0",le="0.02"}`: 90, `x_bucket{loop="0",le="+Inf"}`: 90,
		`x_bucket{loop="1",le="0.01"}`: 10, `x_bucket{loop="1",le="0.02"}`: 19, `x_bucket{loop="1",le="+Inf"}`: 20,
		`xx_bucket{le="0.01"}`: 1000, `x_count{loop="0"}`: 90, `g{loop="0"}`: 1, `g{loop="1"}`: 3, `gg`: 9,
	}
	b := BucketsOf(after, "x").Since(BucketsOf(before, "x"))
	if b.Count() != 100 {
		t.Fatalf("%v in %v, want 100", b.Count(), b)
	}
	for q, want := range map[float64]time.Duration{
		0.3: 5 * time.Millisecond, 0.6: 10 * time.Millisecond, 0.8: 15128 * time.Microsecond, 1: 20 * time.Millisecond,
	} {
		if got := b.Quantile(q).Round(time.Microsecond); got != want {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
	if got := (Buckets{}).Quantile(0.5); got != 0 {
		t.Errorf("of nothing: %v", got)
	}
	if largest(after, "g") != 3 || Sum(after, "g") != 4 {
		t.Errorf("largest %v, sum %v", largest(after, "g"), Sum(after, "g"))
	}
}
