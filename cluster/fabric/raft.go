package fabric

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"tmms/media"
)

// raftLayer carries raft's connections, each on one stream of a session. It
// ends with Close, and its connections with it.
type raftLayer struct {
	// Set at construction.
	fabric *Fabric
	lookup func(addr raft.ServerAddress) (Target, bool)
	conns  chan *raftConn // those that wait to be accepted
	done   chan struct{}  // closed by Close

	mu       sync.Mutex
	closed   bool               // guarded by mu
	open     map[*raftConn]bool // guarded by mu
	sessions map[*Session]bool  // guarded by mu; those that peers dialed
}

// raftGreeting is the first byte of a raft stream; with it the other end sees
// the stream before raft has said anything.
const raftGreeting = 0x01

// RaftLayer gives raft its connections and begins to accept those of other
// voters. lookup says which node has a raft address; this node's own, which
// the layer's Addr tells raft, is the node's name. Close takes the protocol
// away from peers and closes every connection.
func (f *Fabric) RaftLayer(lookup func(addr raft.ServerAddress) (Target, bool)) raft.StreamLayer {
	l := &raftLayer{
		fabric: f, lookup: lookup, open: make(map[*raftConn]bool), sessions: make(map[*Session]bool),
		conns: make(chan *raftConn, media.MaxRaftConns), done: make(chan struct{}),
	}
	f.Handle(ALPNRaft, l.serve)
	return l
}

// Dial implements raft.StreamLayer.
func (l *raftLayer) Dial(addr raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	select {
	case <-l.done:
		return nil, net.ErrClosed
	default:
	}
	to, ok := l.lookup(addr)
	if !ok {
		return nil, fmt.Errorf("fabric: no node is known for the raft address %q", addr)
	}
	if timeout <= 0 {
		timeout = media.FabricHandshakeTimeout
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	s, err := l.fabric.Session(ctx, to, ALPNRaft)
	if err != nil {
		return nil, err
	}
	stream, err := s.Open(ctx)
	if err != nil {
		return nil, fmt.Errorf("fabric: raft stream to %s: %w", to, err)
	}
	c := newRaftConn(stream, s, l.forget)
	if _, err := c.Write([]byte{raftGreeting}); err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("fabric: raft stream to %s: %w", to, err)
	}
	if !l.keep(c) {
		_ = c.Close()
		return nil, net.ErrClosed
	}
	return c, nil
}

// serve takes the streams of one peer.
func (l *raftLayer) serve(ctx context.Context, s *Session) {
	if !l.enter(s) {
		return
	}
	defer l.leave(s)
	for {
		stream, err := s.Accept(ctx)
		if err != nil {
			return
		}
		c := newRaftConn(stream, s, l.forget)
		if err := c.readGreeting(l.fabric.timing.handshake); err != nil || !l.keep(c) {
			_ = c.Close()
			continue
		}
		select {
		case l.conns <- c:
		case <-l.done:
			return
		case <-ctx.Done():
			_ = c.Close()
			return
		}
	}
}

// Accept implements net.Listener.
func (l *raftLayer) Accept() (net.Conn, error) {
	select {
	case <-l.done:
		return nil, net.ErrClosed
	default:
	}
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *raftLayer) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	close(l.done)
	open, sessions := l.open, l.sessions
	l.open, l.sessions = nil, nil
	l.mu.Unlock()
	l.fabric.Handle(ALPNRaft, nil)
	for c := range open {
		_ = c.Close()
	}
	for s := range sessions {
		s.Close(CodeDone, "raft has ended here")
	}
	return nil
}

// Addr implements net.Listener: it is what raft tells others as this node's address.
func (l *raftLayer) Addr() net.Addr { return raftAddr(l.fabric.Name()) }

// enter remembers a session to close; false means that the layer is closed.
func (l *raftLayer) enter(s *Session) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.sessions[s] = true
	return true
}

func (l *raftLayer) leave(s *Session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.sessions, s)
}

// keep remembers a connection to close; false means that the layer is closed.
func (l *raftLayer) keep(c *raftConn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.open[c] = true
	return true
}

func (l *raftLayer) forget(c *raftConn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, c)
}

// raftAddr is a node's name as an address.
type raftAddr string

func (raftAddr) Network() string  { return "tmms" }
func (a raftAddr) String() string { return string(a) }

var errGreeting = errors.New("fabric: not a raft stream")

// readGreeting takes the first byte of an accepted stream.
func (c *raftConn) readGreeting(timeout time.Duration) error {
	if err := c.SetReadDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	var b [1]byte
	if _, err := io.ReadFull(c, b[:]); err != nil {
		return err
	}
	if b[0] != raftGreeting {
		return fmt.Errorf("%w: it begins with %#x, want %#x", errGreeting, b[0], raftGreeting)
	}
	return c.SetReadDeadline(time.Time{})
}
