package lab

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestLoadArgs(t *testing.T) {
	short := Load{URL: "http://h/live/bench.flv", Viewers: 10, Duration: 2 * time.Second}.args()
	if want := strings.Fields("play -o json -mark -url http://h/live/bench.flv -viewers 10 -duration 2s"); !slices.Equal(short, want) {
		t.Errorf("got %q", short)
	}
	full := Load{Viewers: 1, Verify: 7, ConnectRate: 3000, Streams: 9, Duration: time.Second, Warmup: time.Minute}.args()
	for _, want := range []string{"-verify 7", "-connect-rate 3000", "-streams 9", "-warmup 1m0s"} {
		if !strings.Contains(strings.Join(full, " "), want) {
			t.Errorf("%q lacks %s", full, want)
		}
	}
}

func TestMetrics(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/metrics" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte("# HELP a what\n# TYPE a gauge\na 1.5\nb{loop=\"0\"} 2e3\nbroken\n"))
	}))
	defer srv.Close()
	s := &Server{Admin: srv.Listener.Addr().String()}
	m, err := s.Metrics(t.Context())
	if err != nil || len(m) != 2 || m["a"] != 1.5 || m[`b{loop="0"}`] != 2000 {
		t.Errorf("got %v, %v", m, err)
	}
	if _, err := fetch(t.Context(), "http://"+s.Admin+"/other"); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("a missing page: %v", err)
	}
}

// A server that does not come up is ended.
func TestServerThatNeverAnswers(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	ln.Close()
	stopped := false
	s := &Server{Name: "x", HTTP: addr, stop: func() { stopped = true }}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := s.wait(ctx, func() bool { return dials(ctx, addr) }); err == nil || !stopped {
		t.Errorf("error %v, stopped %v", err, stopped)
	}
}

func TestHeap(t *testing.T) {
	asked := 0
	profile := "heap profile: 1: 2 [3: 4] @ heap/1048576\n\n# runtime.MemStats\n# HeapInuse = 8000\n# Stack = 500 / 917504\n# PauseNs = [1 2]\n"
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		if r.URL.Path != "/debug/pprof/heap" || r.FormValue("gc") != "1" || r.FormValue("debug") != "1" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte(profile))
	}))
	defer srv.Close()
	s := &Server{Admin: srv.Listener.Addr().String()}
	if n, err := s.heap(t.Context()); n != 8500 || asked != 2 || err != nil {
		t.Errorf("%d bytes after %d profiles, %v", n, asked, err)
	}
	profile = "heap profile: 1: 2 [3: 4] @ heap/1048576\n"
	if n, err := s.heap(t.Context()); err == nil {
		t.Errorf("%d bytes of a profile without them", n)
	}
}
