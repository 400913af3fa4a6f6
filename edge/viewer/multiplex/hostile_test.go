package multiplex

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"tmms/media"
)

// raw is an HTTP/2 connection by hand.
type raw struct {
	t      *testing.T
	conn   net.Conn
	framer *http2.Framer
	head   bytes.Buffer
	hpack  *hpack.Encoder
	next   uint32 // stream
}

// dialRaw does the handshakes of TLS and HTTP/2.
func (v *served) dialRaw(t *testing.T, protos ...string) *raw {
	t.Helper()
	d := tls.Dialer{Config: &tls.Config{RootCAs: v.roots, NextProtos: protos, MinVersion: tls.VersionTLS12}}
	c, err := d.DialContext(t.Context(), "tcp", v.tcp)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err = c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	r := &raw{t: t, conn: c, framer: http2.NewFramer(c, c), next: 1}
	r.hpack = hpack.NewEncoder(&r.head)
	return r
}

func (r *raw) start() {
	r.t.Helper()
	if _, err := io.WriteString(r.conn, http2.ClientPreface); err != nil {
		r.t.Fatal(err)
	}
	if err := r.framer.WriteSettings(); err != nil {
		r.t.Fatal(err)
	}
}

// request opens a stream and gives its number; an error is the connection's end.
func (r *raw) request(path string) (uint32, error) {
	r.head.Reset()
	for _, f := range []hpack.HeaderField{
		{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "https"}, {Name: ":authority", Value: "x"}, {Name: ":path", Value: path},
	} {
		if err := r.hpack.WriteField(f); err != nil {
			r.t.Fatal(err)
		}
	}
	id := r.next
	r.next += 2
	return id, r.framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: id, BlockFragment: r.head.Bytes(), EndStream: true, EndHeaders: true,
	})
}

// goAway reads until the peer sends GOAWAY.
func (r *raw) goAway() (http2.ErrCode, error) {
	for {
		f, err := r.framer.ReadFrame()
		if err != nil {
			return 0, err
		}
		if g, ok := f.(*http2.GoAwayFrame); ok {
			return g.ErrCode, nil
		}
	}
}

// Streams that are opened and reset at once do not start more handlers than the
// limit of one connection, and the connection goes (CVE-2023-44487).
func TestRapidResetIsBounded(t *testing.T) {
	var running, most atomic.Int64
	release := make(chan struct{})
	v := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/slow" {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		n := running.Add(1)
		defer running.Add(-1)
		for most.Load() < n {
			most.CompareAndSwap(most.Load(), n) // another may be quicker, with less
		}
		<-release // however long the client is gone
	}))
	r := v.dialRaw(t, "h2")
	r.start()
	code := make(chan http2.ErrCode, 1)
	go func() {
		c, err := r.goAway()
		if err != nil {
			t.Errorf("the connection ended without a word: %v", err)
		}
		code <- c
	}()
	sent := 0
	for range 20 * media.MaxMultiplexStreams {
		id, err := r.request("/slow")
		if err == nil {
			err = r.framer.WriteRSTStream(id, http2.ErrCodeCancel)
		}
		if err != nil {
			break // closed by the server
		}
		sent++
	}
	if c := <-code; c != http2.ErrCodeEnhanceYourCalm {
		t.Errorf("after %d resets: %v", sent, c)
	}
	if n := most.Load(); n > media.MaxMultiplexStreams {
		t.Errorf("%d handlers at once, the limit is %d", n, media.MaxMultiplexStreams)
	}
	for _, c := range v.both() {
		if resp := c.get("/"); resp.code != http.StatusNoContent {
			t.Errorf("%s: others get %d", c.proto, resp.code)
		}
	}
	close(release)
	eventually(t, "the handlers have ended", func() bool { return running.Load() == 0 && v.server.requests.Load() == 0 })
}

// The same against the store: playlists that are waited for, and live streams.
func TestRapidResetLeavesNothing(t *testing.T) {
	w := newWorld(t)
	p := w.publish("test")
	p.group()
	r := w.dialRaw(t, "h2")
	r.start()
	go func() { _, _ = r.goAway() }() // reads what comes
	for i := range 4000 {
		id, err := r.request([]string{"/live/none.m3u8", "/live/test.flv", "/live/nobody.flv"}[i%3])
		if err == nil {
			err = r.framer.WriteRSTStream(id, http2.ErrCodeCancel)
		}
		if err != nil {
			break // closed by the server, which is as good
		}
	}
	r.conn.Close()
	eventually(t, "nothing is left of it", func() bool {
		return w.viewers() == 0 && w.gate.Viewers() == 0 && w.hub.Len() == 1 && w.server.requests.Load() == 0
	})
	if resp := w.h2().get("/live/test.flv"); resp.code != http.StatusOK {
		t.Errorf("afterwards: %d", resp.code)
	}
}

func TestTooLargeHeads(t *testing.T) {
	v := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was served") }))
	for _, c := range v.both() {
		h := http.Header{"X-Large": {strings.Repeat("a", 2*media.MaxHTTPHead)}}
		resp, err := c.do(t.Context(), http.MethodGet, "/", h)
		if err == nil && resp.code != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("%s: %d", c.proto, resp.code)
		}
	}
}

func TestOtherProtocolsAreRefused(t *testing.T) {
	v := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was served") }))
	for _, protos := range [][]string{{"http/1.1"}, nil} {
		r := v.dialRaw(t, protos...)
		_, _ = io.WriteString(r.conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n") // may be closed already
		if b, err := io.ReadAll(r.conn); len(b) > 0 && !errors.Is(err, net.ErrClosed) {
			t.Errorf("%v: %q", protos, b)
		}
	}
	r := v.dialRaw(t, "h2")
	_, _ = io.WriteString(r.conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n") // may be closed already
	if b, _ := io.ReadAll(r.conn); bytes.Contains(b, []byte("HTTP/1.1 200")) {
		t.Errorf("%q", b)
	}
	eventually(t, "all are closed", func() bool { h2, _ := v.server.Conns(); return h2 == 0 })
}

func TestWebSocketIsNotOffered(t *testing.T) {
	w := newWorld(t)
	r := w.dialRaw(t, "h2")
	r.start()
	f, err := r.framer.ReadFrame()
	if err != nil {
		t.Fatal(err)
	}
	settings, ok := f.(*http2.SettingsFrame)
	if !ok {
		t.Fatalf("the first frame is %v", f)
	}
	if v, ok := settings.Value(http2.SettingEnableConnectProtocol); ok && v != 0 {
		t.Error("extended CONNECT is offered (RFC 8441)")
	}
	for id, want := range map[http2.SettingID]uint32{
		http2.SettingMaxConcurrentStreams: media.MaxMultiplexStreams, http2.SettingInitialWindowSize: media.HTTP2StreamWindow,
		http2.SettingMaxFrameSize: media.HTTP2Frame,
	} {
		if v, ok := settings.Value(id); !ok || v != want {
			t.Errorf("%v is %d, %v, want %d", id, v, ok, want)
		}
	}
}

// A connection that asks for nothing is closed.
func TestSilentConnectionsAreClosed(t *testing.T) {
	t.Parallel()
	v := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	c := v.h3()
	c.get("/")
	if _, h3 := v.server.Conns(); h3 != 1 {
		t.Errorf("%d connections", h3)
	}
	v.dialSilent(t)
	eventually(t, "the silent one is there", func() bool { _, h3 := v.server.Conns(); return h3 == 2 })
	eventually(t, "the silent one is closed", func() bool { _, h3 := v.server.Conns(); return h3 == 1 })
	c.get("/") // the other one is not
}

// While many handshakes are under way addresses are validated first.
func TestRetryUnderLoad(t *testing.T) {
	v := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	u := v.server.h3
	if u.underLoad(nil) {
		t.Error("validated without load")
	}
	u.shaking.Add(media.MaxHTTP3Handshakes)
	if !u.underLoad(nil) {
		t.Error("not validated under load")
	}
	if resp := v.h3().get("/"); resp.code != http.StatusNoContent {
		t.Errorf("by Retry: %d", resp.code)
	}
	if n := u.shaking.Load(); n != media.MaxHTTP3Handshakes {
		t.Errorf("%d handshakes under way after it, want %d", n, media.MaxHTTP3Handshakes)
	}
	u.conns.Add(media.MaxMultiplexConns)
	ctx, cancel := contextOf(t)
	if _, err := v.h3().do(ctx, http.MethodGet, "/", nil); err == nil {
		t.Error("a connection over the limit")
	}
	cancel()
	u.conns.Add(-media.MaxMultiplexConns)
	u.shaking.Add(-media.MaxHTTP3Handshakes)
}

func TestRequestsAreBounded(t *testing.T) {
	v := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	v.server.requests.Add(media.MaxMultiplexRequests)
	for _, c := range v.both() {
		resp := c.get("/")
		if resp.code != http.StatusServiceUnavailable || resp.header.Get("Retry-After") == "" ||
			resp.header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: %d %v", c.proto, resp.code, resp.header)
		}
	}
	v.server.requests.Add(-media.MaxMultiplexRequests)
	for _, c := range v.both() {
		if resp := c.get("/"); resp.code != http.StatusNoContent {
			t.Errorf("%s afterwards: %d", c.proto, resp.code)
		}
	}
}

func TestCloseWithoutRun(t *testing.T) {
	s, err := New(Config{Log: discard()}, http.NotFoundHandler(), nil)
	if err != nil {
		t.Fatal(err)
	}
	here, there := net.Pipe()
	defer there.Close()
	s.ServeConn(here) // is closed: it is no TLS connection
	if _, err = here.Write([]byte{1}); err == nil {
		t.Error("a refused connection is open")
	}
	if err = s.Close(); err != nil {
		t.Error(err)
	}
	if s.AltSvc() != "" {
		t.Errorf("Alt-Svc %q without HTTP/3", s.AltSvc())
	}
	packets, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if _, err = New(Config{Packets: packets, Log: discard()}, http.NotFoundHandler(), nil); err == nil {
		t.Error("HTTP/3 without certificates")
	}
	if err = packets.Close(); err != nil {
		t.Errorf("the socket of a server that never was: %v", err)
	}
}
