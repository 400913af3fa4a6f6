package edge

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"tmms/cluster/certs"
	"tmms/cluster/certs/certstest"
	"tmms/media"
	wire "tmms/media/rtmp"
)

// withTLS opens the TLS ports too.
func withTLS(tb testing.TB) func(*Config, *Deps) {
	tb.Helper()
	files, err := certstest.Write(tb.TempDir(), "a", "localhost", "127.0.0.1")
	if err != nil {
		tb.Fatal(err)
	}
	store, err := certs.Load([]certs.Files{files})
	if err != nil {
		tb.Fatal(err)
	}
	return func(c *Config, d *Deps) {
		c.RTMPS, c.HTTPS = "127.0.0.1:0", "127.0.0.1:0"
		d.TLS = store.TLS()
	}
}

// secured is the same node, by its TLS ports.
func (n *node) secured() *node {
	s := *n
	s.rtmp, s.http = n.edge.Addrs().RTMPS.String(), n.edge.Addrs().HTTPS.String()
	s.url = "https://" + s.http
	s.tls = true
	return &s
}

func TestOneStreamPlaysByRTMPSAndHTTPSAndWebSocket(t *testing.T) {
	n := startNode(t, withTLS(t)).secured()
	p := n.publish(testKey("live", "test"))
	p.group()
	player := n.rtmpClient(wire.RolePlay, "rtmps://localhost/live/test")
	resp := n.get("/live/test.flv")
	socket, frames := n.ws("/live/test.flv")
	player.tags(1)
	if v := n.viewers(); v != 3 {
		t.Fatalf("%d viewers, want 3", v)
	}
	p.size = 70_000 // flushes of many records
	p.group()
	p.end()
	want := p.want()
	sameTags(t, parseFLV(t, readAll(t, resp.Body)), want)
	sameTags(t, append(want[:1:1], player.tags(-1)...), want)
	var stream []byte
	for {
		opcode, payload := readFrame(t, frames)
		if opcode == 8 {
			break
		}
		stream = append(stream, payload...)
	}
	sameTags(t, parseFLV(t, stream), want)
	player.conn.Close()
	socket.Close()
	eventually(t, "all viewers are gone", func() bool { return n.viewers() == 0 })
	m := n.gather()
	if got := m["tmms_edge_tls_handshakes_total ok"]; got < 3 {
		t.Errorf("%v handshakes are counted in %v", got, m)
	}
}

func TestAPublisherByRTMPSIsHandedOver(t *testing.T) {
	handed := make(chan Handover, 1)
	n := startNode(t, withTLS(t), func(_ *Config, d *Deps) { d.Publish = func(h Handover) { handed <- h } }).secured()
	c := n.rtmpClient(wire.RolePublish, "rtmps://localhost/live/test?key=secret")
	ready := make(chan error, 1)
	go func() {
		for {
			ev, err := c.next()
			if err != nil || ev.Kind == wire.EventReady {
				ready <- err
				return
			}
		}
	}()
	h := <-handed
	defer h.Conn.Close()
	if h.Request.Stream != "test" || h.Conn.RemoteAddr().String() != c.conn.LocalAddr().String() {
		t.Errorf("request %+v from %v", h.Request, h.Conn.RemoteAddr())
	}
	h.RTMP.AcceptPublish()
	writeOutput(t, h)
	if err := <-ready; err != nil {
		t.Fatal(err)
	}
	body := bytes.Repeat([]byte{0x27}, 100_000)
	c.c.Publish(wire.Message{Type: media.TypeVideo, Timestamp: 5, Body: body})
	if err := c.flush(); err != nil {
		t.Fatal(err)
	}
	if msg := nextMessage(t, h); msg.Timestamp != 5 || !bytes.Equal(msg.Body, body) {
		t.Errorf("got %v at %d with %d bytes", msg.Type, msg.Timestamp, len(msg.Body))
	}
}

func TestTLSViewersHaveNoGoroutine(t *testing.T) {
	n := startNode(t, withTLS(t)).secured()
	p := n.publish(testKey("live", "test"))
	p.group()
	dial := func() net.Conn {
		c := n.dial(n.http)
		if _, err := io.WriteString(c, "GET /live/test.flv HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		return c
	}
	dial()
	eventually(t, "the first plays", func() bool { return n.viewers() == 1 })
	before := runtime.NumGoroutine()
	for range 100 {
		dial()
	}
	eventually(t, "all play", func() bool { return n.viewers() == 101 })
	eventually(t, "there are no more goroutines", func() bool { return runtime.NumGoroutine() <= before+5 })
}

func TestRandomBytesOnTheTLSPorts(t *testing.T) {
	n := startNode(t, withTLS(t))
	s := n.secured()
	raws := []string{
		"", "\x16", "GET / HTTP/1.1\r\n\r\n", "\x03" + strings.Repeat("x", 1536), "\x16\x03\x01\x00\x05hello",
		strings.Repeat("\x16\x03\x03\x00\x01\x01", 500), strings.Repeat("\xff", 5000),
	}
	for _, addr := range []string{s.rtmp, s.http} {
		for _, raw := range raws {
			c := n.dial(addr)
			_, _ = io.WriteString(c, raw) // it may be refused meanwhile
			if err := c.(*net.TCPConn).CloseWrite(); err != nil && raw == "" {
				t.Error(err)
			}
			_, _ = io.Copy(io.Discard, c) // it ends
			c.Close()
		}
	}
	if resp := s.get("/"); resp.StatusCode != http.StatusOK {
		t.Errorf("afterwards: %s", resp.Status)
	}
}

func TestTLSPortsNeedACertificate(t *testing.T) {
	cfg := DefaultConfig()
	cfg.HTTPS = "127.0.0.1:0"
	if _, err := New(cfg, Deps{}); !errors.Is(err, errNoTLS) {
		t.Errorf("got %v", err)
	}
}

// clientTLS trusts everybody.
func clientTLS() *tls.Config { return &tls.Config{InsecureSkipVerify: true} }
