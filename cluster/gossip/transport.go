package gossip

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"

	"tmms/media"
)

// How often a free port is tried for: TCP and UDP need the same one.
const portTries = 16

// transport is memberlist's way to the network: UDP for packets, TCP for whole
// states. Beside memberlist's own it opens its ports before it runs, bounds
// what strangers can make us hold, and ends every connection when it is closed.
type transport struct {
	// Set at construction.
	tcp     *net.TCPListener
	udp     *net.UDPConn
	packets chan *memberlist.Packet
	streams chan net.Conn
	done    chan struct{} // closed by Shutdown

	// Set before memberlist starts.
	dialer    func(addr string, timeout time.Duration) (net.Conn, error)
	advertise netip.AddrPort

	readers sync.WaitGroup

	mu    sync.Mutex
	ended bool               // guarded by mu
	conns map[*stream]bool   // guarded by mu; true: accepted
	perIP map[netip.Addr]int // guarded by mu; accepted
	count int                // guarded by mu; accepted
}

// newTransport opens the ports.
func newTransport(listen string) (*transport, error) {
	addr, err := net.ResolveTCPAddr("tcp", listen)
	if err != nil {
		return nil, fmt.Errorf("gossip: listen %q: %w", listen, err)
	}
	t := &transport{
		packets: make(chan *memberlist.Packet), streams: make(chan net.Conn), done: make(chan struct{}),
		conns: make(map[*stream]bool), perIP: make(map[netip.Addr]int),
	}
	for try := 1; ; try++ {
		err = t.bind(addr)
		if err == nil {
			return t, nil
		}
		if addr.Port != 0 || try == portTries {
			return nil, fmt.Errorf("gossip: listen %s: %w", listen, err)
		}
	}
}

// bind opens TCP and UDP on the same port.
func (t *transport) bind(addr *net.TCPAddr) (err error) {
	if t.tcp, err = net.ListenTCP("tcp", addr); err != nil {
		return err
	}
	port := t.tcp.Addr().(*net.TCPAddr).Port
	t.udp, err = net.ListenUDP("udp", &net.UDPAddr{IP: addr.IP, Zone: addr.Zone, Port: port})
	if err != nil {
		return errors.Join(err, t.tcp.Close())
	}
	return nil
}

// bound is the address of the ports.
func (t *transport) bound() netip.AddrPort {
	a := t.tcp.Addr().(*net.TCPAddr).AddrPort()
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// start begins to read, unless Shutdown came first: its wait for the readers must
// not meet their first. Dials end with ctx.
func (t *transport) start(ctx context.Context, advertise netip.AddrPort) {
	t.advertise = advertise
	t.dialer = func(addr string, timeout time.Duration) (net.Conn, error) {
		return (&net.Dialer{Timeout: timeout}).DialContext(ctx, "tcp", addr)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		return
	}
	t.readers.Go(t.readPackets)
	t.readers.Go(t.accept)
}

func (t *transport) readPackets() {
	buf := make([]byte, 1<<16) // the longest datagram
	for {
		n, from, err := t.udp.ReadFromUDPAddrPort(buf)
		at := time.Now()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil || n == 0 {
			continue // such as an ICMP error that an earlier send caused
		}
		p := &memberlist.Packet{Buf: append([]byte(nil), buf[:n]...), From: net.UDPAddrFromAddrPort(from), Timestamp: at}
		select {
		case t.packets <- p:
		case <-t.done:
			return
		}
	}
}

func (t *transport) accept() {
	for {
		c, err := t.tcp.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // such as no file descriptors
			select {
			case <-time.After(media.AcceptRetry):
			case <-t.done:
				return
			}
			continue
		}
		s := t.track(c, true)
		if s == nil {
			_ = c.Close() // over the bounds, or at the end
			continue
		}
		select {
		case t.streams <- s:
		case <-t.done:
			_ = s.Close()
			return
		}
	}
}

// track takes a connection into account; nil if there is no place for it.
func (t *transport) track(c net.Conn, accepted bool) *stream {
	s := &stream{Conn: c, transport: t, left: media.MaxGossipStreamBytes}
	if a, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		s.ip = a.AddrPort().Addr().Unmap()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		return nil
	}
	if accepted {
		if t.count >= media.MaxGossipStreams || t.perIP[s.ip] >= media.MaxGossipStreamsPerIP {
			return nil
		}
		t.count++
		t.perIP[s.ip]++
	}
	t.conns[s] = accepted
	return s
}

func (t *transport) forget(s *stream) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.conns[s] {
		t.count--
		if t.perIP[s.ip]--; t.perIP[s.ip] == 0 {
			delete(t.perIP, s.ip)
		}
	}
	delete(t.conns, s)
}

// Shutdown implements memberlist.Transport; it may be called twice, and at any
// time, before start too.
func (t *transport) Shutdown() error {
	t.mu.Lock()
	if t.ended {
		t.mu.Unlock()
		return nil
	}
	t.ended = true
	open := make([]*stream, 0, len(t.conns))
	for s := range t.conns {
		open = append(open, s)
	}
	t.mu.Unlock()
	close(t.done)
	err := errors.Join(t.tcp.Close(), t.udp.Close())
	for _, s := range open {
		_ = s.Close()
	}
	t.readers.Wait()
	return err
}

// FinalAdvertiseAddr implements memberlist.Transport.
func (t *transport) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	return net.IP(t.advertise.Addr().AsSlice()), int(t.advertise.Port()), nil
}

// WriteTo implements memberlist.Transport.
func (t *transport) WriteTo(b []byte, addr string) (time.Time, error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return time.Time{}, err
	}
	_, err = t.udp.WriteToUDPAddrPort(b, to)
	return time.Now(), err
}

// WriteToAddress implements memberlist.NodeAwareTransport.
func (t *transport) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	return t.WriteTo(b, a.Addr)
}

// DialTimeout implements memberlist.Transport.
func (t *transport) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	c, err := t.dialer(addr, timeout)
	if err != nil {
		return nil, err
	}
	s := t.track(c, false)
	if s == nil {
		return nil, errors.Join(net.ErrClosed, c.Close())
	}
	return s, nil
}

// DialAddressTimeout implements memberlist.NodeAwareTransport.
func (t *transport) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	return t.DialTimeout(a.Addr, timeout)
}

// PacketCh implements memberlist.Transport.
func (t *transport) PacketCh() <-chan *memberlist.Packet { return t.packets }

// StreamCh implements memberlist.Transport.
func (t *transport) StreamCh() <-chan net.Conn { return t.streams }

// stream is a connection that reads a bounded number of bytes.
type stream struct {
	net.Conn
	transport *transport
	ip        netip.Addr
	left      int // bytes; owned by the reader
	once      sync.Once
}

// errTooLong ends a connection that sends more than any state has.
var errTooLong = fmt.Errorf("gossip: more than %d bytes on a connection", media.MaxGossipStreamBytes)

// Read implements net.Conn.
func (s *stream) Read(b []byte) (int, error) {
	if s.left == 0 {
		return 0, errTooLong
	}
	n, err := s.Conn.Read(b[:min(len(b), s.left)])
	s.left -= n
	return n, err
}

// Close implements net.Conn.
func (s *stream) Close() error {
	s.once.Do(func() { s.transport.forget(s) })
	return s.Conn.Close()
}
