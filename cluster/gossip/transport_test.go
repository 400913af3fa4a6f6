package gossip

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"tmms/media"
)

// open starts a transport without a memberlist.
func open(t *testing.T) *transport {
	t.Helper()
	tr, err := newTransport("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tr.Shutdown(); err != nil {
			t.Error(err)
		}
	})
	tr.start(t.Context(), tr.bound())
	return tr
}

func dial(t *testing.T, tr *transport) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", tr.bound().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestStreamsAreBounded(t *testing.T) {
	tr := open(t)
	var held []net.Conn
	for range media.MaxGossipStreamsPerIP {
		dial(t, tr)
		held = append(held, <-tr.StreamCh())
	}
	if _, err := dial(t, tr).Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("one too many: %v, want EOF", err)
	}
	for range 2 {
		_ = held[0].Close() // once more must not give its place back twice
	}
	dial(t, tr)
	<-tr.StreamCh()
	if tr.count != media.MaxGossipStreamsPerIP {
		t.Errorf("%d are counted, want %d", tr.count, media.MaxGossipStreamsPerIP)
	}
}

func TestStreamBytesAreBounded(t *testing.T) {
	tr := open(t)
	c := dial(t, tr)
	s := <-tr.StreamCh()
	go func() {
		_, _ = c.Write(make([]byte, media.MaxGossipStreamBytes+1)) // fails when the other side closes
		_ = c.Close()
	}()
	n, err := io.Copy(io.Discard, s)
	if n != media.MaxGossipStreamBytes || !errors.Is(err, errTooLong) {
		t.Errorf("%d bytes, %v", n, err)
	}
}

// A transport that is shut down while it starts, or before, has no readers left.
func TestShutdownMeetsStart(t *testing.T) {
	for range 50 {
		tr, err := newTransport("127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		var both sync.WaitGroup
		both.Go(func() { tr.start(t.Context(), tr.bound()) })
		both.Go(func() {
			if err := tr.Shutdown(); err != nil {
				t.Error(err)
			}
		})
		both.Wait()
		tr.readers.Wait()
		if _, err := net.Dial("tcp", tr.bound().String()); err == nil {
			t.Error("the port is still open")
		}
	}
}

func TestShutdownEndsConnections(t *testing.T) {
	tr := open(t)
	c := dial(t, tr)
	<-tr.StreamCh()
	out, err := tr.DialTimeout(tr.bound().String(), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	<-tr.StreamCh()
	if err := tr.Shutdown(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]net.Conn{"accepted": c, "dialed": out} {
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Errorf("%s is still open", name)
		}
	}
	if len(tr.conns) != 0 || tr.count != 0 || len(tr.perIP) != 0 {
		t.Errorf("%d, %d and %v are counted", len(tr.conns), tr.count, tr.perIP)
	}
	if _, err := tr.DialTimeout("127.0.0.1:1", time.Second); err == nil {
		t.Error("dialed after the end")
	}
}
