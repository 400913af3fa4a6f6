//go:build linux

package reactor

import (
	"errors"
	"net"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestListen(t *testing.T) {
	cases := []struct {
		name, addr string
		dial       []string // hosts that reach it
		refuse     []string // hosts that do not
	}{
		{name: "every address", addr: ":0", dial: []string{"127.0.0.1", "::1"}},
		{name: "IPv6 unspecified", addr: "[::]:0", dial: []string{"127.0.0.1", "::1"}},
		{name: "IPv4 unspecified", addr: "0.0.0.0:0", dial: []string{"127.0.0.1", "127.0.0.2"}, refuse: []string{"::1"}},
		{name: "IPv6 literal", addr: "[::1]:0", dial: []string{"::1"}, refuse: []string{"127.0.0.1"}},
		{name: "IPv4 literal", addr: "127.0.0.2:0", dial: []string{"127.0.0.2"}, refuse: []string{"127.0.0.1"}},
		{name: "name", addr: "localhost:0", dial: []string{"localhost"}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			cfg := testConfig()
			cfg.Loops = 3
			r, err := New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer closeReactor(t, r)
			addr, err := r.Listen(tc.addr, echo)
			if err != nil {
				t.Fatal(err)
			}
			_, port, err := net.SplitHostPort(addr.String())
			if err != nil || port == "0" {
				t.Fatalf("bound to %s", addr)
			}
			for _, l := range r.Loops() {
				if got := l.listeners[0].addr.String(); got != addr.String() {
					t.Errorf("loop %d listens on %s, want %s", l.Index(), got, addr)
				}
			}
			for _, host := range tc.dial {
				c, derr := net.Dial("tcp", net.JoinHostPort(host, port))
				if derr != nil {
					t.Errorf("%s does not reach it: %v", host, derr)
					continue
				}
				c.Close()
			}
			for _, host := range tc.refuse {
				if c, derr := net.Dial("tcp", net.JoinHostPort(host, port)); derr == nil {
					t.Errorf("%s reaches it", host)
					c.Close()
				}
			}
		})
	}
}

func TestListenWithoutIPv6(t *testing.T) {
	for _, tc := range []struct {
		addr  string
		tries []int
	}{
		{":1935", []int{unix.AF_INET6, unix.AF_INET}},
		{"[::1]:1935", []int{unix.AF_INET6}},
	} {
		tcp, err := net.ResolveTCPAddr("tcp", tc.addr)
		if err != nil {
			t.Fatal(err)
		}
		e, err := endpointOf(tcp)
		if err != nil {
			t.Fatal(err)
		}
		var tries []int
		err = e.orIPv4(func(e endpoint) error {
			tries = append(tries, e.family)
			if e.port != 1935 {
				t.Errorf("port %d", e.port)
			}
			if e.family == unix.AF_INET6 {
				return unix.EAFNOSUPPORT
			}
			return nil
		})
		if len(tries) != len(tc.tries) || (err == nil) != (len(tries) == 2) {
			t.Errorf("%s: tried %v, want %v: %v", tc.addr, tries, tc.tries, err)
		}
	}
}

// A second server gets a clear error, whatever the first one is.
func TestBusyPort(t *testing.T) {
	g := start(t, testConfig(), echo)
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	for _, addr := range []string{g.addr, plain.Addr().String()} {
		r, err := New(testConfig())
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.Listen(addr, echo)
		if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), addr) ||
			!strings.Contains(err.Error(), "address already in use") {
			t.Errorf("listen on %s: %v", addr, err)
		}
		if err = r.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestListenRefuses(t *testing.T) {
	fds := countFDs(t)
	r, err := New(testConfig())
	if err != nil {
		t.Fatal(err)
	}
	for _, addr := range []string{"", "127.0.0.1", "127.0.0.1:70000", "192.0.2.1:0", "[fe80::1%nosuch]:0"} {
		if _, err = r.Listen(addr, echo); err == nil || !strings.Contains(err.Error(), addr) {
			t.Errorf("listen on %q: %v", addr, err)
		}
	}
	if err = r.Close(); err != nil {
		t.Error(err)
	}
	if _, err = r.Listen("127.0.0.1:0", echo); !errors.Is(err, ErrStarted) {
		t.Errorf("Listen after Close: %v", err)
	}
	if err = r.Close(); !errors.Is(err, ErrStarted) {
		t.Errorf("second Close: %v", err)
	}
	if n := countFDs(t); n > fds {
		t.Errorf("%d descriptors left", n-fds)
	}
}

// Thousands of connections cost no goroutine, all are served, and loops share them.
func TestThousandsOfConnections(t *testing.T) {
	const n = 2000
	cfg := testConfig()
	cfg.Loops = 2
	cfg.MaxPending = n + 1
	g := start(t, cfg, echo)
	before := runtime.NumGoroutine()
	conns := make([]net.Conn, n)
	for i := range conns {
		conns[i] = g.dial()
		if i == 1000 {
			// The two loops and the watch may not have been there before.
			if now := runtime.NumGoroutine(); now > before+3 {
				t.Errorf("%d goroutines more with 1,000 connections", now-before)
			}
		}
	}
	for _, c := range conns {
		send(t, c, []byte("ping"))
	}
	for _, c := range conns {
		expect(t, c, "ping")
	}
	total := int64(0)
	for _, l := range g.r.Loops() {
		s := l.Stats()
		total += s.Conns
		if s.Conns < n/4 {
			t.Errorf("loop %d has %d of %d connections", l.Index(), s.Conns, n)
		}
	}
	if total != n {
		t.Errorf("%d connections, want %d", total, n)
	}
	for _, c := range conns {
		c.Close()
	}
	eventually(t, "all are gone", func() bool {
		return g.r.Loops()[0].Stats().Conns+g.r.Loops()[1].Stats().Conns == 0
	})
	if g.r.Pending() != 0 {
		t.Errorf("%d unidentified", g.r.Pending())
	}
}

// One loop gets all connections from the kernel and hands over what is too much.
func TestFreshConnectionsGoToTheLeastLoaded(t *testing.T) {
	const n = 300
	cfg := testConfig()
	cfg.Loops = 3
	var mu sync.Mutex
	where := map[int]int{}
	g := start(t, cfg, func(c *Conn) Protocol {
		mu.Lock()
		defer mu.Unlock()
		where[c.Loop().Index()]++
		return &hooked{data: func(c *Conn, b []byte) { _ = c.Write(b) }}
	})
	for _, l := range g.r.Loops()[1:] {
		onLoop(t, l, l.closeListeners)
	}
	for range n {
		c := g.dial()
		send(t, c, []byte("x"))
		expect(t, c, "x")
	}
	mu.Lock()
	defer mu.Unlock()
	for i := range 3 {
		if where[i] < n/3-2*handOverSlack {
			t.Errorf("loop %d opened %d of %d", i, where[i], n)
		}
	}
	eventually(t, "counts agree", func() bool {
		s := g.loop().Stats()
		return s.Accepted == n && s.HandedOver == uint64(where[1]+where[2])
	})
}

func TestOpenMayRefuse(t *testing.T) {
	g := start(t, testConfig(), func(*Conn) Protocol { return nil })
	c := g.dial()
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("still open")
	}
	eventually(t, "it is forgotten", func() bool { return g.loop().Stats().Conns == 0 && g.r.Pending() == 0 })
}

func TestStopListening(t *testing.T) {
	g := start(t, testConfig(), echo)
	c := g.dial()
	send(t, c, []byte("x"))
	expect(t, c, "x")
	if !g.r.StopListening() {
		t.Fatal("mailbox is full")
	}
	onLoop(t, g.loop(), func() {})
	if other, err := net.Dial("tcp", g.addr); err == nil {
		other.Close()
		t.Error("still accepts")
	}
	send(t, c, []byte("y"))
	expect(t, c, "y")
}

func TestConfig(t *testing.T) {
	if err := DefaultConfig().Validate(); err != nil {
		t.Errorf("the default: %v", err)
	}
	_, err := New(Config{Loops: -1, MaxPerIP: -2})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, part := range []string{
		"loops is -1", "tick is 0s", "read_budget is 0", "mailbox_size is 0", "mailbox_batch is 0",
		"max_pending is 0", "max_per_ip is -2", "linger is 0s",
	} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not said in %q", part, err)
		}
	}
}
