package reactor

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// patternFile is a file in memory with size bytes of the pattern.
func patternFile(t *testing.T, size int) *os.File {
	t.Helper()
	fd, err := unix.MemfdCreate("pattern", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "pattern")
	t.Cleanup(func() {
		if cerr := f.Close(); cerr != nil {
			t.Error(cerr)
		}
	})
	b := make([]byte, size)
	for i := range b {
		b[i] = pattern(i)
	}
	if _, err = f.Write(b); err != nil {
		t.Fatal(err)
	}
	return f
}

// fileSender sends a file from off to its end, as the socket takes it, behind
// what is written first.
type fileSender struct {
	hooked
	fd, off, size int
	first         []byte
	short         int // sends that were short,
	unasked       int // and had no writable event to come
	err           error
}

func (s *fileSender) OnData(c *Conn, _ []byte) {
	if err := c.Write(s.first); err != nil {
		s.err = err
	}
	s.pump(c)
}

func (s *fileSender) OnWritable(c *Conn) { s.pump(c) }

func (s *fileSender) pump(c *Conn) {
	if s.off == s.size {
		return
	}
	n, err := c.SendFile(s.fd, int64(s.off), s.size-s.off)
	if err != nil {
		s.err = err
		return
	}
	if s.off += n; s.off == s.size {
		return
	}
	s.short++
	if !c.Blocked() || !c.armed {
		s.unasked++
	}
}

// A reader that takes its time gets what Write had queued, then the file, whole.
func TestSendFileIsShortWhereTheSocketIsFull(t *testing.T) {
	const size, off = 24 << 20, 12345
	for _, engine := range engines(t) {
		t.Run(string(engine), func(t *testing.T) {
			first := bytes.Repeat([]byte("head"), 1000)
			s := &fileSender{fd: int(patternFile(t, size).Fd()), off: off, size: size, first: first}
			cfg := testConfig()
			cfg.Engine = engine
			g := start(t, cfg, func(*Conn) Protocol { return s })
			c := g.dial()
			send(t, c, []byte("go"))
			eventually(t, "the socket is full", func() bool { return g.loop().Stats().ShortSends > 0 })
			got := make([]byte, len(first)+size-off)
			if _, err := io.ReadFull(c, got); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got[:len(first)], first) {
				t.Error("the file came before what was written")
			}
			for i, b := range got[len(first):] {
				if b != pattern(off+i) {
					t.Fatalf("byte %d of the file is wrong", off+i)
				}
			}
			onLoop(t, g.loop(), func() {
				if s.err != nil || s.short == 0 || s.unasked > 0 {
					t.Errorf("%d short sends, %d not to be told of room, %v", s.short, s.unasked, s.err)
				}
			})
		})
	}
}

// A signal cuts a send of a file short while the socket has room, and then no
// writable event comes: the send has to go on by itself.
func TestSendFileGoesOnAfterASignal(t *testing.T) {
	const size = 64 << 20
	s := &fileSender{fd: int(patternFile(t, size).Fd()), size: size}
	g := start(t, testConfig(), func(*Conn) Protocol { return s })
	c := g.dial()
	eventually(t, "the loop runs", func() bool { return g.loop().thread.Load() != 0 })
	thread := int(g.loop().thread.Load())
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				if err := unix.Tgkill(os.Getpid(), thread, unix.SIGURG); err != nil {
					t.Error(err)
					return
				}
			}
		}
	}()
	send(t, c, []byte("go"))
	n, err := io.CopyN(io.Discard, c, size)
	close(stop)
	<-stopped
	if err != nil {
		t.Errorf("%d bytes of %d, %v", n, size, err)
	}
}

// What waits goes first: the file has to wait with it.
func TestSendFileWaitsForTheQueue(t *testing.T) {
	const size = 1000
	f := patternFile(t, size)
	took := make(chan int, 1)
	g := start(t, testConfig(), func(c *Conn) Protocol {
		l := c.Loop()
		engine := l.engine
		s := &fileSender{fd: int(f.Fd()), size: size}
		return &hooked{writable: s.OnWritable, data: func(c *Conn, _ []byte) {
			l.engine = &throttled{engine: engine, left: 3}
			_ = c.Write([]byte("head"))
			n, err := c.SendFile(s.fd, 0, size)
			if err != nil {
				t.Error(err)
			}
			l.engine = engine
			took <- n
		}}
	})
	c := g.dial()
	send(t, c, []byte("go"))
	if n := receive(t, took); n != 0 {
		t.Errorf("%d bytes of the file passed the queue", n)
	}
	got := make([]byte, 4+size)
	if _, err := io.ReadFull(c, got); err != nil {
		t.Fatal(err)
	}
	if string(got[:4]) != "head" || got[4] != pattern(0) || got[4+size-1] != pattern(size-1) {
		t.Errorf("got %.20q", got)
	}
}

func TestSendFileFails(t *testing.T) {
	const size = 1000
	f := patternFile(t, size)
	t.Run("after the file's end", func(t *testing.T) {
		ended, onClose := endings(1)
		g := start(t, testConfig(), func(*Conn) Protocol {
			return &hooked{closed: onClose, data: func(c *Conn, _ []byte) {
				if n, err := c.SendFile(int(f.Fd()), size-10, 10); n != 10 || err != nil {
					t.Errorf("%d bytes, %v", n, err)
				}
				if n, err := c.SendFile(int(f.Fd()), size-10, 20); n != 0 || !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("%d bytes, %v", n, err)
				}
				if n, err := c.SendFile(int(f.Fd()), 0, 10); n != 0 || !errors.Is(err, ErrClosed) {
					t.Errorf("of a condemned one: %d bytes, %v", n, err)
				}
			}}
		})
		send(t, g.dial(), []byte("go"))
		if e := receive(t, ended); !errors.Is(e.reason, io.ErrUnexpectedEOF) {
			t.Errorf("reason is %v", e.reason)
		}
	})
	t.Run("when the peer has gone", func(t *testing.T) {
		ended, onClose := endings(1)
		ids := make(chan ID, 1)
		g := start(t, testConfig(), func(c *Conn) Protocol {
			c.PauseRead()
			ids <- c.ID()
			return &hooked{closed: onClose}
		})
		c := g.dial()
		id := receive(t, ids)
		if err := c.(*net.TCPConn).SetLinger(0); err != nil {
			t.Fatal(err)
		}
		// The loop is held until the reset is there, so that the send is what finds it.
		onLoop(t, g.loop(), func() {
			conn := g.loop().Conn(id)
			c.Close()
			if n, err := unix.Poll([]unix.PollFd{{Fd: conn.fd}}, 30_000); n != 1 {
				t.Errorf("no reset came: %v", err)
			}
			if n, err := conn.SendFile(int(f.Fd()), 0, size); n != 0 || err == nil {
				t.Errorf("%d bytes, %v", n, err)
			}
		})
		e := receive(t, ended)
		if !errors.Is(e.reason, syscall.EPIPE) && !errors.Is(e.reason, syscall.ECONNRESET) {
			t.Errorf("reason is %v, want a reset", e.reason)
		}
	})
	t.Run("through a layer", func(t *testing.T) {
		g := start(t, testConfig(), over(&hooked{data: func(c *Conn, b []byte) {
			if n, err := c.SendFile(int(f.Fd()), 0, size); n != 0 || !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("%d bytes, %v", n, err)
			}
			_ = c.Write(b)
		}}))
		expect(t, g.dial(), string(flip(nil, []byte("early"))))
	})
}

func TestSendFileDoesNotAllocate(t *testing.T) {
	f := patternFile(t, 1000)
	result := make(chan float64, 1)
	g := start(t, testConfig(), func(*Conn) Protocol {
		return &hooked{data: func(c *Conn, _ []byte) {
			result <- testing.AllocsPerRun(50, func() { _, _ = c.SendFile(int(f.Fd()), 0, 1000) })
		}}
	})
	send(t, g.dial(), []byte("go"))
	if n := receive(t, result); n != 0 {
		t.Errorf("%v allocations a SendFile", n)
	}
}
