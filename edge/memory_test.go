//go:build linux

package edge

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	wire "tmms/media/rtmp"
)

// crowd is viewers on bare descriptors, which cost this process's heap nothing.
type crowd struct {
	tb   testing.TB
	rtmp unix.Sockaddr
	http unix.Sockaddr
	fds  []int
	buf  []byte
}

func newCrowd(n *node, most int) *crowd {
	c := &crowd{
		tb: n.tb, rtmp: sockaddr(n.tb, n.rtmp), http: sockaddr(n.tb, n.http),
		fds: make([]int, 0, most), buf: make([]byte, 64<<10),
	}
	n.tb.Cleanup(func() {
		for _, fd := range c.fds {
			_ = unix.Close(fd)
		}
	})
	return c
}

func sockaddr(tb testing.TB, addr string) unix.Sockaddr {
	tb.Helper()
	a, err := netip.ParseAddrPort(addr)
	if err != nil {
		tb.Fatal(err)
	}
	return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
}

func (c *crowd) dial(addr unix.Sockaddr) int {
	c.tb.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		c.tb.Fatal(err)
	}
	c.fds = append(c.fds, fd)
	if err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 30}); err != nil {
		c.tb.Fatal(err)
	}
	if err = unix.Connect(fd, addr); err != nil {
		c.tb.Fatal(err)
	}
	return fd
}

func (c *crowd) write(fd int, b []byte) {
	c.tb.Helper()
	if n, err := unix.Write(fd, b); err != nil || n != len(b) {
		c.tb.Fatalf("write: %d of %d bytes, %v", n, len(b), err)
	}
}

func (c *crowd) read(fd int) []byte {
	c.tb.Helper()
	n, err := unix.Read(fd, c.buf)
	for errors.Is(err, unix.EINTR) {
		n, err = unix.Read(fd, c.buf)
	}
	if err != nil || n == 0 {
		c.tb.Fatalf("read: %d bytes, %v", n, err)
	}
	return c.buf[:n]
}

// guest is a viewer on its way to its first bytes of the stream.
type guest interface {
	// step reads once and answers; done tells that the stream has begun.
	step(c *crowd) (done bool)
}

// add brings n viewers to the stream's beginning, some at a time.
func (c *crowd) add(n int, arrive func(c *crowd) guest) {
	c.tb.Helper()
	for n > 0 {
		wave := make([]guest, min(n, 64))
		n -= len(wave)
		for i := range wave {
			wave[i] = arrive(c)
		}
		for len(wave) > 0 {
			wave = slices.DeleteFunc(wave, func(g guest) bool { return g.step(c) })
		}
	}
}

// player is an RTMP player; it asks for a pong when the stream has begun.
type player struct {
	fd   int
	rtmp *wire.ClientConn
}

func play(url string) func(*crowd) guest {
	return func(c *crowd) guest {
		u, err := wire.ParseURL(url)
		if err != nil {
			c.tb.Fatal(err)
		}
		p := &player{c.dial(c.rtmp), wire.NewClientConn(wire.ClientConfig{URL: u, Role: wire.RolePlay})}
		p.send(c)
		return p
	}
}

func (p *player) send(c *crowd) {
	c.tb.Helper()
	out := p.rtmp.Output()
	c.write(p.fd, out)
	p.rtmp.Sent(len(out))
}

func (p *player) step(c *crowd) (done bool) {
	for b := c.read(p.fd); len(b) > 0; {
		n, ev, err := p.rtmp.Feed(b)
		if err != nil || ev.Kind == wire.EventRefused {
			c.tb.Fatalf("player: %+v, %v", ev.Status, err)
		}
		done = done || ev.Kind == wire.EventMessage
		b = b[n:]
	}
	if done {
		p.rtmp.Ping(7)
	}
	p.send(c)
	return done
}

// watcher is an HTTP-FLV viewer.
type watcher struct {
	fd   int
	seen []byte
}

func get(path string) func(*crowd) guest {
	return func(c *crowd) guest {
		w := &watcher{fd: c.dial(c.http)}
		c.write(w.fd, []byte("GET "+path+" HTTP/1.1\r\nHost: localhost\r\nUser-Agent: crowd\r\n\r\n"))
		return w
	}
}

func (w *watcher) step(c *crowd) (done bool) {
	w.seen = append(w.seen, c.read(w.fd)...)
	return bytes.Contains(w.seen, []byte("\r\n\r\nFLV"))
}

// held is what the process's heap holds after a collection.
func held() int64 {
	runtime.GC() // the first one empties the pools,
	runtime.GC() // the second one frees what was in them
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// A viewer in plain text costs at most 512 bytes of the process's memory, its
// share of every table included, and no goroutine: real sockets, a stream that
// they have begun to get, the heap after a collection. Stacks come in steps of
// 32 KiB, so goroutines are counted instead.
func TestMemoryOfAViewer(t *testing.T) {
	const (
		limit = 512  // bytes
		few   = 256  // viewers at first: one chunk of the reactor's slab
		many  = 1792 // in the end: seven of them, and two descriptors each
	)
	token := func(c *crowd) string { return fmt.Sprintf("?token=%040d", len(c.fds)) }
	cases := []struct {
		name   string
		arrive func(c *crowd) guest
	}{
		{"rtmp", play("rtmp://localhost/live/test")},
		{"rtmp with tokens", func(c *crowd) guest { return play("rtmp://localhost/live/test" + token(c))(c) }},
		{"flv", get("/live/test.flv")},
		{"flv with tokens", func(c *crowd) guest { return get("/live/test.flv" + token(c))(c) }},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			n := startNode(t, func(cfg *Config, _ *Deps) { cfg.Loops = 1 })
			p := n.publish(testKey("live", "test"))
			p.size = 100
			p.group()
			c := newCrowd(n, many)
			c.add(few, tc.arrive)
			before, goroutines := held(), runtime.NumGoroutine()
			c.add(many-few, tc.arrive)
			each := (held() - before) / (many - few)
			if v := n.viewers(); v != many || each > limit {
				t.Errorf("%d viewers, %d bytes each, the limit is %d", v, each, limit)
			}
			if more := runtime.NumGoroutine() - goroutines; more > 0 {
				t.Errorf("%d more goroutines", more)
			}
			t.Logf("%d bytes", each)
		})
	}
}

// What a player says while it plays, acknowledgements and pings, and our answers
// allocate nothing.
func TestReadingFromAPlayerDoesNotAllocate(t *testing.T) {
	n := startNode(t, func(cfg *Config, _ *Deps) { cfg.Loops = 1 })
	p := n.publish(testKey("live", "test"))
	p.size = 100
	p.group()
	c := newCrowd(n, 1)
	c.add(1, play("rtmp://localhost/live/test"))
	fd := c.fds[0]
	// A chunk header of type 0 on chunk stream 2, and the message (RTMP 1.0
	// sections 5.3.1.2.1, 5.4.3 and 7.1.7).
	said := []byte{
		2, 0, 0, 0, 0, 0, 4, 3, 0, 0, 0, 0 /**/, 0, 0, 1, 0,
		2, 0, 0, 0, 0, 0, 6, 4, 0, 0, 0, 0 /**/, 0, 6, 0, 0, 0, 42,
	}
	pong := []byte{2, 0, 0, 0, 0, 0, 6, 4, 0, 0, 0, 0 /**/, 0, 7, 0, 0, 0, 42}
	turn := func() {
		c.write(fd, said)
		for seen := false; !seen; { // the rest of the group, and an older pong, come before
			seen = bytes.HasSuffix(c.read(fd), pong)
		}
	}
	turn()
	if allocs := testing.AllocsPerRun(100, turn); allocs != 0 {
		t.Errorf("%v allocations for an acknowledgement, a ping and a pong", allocs)
	}
}
