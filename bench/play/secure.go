package play

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"
)

// wire is what a viewer's tls.Conn runs over: its socket until it plays, then
// bytes in memory.
type wire struct {
	net.Conn
	memory  bool
	in, out []byte
}

// errEmpty says that more bytes have to come; to crypto/tls it is an error that passes.
var errEmpty net.Error = emptyError{}

type emptyError struct{}

func (emptyError) Error() string   { return "play: no bytes yet" }
func (emptyError) Timeout() bool   { return true }
func (emptyError) Temporary() bool { return true }

func (w *wire) Read(b []byte) (int, error) {
	if !w.memory {
		return w.Conn.Read(b) //nolint:wrapcheck // a net.Conn
	}
	if len(w.in) == 0 {
		return 0, errEmpty
	}
	n := copy(b, w.in)
	w.in = w.in[n:]
	return n, nil
}

func (w *wire) Write(b []byte) (int, error) {
	if !w.memory {
		return w.Conn.Write(b) //nolint:wrapcheck // a net.Conn
	}
	w.out = append(w.out, b...)
	return len(b), nil
}

// tlsStream opens the bytes of a checked viewer.
type tlsStream struct {
	conn *tls.Conn
	wire *wire
	next stream
	buf  []byte // a record
}

// secure makes the handshake over a viewer's socket. Who serves is not verified:
// the generator measures what it is told to.
func secure(ctx context.Context, c net.Conn, name string) (*tls.Conn, *wire, error) {
	w := &wire{Conn: c}
	conn := tls.Client(w, &tls.Config{ServerName: name, InsecureSkipVerify: true}) //nolint:gosec // see above
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, nil, fmt.Errorf("play: tls: %w", err)
	}
	return conn, w, nil
}

// feed implements stream.
func (s *tlsStream) feed(b []byte, now time.Time, see func(signalPacket)) (reply []byte, err error) {
	s.wire.memory, s.wire.in, s.wire.out = true, b, s.wire.out[:0]
	for {
		n, err := s.conn.Read(s.buf)
		if n > 0 {
			plain, ferr := s.next.feed(s.buf[:n], now, see)
			if ferr != nil {
				return nil, ferr
			}
			if werr := s.write(plain); werr != nil {
				return nil, werr
			}
		}
		switch {
		case errors.Is(err, errEmpty):
			return s.wire.out, nil
		case err != nil:
			return nil, fmt.Errorf("play: tls: %w", err)
		}
	}
}

// write seals a reply.
func (s *tlsStream) write(plain []byte) error {
	if len(plain) == 0 {
		return nil
	}
	if _, err := s.conn.Write(plain); err != nil {
		return fmt.Errorf("play: tls: %w", err)
	}
	return nil
}

// began reads up to the end of a response's head, for a viewer that only drains.
func began(c net.Conn) error {
	var head []byte
	b := make([]byte, 4<<10)
	for {
		n, err := c.Read(b)
		if err != nil {
			return fmt.Errorf("play: response: %w", err)
		}
		head = append(head, b[:n]...)
		if end, err := responseHead(head); end > 0 || err != nil {
			return err
		}
	}
}
