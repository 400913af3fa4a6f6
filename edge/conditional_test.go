package edge

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"tmms/media"
	"tmms/media/hls"
)

// TestIfRange: a part only of what the client has the rest of; else the whole.
func TestIfRange(t *testing.T) {
	n := startNode(t)
	p := n.publish(testKey("live", "test"))
	p.w.PublishIndex(index(3, 100, 1, false))
	for _, c := range []struct {
		ifRange string
		status  int
	}{
		{`"7-100"`, http.StatusPartialContent},
		{`"7-101"`, http.StatusOK},
		{`W/"7-100"`, http.StatusOK}, // a weak tag does not do (RFC 9110 section 13.1.5)
		{"Wed, 21 Oct 2015 07:28:00 GMT", http.StatusOK},
	} {
		resp := n.do(http.MethodGet, "/live/test/7-100.ts", http.Header{"Range": {"bytes=10-19"}, "If-Range": {c.ifRange}})
		if body := readAll(t, resp.Body); resp.StatusCode != c.status || c.status == http.StatusPartialContent && len(body) != 10 {
			t.Errorf("%s: %s, %d bytes", c.ifRange, resp.Status, len(body))
		}
	}
}

// TestEveryCacheableAnswerHasATag: GET and HEAD agree, and the tag gives 304 with
// the same tag and the same rule for caches. Tags of different things differ.
func TestEveryCacheableAnswerHasATag(t *testing.T) {
	n := startNode(t)
	p := n.publish(testKey("live", "test"))
	x := index(3, 100, 2, false)
	p.w.PublishIndex(x)
	for path, cache := range map[string]string{
		"/": "no-cache", "/favicon.ico": "no-cache", "/assets/watch.js": "no-cache", "/live/test.m3u8": "max-age=1",
		"/live/test/live.m3u8": "max-age=1", "/live/test/live.m3u8?token=x": "max-age=1",
		"/live/test/7-100.ts": "public, max-age=31536000, immutable", "/live/test/7-101.ts?token=x": "public, max-age=31536000, immutable",
	} {
		get := n.get(path)
		size := len(readAll(t, get.Body))
		tag := get.Header.Get("ETag")
		if get.StatusCode != http.StatusOK || tag == "" || get.Header.Get("Cache-Control") != cache {
			t.Errorf("%s: %s %v", path, get.Status, get.Header)
		}
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			whole := n.do(method, path, nil)
			if whole.Header.Get("ETag") != tag || whole.ContentLength != int64(size) {
				t.Errorf("%s %s: %v, %d bytes, want %s, %d", method, path, whole.Header, whole.ContentLength, tag, size)
			}
			same := n.do(method, path, http.Header{"If-None-Match": {`"other"`, tag}})
			if body := readAll(t, same.Body); same.StatusCode != http.StatusNotModified || len(body) > 0 ||
				same.Header.Get("ETag") != tag || same.Header.Get("Cache-Control") != cache ||
				same.Header.Get("Access-Control-Allow-Origin") != "*" {
				t.Errorf("%s %s again: %s %v", method, path, same.Status, same.Header)
			}
		}
	}
	p.w.PublishIndex(index(4, 101, 2, false))
	if resp := n.do(http.MethodGet, "/live/test/live.m3u8", http.Header{"If-None-Match": {x.ETag()}}); resp.StatusCode != http.StatusOK {
		t.Errorf("a newer playlist: %s", resp.Status)
	}
}

// TestEveryAnswerAllowsEveryOrigin: errors too, else a player cannot tell why.
func TestEveryAnswerAllowsEveryOrigin(t *testing.T) {
	n := startNode(t, func(c *Config, _ *Deps) { c.Limits.Viewers = 1 })
	p := n.publish(testKey("live", "test"))
	p.w.PublishIndex(index(3, 100, 1, false))
	p.group()
	n.get("/live/test.flv") // the only viewer that is allowed
	for _, c := range []struct {
		raw    string
		status int
	}{
		{"GET /live/test.flv HTTP/1.1\r\nHost: x\r\n\r\n", 503},
		{"GET /live/test/7-100.ts HTTP/1.1\r\nHost: x\r\nRange: bytes=700000-\r\nConnection: close\r\n\r\n", 416},
		{"HEAD /live/test/7-100.ts HTTP/1.1\r\nHost: x\r\nRange: bytes=700000-\r\nConnection: close\r\n\r\n", 416},
		{"GET /live/test/7-100.ts HTTP/1.1\r\nHost: x\r\nIf-None-Match: *\r\nConnection: close\r\n\r\n", 304},
		{"GET /live/test/7-9.ts HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 404},
		{"HEAD /live/none.flv HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 404},
		{"GET /none/test.m3u8 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 404},
		{"GET /live/a%20b.m3u8 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 400},
		{"PUT /live/test.m3u8 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 405},
		{"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx", 413},
		{"BREW / COFFEE\r\n\r\n", 400},
		{"OPTIONS /live/test.ts HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 204},
	} {
		got := n.exchange(c.raw)
		head, _, _ := strings.Cut(got, "\r\n\r\n")
		if !strings.HasPrefix(head, fmt.Sprintf("HTTP/1.1 %d ", c.status)) ||
			!strings.Contains(head+"\r\n", "\r\nAccess-Control-Allow-Origin: *\r\n") {
			t.Errorf("%.40q: %s", c.raw, head)
		}
		if c.status >= 400 && !strings.Contains(head, "\r\nCache-Control: no-store") {
			t.Errorf("%.40q may be cached: %s", c.raw, head)
		}
	}
}

// TestAbsoluteFormNamesTheHost: it goes before the Host header (RFC 9112 section 3.2.2).
func TestAbsoluteFormNamesTheHost(t *testing.T) {
	n := startNode(t)
	other := testKey("live", "test")
	other.Domain = "other.example"
	n.publish(other).w.PublishIndex(index(3, 100, 1, false))
	got := n.exchange("GET http://other.example:8080/live/test/live.m3u8 HTTP/1.1\r\nHost: default\r\nConnection: close\r\n\r\n")
	if !strings.HasPrefix(got, "HTTP/1.1 200 ") || !strings.Contains(got, "7-100.ts") {
		t.Errorf("%q", got)
	}
}

func TestHTTP10IsToldThatTheConnectionIsKept(t *testing.T) {
	n := startNode(t)
	got := n.exchange("HEAD / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nHEAD / HTTP/1.0\r\n\r\n")
	if strings.Count(got, "\r\nConnection: keep-alive\r\n") != 1 || strings.Count(got, "\r\nConnection: close\r\n") != 1 {
		t.Errorf("%q", got)
	}
}

// TestSlowHeadBehindAnAnswerIsClosed: a connection that was of use gets no more
// time for its next head than a new one.
func TestSlowHeadBehindAnAnswerIsClosed(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	c := n.dial(n.http)
	if _, err := io.WriteString(c, "HEAD / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nX: "); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	done := make(chan struct{})
	defer close(done)
	go func() { // one byte a second does not keep it open
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if _, err := c.Write([]byte("a")); err != nil {
					return
				}
			case <-done:
				return
			}
		}
	}()
	br := bufio.NewReader(c)
	resp, err := http.ReadResponse(br, &http.Request{Method: http.MethodHead})
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	line, err := br.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "HTTP/1.1 408 ") {
		t.Errorf("answer %q, %v", line, err)
	}
	if d := time.Since(start); d < media.HandshakeTimeout-time.Second || d > 3*media.HandshakeTimeout {
		t.Errorf("closed after %v", d)
	}
}

// TestEverySegmentThatAPlayerMayAskForIsThere: while the window moves on, what
// any playlist has listed can be fetched for one playlist duration after it left
// (case "HLS: a segment that left the playlist").
func TestEverySegmentThatAPlayerMayAskForIsThere(t *testing.T) {
	n := startNode(t)
	p := n.publish(testKey("live", "test"))
	const window = 3
	for step := range uint64(12) {
		// The index holds a window of segments that have left, as the owner makes it.
		first := uint64(100)
		if step > window {
			first += step - window
		}
		x := index(step+1, first, int(100+step+window-first), false)
		x.Listed = window
		p.w.PublishIndex(x)
		listed := string(readAll(t, n.get("/live/test/live.m3u8").Body))
		if strings.Count(listed, ".ts") != window {
			t.Fatalf("step %d: the playlist is\n%s", step, listed)
		}
		for msn := first; msn < 100+step+window; msn++ {
			resp := n.get("/live/test/" + hls.SegmentName(7, msn))
			if size := len(readAll(t, resp.Body)); resp.StatusCode != http.StatusOK || size != 350_000*2 {
				t.Fatalf("step %d, segment %d: %s, %d bytes", step, msn, resp.Status, size)
			}
		}
	}
	// A node that began with this playlist has the bytes of what left it in a moment.
	part := index(13, 109, 3, false)
	part.Behind = 2
	p.w.PublishIndex(part)
	answers := make(chan *reply, 1)
	go func() { answers <- n.get("/live/test/7-107.ts") }()
	if resp := n.get("/live/test/7-106.ts"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("one that is no more: %s", resp.Status)
	}
	select {
	case resp := <-answers:
		t.Fatalf("answered at once: %s", resp.Status)
	case <-time.After(50 * time.Millisecond):
	}
	p.w.PublishIndex(index(13, 107, 5, false))
	if resp := <-answers; resp.StatusCode != http.StatusOK {
		t.Errorf("a segment whose bytes were on the way: %s", resp.Status)
	}
	// What lies further back is gone for good, and is not kept by caches as a fault.
	if resp := n.get("/live/test/7-100.ts"); resp.StatusCode != http.StatusNotFound || resp.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("an old one: %s %v", resp.Status, resp.Header)
	}
}
