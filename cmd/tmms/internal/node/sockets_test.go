package node

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"tmms/origin/ingest"
)

// watcher echoes, until it is told to give the socket back.
type watcher struct {
	patience time.Duration
	ended    chan outcome
}

type outcome struct {
	conn net.Conn
	err  error
}

func (w watcher) OnData(s ingest.Socket, b []byte) (more bool) {
	n, err := s.Send(b)
	return err == nil && n == len(b) && string(b) != "back"
}

func (w watcher) Patience() time.Duration { return w.patience }

func (w watcher) OnEnd(c net.Conn, err error) { w.ended <- outcome{c, err} }

// lend runs sockets with one connection in it.
func lend(t *testing.T, patience time.Duration) (peer net.Conn, w watcher, stop func()) {
	t.Helper()
	s, err := newSockets(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.reactor.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err = <-done; err != nil {
			t.Error(err)
		}
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if peer, err = net.Dial("tcp", ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { peer.Close() })
	c, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	w = watcher{patience, make(chan outcome, 1)}
	if stop, err = s.Watch(c, w); err != nil {
		t.Fatal(err)
	}
	return peer, w, stop
}

func exchange(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, len(text))
	if _, err := io.ReadFull(c, b); err != nil || string(b) != text {
		t.Fatalf("got %q, %v, want %q", b, err, text)
	}
}

func TestSockets(t *testing.T) {
	t.Run("given back", func(t *testing.T) {
		peer, w, stop := lend(t, time.Minute)
		exchange(t, peer, "hello")
		exchange(t, peer, "back")
		end := <-w.ended
		if end.conn == nil || end.err != nil {
			t.Fatalf("got %+v", end)
		}
		stop() // has nothing to stop any more
		if _, err := io.WriteString(end.conn, "mine"); err != nil {
			t.Error(err)
		}
		end.conn.Close()
	})
	t.Run("silence", func(t *testing.T) {
		_, w, _ := lend(t, 20*time.Millisecond)
		end := <-w.ended
		if end.conn == nil || !errors.Is(end.err, ingest.ErrSilence) {
			t.Fatalf("got %+v", end)
		}
		end.conn.Close()
	})
	t.Run("the peer's end", func(t *testing.T) {
		peer, w, _ := lend(t, time.Minute)
		exchange(t, peer, "hello")
		peer.Close()
		if end := <-w.ended; end.conn != nil || !errors.Is(end.err, io.EOF) {
			t.Errorf("got %+v", end)
		}
	})
	t.Run("stopped", func(t *testing.T) {
		peer, w, stop := lend(t, time.Minute)
		exchange(t, peer, "hello")
		stop()
		if end := <-w.ended; end.conn != nil || !errors.Is(end.err, net.ErrClosed) {
			t.Errorf("got %+v", end)
		}
	})
}
