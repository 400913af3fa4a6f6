package main

import (
	"strings"
	"testing"

	"tmms/bench/glass"
	"tmms/bench/publish"
)

func TestIngestReport(t *testing.T) {
	good := ingestFigures{Seconds: 2, Bytes: 2_500_000, CPUSeconds: 0.5}
	good.rate(publish.Tally{Messages: 4000, Bytes: 5_000_000})
	if good.MbitPerS != 10 || good.MessagesPerS != 1000 || good.CPUShare != 0.25 || good.USPerMbit != 25_000 || good.USPerMessage != 250 {
		t.Errorf("%+v", good)
	}
	bad := good
	bad.HLS, bad.LostBytes, bad.Dropped = true, -7, 2
	var out strings.Builder
	r := &ingestReport{Streams: 2, Bitrate: 1_000_000, Runs: 2, Rows: []ingestFigures{medianIngest([]ingestFigures{good, good})}}
	if err := r.print(&out); err != nil || !strings.Contains(out.String(), "25000") {
		t.Errorf("%v\n%s", err, out.String())
	}
	lossy := medianIngest([]ingestFigures{bad, good, good})
	if r.Rows = append(r.Rows, lossy); lossy.LostBytes != -7 || lossy.Dropped != 2 || r.print(&out) == nil {
		t.Errorf("a loss is no error: %+v", lossy)
	}
}

func TestGlassReport(t *testing.T) {
	for _, c := range []struct {
		player string
		p50    float64
		ok     bool
	}{
		{glass.PlayerFLV, 600, true},
		{glass.PlayerFLV, 601, false},
		{glass.PlayerLLHLS, 1200, true},
		{glass.PlayerLLHLS, 1300, false},
		{glass.PlayerHLS, 9000, true},
	} {
		var out strings.Builder
		err := printGlass(glass.Result{Player: c.player, P50MS: c.p50}, &out)
		if (err == nil) != c.ok || !strings.Contains(out.String(), c.player) {
			t.Errorf("%s at %.0f ms: %v, %q", c.player, c.p50, err, out.String())
		}
	}
	if s := glassDomains(glass.PlayerLLHLS, "35ms"); !strings.Contains(s, "low_latency: true") || !strings.Contains(s, `flush: "35ms"`) {
		t.Error(s)
	}
}
