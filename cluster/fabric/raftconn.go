package fabric

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// raftConn is a net.Conn on a stream. Unlike a stream it may be closed while
// others read and write: they get net.ErrClosed.
type raftConn struct {
	// Set at construction.
	stream  *Stream
	session *Session
	forget  func(*raftConn)

	closed  atomic.Bool
	writeMu sync.Mutex // held by Write, and by Close for its last act
	limitMu sync.Mutex // held while deadlines are set: none may be set after Close
}

func newRaftConn(stream *Stream, session *Session, forget func(*raftConn)) *raftConn {
	return &raftConn{stream: stream, session: session, forget: forget}
}

// Read implements net.Conn.
func (c *raftConn) Read(b []byte) (int, error) {
	n, err := c.stream.Read(b)
	if err != nil && c.closed.Load() {
		err = net.ErrClosed
	}
	return n, err
}

// Write implements net.Conn.
func (c *raftConn) Write(b []byte) (int, error) {
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	if c.closed.Load() {
		return 0, net.ErrClosed
	}
	n, err := c.stream.Write(b)
	if err != nil && c.closed.Load() {
		err = net.ErrClosed
	}
	return n, err
}

// Close implements net.Conn: what was written is still delivered, what was not
// read is dropped.
func (c *raftConn) Close() error {
	if c.closed.Swap(true) {
		return net.ErrClosed
	}
	c.forget(c)
	c.limitMu.Lock()
	_ = c.stream.SetWriteDeadline(time.Unix(1, 0)) // lets go of a Write
	c.limitMu.Unlock()
	c.stream.CancelRead(0)
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	_ = c.stream.Close() // fails only where the peer reads no more
	return nil
}

// LocalAddr implements net.Conn.
func (c *raftConn) LocalAddr() net.Addr { return c.session.conn.LocalAddr() }

// RemoteAddr implements net.Conn.
func (c *raftConn) RemoteAddr() net.Addr { return c.session.conn.RemoteAddr() }

// SetDeadline implements net.Conn.
func (c *raftConn) SetDeadline(t time.Time) error { return c.limit(t, c.stream.SetDeadline) }

// SetReadDeadline implements net.Conn.
func (c *raftConn) SetReadDeadline(t time.Time) error { return c.limit(t, c.stream.SetReadDeadline) }

// SetWriteDeadline implements net.Conn.
func (c *raftConn) SetWriteDeadline(t time.Time) error { return c.limit(t, c.stream.SetWriteDeadline) }

func (c *raftConn) limit(t time.Time, set func(time.Time) error) error {
	c.limitMu.Lock()
	defer c.limitMu.Unlock()
	if c.closed.Load() {
		return net.ErrClosed
	}
	return set(t)
}
