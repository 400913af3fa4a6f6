package hlsplay

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// live is a stream whose segments last a second.
type live struct {
	start   time.Time
	frozen  bool         // the playlist never grows
	missing bool         // segments are not there
	broken  bool         // segments are not TS
	failing atomic.Int64 // playlists still to be answered with 503
}

const window = 4

func (l *live) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /live/a.m3u8", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1000\na/live.m3u8?k=1\n")
	})
	mux.HandleFunc("GET /live/a/live.m3u8", func(w http.ResponseWriter, req *http.Request) {
		if l.failing.Add(-1) >= 0 {
			http.Error(w, "later", http.StatusServiceUnavailable)
			return
		}
		if req.URL.Query().Get("k") != "1" {
			http.Error(w, "the query was lost", http.StatusBadRequest)
			return
		}
		first := 0
		if !l.frozen {
			first = int(time.Since(l.start) / time.Second)
		}
		fmt.Fprintf(w, "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:%d\n", first)
		for i := range window {
			end := l.start.Add(time.Duration(first+i-window) * time.Second)
			fmt.Fprintf(w, "#EXT-X-PROGRAM-DATE-TIME:%s\n#EXTINF:1.000,\n%d.ts\n", end.Format(time.RFC3339Nano), first+i)
		}
	})
	mux.HandleFunc("GET /live/a/{name}", func(w http.ResponseWriter, req *http.Request) {
		if l.missing {
			http.NotFound(w, req)
			return
		}
		packet := bytes.Repeat([]byte{0x47}, 188)
		if l.broken {
			packet[0] = 0
		}
		b := bytes.Repeat(packet, 2000)
		w.Header().Set("Content-Length", strconv.Itoa(len(b)))
		_, _ = w.Write(b)
	})
	return mux
}

func watch(t *testing.T, l *live, change func(*Config)) (Result, error) {
	t.Helper()
	l.start = time.Now()
	srv := httptest.NewServer(l.handler())
	defer srv.Close()
	cfg := Config{
		URL: srv.URL + "/live/a.m3u8", Viewers: 6, ConnectRate: 100, Verify: 2,
		Warmup: 500 * time.Millisecond, Duration: 3 * time.Second,
	}
	if change != nil {
		change(&cfg)
	}
	return Run(t.Context(), cfg, nil)
}

func TestPolling(t *testing.T) {
	t.Parallel()
	var told Result
	r, err := watch(t, &live{}, func(c *Config) { c.OnResult = func(r Result) error { told = r; return nil } })
	if err != nil {
		t.Fatal(err)
	}
	if r.Viewers != 6 || r.Lost != 0 || r.NotFound+r.ServerErrors+r.OtherErrors+r.Stale+r.Skipped+r.Damaged != 0 {
		t.Errorf("result is %+v", r)
	}
	// About a playlist and a segment a second for each viewer.
	if r.Playlists < 6*2 || r.Playlists > 6*7 || r.Segments < 6*2 || r.Segments > 6*5 || r.Verified == 0 {
		t.Errorf("result is %+v", r)
	}
	if r.Delivered < 0.5 || r.Delivered > 1.5 || r.DelayP99MS == 0 || r.AnswerP99MS == 0 || r.Bytes < r.Segments*2000*188 {
		t.Errorf("result is %+v", r)
	}
	if told != r {
		t.Errorf("OnResult got %+v", told)
	}
}

func TestPollingSeesFaults(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		live *live
		bad  func(Result) int64
	}{
		"missing segments": {&live{missing: true}, func(r Result) int64 { return r.NotFound }},
		"damaged segments": {&live{broken: true}, func(r Result) int64 { return r.Damaged }},
		"a stale playlist": {&live{frozen: true}, func(r Result) int64 { return r.Stale }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if r, err := watch(t, c.live, nil); err != nil || c.bad(r) == 0 {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
	l := &live{}
	l.failing.Store(6)
	r, err := watch(t, l, func(c *Config) { c.Warmup = 0; c.ConnectRate = 10_000 })
	if err != nil || r.ServerErrors != 6 || r.Segments == 0 {
		t.Errorf("with 503 at first: %+v, %v", r, err)
	}
}

func TestFetching(t *testing.T) {
	t.Parallel()
	const rate = 40_000_000
	r, err := watch(t, &live{}, func(c *Config) { c.RateBPS = rate })
	if err != nil {
		t.Fatal(err)
	}
	if got := float64(r.Bytes) * 8 / r.Seconds; got < rate/4 || got > rate*1.5 {
		t.Errorf("%.0f bit/s: %+v", got, r)
	}
	if r.Playlists == 0 || r.Segments < 3*r.Playlists || r.NotFound+r.Damaged != 0 {
		t.Errorf("result is %+v", r)
	}
}

func TestRunFails(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "no playlist")
	}))
	addr := srv.URL
	short := Config{URL: addr + "/a.m3u8", Viewers: 2, ConnectRate: 100, Verify: 1, Warmup: time.Second, Duration: time.Second}
	if _, err := Run(t.Context(), short, nil); err == nil {
		t.Error("a page was taken for a playlist")
	}
	srv.Close()
	if _, err := Run(t.Context(), short, nil); err == nil {
		t.Error("no error without a server")
	}
	for _, change := range []func(*Config){
		func(c *Config) { c.URL = "https://h:1/a.m3u8" },
		func(c *Config) { c.Viewers = 0 },
		func(c *Config) { c.ConnectRate = 0 },
		func(c *Config) { c.Verify = 0 },
		func(c *Config) { c.RateBPS = -1 },
		func(c *Config) { c.Duration = 0 },
	} {
		c := short
		change(&c)
		if _, err := Run(t.Context(), c, nil); err == nil {
			t.Errorf("%+v was accepted", c)
		}
	}
	full := short
	full.OnResult = func(Result) error { return errors.New("no room") }
	if _, err := watch(t, &live{}, func(c *Config) { c.OnResult = full.OnResult }); err == nil || err.Error() != "no room" {
		t.Errorf("OnResult's error became %v", err)
	}
}

func base(tb testing.TB) *url.URL {
	tb.Helper()
	u, err := url.Parse("http://h:1/live/a/live.m3u8?k=1")
	if err != nil {
		tb.Fatal(err)
	}
	return u
}

const sample = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:7\n" +
	"#EXT-X-PROGRAM-DATE-TIME:2026-01-02T03:04:05.500Z\n#EXTINF:2.000,\n9-7.ts?k=1\n\n#EXTINF:1.5,title\r\n/x/9-8.ts\n"

func TestParsePlaylist(t *testing.T) {
	p, err := parsePlaylist(base(t), []byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	if p.target != 2*time.Second || p.first != 7 || p.last() != 9 || len(p.segments) != 2 {
		t.Fatalf("got %+v", p)
	}
	end := time.Date(2026, 1, 2, 3, 4, 9, 0, time.UTC)
	if s := p.segments[1]; s.path != "/x/9-8.ts" || s.duration != 1500*time.Millisecond || !s.end.Equal(end) {
		t.Errorf("got %+v", s)
	}
	if s := p.segments[0]; s.path != "/live/a/9-7.ts?k=1" {
		t.Errorf("got %+v", s)
	}
	if path, err := parseMultivariant(base(t), []byte("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nb/live.m3u8\n")); err != nil || path != "/live/a/b/live.m3u8" {
		t.Errorf("%q, %v", path, err)
	}
	for _, bad := range []string{
		"", "#EXTM3U\n", strings.Replace(sample, "DURATION:2", "DURATION:x", 1), strings.Replace(sample, ":7", ":-7", 1),
		strings.Replace(sample, ":2.000", ":1e99", 1), strings.Replace(sample, "2026", "x", 1), strings.Replace(sample, "DURATION:2", "DURATION:0", 1),
	} {
		if p, err := parsePlaylist(base(t), []byte(bad)); err == nil {
			t.Errorf("%q became %+v", bad, p)
		}
	}
	if _, err := parseMultivariant(base(t), []byte("#EXTM3U\n")); err == nil {
		t.Error("a playlist without variants was accepted")
	}
}

func TestParseHead(t *testing.T) {
	const head = "HTTP/1.1 404 Not Found\r\ncontent-length: 12\r\nConnection: close\r\n\r\n"
	a, n, err := parseHead([]byte(head + "body"))
	if err != nil || n != len(head) || a != (answer{404, 12, true}) {
		t.Errorf("%+v, %d, %v", a, n, err)
	}
	for i := range len(head) {
		if _, n, err := parseHead([]byte(head[:i])); n != 0 || err != nil {
			t.Fatalf("%q: %d, %v", head[:i], n, err)
		}
	}
	for _, bad := range []string{
		"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 xyz\r\nContent-Length: 1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", strings.Repeat("x", maxHead),
	} {
		if a, _, err := parseHead([]byte(bad)); err == nil {
			t.Errorf("%.40q became %+v", bad, a)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nlive.m3u8\n"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"))
	f.Add([]byte("a:%0")) // no path, and none that could be parsed
	u := base(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := parsePlaylist(u, b); err == nil && p.last() < p.first {
			t.Errorf("%d segments from %d", len(p.segments), p.first)
		}
		if path, err := parseMultivariant(u, b); err == nil && !strings.HasPrefix(path, "/") && path != "*" {
			_, perr := url.Parse(path)
			if perr != nil {
				t.Errorf("path %q: %v", path, perr)
			}
		}
		if a, n, err := parseHead(b); err == nil && (n > len(b) || a.length < 0) {
			t.Errorf("%+v, %d of %d", a, n, len(b))
		}
	})
}
