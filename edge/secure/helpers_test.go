//go:build linux

package secure

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tmms/cluster/certs"
	"tmms/cluster/certs/certstest"
	"tmms/edge/reactor"
	"tmms/edge/viewer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a reactor with one TLS listener.
type world struct {
	tb     testing.TB
	addr   string
	server *Server
	gate   *viewer.Gate
	loops  []*reactor.Loop
	cancel func()
	ended  chan error
}

func start(tb testing.TB, r Route) *world {
	tb.Helper()
	files, err := certstest.Write(tb.TempDir(), "a", "localhost", "127.0.0.1")
	if err != nil {
		tb.Fatal(err)
	}
	store, err := certs.Load([]certs.Files{files})
	if err != nil {
		tb.Fatal(err)
	}
	cfg := reactor.DefaultConfig()
	cfg.Loops = 1
	rc, err := reactor.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	w := &world{tb: tb, gate: viewer.NewGate(0), loops: rc.Loops(), ended: make(chan error, 1)}
	w.server = New(Config{TLS: store.TLS(), Gate: w.gate, Log: slog.New(slog.DiscardHandler)})
	addr, err := rc.Listen("127.0.0.1:0", w.server.Listener(r))
	if err != nil {
		tb.Fatal(err)
	}
	w.addr = addr.String()
	var ctx context.Context
	ctx, w.cancel = context.WithCancel(context.Background())
	go func() {
		err := rc.Run(ctx)
		w.server.Close()
		w.ended <- err
	}()
	tb.Cleanup(w.stop)
	return w
}

func (w *world) stop() {
	w.cancel()
	select {
	case err := <-w.ended:
		if err != nil {
			w.tb.Error(err)
		}
		w.ended <- nil
	case <-time.After(30 * time.Second):
		w.tb.Error("the server does not end")
	}
}

// raw connects without TLS.
func (w *world) raw() *net.TCPConn {
	w.tb.Helper()
	c, err := net.Dial("tcp", w.addr)
	if err != nil {
		w.tb.Fatal(err)
	}
	w.tb.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(60 * time.Second)); err != nil {
		w.tb.Fatal(err)
	}
	return c.(*net.TCPConn)
}

func (w *world) dial(change ...func(*tls.Config)) *tls.Conn {
	w.tb.Helper()
	return w.over(w.raw(), change...)
}

// over makes the handshake over a connection.
func (w *world) over(nc net.Conn, change ...func(*tls.Config)) *tls.Conn {
	w.tb.Helper()
	cfg := &tls.Config{InsecureSkipVerify: true}
	for _, f := range change {
		f(cfg)
	}
	c := tls.Client(nc, cfg)
	if err := c.Handshake(); err != nil {
		w.tb.Fatal(err)
	}
	return c
}

func eventually(tb testing.TB, what string, cond func() bool) {
	tb.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-deadline:
			tb.Fatalf("it never came that %s", what)
		case <-tick.C:
		}
	}
}

// proto is a Protocol of functions; nil ones do nothing.
type proto struct {
	data     func(c *reactor.Conn, b []byte)
	writable func(c *reactor.Conn)
	closed   func(c *reactor.Conn, reason error)
}

func (p *proto) OnData(c *reactor.Conn, b []byte) {
	if p.data != nil {
		p.data(c, b)
	}
}

func (p *proto) OnWritable(c *reactor.Conn) {
	if p.writable != nil {
		p.writable(c)
	}
}

func (p *proto) OnTimer(*reactor.Conn) {}

func (p *proto) OnClose(c *reactor.Conn, reason error) {
	if p.closed != nil {
		p.closed(c, reason)
	}
}

// echo answers every byte.
func echo(*reactor.Conn) reactor.Protocol {
	return &proto{data: func(c *reactor.Conn, b []byte) { _ = c.Write(b) }}
}

func exchange(tb testing.TB, c net.Conn, text string) {
	tb.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		tb.Fatal(err)
	}
	b := make([]byte, len(text))
	if _, err := io.ReadFull(c, b); err != nil || string(b) != text {
		tb.Fatalf("got %q, %v, want %q", b, err, text)
	}
}
