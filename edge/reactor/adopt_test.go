//go:build linux

package reactor

import (
	"errors"
	"net"
	"testing"
)

// tcpPair is both ends of a connection.
func tcpPair(t *testing.T) (ours, theirs net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if theirs, err = net.Dial("tcp", ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { theirs.Close() })
	if ours, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Close() })
	return ours, theirs
}

// A socket comes to a loop with what it holds unread, goes away again, and works
// on; what can't be adopted stays as it was.
func TestAdopt(t *testing.T) {
	for _, awake := range []bool{false, true} {
		cfg := testConfig()
		cfg.Awake = awake
		g := start(t, cfg, echo)
		ours, theirs := tcpPair(t)
		send(t, theirs, []byte("early"))
		given := make(chan net.Conn, 1)
		l, err := g.r.Adopt(ours, func(c *Conn) Protocol {
			c.Identified()
			return &hooked{data: func(c *Conn, b []byte) {
				if string(b) != "leave" {
					_ = c.Write(b)
					return
				}
				fd, err := c.Detach()
				if err != nil {
					t.Error(err)
					return
				}
				nc, err := NetConn(fd)
				if err != nil {
					t.Error(err)
				}
				given <- nc
			}}
		})
		if err != nil {
			t.Fatal(err)
		}
		expect(t, theirs, "early")
		if n := l.Stats().Conns; n != 1 || g.r.Pending() != 0 {
			t.Errorf("%d connections, %d pending", n, g.r.Pending())
		}
		send(t, theirs, []byte("more"))
		expect(t, theirs, "more")
		send(t, theirs, []byte("leave"))
		nc := receive(t, given)
		send(t, nc, []byte("bye"))
		expect(t, theirs, "bye")
		nc.Close()
		theirs.Close()
		eventually(t, "an empty loop", func() bool { return l.Stats().Conns == 0 })
	}
}

func TestAdoptRefuses(t *testing.T) {
	g := start(t, testConfig(), echo)
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if _, err := g.r.Adopt(a, echo); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a pipe: %v", err)
	}
	ours, theirs := tcpPair(t)
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := g.r.Adopt(ours, echo); !errors.Is(err, ErrClosed) {
		t.Errorf("a reactor that has ended: %v", err)
	}
	send(t, ours, []byte("still mine"))
	expect(t, theirs, "still mine")
	ours.Close()
	theirs.Close()
}
