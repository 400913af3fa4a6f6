//go:build linux

package reactor

import (
	"io"
	"testing"
)

// A sender with much to say is read a budget a turn, to the end although no
// further event comes, and others are served in between.
func TestReadBudget(t *testing.T) {
	cfg := testConfig()
	cfg.ReadBudget = 4 << 10
	const flood = 3 << 20
	perTurn := map[uint64]int{}
	total := 0
	all := make(chan struct{})
	answered := make(chan int, 1)
	first := true
	g := start(t, cfg, func(*Conn) Protocol {
		if !first {
			return &hooked{data: func(c *Conn, b []byte) {
				answered <- total
				_ = c.Write(b)
			}}
		}
		first = false
		return &hooked{data: func(c *Conn, b []byte) {
			perTurn[c.loop.count.turns] += len(b)
			if total += len(b); total == flood {
				close(all)
			}
		}}
	})
	flooder := g.dial()
	send(t, flooder, []byte("x")) // it is the first
	eventually(t, "the first byte", func() bool { return g.loop().Stats().BytesReceived == 1 })
	other := g.dial()
	// The flood and the ping are both there when the loop looks.
	hold := make(chan struct{})
	held := make(chan struct{})
	g.loop().Post(func() { close(held); <-hold })
	receive(t, held)
	sent := make(chan error, 1)
	go func() {
		_, err := flooder.Write(make([]byte, flood-1))
		sent <- err
	}()
	send(t, other, []byte("ping"))
	close(hold)
	expect(t, other, "ping")
	if n := receive(t, answered); n > flood/2 {
		t.Errorf("answered after %d bytes of the flood", n)
	}
	receive(t, all)
	if err := receive(t, sent); err != nil {
		t.Error(err)
	}
	onLoop(t, g.loop(), func() {
		for turn, n := range perTurn {
			if n > cfg.ReadBudget {
				t.Errorf("turn %d read %d bytes, the budget is %d", turn, n, cfg.ReadBudget)
			}
		}
	})
}

func TestPauseRead(t *testing.T) {
	var conn ID
	got := make(chan string, 10)
	ended, onClose := endings(1)
	g := start(t, testConfig(), func(c *Conn) Protocol {
		conn = c.ID()
		return &hooked{closed: onClose, data: func(c *Conn, b []byte) {
			got <- string(b)
			c.PauseRead()
		}}
	})
	c := g.dial()
	send(t, c, []byte("first"))
	if s := receive(t, got); s != "first" {
		t.Fatalf("got %q", s)
	}
	send(t, c, []byte("second"))
	c.Close()
	seen := false
	eventually(t, "the peer's end is in sight", func() bool {
		onLoop(t, g.loop(), func() { seen = g.loop().Conn(conn).hangup })
		return seen
	})
	if len(got) != 0 {
		t.Fatal("read while paused")
	}
	onLoop(t, g.loop(), func() { g.loop().Conn(conn).ResumeRead() })
	if s := receive(t, got); s != "second" {
		t.Fatalf("got %q", s)
	}
	onLoop(t, g.loop(), func() { g.loop().Conn(conn).ResumeRead() })
	if e := receive(t, ended); e.reason != io.EOF { //nolint:errorlint // the plain value is promised
		t.Errorf("reason is %v", e.reason)
	}
}
