package play

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func slowConfig(url string) SlowConfig {
	return SlowConfig{
		URL: url + "/live/a.flv", Stopped: 2, Throttled: 2, Sawtooth: 2, RateBPS: 4_000_000,
		Pause: 200 * time.Millisecond, Read: 300 * time.Millisecond, ReceiveBuffer: 16 << 10,
	}
}

// runSlow runs until enough was seen.
func runSlow(t *testing.T, cfg SlowConfig, d time.Duration) SlowReport {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	ready := false
	r, err := RunSlow(ctx, cfg, func() { ready = true })
	if err != nil || !ready {
		t.Fatalf("ready %v, %v", ready, err)
	}
	return r
}

// Requirement: C8
func TestRunSlow(t *testing.T) {
	r := runSlow(t, slowConfig(flvServer(t, 0)), 2*time.Second)
	if r.Frames == 0 || r.Bytes == 0 {
		t.Errorf("nothing was read: %+v", r)
	}
	if r.Closed+int(r.Skips+r.OffKey+r.Steps+r.Back+r.Damaged) != 0 {
		t.Errorf("faults of a stream that has none: %+v", r)
	}
	if r := runSlow(t, slowConfig(flvServer(t, 10)), 2*time.Second); r.Skips == 0 || r.OffKey == 0 {
		t.Errorf("missing frames were not seen: %+v", r)
	}
}

// Connections that the server ends are counted and opened again, those too of
// which nothing is read.
func TestRunSlowReopens(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		if err = errors.Join(c.(*net.TCPConn).SetLinger(0), c.Close()); err != nil {
			t.Error(err)
		}
	}))
	defer srv.Close()
	if r := runSlow(t, slowConfig(srv.URL), 2*time.Second); r.Closed < 6 {
		t.Errorf("%d were closed, want each of 6 once or more", r.Closed)
	}
}

func TestSlowConfigIsChecked(t *testing.T) {
	for name, change := range map[string]func(*SlowConfig){
		"number": func(c *SlowConfig) { c.Stopped = -1 },
		"rate":   func(c *SlowConfig) { c.RateBPS = 1 },
		"tooth":  func(c *SlowConfig) { c.Pause = 0 },
		"buffer": func(c *SlowConfig) { c.ReceiveBuffer = 1 << 30 },
		"RTMP":   func(c *SlowConfig) { c.URL = "rtmp://127.0.0.1/live/a" },
		"nobody": func(c *SlowConfig) { c.URL = "http://127.0.0.1:1/a.flv" },
	} {
		cfg := slowConfig("http://127.0.0.1")
		change(&cfg)
		if _, err := RunSlow(t.Context(), cfg, nil); err == nil {
			t.Errorf("%s: %+v was accepted", name, cfg)
		}
	}
}
