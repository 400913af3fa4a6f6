package ingest

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// pair gives the two ends of a TCP connection.
func pair(t *testing.T) (ours, peer *net.TCPConn) {
	t.Helper()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	p, err := new(net.Dialer).DialContext(t.Context(), "tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	c, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	ours, _ = c.(*net.TCPConn)
	peer, _ = p.(*net.TCPConn)
	return ours, peer
}

func TestSourceReadsAsTheSocketDoes(t *testing.T) {
	c, peer := pair(t)
	s := newSource(c)
	if s == nil {
		t.Fatal("no source of a TCP socket")
	}
	b := make([]byte, 4)
	if n, err := s.read(nil); n != 0 || err != nil {
		t.Errorf("nothing asked for: %d, %v", n, err)
	}

	late := make(chan error, 1)
	go func() { // after the read has begun, mostly
		_, err := peer.Write([]byte("hello"))
		late <- err
	}()
	if n, err := io.ReadFull(reader{s}, b); n != 4 || err != nil || string(b) != "hell" {
		t.Errorf("read %q, %v", b[:n], err)
	}
	if n, err := s.read(b); err != nil || string(b[:n]) != "o" {
		t.Errorf("the rest is %q, %v", b[:n], err)
	}
	if err := <-late; err != nil {
		t.Fatal(err)
	}

	if err := c.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if n, err := s.read(b); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after the deadline: %d, %v", n, err)
	}
	if err := errors.Join(c.SetReadDeadline(time.Time{}), peer.CloseWrite()); err != nil {
		t.Fatal(err)
	}
	if n, err := s.read(b); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %d, %v", n, err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := s.read(b); n != 0 || !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %d, %v", n, err)
	}
}

func TestSourceTellsOfAReset(t *testing.T) {
	c, peer := pair(t)
	if err := errors.Join(peer.SetLinger(0), peer.Close()); err != nil {
		t.Fatal(err)
	}
	if n, err := newSource(c).read(make([]byte, 1)); n != 0 || !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read %d, %v", n, err)
	}
}

func TestSourceAllocatesNothing(t *testing.T) {
	c, peer := pair(t)
	s, b, one := newSource(c), make([]byte, 1), []byte{1}
	allocs := testing.AllocsPerRun(100, func() {
		if _, err := peer.Write(one); err != nil {
			t.Fatal(err)
		}
		if _, err := s.read(b); err != nil {
			t.Fatal(err)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations for each read", allocs)
	}
}

func TestOtherConnectionsHaveNoSource(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if newSource(a) != nil {
		t.Error("a pipe has a source")
	}
}

// reader is a source as an io.Reader.
type reader struct{ *source }

func (r reader) Read(b []byte) (int, error) { return r.read(b) }
