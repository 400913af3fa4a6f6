package reactor

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
)

// Adopt takes over the socket of a connection that was made elsewhere, and
// closes c: it lives on the least loaded loop from now on, as one that was
// accepted there. open is called on that loop and must not be nil. After an
// error c is the caller's, as it was: its kind can't be adopted, or the loop's
// mailbox is full or closed. Safe from any goroutine.
func (r *Reactor) Adopt(c net.Conn, open func(*Conn) Protocol) (*Loop, error) {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return nil, fmt.Errorf("reactor: adopt a %T: %w", c, errors.ErrUnsupported)
	}
	remote, err := netip.ParseAddrPort(tcp.RemoteAddr().String())
	if err != nil {
		return nil, fmt.Errorf("reactor: adopt: %w", err)
	}
	fd, err := dupSocket(tcp)
	if err != nil {
		return nil, fmt.Errorf("reactor: adopt: %w", err)
	}
	to := r.loops[0]
	for _, l := range r.loops[1:] {
		if l.conns.Load() < to.conns.Load() {
			to = l
		}
	}
	to.conns.Add(1)
	r.pending.Add(1)
	f := fresh{fd: int32(fd), remoteIP: remote.Addr().As16(), remotePort: remote.Port()}
	if !to.Post(func() { to.take(f, open) }) {
		to.conns.Add(-1)
		r.pending.Add(-1)
		closeSocket(fd)
		return nil, fmt.Errorf("reactor: adopt %s: %w", remote, ErrClosed)
	}
	// The loop reads the other descriptor of the same socket.
	_ = c.Close()
	return to, nil
}

// NetConn makes a net.Conn of a descriptor that Detach gave, which it closes.
func NetConn(fd int) (net.Conn, error) {
	f := os.NewFile(uintptr(fd), "tcp")
	c, err := net.FileConn(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("reactor: net.Conn of a socket: %w", err)
	}
	return c, nil
}
