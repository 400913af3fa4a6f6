package fabric

import (
	"context"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"

	"tmms/cluster/pki"
)

// The streams of a session; see quic-go for their methods.
type (
	// Stream carries bytes both ways.
	Stream = quic.Stream
	// SendStream carries bytes to the peer.
	SendStream = quic.SendStream
	// ReceiveStream carries bytes from the peer.
	ReceiveStream = quic.ReceiveStream
	// StreamError says that a stream was reset, by whom and with which code.
	StreamError = quic.StreamError
	// StreamErrorCode is the code of a reset.
	StreamErrorCode = quic.StreamErrorCode
	// SessionError says that a session was closed, by whom and with which code and reason.
	SessionError = quic.ApplicationError
)

// Target is a node to dial.
type Target struct {
	Name string // as in its certificate
	Addr string // HOST:PORT of its fabric
}

// String gives the name with the address.
func (t Target) String() string { return t.Name + " at " + t.Addr }

// Session is a connection to one node for one protocol. It may be used from any
// goroutine. One that [Fabric.Session] gave is shared with its other callers.
type Session struct {
	conn   *quic.Conn
	alpn   ALPN
	peer   pki.Peer
	target Target // zero if the peer dialed
	quiet  bool   // see quietSession
	way    atomic.Pointer[way]

	resets  resets
	counted counted // guarded by Fabric.mu
}

// Peer is who is at the other end, by its certificate.
func (s *Session) Peer() pki.Peer { return s.peer }

// ALPN is the session's protocol.
func (s *Session) ALPN() ALPN { return s.alpn }

// Target is what was dialed; zero if the peer dialed.
func (s *Session) Target() Target { return s.target }

// RemoteAddr is where the peer's packets came from at first.
func (s *Session) RemoteAddr() netip.AddrPort { return addrPort(s.conn.RemoteAddr()) }

// Open opens a stream; it waits while the peer allows no more. The peer sees
// it with its first byte.
func (s *Session) Open(ctx context.Context) (*Stream, error) { return s.conn.OpenStreamSync(ctx) }

// Accept waits for a stream of the peer.
func (s *Session) Accept(ctx context.Context) (*Stream, error) { return s.conn.AcceptStream(ctx) }

// OpenUni opens a stream to send on; it waits while the peer allows no more.
// The peer sees it with its first byte.
func (s *Session) OpenUni(ctx context.Context) (*SendStream, error) {
	return s.conn.OpenUniStreamSync(ctx)
}

// AcceptUni waits for a stream on which the peer sends.
func (s *Session) AcceptUni(ctx context.Context) (*ReceiveStream, error) {
	return s.conn.AcceptUniStream(ctx)
}

// Context ends with the session; its cause says why.
func (s *Session) Context() context.Context { return s.conn.Context() }

// Close ends the session for all who use it, and tells the peer. The codes of
// the protocols begin at 0x100.
func (s *Session) Close(code uint64, reason string) {
	_ = s.conn.CloseWithError(quic.ApplicationErrorCode(code), reason)
}

// RTT is the smoothed round-trip time.
func (s *Session) RTT() time.Duration { return s.conn.ConnectionStats().SmoothedRTT }
