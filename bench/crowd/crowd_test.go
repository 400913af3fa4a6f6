package crowd

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tmms/media"
	"tmms/media/flv"
)

// edge is a server of a stream that begins after some requests: before, it asks to
// come again.
func edge(t *testing.T, refusals int32) Edge {
	t.Helper()
	var asked atomic.Int32
	segment := bytes.Repeat(append([]byte{0x47}, make([]byte, 187)...), 3)
	key := []byte{0x17, 1, 0, 0, 0, 1}
	mux := http.NewServeMux()
	mux.HandleFunc("/live/a.m3u8", func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) <= refusals {
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\na/live.m3u8\n"))
	})
	mux.HandleFunc("/live/a/live.m3u8", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("#EXTM3U\n#EXTINF:2,\n7-1.ts\n"))
	})
	mux.HandleFunc("/live/a/7-1.ts", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(segment) })
	mux.HandleFunc("/live/a.flv", func(w http.ResponseWriter, _ *http.Request) {
		b := flv.AppendHeader(nil, false, true)
		b = flv.AppendTag(b, flv.Tag{Type: media.TypeVideo, Body: []byte{0x17, 0, 0, 0, 0, 1}})
		b = flv.AppendTag(b, flv.Tag{Type: media.TypeVideo, Body: key})
		for ; len(b) > 0; b = b[min(len(b), 7):] {
			_, _ = w.Write(b[:min(len(b), 7)])
			_ = http.NewResponseController(w).Flush()
		}
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return Edge{HTTP: strings.TrimPrefix(s.URL, "http://"), RTMP: deaf(t)}
}

// deaf is a port that takes connections and says nothing.
func deaf(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

func TestRun(t *testing.T) {
	cfg := Config{Edges: []Edge{edge(t, 2)}, Stream: "live/a", Viewers: 9, Rate: 1000, Sources: 2, Timeout: time.Second}
	r, err := Run(t.Context(), t.Context(), cfg, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for proto, want := range map[string]int{"flv": 3, "hls": 3, "rtmp": 0} {
		if r.Asked[proto] != 3 || r.Got[proto] != want {
			t.Errorf("%s: %d of %d, want %d of 3", proto, r.Got[proto], r.Asked[proto], want)
		}
	}
	if r.Failed() != 3 || len(r.Faults) != 3 || !strings.HasPrefix(r.Faults[0], "rtmp at ") {
		t.Errorf("%d failed: %q", r.Failed(), r.Faults)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, ctx, cfg, time.Time{}); err == nil {
		t.Error("a run without an end")
	}
}

func TestValidate(t *testing.T) {
	good := Config{Edges: []Edge{{}}, Viewers: 1, Rate: 1, Sources: 1, Timeout: 1}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Config){
		"no edges":       func(c *Config) { c.Edges = nil },
		"20,000 viewers": func(c *Config) { c.Viewers = 20_000 },
		"no rate":        func(c *Config) { c.Rate = 0 },
		"300 sources":    func(c *Config) { c.Sources = 300 },
		"no time":        func(c *Config) { c.Timeout = 0 },
	} {
		c := good
		change(&c)
		if c.Validate() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for _, s := range []Shape{{}, {Regions: 17, Edges: 1}, {Regions: 1, Edges: 17}} {
		if s.Validate() == nil {
			t.Errorf("%+v: accepted", s)
		}
	}
}
