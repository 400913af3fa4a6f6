package ingest

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"tmms/media"
	"tmms/media/rtmp"
)

// What ends a connection from our side.
var (
	// ErrClosed ends the connections of a server that was closed.
	ErrClosed = errors.New("the node is shutting down")
	// ErrDraining ends the connections of a node that is being emptied.
	ErrDraining = errors.New("the node is being drained")
	// ErrTooManyConns refuses a connection beyond Config.MaxConns.
	ErrTooManyConns = errors.New("too many publisher connections")
	// ErrTooManyPending ends the oldest connection that has not yet asked to publish.
	ErrTooManyPending = errors.New("too many connections that have not asked to publish")
)

// readSize is the size of a publisher's read buffer, in bytes; smallReadSize
// that of a connection that may not publish yet.
const (
	readSize      = 64 << 10
	smallReadSize = 4 << 10
)

// Server serves publisher connections. It is safe for concurrent use.
type Server struct {
	// Set at construction.
	cfg       Config
	deps      Deps
	keyChecks chan struct{}
	buffers   sync.Pool // of *[readSize]byte

	bytes      atomic.Int64
	publishers atomic.Int64
	able       atomic.Int64 // of publishers, those that can be asked to reconnect
	forwarded  atomic.Int64
	refused    atomic.Int64

	wg sync.WaitGroup // a connection each; Add under mu while not closed

	mu      sync.Mutex
	conns   map[*conn]struct{}        // guarded by mu
	pending list.List                 // guarded by mu; *conn that have not asked to publish, oldest first
	serving map[net.Listener]struct{} // guarded by mu
	closed  bool                      // guarded by mu
}

// New returns a server without connections.
func New(cfg Config, deps Deps) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Server{
		cfg: cfg, deps: deps, keyChecks: make(chan struct{}, cfg.KeyChecks),
		buffers: sync.Pool{New: func() any { return new([readSize]byte) }},
		conns:   map[*conn]struct{}{}, serving: map[net.Listener]struct{}{},
	}, nil
}

// Bytes counts what publishers sent, in bytes.
func (s *Server) Bytes() int64 { return s.bytes.Load() }

// Publishers is the number of connections that publish now.
func (s *Server) Publishers() int64 { return s.publishers.Load() }

// Reconnectable is the number of those among them that Drain would ask to reconnect.
func (s *Server) Reconnectable() int64 { return s.able.Load() }

// Forwarded is the number of those among them whose stream another node owns.
func (s *Server) Forwarded() int64 { return s.forwarded.Load() }

// Refused counts the connections that were closed because there were too many.
func (s *Server) Refused() int64 { return s.refused.Load() }

// Accept takes over a connection that asked to publish. It never blocks; a
// server that is full or closed closes the connection.
func (s *Server) Accept(h Handover) {
	c := newConn(s, h.Conn, h.RTMP)
	if err := s.start(c, h.Request, h.Unread); err != nil {
		c.refuse(err)
	}
}

// start runs c on a goroutine of its own. A connection without a request is
// pending until it makes one.
func (s *Server) start(c *conn, req *rtmp.Request, unread []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return ErrClosed
	case len(s.conns) >= s.cfg.MaxConns:
		s.refused.Add(1)
		return fmt.Errorf("%w: %d, the limit is %d", ErrTooManyConns, len(s.conns), s.cfg.MaxConns)
	}
	if req == nil {
		if s.pending.Len() >= media.MaxPendingConns {
			s.refused.Add(1)
			oldest, _ := s.pending.Remove(s.pending.Front()).(*conn)
			oldest.pending = nil
			oldest.close(ErrTooManyPending)
		}
		c.pending = s.pending.PushBack(c)
	}
	s.conns[c] = struct{}{}
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	s.wg.Go(func() {
		defer cancel()
		c.work(ctx, req, unread)
	})
	return nil
}

// identified says that c has asked to publish.
func (s *Server) identified(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.pending != nil {
		s.pending.Remove(c.pending)
		c.pending = nil
	}
}

// leave forgets c.
func (s *Server) leave(c *conn) {
	s.identified(c)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// Serve accepts connections from ln, which it closes, until ctx is done or the
// server is closed; then it returns nil. Connections outlive it.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	defer ln.Close()
	if !s.serve(ln, true) {
		return nil
	}
	defer s.serve(ln, false)
	defer context.AfterFunc(ctx, func() { ln.Close() })()
	for {
		nc, err := ln.Accept()
		switch {
		case err == nil:
			s.admit(nc)
		case ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return nil
		case outOfFiles(err):
			select {
			case <-time.After(media.AcceptRetry):
			case <-ctx.Done():
			}
		default:
			return fmt.Errorf("ingest: accept on %s: %w", ln.Addr(), err)
		}
	}
}

// serve notes a listener that Close has to close; false after Close.
func (s *Server) serve(ln net.Listener, on bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if on && !s.closed {
		s.serving[ln] = struct{}{}
	} else {
		delete(s.serving, ln)
	}
	return !s.closed
}

// admit starts an accepted connection.
func (s *Server) admit(nc net.Conn) {
	c := newConn(s, nc, rtmp.NewServerConn(rtmp.ServerConfig{Budget: s.deps.Budget}))
	if err := s.start(c, nil, nil); err != nil {
		c.refuse(err)
	}
}

// outOfFiles tells errors of accept that pass: descriptors or memory ran out,
// or the peer was gone already.
func outOfFiles(err error) bool {
	for _, e := range []error{
		syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// shut refuses new connections. s.mu is held.
func (s *Server) shut() {
	s.closed = true
	for ln := range s.serving {
		ln.Close()
	}
}

// Close refuses new connections and ends all there are for a reason. It returns
// when their goroutines have ended.
func (s *Server) Close(cause error) {
	s.mu.Lock()
	s.shut()
	for c := range s.conns {
		c.close(cause)
	}
	s.mu.Unlock()
	s.wg.Wait()
}
