package main

import (
	"slices"
	"testing"

	"tmms/bench/play"
)

func TestFaultsOfAnAttack(t *testing.T) {
	good := outcome{
		before: play.Result{P99MS: 100}, during: play.Result{P99MS: 150, Frames: 1},
		peak: peakGrowth, heap: lastingGrowth, fds: spareFDs,
	}
	if f := good.faults(); f != nil {
		t.Errorf("within every bound: %q", f)
	}
	bad := outcome{
		before: play.Result{P99MS: 100}, during: play.Result{P99MS: 151, Lost: 1, Gaps: 1},
		peak: peakGrowth + 1, heap: lastingGrowth + 1, fds: spareFDs + 1,
	}
	want := []string{"memory", "heap after", "descriptors", "delay", "viewers lost", "frames", "no frames"}
	if f := bad.faults(); !slices.Equal(f, want) {
		t.Errorf("beyond every bound: %q, want %q", f, want)
	}
}
