package e2e

import (
	"net/url"
	"strings"
	"testing"
	"time"
)

// rollingPage is hls.js in Chromium on the page of an edge that is replaced.
type rollingPage struct {
	edge string // host:port
	*chrome
}

// startRollingPage watches a stream at the first edge.
func startRollingPage(t *testing.T, stream string) *rollingPage {
	t.Helper()
	p := &rollingPage{edge: edgeHTTP[0]}
	p.chrome = startChrome(t, "http://"+p.edge+"/?stream=live/"+stream+"&by=hls")
	p.waitPlaying(t)
	return p
}

// check wants the page to have followed the edge's redirect to another one while it
// was drained, across origins, with one failed request at most, to have come through
// the edge's end without a fatal error, and never to have stood still for longer than
// a busy machine takes.
func (p *rollingPage) check(t *testing.T, u upgrade) {
	t.Helper()
	ended := time.Now()
	s := p.end(t)
	hosts := []string{}
	for _, address := range s.Segments {
		at, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(hosts); n == 0 || hosts[n-1] != at.Host {
			hosts = append(hosts, at.Host)
		}
	}
	if len(hosts) < 2 || hosts[0] != p.edge {
		t.Errorf("hls.js played %q, want some of %s and then of another edge", s.Segments, p.edge)
	}
	_, longest := s.stood(u.from, ended)
	t.Logf("hls.js played from %q, stood still for at most %v, errors %+v", hosts, longest, s.Errors)
	failed := 0
	for _, e := range s.Errors {
		if strings.Contains(e.Details, "Load") && e.At >= float64(u.from.UnixMilli()) && e.At <= float64(u.to.UnixMilli()) {
			failed++
		}
	}
	if failed > 1 {
		t.Errorf("hls.js could not load %d times while %s was replaced: %+v", failed, u.node, s.Errors)
	}
	const slack = time.Second
	if longest > slack {
		t.Errorf("hls.js stood still for %v", longest)
	}
	s.check(t, u.from, ended)
}
