//go:build linux

package reactor

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// Let the runtime open the descriptors of its own poller before any are counted.
	if ln, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		ln.Close()
	}
	goleak.VerifyTestMain(m)
}

// errStop is the cause with which the tests end their reactors.
var errStop = errors.New("test is over")

// hooked is a Protocol of functions; nil ones do nothing.
type hooked struct {
	data     func(c *Conn, b []byte)
	writable func(c *Conn)
	timer    func(c *Conn)
	closed   func(c *Conn, reason error)
}

func (h *hooked) OnData(c *Conn, b []byte) {
	if h.data != nil {
		h.data(c, b)
	}
}

func (h *hooked) OnWritable(c *Conn) {
	if h.writable != nil {
		h.writable(c)
	}
}

func (h *hooked) OnTimer(c *Conn) {
	if h.timer != nil {
		h.timer(c)
	}
}

func (h *hooked) OnClose(c *Conn, reason error) {
	if h.closed != nil {
		h.closed(c, reason)
	}
}

// rig is a running reactor with one listening address.
type rig struct {
	t    *testing.T
	r    *Reactor
	addr string
	stop func() error // ends it, gives Run's error; may be called again
}

func testConfig() Config {
	cfg := DefaultConfig()
	cfg.Loops = 1
	return cfg
}

// start runs a reactor; at the end of the test it must end and leave no
// descriptor behind.
func start(t *testing.T, cfg Config, open func(*Conn) Protocol) *rig {
	t.Helper()
	fds := countFDs(t)
	r, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	addr, err := r.Listen("127.0.0.1:0", open)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	result := make(chan error, 1)
	go func() { result <- r.Run(ctx) }()
	g := &rig{t: t, r: r, addr: addr.String()}
	g.stop = sync.OnceValue(func() error {
		cancel(errStop)
		return <-result
	})
	t.Cleanup(func() {
		if err := g.stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
		eventually(t, "all descriptors are closed", func() bool { return countFDs(t) <= fds })
	})
	return g
}

// loop is the only loop of a rig with one.
func (g *rig) loop() *Loop { return g.r.Loops()[0] }

// onLoop runs f on a loop and waits for it.
func onLoop(t *testing.T, l *Loop, f func()) {
	t.Helper()
	done := make(chan struct{})
	if !l.Post(func() { f(); close(done) }) {
		t.Fatal("mailbox is full")
	}
	receive(t, done)
}

// dial connects and closes at the end of the test, before the rig stops.
func (g *rig) dial() net.Conn {
	g.t.Helper()
	c, err := net.Dial("tcp", g.addr)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { c.Close() })
	if err = c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		g.t.Fatal(err)
	}
	return c
}

// receive waits for a value, or for ch to be closed.
func receive[T any](t *testing.T, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(20 * time.Second):
		t.Fatal("nothing came in 20 s")
		panic("unreachable")
	}
}

// eventually polls a condition.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	poll := time.NewTicker(2 * time.Millisecond)
	defer poll.Stop()
	for !ok() {
		select {
		case <-poll.C:
		case <-deadline:
			t.Fatalf("not in 20 s: %s", what)
		}
	}
}

func countFDs(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func send(t *testing.T, c io.Writer, b []byte) {
	t.Helper()
	if _, err := c.Write(b); err != nil {
		t.Fatal(err)
	}
}

func expect(t *testing.T, c io.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil {
		t.Fatalf("reading %q: %v", want, err)
	}
	if string(got) != want {
		t.Fatalf("got %q, want %q", got, want)
	}
}

func echo(*Conn) Protocol {
	return &hooked{data: func(c *Conn, b []byte) { _ = c.Write(b) }}
}

func TestEcho(t *testing.T) {
	g := start(t, testConfig(), echo)
	c := g.dial()
	send(t, c, []byte("hello"))
	expect(t, c, "hello")
}

func closeReactor(t *testing.T, r *Reactor) {
	t.Helper()
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}
