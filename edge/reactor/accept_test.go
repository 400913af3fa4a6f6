//go:build linux

package reactor

import (
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Accepting allocates nothing but what the protocol makes of a connection.
func TestAcceptDoesNotAllocate(t *testing.T) {
	for _, loops := range []int{1, 2} { // with two, the second one gets its share by mailbox
		cfg := testConfig()
		cfg.Loops = loops
		r, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		proto := &hooked{}
		addr, err := r.Listen("127.0.0.1:0", func(*Conn) Protocol { return proto })
		if err != nil {
			t.Fatal(err)
		}
		first, last := r.loops[0], r.loops[loops-1]
		t.Cleanup(func() {
			for _, l := range r.loops {
				l.end()
			}
		})
		for _, l := range r.loops {
			l.slab.grow()
		}
		// The kernel shares the connections among the loops' listeners: only the
		// first is left.
		for _, l := range r.loops[1:] {
			l.closeListeners()
		}
		knock(t, netip.MustParseAddrPort(addr.String()), 2*acceptBatch)
		allocs := testing.AllocsPerRun(1, func() {
			first.accept(first.listeners[0])
			if last != first {
				last.allow(time.Minute, acceptBatch)
				last.runMessages()
			}
		})
		if allocs >= acceptBatch { // fewer are the runtime's own
			t.Errorf("%d loops: %v allocations for %d connections", loops, allocs, acceptBatch)
		}
		accepted := 0
		for _, l := range r.loops {
			if l.slab.used == 0 {
				t.Errorf("%d loops: loop %d has no connection", loops, l.index)
			}
			accepted += l.slab.used
		}
		if accepted != 2*acceptBatch {
			t.Errorf("%d loops: %d connections, want %d", loops, accepted, 2*acceptBatch)
		}
	}
}

// knock puts n connections into a listener's backlog.
func knock(t *testing.T, addr netip.AddrPort, n int) {
	t.Helper()
	for range n {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Close(fd) })
		if err = unix.Connect(fd, &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}); err != nil {
			t.Fatal(err)
		}
	}
}
