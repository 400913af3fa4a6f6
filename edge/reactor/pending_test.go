//go:build linux

package reactor

import (
	"errors"
	"net"
	"net/netip"
	"testing"
)

// The oldest unidentified connections go first, wherever they live.
func TestTooManyUnidentified(t *testing.T) {
	for _, loops := range []int{1, 3} {
		cfg := testConfig()
		cfg.Loops, cfg.MaxPending = loops, 4
		ended, onClose := endings(20)
		opened := make(chan ID, 20)
		g := start(t, cfg, func(c *Conn) Protocol {
			opened <- c.ID()
			return &hooked{closed: onClose, data: func(c *Conn, b []byte) {
				c.Identified()
				c.Identified() // a second time changes nothing
				_ = c.Write(b)
			}}
		})
		// The first one says what it wants.
		wanted := g.dial()
		send(t, wanted, []byte("play"))
		expect(t, wanted, "play")
		receive(t, opened)
		var conns []net.Conn
		for i := range 10 {
			conns = append(conns, g.dial())
			receive(t, opened)
			if i < 4 {
				continue
			}
			if e := receive(t, ended); !errors.Is(e.reason, ErrEvicted) {
				t.Fatalf("reason is %v", e.reason)
			}
			// The oldest one, and no other.
			if _, err := conns[i-4].Read(make([]byte, 1)); err == nil {
				t.Fatalf("%d loops: connection %d is still there", loops, i-4)
			}
		}
		if n := g.r.Pending(); n != 4 {
			t.Errorf("%d loops: %d unidentified, want 4", loops, n)
		}
		send(t, wanted, []byte("more"))
		expect(t, wanted, "more")
	}
}

func TestLimitPerAddress(t *testing.T) {
	cfg := testConfig()
	cfg.MaxPerIP = 2
	g := start(t, cfg, echo)
	a, b := g.dial(), g.dial()
	for _, c := range []net.Conn{a, b} {
		send(t, c, []byte("x"))
		expect(t, c, "x")
	}
	if _, err := g.dial().Read(make([]byte, 1)); err == nil {
		t.Error("the third one is open")
	}
	eventually(t, "it is counted", func() bool { return g.loop().Stats().Refused == 1 })
	a.Close()
	eventually(t, "there is room again", func() bool { return g.loop().Stats().Conns == 1 })
	c := g.dial()
	send(t, c, []byte("x"))
	expect(t, c, "x")
}

func TestAddressBook(t *testing.T) {
	a := newAddressBook(1)
	for _, tc := range []struct {
		addr string
		ok   bool
	}{
		{"192.0.2.1", true},
		{"192.0.2.1", false},
		{"192.0.2.2", true},
		{"2001:db8::1", true},
		{"2001:db8::2", false}, // the same /64
		{"2001:db8:0:1::1", true},
	} {
		if ok := a.take(netip.MustParseAddr(tc.addr)); ok != tc.ok {
			t.Errorf("%s: %v", tc.addr, ok)
		}
	}
	for _, addr := range []string{"192.0.2.1", "192.0.2.2", "2001:db8::2", "2001:db8:0:1::1"} {
		a.give(netip.MustParseAddr(addr))
	}
	if len(a.conns) != 0 {
		t.Errorf("%d addresses are remembered for nothing", len(a.conns))
	}
}
