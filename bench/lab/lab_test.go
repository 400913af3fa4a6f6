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

func TestNginxConfig(t *testing.T) {
	both := nginxFacts{
		Nginx: Nginx{RTMP: true, Tune: "chunk_size 65536;", Root: "/srv"}, Files: 99, RTMPAddr: "127.0.0.1:1", HTTPAddr: "127.0.0.1:2",
	}
	text, err := both.config()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"worker_processes 1;", "worker_rlimit_nofile 99;", "listen 127.0.0.1:1;", "chunk_size 65536;", "root /srv;", "sendfile on;",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q in %s", want, text)
		}
	}
	web := nginxFacts{Nginx: Nginx{Root: "/srv"}}
	if text, err = web.config(); err != nil || strings.Contains(string(text), "rtmp") {
		t.Errorf("%s, %v", text, err)
	}
}

func TestPushArgs(t *testing.T) {
	s := &Server{RTMP: "h:1"}
	short := Push{Name: "a", Streams: 2, Bitrate: 64_000}.args(s)
	if want := strings.Fields("publish -url rtmp://h:1/live/a -streams 2 -bitrate 64000"); !slices.Equal(short, want) {
		t.Errorf("got %q", short)
	}
	full := Push{Name: "a", FPS: 25, NoAudio: true, Batch: time.Second}.args(s)
	if got := strings.Join(full, " "); !strings.HasSuffix(got, "-fps 25 -gop 50 -audio=false -batch 1s") {
		t.Errorf("got %q", got)
	}
}

func TestMedians(t *testing.T) {
	m := Medians([]Figures{{Name: "a", P99MS: 3, Lost: 1}, {P99MS: 1, Faults: 2}, {P99MS: 2}})
	if m.Name != "a" || m.P99MS != 2 || m.Lost != 1 || m.Faults != 2 {
		t.Errorf("got %+v", m)
	}
}
