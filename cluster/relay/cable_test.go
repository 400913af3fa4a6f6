package relay

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"
)

// cable is the way to a node's fabric, which can be cut: nobody is told then, as when
// a machine has lost its power. It belongs to one test.
type cable struct {
	socket *net.UDPConn
	to     netip.AddrPort
	wg     sync.WaitGroup

	mu    sync.Mutex
	down  bool                            // for everybody
	delay time.Duration                   // each way
	rate  int                             // bytes a second that leave the node; 0: any
	free  time.Time                       // when what has left before is through
	cut   map[netip.AddrPort]bool         // for these
	flows map[netip.AddrPort]*net.UDPConn // by whose they are
}

func newCable(tb testing.TB, to netip.AddrPort) *cable {
	tb.Helper()
	c := &cable{to: to, cut: map[netip.AddrPort]bool{}, flows: map[netip.AddrPort]*net.UDPConn{}}
	var err error
	if c.socket, err = net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}); err != nil {
		tb.Fatal(err)
	}
	c.wg.Go(c.forward)
	tb.Cleanup(c.close)
	return c
}

func (c *cable) addr() string { return c.socket.LocalAddr().String() }

func (c *cable) close() {
	_ = c.socket.Close()
	c.mu.Lock()
	for _, f := range c.flows {
		_ = f.Close()
	}
	c.mu.Unlock()
	c.wg.Wait()
}

// sever cuts the cable for one node, or for all.
func (c *cable) sever(from *member) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if from == nil {
		c.down = true
		return
	}
	c.cut[from.fabric.Addr()] = true
}

// lengthen makes every packet come so much later, each way.
func (c *cable) lengthen(delay time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.delay = delay
}

// narrow lets no more than so many bytes a second leave the node. What has no room in
// the sockets meanwhile is lost.
func (c *cable) narrow(bytesPerSecond int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rate = bytesPerSecond
}

// squeeze waits until n bytes are through.
func (c *cable) squeeze(n int) {
	c.mu.Lock()
	now := time.Now()
	wait := c.free.Sub(now)
	if c.rate > 0 {
		c.free = now.Add(max(wait, 0) + time.Duration(n)*time.Second/time.Duration(c.rate))
	}
	c.mu.Unlock()
	if wait > 0 {
		<-time.After(wait)
	}
}

// later hands a packet on.
func (c *cable) later(b []byte, send func([]byte)) {
	c.mu.Lock()
	delay := c.delay
	c.mu.Unlock()
	if delay == 0 {
		send(b)
		return
	}
	b = slices.Clone(b)
	time.AfterFunc(delay, func() { send(b) })
}

// mend makes the cable whole again.
func (c *cable) mend() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down, c.cut = false, map[netip.AddrPort]bool{}
}

func (c *cable) severed(from netip.AddrPort) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.down || c.cut[from]
}

func (c *cable) forward() {
	b := make([]byte, 1<<16)
	for {
		n, from, err := c.socket.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		if f := c.flow(from); f != nil && !c.severed(from) {
			c.later(b[:n], func(b []byte) { _, _ = f.Write(b) })
		}
	}
}

// flow is the socket by which the node sees one who sends to it.
func (c *cable) flow(from netip.AddrPort) *net.UDPConn {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.flows[from]; f != nil {
		return f
	}
	f, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(c.to))
	if err != nil {
		return nil
	}
	c.flows[from] = f
	c.wg.Go(func() { c.back(f, from) })
	return f
}

func (c *cable) back(f *net.UDPConn, to netip.AddrPort) {
	b := make([]byte, 1<<16)
	for {
		n, err := f.Read(b)
		if err != nil {
			return
		}
		c.squeeze(n)
		if !c.severed(to) {
			c.later(b[:n], func(b []byte) { _, _ = c.socket.WriteToUDPAddrPort(b, to) })
		}
	}
}
