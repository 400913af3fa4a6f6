package e2e

import (
	"testing"
	"time"

	"tmms/bench/glass"
)

// TestGlassToGlass looks how old a picture is when mpegts.js shows it in
// Chromium. The bound is for a busy machine; "tmms-bench glass" has a strict one.
func TestGlassToGlass(t *testing.T) {
	s := startDev(t)
	r, err := glass.Run(t.Context(), glass.Config{
		Push: s.pushURL("glass"), URL: s.url("/live/glass.flv"), Assets: s.url(""), Player: glass.PlayerFLV,
		Warmup: 6 * time.Second, Duration: 6 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	const limit = 1500 // ms
	if t.Logf("%+v", r); r.P50MS <= 0 || r.P50MS > limit {
		t.Errorf("half of the pictures are older than %.0f ms when they are shown, the limit is %d", r.P50MS, limit)
	}
}
