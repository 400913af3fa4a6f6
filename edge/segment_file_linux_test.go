package edge

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// segmentFiles counts this process's descriptors of segments in files.
func segmentFiles(t *testing.T) (n int) {
	t.Helper()
	links, err := filepath.Glob("/proc/self/fd/*")
	if err != nil || len(links) == 0 {
		t.Fatalf("%d descriptors, %v", len(links), err)
	}
	for _, l := range links {
		if to, err := os.Readlink(l); err == nil && strings.HasPrefix(to, "/memfd:segment") {
			n++
		}
	}
	return n
}

// A segment that many ask for is sent from a file where the bytes go out as they
// are, and from memory by TLS and HTTP/2, where they do not: the same bytes all
// over.
func TestWantedSegmentsByEveryWay(t *testing.T) {
	const path = "/live/test/7-100.ts"
	n := startSecureNode(t)
	x := index(3, 100, 1, false)
	n.publish(testKey("live", "test")).w.PublishIndex(x)
	whole := segmentBytes(x.Segments[0])
	check := func(way string, status int, body io.Reader) {
		t.Helper()
		if b := readAll(t, body); status != http.StatusOK || !bytes.Equal(b, whole) {
			t.Fatalf("by %s: %d, %d bytes of %d, or others", way, status, len(b), len(whole))
		}
	}
	secure := *n.node
	secure.url, secure.tls = "https://"+n.edge.Addrs().HTTPS.String(), true
	sealed := func() {
		t.Helper()
		for range 5 {
			resp := secure.get(path)
			check("HTTPS", resp.StatusCode, resp.Body)
			two := n.fetch(path)
			check("HTTP/2", two.StatusCode, two.Body)
			two.Body.Close()
		}
	}
	before := segmentFiles(t)
	sealed()
	if made := segmentFiles(t) - before; made != 0 {
		t.Errorf("%d files for those who can't have them", made)
	}
	for range 5 {
		resp := n.get(path)
		check("HTTP", resp.StatusCode, resp.Body)
	}
	if made := segmentFiles(t) - before; made != 1 {
		t.Errorf("%d files, want 1", made)
	}
	sealed()
}
