package relay

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"tmms/cluster/fabric"
	"tmms/media"
	"tmms/media/relaywire"
)

// sessionCodes is where the relay's own codes by which a session is closed begin.
const sessionCodes = 0x100

// sendBuffer is how much a source gathers before it writes.
const sendBuffer = 16 << 10

// Server sends this node's streams to other nodes, and takes the pushes of
// their publishers. It is safe for concurrent use.
type Server struct {
	// Set at construction.
	hub     *Hub
	cluster Cluster
	version relaywire.Version // the highest that it speaks
	now     func() time.Time  // the clock that others' stamps are held against
	times   serverTimes
	log     *slog.Logger
	metrics *serverMetrics
	buffers sync.Pool // *[]byte, for what is about to be sent
	push    pushServer
	tenants *tenants

	mu    sync.Mutex
	peers map[*peer]struct{} // guarded by mu
}

// serverTimes are shorter in tests.
type serverTimes struct {
	maxLag  time.Duration // in place of the streams' own; 0: theirs
	pending time.Duration // bounds the wait for a stream that is about to start
	last    time.Duration // bounds the sending of the last index of a stream
	silent  time.Duration // of the owner, after which a shield does not speak for it
}

// NewServer returns a server of the hub's streams.
func NewServer(hub *Hub, c Cluster, deps Deps) (*Server, error) {
	if err := deps.validate(); err != nil {
		return nil, err
	}
	s := &Server{
		hub: hub, cluster: c, log: deps.Log, tenants: newTenants(), version: relaywire.Newest, now: time.Now,
		peers: map[*peer]struct{}{},
		times: serverTimes{pending: 5 * time.Second, last: 5 * time.Second, silent: hedgeAfter},
	}
	s.buffers.New = func() any {
		b := make([]byte, 0, sendBuffer+relaywire.MaxPacketHead)
		return &b
	}
	m, err := newServerMetrics(hub, deps.Registerer)
	s.metrics = m
	return s, err
}

// Serve answers the streams of one session of another node until ctx or the
// session ends; it returns when everything of it has ended. It is the handler
// of [fabric.ALPNRelay].
func (s *Server) Serve(ctx context.Context, session *fabric.Session) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p := &peer{server: s, session: session, first: make(chan struct{}, 1), subs: map[*subscription]struct{}{}}
	s.enter(p)
	defer s.leave(p)
	defer p.wg.Wait()
	p.wg.Go(func() { p.pace(ctx) })
	p.wg.Go(func() {
		defer cancel()
		for {
			in, err := session.AcceptUni(ctx)
			if err != nil {
				return
			}
			in.CancelRead(fabric.StreamErrorCode(relaywire.CodeUnknownStream)) // there are none to a source
		}
	})
	for refused := 0; ; {
		stream, err := session.Accept(ctx)
		if err != nil {
			cancel()
			return
		}
		name := session.Peer().Name
		if !s.tenants.enter(name) {
			reset(stream, relaywire.CodeOverflow)
			if refused++; refused > media.MaxRelayPeerExcess {
				s.log.Warn("relay: a node opens streams without end", slog.String("node", name))
				session.Close(uint64(relaywire.CodeOverflow)+sessionCodes, "too many streams")
			}
			continue
		}
		p.wg.Go(func() {
			defer s.tenants.leave(name)
			p.serve(ctx, stream)
		})
	}
}

// peer is a session that another node has opened to this one.
type peer struct {
	// Set at construction.
	server  *Server
	session *fabric.Session
	first   chan struct{} // holds one: there are subscriptions now

	agreed  agreed
	greeted atomic.Bool // it has said hello

	wg sync.WaitGroup

	mu   sync.Mutex
	subs map[*subscription]struct{} // guarded by mu
}

// serve answers one bidirectional stream.
func (p *peer) serve(ctx context.Context, stream *fabric.Stream) {
	_ = stream.SetReadDeadline(time.Now().Add(media.HandshakeTimeout))
	in := &inbox{r: stream}
	kind, err := parse(in, p.server.version.ParseHello)
	if err != nil {
		reset(stream, helloCode(err))
		return
	}
	_ = stream.SetReadDeadline(time.Time{})
	switch kind {
	case relaywire.StreamSubscribe:
		p.serveSubscription(ctx, stream, in)
	case relaywire.StreamPush:
		p.servePush(ctx, stream, in)
	case relaywire.StreamSession:
		if p.server.version >= relaywire.V2 {
			p.serveSession(ctx, stream, in)
			return
		}
		fallthrough
	default:
		reset(stream, relaywire.CodeUnknownStream)
	}
}

// helloCode refuses a stream by its first bytes.
func helloCode(err error) relaywire.Code {
	if errors.Is(err, relaywire.ErrVersion) {
		return relaywire.CodeUnknownStream
	}
	return relaywire.CodeMalformed
}
