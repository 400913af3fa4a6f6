package secure

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"

	"tmms/cluster/certs"
	"tmms/edge/viewer"
)

// layer is a TLS connection as a [reactor.Layer]. During the handshake it is its
// goroutine's, then the loop's, and after Leave its taker's.
type layer struct {
	conn   *tls.Conn
	shim   shim
	memory memory
}

// shim is what a tls.Conn runs over: a feed, then memory, maybe a socket at last.
type shim struct{ net.Conn }

// memory is the net.Conn of a loop: it reads what the loop has received and keeps
// what is to be sent.
type memory struct {
	noDeadline
	in     []byte
	out    []byte
	remote addr
}

// errEmpty says that more bytes have to come; to crypto/tls it is an error that passes.
var errEmpty net.Error = emptyError{}

type emptyError struct{}

func (emptyError) Error() string   { return "secure: no bytes yet" }
func (emptyError) Timeout() bool   { return true }
func (emptyError) Temporary() bool { return true }

// Read implements net.Conn.
func (m *memory) Read(b []byte) (int, error) {
	if len(m.in) == 0 {
		return 0, errEmpty
	}
	n := copy(b, m.in)
	m.in = m.in[n:]
	return n, nil
}

// Write implements net.Conn.
func (m *memory) Write(b []byte) (int, error) {
	m.out = append(m.out, b...)
	return len(b), nil
}

// RemoteAddr implements net.Conn.
func (m *memory) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(m.remote) }

// takeOver makes the layer the loop's, with bytes that the handshake left.
func (y *layer) takeOver(rest []byte) {
	y.memory.in = rest
	y.shim.Conn = &y.memory
}

// Seal implements reactor.Layer.
func (y *layer) Seal(dst, plain []byte) (sealed []byte, err error) {
	m := &y.memory
	m.out = append(dst, m.out...)
	if len(plain) > 0 {
		_, err = y.conn.Write(plain)
	}
	sealed, m.out = m.out, nil
	if err != nil {
		err = fmt.Errorf("%w: seal: %w", viewer.ErrProtocol, err)
	}
	return sealed, err
}

// Open implements reactor.Layer.
func (y *layer) Open(buf, b []byte) (n int, err error) {
	if b != nil {
		y.memory.in = b
	}
	n, err = y.conn.Read(buf)
	switch {
	case err == nil, errors.Is(err, errEmpty):
		return n, nil
	case errors.Is(err, io.EOF):
		return n, io.EOF
	}
	return n, fmt.Errorf("%w: %w", viewer.ErrProtocol, err)
}

// End implements reactor.Layer: close_notify (RFC 8446 section 6.1).
func (y *layer) End(dst []byte) []byte {
	m := &y.memory
	m.out = append(dst, m.out...)
	_ = y.conn.CloseWrite() // memory takes all; a connection that has failed says nothing
	dst, m.out = m.out, nil
	return dst
}

// Leave implements reactor.Layer.
func (y *layer) Leave() func(net.Conn) net.Conn {
	left := &away{rest: bytes.Clone(y.memory.in), owed: y.memory.out}
	y.memory.in, y.memory.out = nil, nil
	return func(nc net.Conn) net.Conn {
		left.Conn = nc
		y.shim.Conn = left
		return certs.Over(y.conn, nc)
	}
}

// away is the socket of a connection that left its loop.
type away struct {
	net.Conn
	rest []byte // received on the loop
	owed []byte // to be sent first
}

// Read gives what the loop has received, then what comes.
func (a *away) Read(b []byte) (int, error) {
	if len(a.rest) == 0 {
		return a.Conn.Read(b)
	}
	n := copy(b, a.rest)
	if a.rest = a.rest[n:]; len(a.rest) == 0 {
		a.rest = nil
	}
	return n, nil
}

// Write implements net.Conn; tls.Conn lets one at a time in.
func (a *away) Write(b []byte) (int, error) {
	if len(a.owed) > 0 {
		owed := a.owed
		a.owed = nil
		if _, err := a.Conn.Write(owed); err != nil {
			return 0, err
		}
	}
	return a.Conn.Write(b)
}
