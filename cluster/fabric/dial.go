package fabric

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/quic-go/quic-go"

	"tmms/cluster/pki"
)

// Session gives the session that this node has dialed to another for a
// protocol. If there is none it dials, once for all who wait; while it backs
// off after a failure it answers at once with a [BackoffError]. A failed dial is
// a [DialError]. A live session is given whatever address to has: it leads
// to the node of that name. Before Run it waits.
func (f *Fabric) Session(ctx context.Context, to Target, alpn ALPN) (*Session, error) {
	return f.Lane(ctx, to, alpn, 0)
}

// Lane gives one of several sessions that this node has dialed to another for a
// protocol, as Session does; lane 0 is Session's. How many are of use Lanes says.
func (f *Fabric) Lane(ctx context.Context, to Target, alpn ALPN, lane int) (*Session, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("fabric: dial %s for %s: %w", to, alpn, context.Cause(ctx))
	}
	select {
	case <-f.running:
	case <-f.stopping:
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, fmt.Errorf("fabric: dial %s for %s before the fabric runs: %w", to, alpn, context.Cause(ctx))
	}
	s, c, err := f.find(to, alpn, lane)
	if s != nil || err != nil {
		return s, err
	}
	select {
	case <-c.done:
		return c.session, c.err
	case <-ctx.Done():
		return nil, fmt.Errorf("fabric: dial %s for %s: %w", to, alpn, context.Cause(ctx))
	}
}

// find gives the live session, or the dial to wait for, or why there is none.
func (f *Fabric) find(to Target, alpn ALPN, lane int) (*Session, *call, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.state != stateRunning {
		return nil, nil, ErrClosed
	}
	now := time.Now()
	l := f.linkTo(linkKey{peerKey{to.Name, alpn}, lane}, now)
	if s := l.session; s != nil {
		if s.Context().Err() == nil {
			return s, nil, nil
		}
		l.ended(s, now, f.timing)
	}
	if l.call == nil {
		if wait := l.wait(to.Addr, now, f.timing); wait > 0 {
			return nil, nil, &BackoffError{To: to, ALPN: alpn, Wait: wait, Err: l.err}
		}
		c, attempt := &call{done: make(chan struct{}), began: now, stop: func() {}}, l.failures
		l.call = c
		f.spawn(func(ctx context.Context) { f.link(ctx, l, c, to, alpn, attempt) })
	}
	return nil, l.call, nil
}

// linkTo finds or makes a link; making one forgets those that lead nowhere.
func (f *Fabric) linkTo(key linkKey, now time.Time) *link {
	if l := f.links[key]; l != nil {
		return l
	}
	for k, l := range f.links {
		if l.idle(now, f.timing) {
			delete(f.links, k)
		}
	}
	l := &link{}
	f.links[key] = l
	return l
}

// link is the goroutine of one dial, and of the session that comes of it.
func (f *Fabric) link(ctx context.Context, l *link, c *call, to Target, alpn ALPN, attempt int) {
	s, err := f.call(ctx, c, to, alpn, attempt)
	if s != nil && !f.established(l, c, s) {
		s.Close(CodeShutdown, "the node stops")
		s, err = nil, ErrClosed
	}
	f.metrics.dialed(err)
	if s == nil {
		f.mu.Lock()
		c.err, l.call = err, nil
		l.failed(to.Addr, err, time.Now(), f.timing)
		f.mu.Unlock()
		close(c.done)
		return
	}
	f.recheck(s)
	close(c.done)
	<-s.Context().Done()
	f.ended(s)
	f.mu.Lock()
	defer f.mu.Unlock()
	l.ended(s, time.Now(), f.timing)
}

// call makes the attempts of a dial: one, and another if the peer came meanwhile.
func (f *Fabric) call(ctx context.Context, c *call, to Target, alpn ALPN, attempt int) (*Session, error) {
	first, stop := context.WithCancel(ctx)
	defer stop()
	f.mu.Lock()
	c.stop = stop
	f.mu.Unlock()
	s, err := f.dial(first, to, alpn, attempt)
	f.mu.Lock()
	again := c.anew
	c.anew = true // it is too late now
	f.mu.Unlock()
	if s == nil && again && ctx.Err() == nil {
		return f.dial(ctx, to, alpn, attempt)
	}
	return s, err
}

// established puts a new session in force; false means that stop has not seen it.
func (f *Fabric) established(l *link, c *call, s *Session) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.state != stateRunning {
		return false
	}
	f.conduit.attach(s)
	c.session, l.session, l.call, l.began = s, s, nil, time.Now()
	return true
}

// peerLives ends the backing off from a node that has just come, and attempts that
// are older than that. f.mu is held.
func (f *Fabric) peerLives(name string) {
	for key, l := range f.links {
		if key.name == name {
			l.worked()
			if l.call != nil {
				l.call.renew(time.Now(), f.timing)
			}
		}
	}
}

// dial makes a session.
func (f *Fabric) dial(ctx context.Context, to Target, alpn ALPN, attempt int) (*Session, error) {
	dialCtx, cancel := context.WithTimeout(ctx, f.timing.handshake)
	defer cancel()
	fail := func(failure Failure, detail string, err error) (*Session, error) {
		if ctx.Err() != nil {
			failure, detail = Stopped, ""
		}
		return nil, &DialError{To: to, ALPN: alpn, Failure: failure, Detail: detail, Err: err}
	}
	addr, err := resolve(dialCtx, f.Addr().Addr(), to.Addr, attempt)
	if err != nil {
		return fail(Unresolved, "", err)
	}
	conn, err := f.transport.Dial(dialCtx, net.UDPAddrFromAddrPort(addr), f.clientTLS(to, alpn), f.dialConfig(alpn))
	if err != nil {
		failure, detail := sortOut(err)
		return fail(failure, detail, err)
	}
	if err = awaitGreeting(dialCtx, conn); err != nil {
		_ = conn.CloseWithError(quic.ApplicationErrorCode(CodeRefused), "no greeting")
		failure, detail := sortOut(err)
		return fail(failure, detail, err)
	}
	peer, err := pki.PeerOf(conn.ConnectionState().TLS)
	if err != nil {
		return fail(Untrusted, "", err)
	}
	return &Session{conn: conn, alpn: alpn, peer: peer, target: to, quiet: quietSession(alpn, f.id.Peer())}, nil
}

// clientTLS takes only the node that is meant.
func (f *Fabric) clientTLS(to Target, alpn ALPN) *tls.Config {
	cfg := f.id.TLS(string(alpn))
	verify := cfg.VerifyConnection
	cfg.VerifyConnection = func(cs tls.ConnectionState) error {
		if err := verify(cs); err != nil {
			return err
		}
		peer, err := pki.PeerOf(cs)
		if err != nil {
			return err
		}
		if peer.Name != to.Name {
			return &NameError{Want: to.Name, Got: peer.Name}
		}
		return nil
	}
	return cfg
}

// TLS alerts (RFC 8446 section 6) that a peer answers, as QUIC errors (RFC 9001
// section 4.8).
const (
	alertBase              = 0x100
	alertBadCertificate    = alertBase + 42
	alertNoApplicationALPN = alertBase + 120
)

// sortOut says whose fault a failed dial is, and in words what it means.
func sortOut(err error) (Failure, string) {
	if _, ok := errors.AsType[*pki.PeerError](err); ok {
		return Untrusted, ""
	}
	if _, ok := errors.AsType[*NameError](err); ok {
		return Untrusted, ""
	}
	if t, ok := errors.AsType[*quic.TransportError](err); ok && t.Remote {
		switch t.ErrorCode {
		case alertBadCertificate:
			return Refused, "the peer does not accept this node's certificate; its log says why"
		case alertNoApplicationALPN:
			return Refused, "the peer does not speak this protocol"
		default:
			return Refused, ""
		}
	}
	if a, ok := errors.AsType[*quic.ApplicationError](err); ok && a.Remote {
		return Refused, ""
	}
	return Unreachable, ""
}
