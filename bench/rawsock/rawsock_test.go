package rawsock

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// pair gives a taken socket and the other end of its connection.
func pair(t *testing.T) (int, net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	other, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close() })
	fd, err := Take(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	return fd, other
}

func readable(t *testing.T, fd int) {
	t.Helper()
	if n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 30_000); n != 1 || err != nil {
		t.Fatalf("poll: %d, %v", n, err)
	}
}

func TestDrainAndRecv(t *testing.T) {
	fd, other := pair(t)
	if _, err := Drain(fd, 10); !errors.Is(err, unix.EAGAIN) {
		t.Errorf("an empty socket: %v", err)
	}
	if _, err := Recv(fd, make([]byte, 10)); !errors.Is(err, unix.EAGAIN) {
		t.Errorf("an empty socket: %v", err)
	}
	if _, err := other.Write([]byte("0123456789")); err != nil {
		t.Fatal(err)
	}
	readable(t, fd)
	if n, err := Drain(fd, 6); n != 6 || err != nil {
		t.Errorf("drained %d, %v", n, err)
	}
	b := make([]byte, 10)
	if n, err := Recv(fd, b); err != nil || string(b[:n]) != "6789" {
		t.Errorf("%q, %v", b[:n], err)
	}
	other.Close()
	readable(t, fd)
	if n, err := Drain(fd, 6); n != 0 || err != nil {
		t.Errorf("at the end: %d, %v", n, err)
	}
}

// A full socket takes nothing and says so without an error; one that is gone does.
func TestSend(t *testing.T) {
	fd, other := pair(t)
	piece := bytes.Repeat([]byte{7}, 1<<20)
	sent := 0
	for {
		n, err := Send(fd, piece)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			break
		}
		sent += n
	}
	if err := other.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadFull(other, make([]byte, sent))
	if got != sent || err != nil {
		t.Errorf("%d of %d, %v", got, sent, err)
	}
	if err := other.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	other.Close()
	readable(t, fd)
	if _, err := Send(fd, piece); err == nil {
		t.Error("no error after a reset")
	}
}

func TestTakeOther(t *testing.T) {
	a, b := net.Pipe()
	defer b.Close()
	if _, err := Take(a); err == nil {
		t.Error("a pipe was taken for a TCP connection")
	}
}
