//go:build linux

package reactor

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"

	"tmms/media"
)

// turned is a layer that turns every bit; '.' (turned) from the peer is its end.
type turned struct {
	in    []byte
	reply []byte // to be said by itself
	fail  error
}

func flip(dst, b []byte) []byte {
	for _, x := range b {
		dst = append(dst, ^x)
	}
	return dst
}

func (t *turned) Seal(dst, plain []byte) ([]byte, error) {
	dst = append(dst, t.reply...)
	t.reply = nil
	return flip(dst, plain), t.fail
}

// Open gives at most 5 bytes at a time, so that it is asked again.
func (t *turned) Open(buf, b []byte) (int, error) {
	t.in = append(t.in, b...)
	n := min(len(t.in), 5)
	plain := flip(buf[:0], t.in[:n])
	t.in = t.in[n:]
	if i := bytes.IndexByte(plain, '.'); i >= 0 {
		return i, io.EOF
	}
	return n, nil
}

func (t *turned) End(dst []byte) []byte { return flip(dst, []byte("bye")) }

func (t *turned) Leave() func(net.Conn) net.Conn {
	return func(nc net.Conn) net.Conn { return &left{nc, t} }
}

// left is the layer over a connection that blocks.
type left struct {
	net.Conn
	turned *turned
}

// over opens connections with a layer that holds "early" already.
func over(p Protocol) func(*Conn) Protocol {
	return func(c *Conn) Protocol {
		c.SetLayer(&turned{in: flip(nil, []byte("early"))})
		return p
	}
}

func TestALayerIsBetweenBytesAndSocket(t *testing.T) {
	ended, onClose := endings(1)
	g := start(t, testConfig(), over(&hooked{
		data:   func(c *Conn, b []byte) { _ = c.Write(b) },
		closed: onClose,
	}))
	c := g.dial()
	expect(t, c, string(flip(nil, []byte("early"))))
	text := bytes.Repeat([]byte("and later. "[:9]), 3000)
	send(t, c, flip(nil, text))
	expect(t, c, string(flip(nil, text)))
	send(t, c, flip(nil, []byte(".")))
	if e := receive(t, ended); !errors.Is(e.reason, io.EOF) {
		t.Errorf("reason is %v, want EOF", e.reason)
	}
}

func TestALayersLastWordGoesBeforeTheEnd(t *testing.T) {
	g := start(t, testConfig(), over(&hooked{data: func(c *Conn, _ []byte) { c.CloseAfterFlush(nil) }}))
	b, err := io.ReadAll(g.dial())
	if err != nil || string(flip(nil, b)) != "bye" {
		t.Errorf("got %q, %v", flip(nil, b), err)
	}
}

func TestALayersFaultEndsTheConnection(t *testing.T) {
	ended, onClose := endings(1)
	fault := errors.New("no more keys")
	g := start(t, testConfig(), func(c *Conn) Protocol {
		c.SetLayer(&turned{fail: fault})
		return &hooked{closed: onClose, data: func(c *Conn, b []byte) {
			if _, err := c.Send(b); !errors.Is(err, fault) {
				t.Errorf("Send: %v", err)
			}
		}}
	})
	send(t, g.dial(), []byte("x"))
	if e := receive(t, ended); !errors.Is(e.reason, fault) {
		t.Errorf("reason is %v", e.reason)
	}
}

// sealing sends without end until it is short.
type sealing struct {
	hooked
	sent, short, writable int
}

func TestALayeredSendIsShortOnlyBetweenPieces(t *testing.T) {
	const total = 32 << 20 // more than a socket holds
	done, blocked := make(chan *sealing, 1), make(chan bool, 1)
	g := start(t, testConfig(), func(c *Conn) Protocol {
		s := &sealing{}
		data := make([]byte, total)
		step := func(c *Conn) {
			for s.sent < total {
				asked := min(total-s.sent, 150_000)
				n, err := c.Send(data[s.sent : s.sent+asked])
				if err != nil {
					return
				}
				s.sent += n
				if c.Pending() > sealRoom {
					t.Errorf("%d bytes wait, the limit is %d", c.Pending(), sealRoom)
				}
				if n < asked {
					if s.short++; s.short == 1 {
						blocked <- true
					}
					if !c.Blocked() {
						t.Error("a short send, and no OnWritable will come")
					}
					return
				}
			}
			if c.Pending() == 0 {
				done <- s
				c.CloseAfterFlush(nil)
			}
		}
		s.data = func(c *Conn, _ []byte) { step(c) }
		s.hooked.writable = func(c *Conn) {
			s.writable++
			if c.Pending() > 0 {
				t.Errorf("OnWritable with %d bytes that wait", c.Pending())
			}
			step(c)
		}
		c.SetLayer(&turned{in: []byte("g")})
		return &s.hooked
	})
	c := g.dial()
	receive(t, blocked)
	n, err := io.Copy(io.Discard, c)
	if err != nil || n != total+int64(len("bye")) {
		t.Errorf("%d bytes came, want %d: %v", n, total+3, err)
	}
	if s := receive(t, done); s.short == 0 || s.writable < s.short {
		t.Errorf("%d short sends, %d times writable", s.short, s.writable)
	}
}

func TestALayeredPeerThatDoesNotReadItsRepliesIsClosed(t *testing.T) {
	ended, onClose := endings(1)
	p := &hooked{closed: onClose, data: func(c *Conn, _ []byte) {
		for c.Write(make([]byte, 10_000)) == nil {
			if c.Pending() > media.MaxControlOutput+sealRoom {
				t.Errorf("%d bytes wait", c.Pending())
			}
		}
	}}
	g := start(t, testConfig(), func(c *Conn) Protocol {
		c.SetLayer(&turned{})
		return p
	})
	c := g.dial()
	send(t, c, []byte("go"))
	if e := receive(t, ended); !errors.Is(e.reason, ErrBacklog) {
		t.Errorf("reason is %v, want ErrBacklog", e.reason)
	}
	c.Close()
}

func TestTakeGivesTheLayerAlong(t *testing.T) {
	taken := make(chan func() (net.Conn, error), 1)
	g := start(t, testConfig(), over(&hooked{data: func(c *Conn, _ []byte) {
		open, err := c.Take()
		if err != nil {
			t.Error(err)
		}
		taken <- open
	}}))
	c := g.dial()
	nc, err := receive(t, taken)()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if _, ok := nc.(*left); !ok {
		t.Fatalf("got a %T", nc)
	}
	send(t, c, []byte("raw"))
	b := make([]byte, 3)
	if _, err := io.ReadFull(nc, b); err != nil || string(b) != "raw" {
		t.Errorf("got %q, %v", b, err)
	}
}
