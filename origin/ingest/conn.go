package ingest

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"tmms/cluster/relay"
	"tmms/cluster/state"
	"tmms/media"
	"tmms/media/relaywire"
	"tmms/media/rtmp"
	"tmms/origin/session"
)

// What ends a connection, besides the peer and the session.
var (
	errIdle      = errors.New("publisher sent no byte")
	errHandshake = errors.New("no handshake")
	errIdentify  = errors.New("no request to publish")
	errRefused   = errors.New("publish refused")
	errPlay      = errors.New("this node only takes publishers")
	errUnpublish = errors.New("unpublished")
	errPeer      = errors.New("closed by the peer")
	errBudget    = errors.New("no room for the message")
)

// conn is one publisher connection. Its goroutine owns it, but for what is
// marked otherwise.
type conn struct {
	// Set at construction.
	srv     *Server
	rtmp    *rtmp.ServerConn
	remote  string
	started time.Time
	cancel  context.CancelFunc // set before the goroutine starts

	moved   atomic.Pointer[session.Moved] // the stream has another owner; the goroutine is to go there
	turn    atomic.Pointer[session.Turn]  // where it is to hold; nil: nowhere
	turned  chan struct{}                 // holds one: moved or turn has changed
	cause   atomic.Pointer[error]         // why somebody else closed it
	asked   chan struct{}                 // closed when the peer is to leave
	asking  sync.Once
	pending *list.Element // guarded by srv.mu

	mu     sync.Mutex
	closed bool     // guarded by mu
	nc     net.Conn // set with mu held; nil while the socket is lent

	// Owned by the connection's goroutine, or by the thread that reads for it.
	source   *source         // of nc; nil: it is not made yet, or nc's kind has none
	buf      *[readSize]byte // from the pool once the peer may publish, else nil
	small    []byte
	last     time.Time       // of the last byte
	pinged   bool            // since the last byte
	deadline time.Time       // to publish
	key      media.StreamKey // of what was published last, as the next three
	app      *state.App
	epoch    uint64
	run      uint32
	pub      publisher   // while publishing
	push     *relay.Push // pub, if another node owns the stream
	owner    string      // that node, of what was published last; "": this one
	token    relaywire.TokenDigest
	encoder  string
	carried  rtmp.Message // that could not be written, see rehome
	away     error        // why the peer, who was asked to reconnect, is closed
	bytes    int64

	early []byte // came while the peer was asked to publish elsewhere

	unlendable bool // Sockets refused the socket
	leaving    bool // the peer was asked to reconnect
	able       bool // counted among those that can be asked to reconnect
}

func newConn(s *Server, nc net.Conn, rc *rtmp.ServerConn) *conn {
	now := s.deps.Now()
	c := &conn{
		srv: s, nc: nc, rtmp: rc, started: now, last: now, deadline: now.Add(media.IdentifyTimeout),
		asked: make(chan struct{}), turned: make(chan struct{}, 1),
	}
	if a := nc.RemoteAddr(); a != nil {
		c.remote = a.String()
	}
	return c
}

// close ends the connection from outside; only the first cause counts.
func (c *conn) close(cause error) {
	c.cause.CompareAndSwap(nil, &cause)
	c.cancel()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.nc != nil {
		c.nc.Close()
	}
}

// refuse closes a connection that has no goroutine.
func (c *conn) refuse(cause error) {
	c.nc.Close()
	c.rtmp.Close()
	c.srv.deps.Log.Debug("connection refused", slog.String("remote", c.remote), slog.Any("err", cause))
}

// work serves the connection to its end.
func (c *conn) work(ctx context.Context, req *rtmp.Request, unread []byte) {
	err := c.serve(ctx, req, unread)
	if errors.Is(err, errRefused) {
		c.linger()
	}
	if p := c.cause.Load(); p != nil {
		err = *p
	}
	if c.nc != nil {
		c.nc.Close()
	}
	c.rtmp.Close()
	c.srv.leave(c)
	c.releaseBuffer()
	c.detach(err)
	log := c.srv.deps.Log.With(slog.String("remote", c.remote), slog.Int64("bytes", c.bytes),
		slog.Duration("lasted", c.srv.deps.Now().Sub(c.started)), slog.Any("err", err))
	if c.key == (media.StreamKey{}) {
		log.Debug("connection closed")
		return
	}
	if c.owner != "" {
		log = log.With(slog.String("owner", c.owner))
	}
	log.Info("publisher closed", slog.String("stream", c.key.String()),
		slog.Uint64("epoch", c.epoch), slog.Uint64("run", uint64(c.run)))
}

// linger lets the peer read its refusal: closing a socket that has unread bytes
// resets it, and the peer would lose what is on the way.
func (c *conn) linger() {
	half, ok := c.nc.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil || c.nc.SetReadDeadline(c.srv.deps.Now().Add(media.LingerTimeout)) != nil {
		return
	}
	io.Copy(io.Discard, io.LimitReader(c.nc, media.MaxPreAuthBytes)) //nolint:errcheck // what comes has no reader
}

// serve decides on the request that came with the connection, if any, feeds
// what was read already, and goes on from the socket.
func (c *conn) serve(ctx context.Context, req *rtmp.Request, unread []byte) error {
	if req != nil {
		if err := c.publish(ctx, req); err != nil {
			return err
		}
	}
	if err := c.feed(ctx, unread); err != nil {
		return err
	}
	for {
		if err := c.lend(ctx); err != nil {
			return err
		}
		n, err := c.read(ctx)
		if err == nil {
			err = c.feed(ctx, c.buffer()[:n])
		}
		if err != nil {
			return err
		}
	}
}

// feed gives bytes to the parser and handles what comes out.
func (c *conn) feed(ctx context.Context, b []byte) error {
	if len(b) == 0 {
		return nil
	}
	c.arrived(len(b))
	return c.process(ctx, b)
}

// arrived notes that n bytes have come.
func (c *conn) arrived(n int) {
	c.last, c.pinged = c.srv.deps.Now(), false
	c.bytes += int64(n)
	c.srv.bytes.Add(int64(n))
	if c.pub != nil {
		c.pub.Alive(c.last)
	}
}

// process handles bytes that were counted already, and sends what is to be said.
func (c *conn) process(ctx context.Context, b []byte) error {
	for len(b) > 0 {
		rest, ev, err := c.consume(b)
		b = rest
		if done, fault := c.interrupted(ctx, err); done {
			err = fault
		} else if err == nil {
			err = c.handle(ctx, ev)
		} else if errors.Is(err, rtmp.ErrHTTP) {
			c.write(c.srv.httpElsewhere()) //nolint:errcheck // the connection is over
		}
		if err != nil {
			c.flush() //nolint:errcheck // the connection is over; err says why
			return err
		}
	}
	if c.push != nil {
		if err := c.push.Flush(c.last); err != nil && c.moved.Load() == nil {
			return err
		}
	}
	return c.flush()
}

// consume passes messages on to the stream until the bytes are used up, or
// something else comes, which handle is for. It never blocks where the stream
// is this node's own.
func (c *conn) consume(b []byte) (rest []byte, ev rtmp.Event, err error) {
	for len(b) > 0 {
		n, ev, err := c.rtmp.Feed(b)
		b = b[n:]
		switch {
		case err != nil:
			return b, rtmp.Event{}, err
		case ev.Kind == rtmp.EventNone:
		case ev.Kind != rtmp.EventMessage:
			return b, ev, nil
		case c.pub == nil: // on its way when the peer unpublished
		default:
			if err = c.pass(ev.Message); err != nil {
				return b, rtmp.Event{}, err
			}
		}
	}
	return nil, rtmp.Event{}, nil
}

// pass gives a message to the stream. [errMoving] keeps it for the stream's new owner,
// [errTurning] for whoever that is.
func (c *conn) pass(m rtmp.Message) error {
	if c.moving(m) {
		return errMoving
	}
	if c.turning(m) {
		return errTurning
	}
	err := c.pub.Write(m, c.last)
	if err != nil && c.moving(m) {
		return errMoving
	}
	return err
}

func (c *conn) handle(ctx context.Context, ev rtmp.Event) error {
	switch ev.Kind {
	case rtmp.EventPublish:
		return c.publish(ctx, ev.Request)
	case rtmp.EventUnpublish:
		c.detach(errUnpublish)
		c.deadline = c.last.Add(c.app.IdleTimeout)
	case rtmp.EventPlay:
		c.rtmp.RejectPlay("NetStream.Play.Failed", c.srv.playElsewhere())
		return fmt.Errorf("play refused: %w", errPlay)
	case rtmp.EventOverBudget:
		return c.waitBudget(ctx)
	default:
	}
	return nil
}

// waitBudget pauses a publisher while the process has no room for its message;
// the bytes are fed again afterwards. The rest of the idle timeout bounds it.
func (c *conn) waitBudget(ctx context.Context) error {
	if c.srv.deps.Now().Sub(c.last) >= c.idleTimeout() {
		return fmt.Errorf("ingest: %w for %v", errBudget, c.idleTimeout())
	}
	select {
	case <-time.After(media.BudgetRetry):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *conn) idleTimeout() time.Duration {
	if c.app == nil {
		return media.IdentifyTimeout
	}
	return c.app.IdleTimeout
}

// publish decides on a request to publish. An error ends the connection.
func (c *conn) publish(ctx context.Context, req *rtmp.Request) error {
	c.srv.identified(c)
	err := c.attach(ctx, req)
	if err != nil {
		c.rtmp.RejectPublish(reason(err))
		c.flush() //nolint:errcheck // the connection is over; err says why
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	c.srv.publishers.Add(1)
	if c.able = c.rtmp.Caps()&rtmp.CapsReconnect != 0; c.able {
		c.srv.able.Add(1)
	}
	c.rtmp.AcceptPublish()
	c.last = c.srv.deps.Now()
	return c.flush()
}

// attach makes this connection the publisher of the stream that req names.
func (c *conn) attach(ctx context.Context, req *rtmp.Request) error {
	if c.pub != nil {
		return fmt.Errorf("%w: this connection publishes %s", session.ErrBusy, c.key)
	}
	key, app, err := route(c.srv.deps.Apps.Config(), req)
	if err != nil {
		return err
	}
	c.key, c.app = key, app
	ctx, cancel := context.WithTimeout(ctx, c.srv.cfg.PublishTimeout)
	defer cancel()
	token := publishToken(req)
	if err = c.srv.authorize(ctx, app, token); err != nil {
		return err
	}
	c.token, c.encoder = digest(token), req.FlashVer
	if err = c.moveNearer(req); err != nil {
		return err
	}
	if err = c.hold(ctx); err != nil {
		return err
	}
	c.attached()
	return nil
}

// attached notes where the stream is published.
func (c *conn) attached() {
	c.epoch, c.run, c.owner = c.pub.Epoch(), c.pub.Run(), ""
	if c.push != nil {
		c.owner = c.push.Owner()
	}
}

// detach gives the stream up.
func (c *conn) detach(cause error) {
	if c.pub == nil {
		return
	}
	c.srv.publishers.Add(-1)
	if c.able {
		c.srv.able.Add(-1)
	}
	c.pub.Detach(cause)
	c.turn.Store(nil)
	if c.push != nil {
		c.srv.forwarded.Add(-1)
	}
	c.pub, c.push = nil, nil
}

// read waits for bytes. It pings a publisher that is silent for half of its
// idle timeout, since answers count as bytes.
func (c *conn) read(ctx context.Context) (int, error) {
	if n := c.takeEarly(); n > 0 {
		return n, nil
	}
	for {
		until, cause := c.patience()
		if err := c.nc.SetReadDeadline(until); err != nil {
			return 0, err
		}
		if err := c.depart(); err != nil {
			return 0, err
		}
		if c.pub != nil && c.moved.Load() != nil {
			if err := c.rehome(ctx, false); err != nil {
				return 0, err
			}
			continue
		}
		n, err := c.receive(c.buffer())
		switch {
		case err == nil || n > 0:
			return n, nil
		case errors.Is(err, io.EOF):
			return 0, errPeer
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return 0, fmt.Errorf("ingest: read: %w", err)
		case c.toDepart(), c.moved.Load() != nil:
			continue
		case cause != nil:
			return 0, cause
		}
		c.pinged = true
		c.rtmp.Ping(uint32(c.srv.deps.Now().Sub(c.started).Milliseconds())) //nolint:gosec // wraps, as timestamps do
		if err := c.flush(); err != nil {
			return 0, err
		}
	}
}

// receive is a Read of the socket.
func (c *conn) receive(b []byte) (int, error) {
	if c.source == nil {
		c.source = newSource(c.nc)
	}
	if c.source == nil {
		return c.nc.Read(b)
	}
	return c.source.read(b)
}

// patience is how long to wait for the next byte, and what it means if none
// comes; nil: time for a ping.
func (c *conn) patience() (until time.Time, cause error) {
	switch {
	case c.pub != nil && !c.pinged:
		return c.last.Add(c.app.IdleTimeout / 2), nil
	case c.pub != nil:
		return c.last.Add(c.app.IdleTimeout), fmt.Errorf("ingest: %w for %v", errIdle, c.app.IdleTimeout)
	case c.away != nil:
		return c.deadline, c.away
	case c.rtmp.Phase() == rtmp.PhaseHandshake:
		return c.started.Add(media.HandshakeTimeout),
			fmt.Errorf("ingest: %w within %v", errHandshake, media.HandshakeTimeout)
	}
	return c.deadline, fmt.Errorf("ingest: %w in time", errIdentify)
}

// flush sends the parser's replies.
func (c *conn) flush() error {
	out := c.rtmp.Output()
	if len(out) == 0 {
		return nil
	}
	n, err := c.write(out)
	c.rtmp.Sent(n)
	return err
}

func (c *conn) write(b []byte) (int, error) {
	if err := c.nc.SetWriteDeadline(c.srv.deps.Now().Add(c.srv.cfg.WriteTimeout)); err != nil {
		return 0, err
	}
	n, err := c.nc.Write(b)
	if err != nil {
		return n, fmt.Errorf("ingest: write: %w", err)
	}
	return n, nil
}

// buffer is what the socket is read into: a small one until the peer may publish.
func (c *conn) buffer() []byte {
	if c.buf != nil {
		return c.buf[:]
	}
	if c.pub != nil {
		c.small = nil
		c.buf, _ = c.srv.buffers.Get().(*[readSize]byte)
		return c.buf[:]
	}
	if c.small == nil {
		c.small = make([]byte, smallReadSize)
	}
	return c.small
}

func (c *conn) releaseBuffer() {
	if c.buf != nil {
		c.srv.buffers.Put(c.buf)
		c.buf = nil
	}
}
