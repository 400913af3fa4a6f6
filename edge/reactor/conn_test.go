//go:build linux

package reactor

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"tmms/media"
)

// ending is one OnClose.
type ending struct {
	id     ID
	reason error
}

// endings collects OnClose calls.
func endings(n int) (chan ending, func(*Conn, error)) {
	ch := make(chan ending, n)
	return ch, func(c *Conn, reason error) { ch <- ending{c.ID(), reason} }
}

func TestConnIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(Conn{}); n > 160 {
		t.Errorf("a Conn has %d bytes, want at most 160: 256 of them are 5 pages of 8 KiB", n)
	}
}

func TestOneByteAtATime(t *testing.T) {
	g := start(t, testConfig(), echo)
	c := g.dial()
	for i := range 300 {
		b := []byte{byte(i)}
		send(t, c, b)
		expect(t, c, string(b))
	}
}

func TestAddresses(t *testing.T) {
	got := make(chan string, 2)
	g := start(t, testConfig(), func(c *Conn) Protocol {
		got <- c.Remote().String()
		got <- c.Local().String()
		return &hooked{}
	})
	c := g.dial()
	if remote := receive(t, got); remote != c.LocalAddr().String() {
		t.Errorf("remote is %s, want %s", remote, c.LocalAddr())
	}
	if local := receive(t, got); local != g.addr {
		t.Errorf("local is %s, want %s", local, g.addr)
	}
}

func TestPeerCloses(t *testing.T) {
	ended, onClose := endings(2)
	got := make(chan string, 2)
	g := start(t, testConfig(), func(*Conn) Protocol {
		return &hooked{closed: onClose, data: func(_ *Conn, b []byte) { got <- string(b) }}
	})
	c := g.dial()
	send(t, c, []byte("last words"))
	c.Close()
	if s := receive(t, got); s != "last words" {
		t.Errorf("got %q", s)
	}
	if e := receive(t, ended); !errors.Is(e.reason, io.EOF) {
		t.Errorf("reason is %v, want EOF", e.reason)
	}
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	if len(ended) != 0 {
		t.Error("OnClose came twice")
	}
}

func TestPeerResets(t *testing.T) {
	for _, paused := range []bool{false, true} {
		ended, onClose := endings(2)
		opened := make(chan struct{})
		g := start(t, testConfig(), func(c *Conn) Protocol {
			if paused {
				c.PauseRead()
			}
			close(opened)
			return &hooked{closed: onClose}
		})
		c := g.dial()
		receive(t, opened)
		if err := c.(*net.TCPConn).SetLinger(0); err != nil {
			t.Fatal(err)
		}
		c.Close()
		if e := receive(t, ended); !errors.Is(e.reason, syscall.ECONNRESET) {
			t.Errorf("paused %v: reason is %v, want a reset", paused, e.reason)
		}
	}
}

// A client that ends its side after the request gets the answer all the same,
// also when most of it has to be queued.
func TestHalfClose(t *testing.T) {
	answer := bytes.Repeat([]byte("answer"), 10000)
	g := start(t, testConfig(), func(*Conn) Protocol {
		return &hooked{data: func(c *Conn, _ []byte) {
			queue := slices.Clone(answer)
			c.out = &queue // as if the socket had been full
		}}
	})
	c := g.dial()
	send(t, c, []byte("request"))
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, answer) {
		t.Fatalf("got %d of %d bytes, %v", len(got), len(answer), err)
	}
}

// streamer sends size bytes of a pattern as the socket takes them.
type streamer struct {
	hooked
	size, sent int
	short      int // sends that were short
	blocked    int // of these, Blocked said so
	writable   int
}

func (s *streamer) pump(c *Conn) {
	var b [32 << 10]byte
	for s.sent < s.size {
		part := b[:min(len(b), s.size-s.sent)]
		for i := range part {
			part[i] = pattern(s.sent + i)
		}
		n, err := c.Send(part)
		if err != nil {
			return
		}
		if s.sent += n; n < len(part) {
			s.short++
			if c.Blocked() && c.armed {
				s.blocked++
			}
			return
		}
	}
}

func (s *streamer) OnData(c *Conn, _ []byte) { s.pump(c) }

func (s *streamer) OnWritable(c *Conn) {
	s.writable++
	s.pump(c)
}

func pattern(i int) byte { return byte(i ^ i>>8 ^ i>>16) }

func TestSlowReaderBlocksAndGetsAll(t *testing.T) {
	s := &streamer{size: 24 << 20}
	var conn ID
	g := start(t, testConfig(), func(c *Conn) Protocol {
		conn = c.ID()
		return s
	})
	c := g.dial()
	send(t, c, []byte("go"))
	eventually(t, "the socket is full", func() bool { return g.loop().Stats().ShortSends > 0 })
	onLoop(t, g.loop(), func() {
		c := g.loop().Conn(conn)
		if !c.armed || !c.Blocked() {
			t.Error("writable events are not asked for after a short send")
		}
		if n, err := c.Unsent(); n == 0 || err != nil {
			t.Errorf("%d bytes unsent, %v", n, err)
		}
	})
	got := make([]byte, s.size)
	if _, err := io.ReadFull(c, got); err != nil {
		t.Fatal(err)
	}
	for i := range got {
		if got[i] != pattern(i) {
			t.Fatalf("byte %d is wrong", i)
		}
	}
	onLoop(t, g.loop(), func() {}) // let the turn of the last OnWritable end
	onLoop(t, g.loop(), func() {
		if c := g.loop().Conn(conn); c.armed || c.Blocked() {
			t.Error("writable events are still asked for")
		}
		if s.short == 0 || s.blocked != s.short || s.writable < s.short {
			t.Errorf("%d short sends, %d of them armed, %d times writable", s.short, s.blocked, s.writable)
		}
	})
	if sent := g.loop().Stats().BytesSent; sent != uint64(s.size) {
		t.Errorf("%d bytes counted, want %d", sent, s.size)
	}
}

func TestSendDoesNotAllocate(t *testing.T) {
	result := make(chan float64, 1)
	payload := make([]byte, 1400)
	g := start(t, testConfig(), func(*Conn) Protocol {
		return &hooked{data: func(c *Conn, _ []byte) {
			result <- testing.AllocsPerRun(500, func() {
				if _, err := c.Send(payload); err != nil {
					t.Error(err)
				}
				c.SetTimer(time.Minute)
			})
		}}
	})
	c := g.dial()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(io.Discard, c)
	}()
	send(t, c, []byte("go"))
	if n := receive(t, result); n != 0 {
		t.Errorf("%v allocations a Send", n)
	}
	c.Close()
	receive(t, done)
}

// throttled is an engine whose sockets have room for so many bytes more.
type throttled struct {
	engine
	left int
}

func (e *throttled) send(fd int, b []byte) (int, error) {
	n, err := e.engine.send(fd, b[:min(len(b), e.left)])
	e.left -= n
	return n, err
}

func TestWriteQueuesInOrder(t *testing.T) {
	done := make(chan struct{})
	g := start(t, testConfig(), func(c *Conn) Protocol {
		l := c.Loop()
		throttle := &throttled{engine: l.engine, left: 6}
		l.engine = throttle
		writable := 0
		h := &hooked{writable: func(c *Conn) {
			if writable++; c.Pending() > 0 {
				t.Error("OnWritable before the queue was sent")
			}
			_ = c.Write([]byte("four"))
		}}
		h.data = func(c *Conn, _ []byte) {
			defer close(done)
			for _, s := range []string{"one ", "two ", "three "} {
				if err := c.Write([]byte(s)); err != nil {
					t.Error(err)
				}
			}
			if c.Pending() != len("o three ") || !c.Blocked() {
				t.Errorf("%d bytes pending, blocked %v", c.Pending(), c.Blocked())
			}
			throttle.left = 5
			if n, err := c.Send([]byte("overtakes")); n != 0 || err != nil {
				t.Errorf("Send took %d bytes before the queue, %v", n, err)
			}
			if c.Pending() != len("ee ") {
				t.Errorf("%d bytes pending after Send", c.Pending())
			}
			throttle.left = 1
			l.serve(&event{token: c.token(), writable: true})
			if c.Pending() != len("e ") || writable != 0 || !c.Blocked() {
				t.Errorf("%d bytes pending, %d times writable", c.Pending(), writable)
			}
			throttle.left = 100
			l.serve(&event{token: c.token(), writable: true})
			if c.Pending() != 0 || writable != 1 || c.Blocked() || c.armed {
				t.Errorf("%d bytes pending, %d times writable, armed %v", c.Pending(), writable, c.armed)
			}
		}
		return h
	})
	c := g.dial()
	send(t, c, []byte("go"))
	receive(t, done)
	expect(t, c, "one two three four")
}

func TestPeerThatDoesNotReadItsReplies(t *testing.T) {
	ended, onClose := endings(1)
	g := start(t, testConfig(), func(*Conn) Protocol {
		return &hooked{closed: onClose, data: func(c *Conn, _ []byte) {
			for range 1000 {
				if err := c.Write(make([]byte, media.MaxControlOutput)); err != nil {
					if !errors.Is(err, ErrBacklog) || c.Pending() > media.MaxControlOutput {
						t.Errorf("%v with %d bytes pending", err, c.Pending())
					}
					return
				}
			}
			t.Error("never refused")
		}}
	})
	send(t, g.dial(), []byte("go"))
	if e := receive(t, ended); !errors.Is(e.reason, ErrBacklog) {
		t.Errorf("reason is %v", e.reason)
	}
}

func TestCloseIsSafeAnywhereAndOnce(t *testing.T) {
	first := errors.New("first")
	ended, onClose := endings(10)
	g := start(t, testConfig(), func(*Conn) Protocol {
		h := &hooked{closed: onClose}
		h.data = func(c *Conn, _ []byte) {
			c.SetTimer(0)
			c.Close(first)
			c.Close(errors.New("second"))
			c.CloseAfterFlush(errors.New("third"))
			if _, err := c.Send([]byte("x")); !errors.Is(err, net.ErrClosed) {
				t.Errorf("Send after Close: %v", err)
			}
			if err := c.Write([]byte("x")); !errors.Is(err, ErrClosed) {
				t.Errorf("Write after Close: %v", err)
			}
			if _, err := c.Detach(); !errors.Is(err, ErrClosed) {
				t.Errorf("Detach after Close: %v", err)
			}
			c.SetTimer(0)
			if c.Loop().Conn(c.ID()) != nil {
				t.Error("found after Close")
			}
		}
		h.timer = func(*Conn) { t.Error("a timer after Close") }
		return h
	})
	c := g.dial()
	send(t, c, []byte("go"))
	if e := receive(t, ended); !errors.Is(e.reason, first) {
		t.Errorf("reason is %v", e.reason)
	}
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("the socket is open")
	}
	noTimers(t, g.loop())
	if len(ended) != 0 {
		t.Error("OnClose came twice")
	}
}

// noTimers checks that connections which have gone left nothing in the wheel.
func noTimers(t *testing.T, l *Loop) {
	t.Helper()
	onLoop(t, l, func() {
		if n := l.wheel.Len(); n != 0 {
			t.Errorf("%d entries in the wheel", n)
		}
	})
}

func TestOnCloseMayCloseOthers(t *testing.T) {
	var conns []*Conn
	ended, count := endings(10)
	opened := make(chan struct{}, 10)
	g := start(t, testConfig(), func(c *Conn) Protocol {
		conns = append(conns, c)
		opened <- struct{}{}
		return &hooked{
			data: func(c *Conn, _ []byte) { c.Close(errStop) },
			closed: func(c *Conn, reason error) {
				count(c, reason)
				for _, other := range conns {
					other.Close(errStop)
				}
			},
		}
	})
	var last net.Conn
	for range 10 {
		last = g.dial()
		receive(t, opened)
	}
	send(t, last, []byte("go"))
	seen := map[ID]bool{}
	for range 10 {
		seen[receive(t, ended).id] = true
	}
	if len(seen) != 10 {
		t.Errorf("%d connections ended, want 10", len(seen))
	}
}

// The answer arrives although the peer has sent bytes that nobody reads: a
// plain close would reset the connection.
func TestCloseAfterFlushIsNotAReset(t *testing.T) {
	ended, onClose := endings(1)
	reason := errors.New("refused")
	answer := bytes.Repeat([]byte("a"), media.MaxControlOutput)
	g := start(t, testConfig(), func(*Conn) Protocol {
		return &hooked{closed: onClose, data: func(c *Conn, _ []byte) {
			c.PauseRead() // the rest stays in the socket
			_ = c.Write(answer)
			c.CloseAfterFlush(reason)
		}}
	})
	c := g.dial()
	send(t, c, make([]byte, 200<<10))
	if got, err := io.ReadAll(c); err != nil || len(got) != len(answer) {
		t.Fatalf("got %d of %d bytes, %v", len(got), len(answer), err)
	}
	if len(ended) != 0 {
		t.Error("closed before the peer's end")
	}
	c.Close()
	if e := receive(t, ended); !errors.Is(e.reason, reason) {
		t.Errorf("reason is %v", e.reason)
	}
}

func TestCloseAfterFlushIsBounded(t *testing.T) {
	cfg := testConfig()
	cfg.Linger = 50 * time.Millisecond
	for name, fill := range map[string]int{"peer does not read": 16 << 20, "peer does not close": 0} {
		t.Run(name, func(t *testing.T) {
			ended, onClose := endings(1)
			g := start(t, cfg, func(*Conn) Protocol {
				return &hooked{closed: onClose, data: func(c *Conn, _ []byte) {
					_, _ = c.Send(make([]byte, fill))
					_ = c.Write(make([]byte, 1000))
					c.CloseAfterFlush(errStop)
				}}
			})
			send(t, g.dial(), []byte("go"))
			if e := receive(t, ended); !errors.Is(e.reason, errStop) {
				t.Errorf("reason is %v", e.reason)
			}
		})
	}
}

// A peer that does not take its bytes is reset, so that the kernel does not hold
// them; one that does gets them.
func TestCloseOfAFullSocketIsAReset(t *testing.T) {
	const much = 64 << 20
	cfg := testConfig()
	cfg.Linger = 50 * time.Millisecond
	for _, tc := range []struct {
		name  string
		fill  int
		close func(*Conn)
		want  error
	}{
		{"closed, full", much, func(c *Conn) { c.Close(errStop) }, syscall.ECONNRESET},
		{"closed", 1000, func(c *Conn) { c.Close(errStop) }, nil},
		{"reset", 1000, func(c *Conn) { c.Reset(errStop) }, syscall.ECONNRESET},
		{"flushed, full", much, func(c *Conn) { c.CloseAfterFlush(errStop) }, syscall.ECONNRESET},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ended, onClose := endings(1)
			g := start(t, cfg, func(*Conn) Protocol {
				return &hooked{closed: onClose, data: func(c *Conn, _ []byte) {
					_, _ = c.Send(make([]byte, tc.fill))
					tc.close(c)
				}}
			})
			c := g.dial()
			send(t, c, []byte("go"))
			if e := receive(t, ended); !errors.Is(e.reason, errStop) {
				t.Errorf("reason is %v", e.reason)
			}
			got, err := io.ReadAll(c)
			if !errors.Is(err, tc.want) || tc.want == nil && len(got) != tc.fill {
				t.Errorf("got %d of %d bytes, then %v, want %v", len(got), tc.fill, err, tc.want)
			}
		})
	}
}

func TestDetach(t *testing.T) {
	type detached struct {
		fd  int
		err error
	}
	got := make(chan detached, 1)
	g := start(t, testConfig(), func(*Conn) Protocol {
		return &hooked{
			closed: func(*Conn, error) { t.Error("OnClose after Detach") },
			data: func(c *Conn, b []byte) {
				c.SetTimer(0)
				fd, err := c.Detach()
				if _, serr := c.Send(b); !errors.Is(serr, ErrClosed) {
					t.Errorf("Send after Detach: %v", serr)
				}
				c.Close(errStop)
				got <- detached{fd, err}
			},
			timer: func(*Conn) { t.Error("a timer after Detach") },
		}
	})
	c := g.dial()
	send(t, c, []byte("publish"))
	d := receive(t, got)
	if d.err != nil {
		t.Fatal(d.err)
	}
	file := os.NewFile(uintptr(d.fd), "publisher")
	conn, err := net.FileConn(file)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err = file.Close(); err != nil {
		t.Error(err)
	}
	eventually(t, "the loop has no connection", func() bool { return g.loop().Stats().Conns == 0 })
	noTimers(t, g.loop())
	// It outlives the reactor.
	if err = g.stop(); err != nil {
		t.Fatal(err)
	}
	send(t, c, []byte("media"))
	expect(t, conn, "media")
	send(t, conn, []byte("ack"))
	expect(t, c, "ack")
}

func TestDetachDoesNotLoseTheQueue(t *testing.T) {
	result := make(chan error, 1)
	g := start(t, testConfig(), func(*Conn) Protocol {
		return &hooked{data: func(c *Conn, _ []byte) {
			queue := []byte("queued")
			c.out = &queue
			_, err := c.Detach()
			result <- err
		}}
	})
	send(t, g.dial(), []byte("go"))
	if err := receive(t, result); !errors.Is(err, ErrUnsent) {
		t.Errorf("Detach with a queue: %v", err)
	}
}

func TestSetProtocol(t *testing.T) {
	ended, onClose := endings(1)
	g := start(t, testConfig(), func(*Conn) Protocol {
		return &hooked{data: func(c *Conn, b []byte) {
			_ = c.Write(b)
			second := &hooked{closed: onClose, data: func(c *Conn, _ []byte) { c.Close(errStop) }}
			c.SetProtocol(second)
			if c.Protocol() != Protocol(second) {
				t.Error("another protocol")
			}
		}}
	})
	c := g.dial()
	send(t, c, []byte("1"))
	expect(t, c, "1")
	send(t, c, []byte("2"))
	if e := receive(t, ended); !errors.Is(e.reason, errStop) {
		t.Errorf("reason is %v", e.reason)
	}
}

func TestSocketOptions(t *testing.T) {
	errs := make(chan error, 3)
	g := start(t, testConfig(), func(c *Conn) Protocol {
		errs <- c.SetNotSentLowat(32 << 10)
		errs <- c.SetCongestion("reno")
		errs <- c.SetCongestion("no such thing")
		return &hooked{}
	})
	g.dial()
	if err := receive(t, errs); err != nil {
		t.Error(err)
	}
	if err := receive(t, errs); err != nil {
		t.Error(err)
	}
	if err := receive(t, errs); err == nil {
		t.Error("an unknown congestion control was accepted")
	}
}

// An event that was fetched for a connection which has gone since does not
// reach the one that has its place.
func TestStaleEvent(t *testing.T) {
	opened := make(chan token, 2)
	called := make(chan string, 10)
	g := start(t, testConfig(), func(c *Conn) Protocol {
		opened <- c.token()
		return &hooked{
			data:     func(*Conn, []byte) { called <- "data" },
			writable: func(*Conn) { called <- "writable" },
		}
	})
	first := g.dial()
	old := receive(t, opened)
	first.Close()
	eventually(t, "the first is gone", func() bool { return g.loop().Stats().Conns == 0 })
	second := g.dial()
	fresh := receive(t, opened)
	if old.place() != fresh.place() || old == fresh {
		t.Fatalf("tokens %x and %x: not the same place in two generations", uint64(old), uint64(fresh))
	}
	onLoop(t, g.loop(), func() {
		g.loop().serve(&event{token: old, readable: true, writable: true, hangup: true})
		g.loop().serve(&event{token: makeToken(1<<31, 5), readable: true})
		if c := g.loop().slab.find(fresh); c == nil || c.hangup {
			t.Error("a stale event was taken for the new connection's")
		}
		if g.loop().Conn(ID(old)) != nil || g.loop().Conn(ID(fresh)) == nil {
			t.Error("Conn does not tell old from new")
		}
	})
	if len(called) != 0 {
		t.Errorf("%s was called", <-called)
	}
	send(t, second, []byte("x"))
	if s := receive(t, called); s != "data" {
		t.Errorf("%s was called", s)
	}
}

func TestShutdownClosesEveryConnection(t *testing.T) {
	const n = 50
	ended, onClose := endings(2 * n)
	opened := make(chan struct{}, n)
	cfg := testConfig()
	cfg.Loops = 2
	g := start(t, cfg, func(*Conn) Protocol {
		opened <- struct{}{}
		return &hooked{closed: onClose}
	})
	conns := make([]net.Conn, n)
	for i := range conns {
		conns[i] = g.dial()
		receive(t, opened)
	}
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	if len(ended) != n {
		t.Fatalf("%d of %d connections ended", len(ended), n)
	}
	for range n {
		if e := <-ended; !errors.Is(e.reason, errStop) {
			t.Fatalf("reason is %v", e.reason)
		}
	}
	for _, c := range conns {
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Fatal("still open")
		}
	}
	if g.loop().Post(func() {}) {
		t.Error("an ended loop takes functions")
	}
	if err := g.r.Run(context.Background()); !errors.Is(err, ErrStarted) {
		t.Errorf("second Run: %v", err)
	}
	if g.r.Pending() != 0 {
		t.Errorf("%d unidentified connections are left", g.r.Pending())
	}
}
