package e2e

import (
	"testing"
	"time"

	"tmms/bench/glass"
)

// TestGlassToGlass looks how old a picture is when a player in Chromium shows it.
// The bounds are for a busy machine; "tmms-bench glass" has strict ones.
func TestGlassToGlass(t *testing.T) {
	s := startDev(t)
	const domains = "domains: [{name: default, aliases: ['*'], apps: [{name: live, rtmp: true, flv: true, " +
		"flush: low_latency, hls: {enabled: true, low_latency: true}}]}]"
	if out, err := s.tmms(t, "apply", "-f", writeFile(t, "domains.yaml", domains)); err != nil {
		t.Fatalf("apply: %v\n%s", err, out)
	}
	for _, c := range []struct {
		player, path string
		limitMS      float64
	}{
		{glass.PlayerFLV, "/live/flv.flv", 1500},
		{glass.PlayerLLHLS, "/live/llhls.m3u8", 2500},
	} {
		t.Run(c.player, func(t *testing.T) {
			r, err := glass.Run(t.Context(), glass.Config{
				Push: s.pushURL(c.player), URL: s.url(c.path), Assets: s.url(""), Player: c.player,
				Before: 3 * time.Second, Warmup: 8 * time.Second, Duration: 6 * time.Second,
			})
			if err != nil {
				t.Fatal(err)
			}
			if t.Logf("%+v", r); r.P50MS <= 0 || r.P50MS > c.limitMS {
				t.Errorf("half of the pictures are older than %.0f ms when they are shown, the limit is %.0f", r.P50MS, c.limitMS)
			}
		})
	}
}
