package fabric

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/quic-go/quic-go"

	"tmms/media"
)

// ALPNJoin is what a node without a certificate speaks, to get one: it is asked for
// none. One stream has one request and its answer, each up to its FIN.
const ALPNJoin ALPN = "tmms-join/1"

// codeGuest closes a session that was no request.
const codeGuest quic.ApplicationErrorCode = 0x200

// errGuest refuses a guest who does not keep to the rules.
var errGuest = errors.New("fabric: bad guest")

// guests are the sessions of those without a certificate.
type guests struct {
	mu    sync.Mutex
	serve func(ctx context.Context, remote netip.AddrPort, request []byte) []byte // guarded by mu; nil: nobody is let in
	all   int                                                                     // guarded by mu
	perIP map[netip.Addr]int                                                      // guarded by mu; no zeros
}

// HandleGuests makes serve answer those who have no certificate: who they are nobody
// has checked. It gets a request of at most [media.MaxJoinRequest] bytes, and may be
// called [media.MaxJoinGuests] times at once; ctx ends with the session, and that after
// [media.JoinTimeout].
func (f *Fabric) HandleGuests(serve func(ctx context.Context, remote netip.AddrPort, request []byte) []byte) {
	f.guests.mu.Lock()
	defer f.guests.mu.Unlock()
	f.guests.serve = serve
}

// guestTLS is the configuration for a hello that is a guest's; nil for any other.
func (f *Fabric) guestTLS(hello *tls.ClientHelloInfo) *tls.Config {
	f.guests.mu.Lock()
	defer f.guests.mu.Unlock()
	if f.guests.serve == nil || !slices.Equal(hello.SupportedProtos, []string{string(ALPNJoin)}) {
		return nil
	}
	return f.id.GuestTLS(string(ALPNJoin))
}

// enter takes one more guest of an address, which must leave.
func (g *guests) enter(ip netip.Addr) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.all >= media.MaxJoinGuests {
		return fmt.Errorf("%w: %d are here, the limit", errGuest, g.all)
	}
	if g.perIP[ip] >= media.MaxJoinGuestsPerIP {
		return fmt.Errorf("%w: %d of %s are here, the limit", errGuest, g.perIP[ip], ip)
	}
	g.all++
	g.perIP[ip]++
	return nil
}

func (g *guests) leave(ip netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.all--
	if g.perIP[ip]--; g.perIP[ip] == 0 {
		delete(g.perIP, ip)
	}
}

// admitGuest serves one, on a goroutine of its own.
func (f *Fabric) admitGuest(conn *quic.Conn) error {
	remote := addrPort(conn.RemoteAddr())
	ip := household(remote.Addr())
	if err := f.guests.enter(ip); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.state != stateRunning {
		f.guests.leave(ip)
		return ErrClosed
	}
	f.spawn(func(ctx context.Context) {
		defer f.guests.leave(ip)
		ctx, cancel := context.WithTimeout(ctx, media.JoinTimeout)
		defer cancel()
		stop := context.AfterFunc(ctx, func() { _ = conn.CloseWithError(codeGuest, "too late") })
		defer stop()
		if err := f.guests.one(ctx, conn); err != nil {
			f.refused(remote, ALPNJoin, err)
			_ = conn.CloseWithError(codeGuest, err.Error())
		}
	})
	return nil
}

// one answers the request of a guest, who closes the session when it has the answer.
func (g *guests) one(ctx context.Context, conn *quic.Conn) error {
	first, cancel := context.WithTimeout(ctx, media.JoinRequestTimeout)
	defer cancel()
	stream, err := conn.AcceptStream(first)
	if err != nil {
		return fmt.Errorf("%w: no request: %w", errGuest, err)
	}
	var more sync.WaitGroup
	defer more.Wait()
	defer func() { _ = conn.CloseWithError(codeGuest, "served") }()
	more.Go(func() { // a second stream of either kind would be memory
		if _, ended := conn.AcceptStream(conn.Context()); ended == nil {
			_ = conn.CloseWithError(codeGuest, "one stream is enough")
		}
	})
	more.Go(func() {
		if _, ended := conn.AcceptUniStream(conn.Context()); ended == nil {
			_ = conn.CloseWithError(codeGuest, "one stream is enough")
		}
	})
	_ = stream.SetReadDeadline(time.Now().Add(media.JoinRequestTimeout))
	request, err := io.ReadAll(io.LimitReader(stream, media.MaxJoinRequest+1))
	if err != nil {
		return fmt.Errorf("%w: a request of %d bytes did not end: %w", errGuest, len(request), err)
	}
	if len(request) > media.MaxJoinRequest {
		return fmt.Errorf("%w: a request of more than %d bytes", errGuest, media.MaxJoinRequest)
	}
	g.mu.Lock()
	serve := g.serve
	g.mu.Unlock()
	if _, err = stream.Write(serve(ctx, addrPort(conn.RemoteAddr()), request)); err != nil {
		return fmt.Errorf("%w: the answer was not taken: %w", errGuest, err)
	}
	_ = stream.Close()
	select {
	case <-conn.Context().Done():
	case <-ctx.Done():
	}
	return nil
}

// AskAsGuest asks a node as one that has no certificate: cfg says who must be at the
// other end, and has the ALPN [ALPNJoin]. The answer has at most [media.MaxJoinAnswer]
// bytes. The error is a [DialError] where nothing was asked. It needs no Fabric.
func AskAsGuest(ctx context.Context, to Target, cfg *tls.Config, request []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, media.JoinTimeout)
	defer cancel()
	fail := func(failure Failure, err error) ([]byte, error) {
		return nil, &DialError{To: to, ALPN: ALPNJoin, Failure: failure, Err: err}
	}
	socket, err := openSocket(":0")
	if err != nil {
		return nil, err
	}
	defer func() { _ = socket.Close() }()
	transport := &quic.Transport{Conn: socket}
	defer func() { _ = transport.Close() }()
	addr, err := resolve(ctx, addrPort(socket.LocalAddr()).Addr(), to.Addr, 0)
	if err != nil {
		return fail(Unresolved, err)
	}
	dial, done := context.WithTimeout(ctx, media.FabricHandshakeTimeout)
	defer done()
	conn, err := transport.Dial(dial, net.UDPAddrFromAddrPort(addr), cfg, &quic.Config{
		Versions: []quic.Version{quic.Version1}, HandshakeIdleTimeout: media.FabricHandshakeTimeout / 2,
		MaxIdleTimeout: media.JoinTimeout, MaxIncomingStreams: -1, MaxIncomingUniStreams: -1,
	})
	if err != nil {
		failure, _ := sortOut(err)
		return fail(failure, err)
	}
	defer func() { _ = conn.CloseWithError(0, "") }()
	answer, err := exchange(ctx, conn, request)
	if err != nil {
		return nil, fmt.Errorf("fabric: ask %s as a guest: %w", to, err)
	}
	return answer, nil
}

func exchange(ctx context.Context, conn *quic.Conn, request []byte) ([]byte, error) {
	stream, err := conn.OpenStreamSync(ctx)
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		_ = stream.SetDeadline(deadline)
	}
	if _, err = stream.Write(request); err == nil {
		err = stream.Close()
	}
	if err != nil {
		return nil, err
	}
	answer, err := io.ReadAll(io.LimitReader(stream, media.MaxJoinAnswer+1))
	if err == nil && len(answer) > media.MaxJoinAnswer {
		err = fmt.Errorf("an answer of more than %d bytes", media.MaxJoinAnswer)
	}
	return answer, err
}
