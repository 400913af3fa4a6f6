package secure

import (
	"bytes"
	"container/list"
	"context"
	"crypto/tls"
	"net"

	"tmms/edge/reactor"
)

// handshake is a TLS handshake under way, on a goroutine of its own.
type handshake struct {
	// Set at construction.
	conn *conn // for the loop only
	feed *feed
	loop *reactor.Loop
	id   reactor.ID

	place *list.Element // guarded by queue.mu
}

// start begins the handshake whose first bytes have come.
func (c *conn) start(first []byte) {
	s := c.listener.server
	h := &handshake{conn: c, loop: c.rc.Loop(), id: c.rc.ID()}
	h.feed = newFeed(s.cpu, h.write, first)
	c.feed = h.feed
	s.queue.enter(h)
	y := newLayer(c.listener.tls, h.feed, c.rc.Remote())
	s.working.Go(func() { h.run(s, y) })
}

// run does the handshake and lets the loop know.
func (h *handshake) run(s *Server, y *layer) {
	err := h.feed.acquire()
	if err == nil {
		err = y.conn.HandshakeContext(context.Background()) // its end is the feed's
		h.feed.release()
	}
	if cause := h.feed.cause(); err != nil && cause != nil {
		err = cause
	}
	s.queue.leave(h)
	h.post(func(c *conn) { c.finished(y, err) })
}

// write sends bytes of the handshake.
func (h *handshake) write(b []byte) error {
	b = bytes.Clone(b)
	if !h.post(func(c *conn) { _ = c.rc.Write(b) }) { // an error has condemned it
		return net.ErrClosed
	}
	return nil
}

// post runs f on the loop if the connection still lives there. If the loop's
// mailbox is full the deadline ends the connection.
func (h *handshake) post(f func(*conn)) bool {
	return h.loop.Post(func() {
		if rc := h.loop.Conn(h.id); rc != nil && rc.Protocol() == reactor.Protocol(h.conn) {
			f(h.conn)
		}
	})
}

// newLayer makes the server's end of a TLS connection, which reads from the feed
// until its handshake is over.
func newLayer(cfg *tls.Config, f *feed, remote addr) *layer {
	y := &layer{shim: shim{Conn: f}}
	y.memory.remote = remote
	f.remote = remote
	y.conn = tls.Server(&y.shim, cfg)
	return y
}
