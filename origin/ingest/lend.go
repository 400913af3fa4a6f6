package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"tmms/media/rtmp"
)

// Sockets reads the sockets of many publishers on a few threads. A goroutine
// for each, woken for each message, costs several times what the message does.
type Sockets interface {
	// Watch takes over the socket of c, and closes c: what comes goes to w, from
	// now on, on one thread. c stays the caller's after an error: its kind can't
	// be lent, or the sockets are closed. stop ends the watching as soon as
	// possible; it may be called at any time, on any goroutine.
	Watch(c net.Conn, w Watcher) (stop func(), err error)
}

// Watcher gets what comes from one socket. Its methods are called on the
// socket's thread and must not block.
type Watcher interface {
	// OnData gets bytes, which are valid until it returns; !more gives the
	// socket back.
	OnData(s Socket, b []byte) (more bool)
	// Patience is how long the socket may be silent before it is given back.
	Patience() time.Duration
	// OnEnd is the last call. c is the socket, which is the watcher's again, with
	// err nil or [ErrSilence]; nil if it is closed, for the reason err.
	OnEnd(c net.Conn, err error)
}

// ErrSilence gives a socket back from which nothing came for too long.
var ErrSilence = errors.New("ingest: socket is silent")

// Socket is where a watcher's answers go.
type Socket interface {
	// Send gives b to the socket without blocking; a short send is no error.
	Send(b []byte) (n int, err error)
}

// lent is a connection whose socket is read by Sockets. Until done is closed
// it owns what the connection's goroutine else does.
type lent struct {
	conn *conn
	done chan struct{}

	nc    net.Conn
	event rtmp.Event // to be handled by the goroutine
	rest  []byte     // behind it
	err   error      // of the stream or the parser
	ended error      // of the socket
}

// lend lets Sockets read for a publisher of a stream that this node owns. It
// returns when there is something to do that may block: nil if the connection
// goes on with read.
func (c *conn) lend(ctx context.Context) error {
	for c.lendable() {
		w := &lent{conn: c, done: make(chan struct{})}
		c.releaseBuffer()
		nc := c.nc
		c.plug(nil)
		stop, err := c.srv.deps.Sockets.Watch(nc, w)
		if err != nil {
			c.plug(nc)
			c.unlendable = true
			return nil //nolint:nilerr // then the goroutine reads
		}
		select {
		case <-w.done:
		case <-ctx.Done():
			stop()
			<-w.done
		}
		c.plug(w.nc)
		if err = w.settle(ctx); err != nil || errors.Is(w.ended, ErrSilence) || c.toDepart() {
			return err
		}
	}
	return nil
}

// lendable tells whether Sockets is to read.
func (c *conn) lendable() bool {
	return c.pub != nil && c.push == nil && c.srv.deps.Sockets != nil && !c.unlendable && c.early == nil &&
		c.srv.Publishers() > int64(c.srv.cfg.LendAbove)
}

// plug makes nc the connection's socket.
func (c *conn) plug(nc net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nc, c.source = nc, nil
	if c.closed && nc != nil {
		nc.Close()
	}
}

// settle does, on the connection's goroutine, what the socket came back for.
func (w *lent) settle(ctx context.Context) error {
	c := w.conn
	if w.nc != nil {
		if done, err := c.interrupted(ctx, w.err); err != nil {
			c.flush() //nolint:errcheck // the connection is over; err says why
			return err
		} else if done {
			return c.process(ctx, w.rest)
		}
	}
	switch {
	case w.err != nil && w.nc != nil:
		c.flush() //nolint:errcheck // the connection is over; err says why
		return w.err
	case w.err != nil:
		return w.err
	case errors.Is(w.ended, io.EOF):
		return errPeer
	case w.nc == nil:
		return fmt.Errorf("ingest: read: %w", w.ended)
	}
	if w.event.Kind != rtmp.EventNone {
		if err := c.handle(ctx, w.event); err != nil {
			c.flush() //nolint:errcheck // the connection is over; err says why
			return err
		}
	}
	return c.process(ctx, w.rest)
}

// OnData implements Watcher.
func (w *lent) OnData(s Socket, b []byte) (more bool) {
	c := w.conn
	c.arrived(len(b))
	rest, ev, err := c.consume(b)
	if err != nil || ev.Kind != rtmp.EventNone {
		w.err, w.event, w.rest = err, ev, append([]byte(nil), rest...)
		return false
	}
	if c.toDepart() { // the goroutine asks the peer to
		return false
	}
	out := c.rtmp.Output()
	if len(out) == 0 {
		return true
	}
	n, err := s.Send(out)
	c.rtmp.Sent(n)
	return err == nil && n == len(out)
}

// Patience implements Watcher; after it the goroutine pings, and waits for the
// answer.
func (w *lent) Patience() time.Duration { return w.conn.app.IdleTimeout / 2 }

// OnEnd implements Watcher.
func (w *lent) OnEnd(nc net.Conn, err error) {
	w.nc, w.ended = nc, err
	close(w.done)
}
