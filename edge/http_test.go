package edge

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"tmms/edge/viewer"
	"tmms/media"
)

// exchange sends raw bytes and returns all that comes until the peer closes.
func (n *node) exchange(raw string) string {
	n.tb.Helper()
	c := n.dial(n.http)
	defer c.Close()
	if _, err := io.WriteString(c, raw); err != nil {
		n.tb.Fatal(err)
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		n.tb.Fatal(err)
	}
	b, err := io.ReadAll(c)
	if err != nil {
		n.tb.Fatalf("%.40q: %v", raw, err)
	}
	return string(b)
}

func TestHostileRequests(t *testing.T) {
	n := startNode(t)
	long := strings.Repeat("a", media.MaxHTTPHead)
	for _, c := range []struct {
		name, raw string
		want      string // how the answer begins; "": no answer at all
	}{
		{"dotdot", "GET /../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400 "},
		{"dotdot-inside", "GET /assets/../x HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400 "},
		{"dotdot-escaped", "GET /%2e%2e/etc HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400 "},
		{"dot-escaped-upper", "GET /live/%2E%2E.flv HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400 "},
		{"slash-escaped", "GET /live%2Ftest.flv HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400 "},
		{"nul", "GET /live/a%00b.flv HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400 "},
		{"nul-raw", "GET /live/a\x00b.flv HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400 "},
		{"crlf-in-name", "GET /live/a%0d%0ab.flv HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400 "},
		{"shell-name", "GET /live/a;b$(c).flv HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400 "},
		{"backslash", "GET /live\\test.flv HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400 "},
		{"cl-te", "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "HTTP/1.1 400 "},
		{"te", "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "HTTP/1.1 400 "},
		{"te-10", "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n0\r\n\r\n", "HTTP/1.1 400 "},
		{"te-space", "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n", "HTTP/1.1 400 "},
		{"two-cl", "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 400 "},
		{"body", "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.1 413 "},
		{"post", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 405 "},
		{"connect", "CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n", "HTTP/1.1 405 "},
		{"no-host", "GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "},
		{"two-hosts", "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", "HTTP/1.1 400 "},
		{"bad-host", "GET / HTTP/1.1\r\nHost: x/y\r\n\r\n", "HTTP/1.1 400 "},
		{"absolute", "GET http://default/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 "},
		{"absolute-ftp", "GET ftp://default/ HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400 "},
		{"bare-lf", "GET / HTTP/1.1\nHost: x\n\n", "HTTP/1.1 400 "},
		{"lf-crlf", "GET / HTTP/1.1\r\nHost: x\n\r\nGET /x HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "},
		{"http2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/1.1 "},
		{"http09", "GET /\r\n\r\n", "HTTP/1.1 400 "},
		{"long-head", "GET /" + long + " HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 431 "},
		{"long-header", "GET / HTTP/1.1\r\nHost: x\r\nX: " + long + "\r\n\r\n", "HTTP/1.1 431 "},
		{"long-query", "GET /?" + long[:5000] + " HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 414 "},
		{"bad-query", "GET /?a=%zz HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400 "},
		{"tls", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", "HTTP/1.1 400 "},
		{"options-star", "OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 204 "},
		{"empty-lines-first", "\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 "},
		{"no-such-page", "GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 404 "},
		{"ws-version", "GET /live/t.flv HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 8\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", "HTTP/1.1 426 "},
		{"ws-key", "GET /live/t.flv HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n\r\n", "HTTP/1.1 400 "},
		{"silence", "", ""},
		{"half-a-head", "GET / HT", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := n.exchange(c.raw)
			if !strings.HasPrefix(got, c.want) || c.want == "" && got != "" {
				t.Fatalf("answer %.200q", got)
			}
			if c.want != "" && !strings.Contains(got, "\r\nAccess-Control-Allow-Origin: *\r\n") {
				t.Errorf("no CORS header in %.300q", got)
			}
			if strings.HasPrefix(c.want, "HTTP/1.1 4") && strings.Count(got, "HTTP/1.1 ") != 1 {
				t.Errorf("more than one answer: %q", got)
			}
		})
	}
	if resp := n.get("/"); resp.StatusCode != http.StatusOK {
		t.Fatalf("afterwards: %s", resp.Status)
	}
}

func TestKeepAliveAndPipelining(t *testing.T) {
	n := startNode(t)
	one := "GET /favicon.ico HTTP/1.1\r\nHost: x\r\n\r\n"
	last := "HEAD /favicon.ico HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
	c := n.dial(n.http)
	raw := []byte(strings.Repeat(one, 50) + last)
	go func() { // in pieces of seven bytes
		for len(raw) > 0 {
			k := min(7, len(raw))
			if _, err := c.Write(raw[:k]); err != nil {
				t.Error(err)
				return
			}
			raw = raw[k:]
		}
	}()
	br := bufio.NewReader(c)
	for i := range 51 {
		method := http.MethodGet
		if i == 50 {
			method = http.MethodHead
		}
		resp, err := http.ReadResponse(br, &http.Request{Method: method})
		if err != nil {
			t.Fatalf("answer %d: %v", i, err)
		}
		body := readAll(t, resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK || (len(body) == 0) != (i == 50) || resp.Close != (i == 50) {
			t.Fatalf("answer %d: %s, %d bytes, close %v", i, resp.Status, len(body), resp.Close)
		}
	}
	if _, err := br.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("after the last answer: %v", err)
	}
}

func TestHTTP10ClosesUnlessAskedNotTo(t *testing.T) {
	n := startNode(t)
	if got := n.exchange("GET /favicon.ico HTTP/1.0\r\n\r\nGET / HTTP/1.0\r\n\r\n"); strings.Count(got, "HTTP/1.1 200") != 1 {
		t.Errorf("answers: %q", got)
	}
	got := n.exchange("GET /favicon.ico HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /favicon.ico HTTP/1.0\r\n\r\n")
	if strings.Count(got, "HTTP/1.1 200") != 2 {
		t.Errorf("answers: %q", got)
	}
}

func TestCORSPreflight(t *testing.T) {
	n := startNode(t)
	resp := n.do(http.MethodOptions, "/live/test/live.m3u8", http.Header{
		"Origin": {"https://player.example"}, "Access-Control-Request-Method": {"GET"}, "Access-Control-Request-Headers": {"range"},
	})
	if resp.StatusCode != http.StatusNoContent || resp.Header.Get("Access-Control-Allow-Origin") != "*" ||
		!strings.Contains(resp.Header.Get("Access-Control-Allow-Methods"), "GET") {
		t.Errorf("%s %v", resp.Status, resp.Header)
	}
}

func TestWatchPageAndItsParts(t *testing.T) {
	n := startNode(t)
	for path, typ := range map[string]string{
		"/": "text/html; charset=utf-8", "/?stream=live/test": "text/html; charset=utf-8", "/watch/live/test": "text/html; charset=utf-8",
		"/watch": "text/html; charset=utf-8", "/favicon.ico": "image/svg+xml", "/assets/watch.css": "text/css; charset=utf-8",
		"/assets/watch.js": "text/javascript; charset=utf-8", "/assets/hls.min.js": "text/javascript; charset=utf-8",
		"/assets/mpegts.js": "text/javascript; charset=utf-8",
	} {
		resp := n.get(path)
		body := readAll(t, resp.Body)
		if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != typ || int64(len(body)) != resp.ContentLength {
			t.Errorf("%s: %s %v", path, resp.Status, resp.Header)
		}
		again := n.do(http.MethodGet, path, http.Header{"If-None-Match": {resp.Header.Get("ETag")}})
		if again.StatusCode != http.StatusNotModified {
			t.Errorf("%s again: %s", path, again.Status)
		}
	}
	if resp := n.get("/assets/README.md"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("README: %s", resp.Status)
	}
}

func TestSlowHeadIsClosed(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	c := n.dial(n.http)
	start := time.Now()
	done := make(chan struct{})
	defer close(done)
	go func() { // one byte a second does not keep it open
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for b := []byte("GET / HTTP/1.1\r\nX: aaaaaaaaaaaaaaaaaaaaaaa"); len(b) > 0; b = b[1:] {
			if _, err := c.Write(b[:1]); err != nil {
				return
			}
			select {
			case <-tick.C:
			case <-done:
				return
			}
		}
	}()
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "HTTP/1.1 408 ") {
		t.Errorf("answer %q, %v", line, err)
	}
	if d := time.Since(start); d > media.HandshakeTimeout+2*time.Second {
		t.Errorf("closed after %v", d)
	}
}

func TestRTMPHandshakeHasADeadline(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	c := n.dial(n.rtmp)
	start := time.Now()
	if _, err := c.Write([]byte{3, 0, 0}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("an answer to half a handshake")
	}
	if d := time.Since(start); d < media.HandshakeTimeout-time.Second || d > media.HandshakeTimeout+2*time.Second {
		t.Errorf("closed after %v", d)
	}
	c.Close()
	eventually(t, "it is counted", func() bool { return n.edge.gate.EndedBy(viewer.ReasonTimeout) == 1 })
}

func TestHTTPOnTheRTMPPort(t *testing.T) {
	n := startNode(t)
	c := n.dial(n.rtmp)
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body := readAll(t, resp.Body); resp.StatusCode != http.StatusBadRequest || !bytes.Contains(body, []byte("RTMP")) {
		t.Errorf("%s %q", resp.Status, body)
	}
}

func TestRandomBytesOnBothPorts(t *testing.T) {
	n := startNode(t)
	p := n.publish(testKey("live", "test"))
	p.group()
	resp := n.get("/live/test.flv")
	rng := rand.New(rand.NewPCG(3, 4))
	seeds := []string{"", "\x03", "GET ", "GET /live/test.flv HTTP/1.1\r\nHost: x\r\n\r\n", "GET / HTTP/1.1\r\n"}
	for i := range 300 {
		addr := n.rtmp
		if i%2 == 0 {
			addr = n.http
		}
		c := n.dial(addr)
		b := make([]byte, rng.IntN(8000))
		for j := range b {
			b[j] = byte(rng.Uint32())
		}
		// The peer may close before it has taken everything.
		_, _ = c.Write(append([]byte(seeds[rng.IntN(len(seeds))]), b...))
		c.Close()
	}
	p.group()
	eventually(t, "only the healthy viewer is left", func() bool { return n.viewers() == 1 })
	p.end()
	sameTags(t, parseFLV(t, readAll(t, resp.Body)), p.want())
}

// Edge goroutines for plain-text viewers are O(loops), not O(viewers).
func TestGoroutinesDoNotGrowWithViewers(t *testing.T) {
	n := startNode(t)
	p := n.publish(testKey("fast", "test"))
	p.group()
	before := runtime.NumGoroutine()
	const viewers = 500
	conns := make([]net.Conn, viewers)
	for i := range conns {
		conns[i] = n.dial(n.http)
		if _, err := fmt.Fprintf(conns[i], "GET /fast/test.flv?n=%d HTTP/1.1\r\nHost: x\r\n\r\n", i); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "all are there", func() bool { return n.viewers() == viewers })
	// Two loops and their watch may not have been there before.
	if after := runtime.NumGoroutine(); after > before+3 {
		t.Errorf("%d goroutines with %d viewers, %d before", after, viewers, before)
	}
	p.frame(false)
	p.end()
	want := p.want()
	for i, c := range conns {
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatalf("viewer %d: %v", i, err)
		}
		body := readAll(t, resp.Body)
		resp.Body.Close()
		c.Close()
		if i%50 == 0 {
			sameTags(t, parseFLV(t, body), want)
		}
	}
}
