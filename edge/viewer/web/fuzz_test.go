package web

import (
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"tmms/cluster/relay"
	"tmms/cluster/state"
	"tmms/edge/viewer"
	"tmms/media"
)

// Whatever is asked for, by whichever version of HTTP, there is one decision, and
// its head can be sent as it is.
func FuzzDecide(f *testing.F) {
	for _, s := range []string{
		"/", "/live/test.flv", "/live/test.m3u8", "/live/test/live.m3u8", "/live/test/ll.m3u8", "/live/test/1-2.ts", "/live/test.ts",
		"/live/test/1-2.3.m4s", "/live/test/init-1-2.mp4", "/assets/watch.js", "/watch/live/test", "//", "/live/..%2f/x.flv",
	} {
		f.Add("GET", "x:8080", s, "token=a%0Ab&domain=x", "bytes=0-1", `"a", W/"b"`)
	}
	f.Add("OPTIONS", "x", "*", "", "bytes=-1", "*")
	f.Add("HEAD", "x", "/assets/hls.min.js", "_HLS_msn=3&_HLS_part=1&_HLS_skip=YES", "bytes=5-", "")
	config, err := state.NewConfig(1, &state.Document{Domains: []state.DomainDoc{
		{Name: "default", Aliases: []string{"*"}, Apps: []state.AppDoc{{Name: "live"}}},
	}})
	if err != nil {
		f.Fatal(err)
	}
	s, err := NewServer(Config{
		Hub: relay.NewHub(), Apps: testApps{config}, Gate: viewer.NewGate(media.MaxStreamsPerNode), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, method, host, path, query, ranges, match string) {
		s.streams = newRegistry(relay.NewHub())
		r := &http.Request{
			Method: method, Host: host, Proto: "HTTP/2.0", ProtoMajor: 2, RequestURI: path, URL: &url.URL{Path: path, RawQuery: query},
			Header: http.Header{"Range": {ranges}, "If-None-Match": {match}},
		}
		q, err := newRequest(r)
		if err != nil {
			checkHead(t, refused(err))
			return
		}
		got := s.decide(asking{request: q, from: netip.MustParseAddr("192.0.2.1")}, time.Second)
		if waits, plays := got.wait != nil, got.play != nil; waits || plays {
			if waits && plays || got.header.status != 0 || got.body.left > 0 {
				t.Errorf("%s %s waits %v, plays %v, and is answered with %d", method, path, waits, plays, got.header.status)
			}
			return
		}
		checkHead(t, got)
	})
}

// checkHead wants a status, and no more header lines than were meant.
func checkHead(t *testing.T, r reply) {
	t.Helper()
	h := http.Header{}
	r.header.set(h)
	if r.header.status < 200 || r.header.status > 599 || r.header.length >= 0 && int64(r.body.left) > r.header.length {
		t.Errorf("status %d, %d bytes of %d", r.header.status, r.body.left, r.header.length)
	}
	for name, values := range h {
		for _, v := range values {
			if strings.ContainsAny(name+v, "\r\n\x00") {
				t.Errorf("header %q: %q", name, v)
			}
		}
	}
}
