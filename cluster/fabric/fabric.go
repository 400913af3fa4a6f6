package fabric

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/quic-go/quic-go"

	"tmms/cluster/pki"
)

// Handler serves one session that a peer dialed. ctx ends with the session,
// and the session with the return.
type Handler func(ctx context.Context, s *Session)

// Fabric is a node's end of all its connections to other nodes. Its methods may
// be called from any goroutine.
type Fabric struct {
	// Set at construction.
	id        *pki.Identity
	log       *slog.Logger
	timing    timing
	socket    *net.UDPConn
	conduit   *conduit
	transport *quic.Transport
	gate      *gate
	metrics   *metrics
	refusals  quiet
	hearing   hearing
	guests    guests
	running   chan struct{} // closed when sessions can be dialed
	stopping  chan struct{} // closed when Run ends, or by Close

	mu       sync.Mutex
	state    state                           // guarded by mu
	spawn    func(func(ctx context.Context)) // guarded by mu; nil unless running
	handlers map[ALPN]Handler                // guarded by mu
	links    map[linkKey]*link               // guarded by mu
	accepted map[peerKey]map[*Session]bool   // guarded by mu; the sessions that peers dialed
	incoming int                             // guarded by mu; the sessions in accepted
	peers    map[string]*peer                // guarded by mu; by name, see Peers
}

// state is how far a Fabric has got.
type state int

const (
	stateNew state = iota
	stateRunning
	stateStopped
)

// peerKey is a peer with a protocol.
type peerKey struct {
	name string
	alpn ALPN
}

// New opens the socket; nothing is sent or read before [Fabric.Run].
func New(cfg Config, id *pki.Identity, deps Deps) (*Fabric, error) {
	return newFabric(cfg, id, deps, defaultTiming())
}

func newFabric(cfg Config, id *pki.Identity, deps Deps, t timing) (*Fabric, error) {
	if err := errors.Join(cfg.Validate(), deps.validate()); err != nil {
		return nil, err
	}
	reset, err := id.Secret("stateless reset")
	if err != nil {
		return nil, fmt.Errorf("fabric: %w", err)
	}
	f := &Fabric{
		id: id, log: deps.Log, timing: t, gate: newGate(),
		running: make(chan struct{}), stopping: make(chan struct{}),
		handlers: make(map[ALPN]Handler), links: make(map[linkKey]*link),
		accepted: make(map[peerKey]map[*Session]bool), peers: make(map[string]*peer),
		hearing: hearing{at: make(map[string]time.Time), quiet: make(map[string]bool)},
		guests:  guests{perIP: make(map[netip.Addr]int)},
	}
	if f.metrics, err = newMetrics(f, deps.Registerer); err != nil {
		return nil, err
	}
	if f.socket, err = openSocket(cfg.Listen); err != nil {
		return nil, err
	}
	// With a key that outlives the process, a node that was killed can tell its
	// peers at once that it no longer knows their sessions.
	key := quic.StatelessResetKey(reset)
	f.conduit = newConduit(f.socket, cfg.Recovery)
	f.transport = &quic.Transport{
		Conn: f.conduit, StatelessResetKey: &key, ConnectionIDLength: connectionIDLength,
		VerifySourceAddress: f.gate.verifySource, ConnContext: f.gate.connContext,
		DisableVersionNegotiationPackets: true,
	}
	return f, nil
}

// connectionIDLength is in bytes: enough to tell sessions and resets of one
// port apart by chance.
const connectionIDLength = 8

// Addr is the address that the socket is bound to.
func (f *Fabric) Addr() netip.AddrPort { return addrPort(f.socket.LocalAddr()) }

// Name is this node's name, as its peers know it.
func (f *Fabric) Name() string { return f.id.Name() }

// Handle makes serve answer the sessions that peers dial for a protocol, each
// on its own goroutine. A protocol without a handler is refused in the
// handshake. A later call replaces it for new sessions; nil takes it away.
func (f *Fabric) Handle(alpn ALPN, serve func(ctx context.Context, s *Session)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if serve == nil {
		delete(f.handlers, alpn)
		return
	}
	f.handlers[alpn] = serve
}

// Close frees the socket of a fabric that will not be run; after Run has begun
// it does nothing.
func (f *Fabric) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.state != stateNew {
		return nil
	}
	f.state = stateStopped
	close(f.stopping)
	return f.socket.Close()
}

// Run listens and serves until ctx ends, then tells all peers and returns when
// every goroutine has ended. It runs once.
func (f *Fabric) Run(ctx context.Context) error {
	var tasks sync.WaitGroup
	taskCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := f.start(func(task func(context.Context)) { tasks.Go(func() { task(taskCtx) }) }); err != nil {
		return err
	}
	listener, err := f.transport.Listen(f.serverTLS(), f.timing.acceptConfig())
	if err == nil {
		logBuffers(f.log, f.socket)
		tasks.Go(func() { f.watchPeers(taskCtx) })
		close(f.running)
		tasks.Go(func() { f.watchSilence(taskCtx) })
		tasks.Go(func() { f.hear(taskCtx) })
		tasks.Go(func() { f.conduit.run(taskCtx) })
		err = f.accept(ctx, listener)
	}
	f.stop()
	cancel()
	tasks.Wait()
	if listener != nil {
		_ = listener.Close()
	}
	_ = f.transport.Close()
	_ = f.socket.Close()
	if err != nil {
		return fmt.Errorf("fabric: %w", err)
	}
	return nil
}

func (f *Fabric) start(spawn func(func(context.Context))) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch f.state {
	case stateRunning:
		return errors.New("fabric: runs already")
	case stateStopped:
		return ErrClosed
	case stateNew:
	}
	f.state, f.spawn = stateRunning, spawn
	return nil
}

// accept takes sessions until ctx ends; an error is the socket's.
func (f *Fabric) accept(ctx context.Context, listener *quic.Listener) error {
	for {
		conn, err := listener.Accept(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the end that was asked for
		}
		if err != nil {
			return err
		}
		handshakeDone(conn.Context())
		f.admit(conn)
	}
}

// admit starts to serve a session, or refuses it with a reason.
func (f *Fabric) admit(conn *quic.Conn) {
	state := conn.ConnectionState().TLS
	alpn := ALPN(state.NegotiatedProtocol)
	if alpn == ALPNJoin {
		if err := f.admitGuest(conn); err != nil {
			f.refused(addrPort(conn.RemoteAddr()), alpn, err)
			_ = conn.CloseWithError(quic.ApplicationErrorCode(CodeRefused), err.Error())
		}
		return
	}
	peer, err := pki.PeerOf(state)
	if err == nil {
		s := &Session{conn: conn, alpn: alpn, peer: peer, quiet: quietSession(alpn, peer)}
		if err = f.serve(s); err == nil {
			return
		}
	}
	f.refused(addrPort(conn.RemoteAddr()), alpn, err)
	_ = conn.CloseWithError(quic.ApplicationErrorCode(CodeRefused), err.Error())
}

// serve counts the session and runs its handler.
func (f *Fabric) serve(s *Session) error {
	if !s.alpn.admits(s.peer) {
		return fmt.Errorf("%s may not speak %q", s.peer, s.alpn)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	handler := f.handlers[s.alpn]
	key := peerKey{s.peer.Name, s.alpn}
	switch {
	case f.state != stateRunning:
		return ErrClosed
	case handler == nil:
		return fmt.Errorf("nothing here speaks %q", s.alpn)
	}
	if err := f.roomFor(key); err != nil {
		return err
	}
	if f.accepted[key] == nil {
		f.accepted[key] = make(map[*Session]bool)
	}
	f.accepted[key][s] = true
	f.incoming++
	f.peerLives(s.peer.Name)
	f.conduit.attach(s)
	f.spawn(func(context.Context) { f.handle(s, handler) })
	return nil
}

// handle is the goroutine of an incoming session.
func (f *Fabric) handle(s *Session, handler Handler) {
	f.recheck(s)
	if err := greet(s.conn); err == nil { // else the session has ended already
		handler(s.Context(), s)
	}
	s.Close(CodeDone, "served")
	f.ended(s)
	key := peerKey{s.peer.Name, s.alpn}
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.accepted[key], s)
	if len(f.accepted[key]) == 0 {
		delete(f.accepted, key)
	}
	f.incoming--
}

// ended writes a session's one line in the log, and counts what it has carried.
func (f *Fabric) ended(s *Session) {
	f.mu.Lock()
	f.tally(s)
	f.mu.Unlock()
	f.conduit.detach(s)
	direction := "in"
	if s.target != (Target{}) {
		direction = "out"
	}
	f.log.Info("fabric: session ended", slog.String("peer", s.peer.Name), slog.String("alpn", string(s.alpn)),
		slog.String("direction", direction), slog.String("remote", s.RemoteAddr().String()),
		slog.Any("cause", context.Cause(s.Context())))
}

// stop ends all sessions and keeps new ones from beginning.
func (f *Fabric) stop() {
	f.mu.Lock()
	f.state, f.spawn = stateStopped, nil
	close(f.stopping)
	open := f.sessions()
	f.mu.Unlock()
	var closing sync.WaitGroup
	for _, s := range open {
		closing.Go(func() { s.Close(CodeShutdown, "the node stops") })
	}
	closing.Wait()
}

// sessions are all that there are. f.mu is held.
func (f *Fabric) sessions() (open []*Session) {
	for _, sessions := range f.accepted {
		open = slices.AppendSeq(open, maps.Keys(sessions))
	}
	for _, l := range f.links {
		if l.session != nil {
			open = append(open, l.session)
		}
	}
	return open
}

// Recheck ends the sessions with peers whose certificates are not trusted any
// more. It is for a change of the CAs or of the revocations.
func (f *Fabric) Recheck() {
	f.mu.Lock()
	open := f.sessions()
	f.mu.Unlock()
	for _, s := range open {
		f.recheck(s)
	}
}

// recheck ends a session if its peer is not trusted any more. A new one is
// checked again once Recheck can see it: the change may have come just before.
func (f *Fabric) recheck(s *Session) {
	err := f.id.Trusts(s.conn.ConnectionState().TLS)
	if err == nil {
		return
	}
	f.refused(s.RemoteAddr(), s.alpn, err)
	s.Close(CodeRefused, err.Error())
}

// serverTLS looks at each handshake which protocols are served just then.
func (f *Fabric) serverTLS() *tls.Config {
	base := f.id.TLS()
	verify := base.VerifyConnection
	base.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		remote := netip.AddrPort{}
		if hello.Conn != nil {
			remote = addrPort(hello.Conn.RemoteAddr())
		}
		if cfg := f.guestTLS(hello); cfg != nil {
			return cfg, nil
		}
		cfg := base.Clone()
		cfg.GetConfigForClient = nil
		cfg.NextProtos = f.protocols()
		if !slices.ContainsFunc(hello.SupportedProtos, func(p string) bool { return slices.Contains(cfg.NextProtos, p) }) {
			f.refused(remote, "", fmt.Errorf("it speaks %.100q, this node %q", hello.SupportedProtos, cfg.NextProtos))
		}
		cfg.VerifyConnection = func(cs tls.ConnectionState) error {
			err := verify(cs)
			if err != nil {
				f.refused(remote, ALPN(cs.NegotiatedProtocol), err)
			}
			return err
		}
		return cfg, nil
	}
	return base
}

// noALPN is offered while there is no handler at all: without an offer TLS
// would let everybody in.
const noALPN = "tmms-none"

// protocols lists what has a handler, ordered; it is never empty.
func (f *Fabric) protocols() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make([]string, 0, len(f.handlers))
	for alpn := range f.handlers {
		all = append(all, string(alpn))
	}
	if len(all) == 0 {
		return []string{noALPN}
	}
	slices.Sort(all)
	return all
}
