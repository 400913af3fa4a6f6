package multiplex

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"tmms/media"
)

// overUDP is HTTP/3, by quic-go.
type overUDP struct {
	// Set at construction.
	packets   net.PacketConn
	transport *quic.Transport
	listener  *quic.Listener
	http      *http3.Server
	life      context.Context //nolint:containedctx // bounds a drain that nobody waits for; it ends with close
	end       context.CancelFunc
	served    chan struct{} // closed when run has accepted its last connection

	started atomic.Bool
	conns   atomic.Int64 // in all
	shaking atomic.Int64 // of those, in their handshake
}

func newOverUDP(cfg Config, handler http.Handler, config *tls.Config) (*overUDP, error) {
	u := &overUDP{packets: cfg.Packets, served: make(chan struct{})}
	u.life, u.end = context.WithCancel(context.Background())
	u.transport = &quic.Transport{Conn: cfg.Packets, VerifySourceAddress: u.underLoad, ConnContext: u.admit}
	u.http = &http3.Server{
		Handler:        handler,
		MaxHeaderBytes: media.MaxHTTPHead,
		IdleTimeout:    media.KeepAliveTimeout,
		ConnContext:    identify,
		Logger:         slog.New(slog.DiscardHandler), // it logs what peers do wrong
	}
	// Listen, not ListenEarly: a connection counts when its handshake is done.
	ln, err := u.transport.Listen(http3.ConfigureTLSConfig(config), quicConfig())
	if err != nil {
		u.end()
		return nil, errors.Join(err, u.transport.Close())
	}
	u.listener = ln
	return u, nil
}

func quicConfig() *quic.Config {
	return &quic.Config{
		Versions:                       []quic.Version{quic.Version1},
		HandshakeIdleTimeout:           media.HandshakeTimeout / 2, // quic-go ends a handshake after twice this
		MaxIdleTimeout:                 media.QUICIdleTimeout,
		KeepAlivePeriod:                media.MultiplexPing,
		InitialStreamReceiveWindow:     media.HTTP3StreamWindow,
		MaxStreamReceiveWindow:         media.HTTP3StreamWindow,
		InitialConnectionReceiveWindow: media.HTTP3ConnWindow,
		MaxConnectionReceiveWindow:     media.HTTP3ConnWindow,
		MaxIncomingStreams:             media.MaxMultiplexStreams,
		MaxIncomingUniStreams:          media.MaxHTTP3UniStreams,
		Allow0RTT:                      false,
	}
}

// underLoad tells whether addresses have to be validated first.
func (u *overUDP) underLoad(net.Addr) bool {
	return u.shaking.Load() >= media.MaxHTTP3Handshakes || u.conns.Load() >= media.MaxMultiplexConns/2
}

// errTooMany refuses a QUIC connection.
var errTooMany = fmt.Errorf("multiplex: too many HTTP/3 connections, the limit is %d", media.MaxMultiplexConns)

// admit counts a QUIC connection from its first packet to its end; ctx ends with it.
func (u *overUDP) admit(ctx context.Context, _ *quic.ClientInfo) (context.Context, error) {
	if u.conns.Add(1) > media.MaxMultiplexConns {
		u.conns.Add(-1)
		return nil, errTooMany
	}
	u.shaking.Add(1)
	h := &handshake{shaking: &u.shaking}
	context.AfterFunc(ctx, func() {
		u.conns.Add(-1)
		h.over()
	})
	return context.WithValue(ctx, handshakeKey{}, h), nil
}

// handshake is one that is counted.
type handshake struct {
	shaking *atomic.Int64
	done    atomic.Bool
}

type handshakeKey struct{}

func (h *handshake) over() {
	if h.done.CompareAndSwap(false, true) {
		h.shaking.Add(-1)
	}
}

// session is a connection with its handshake done.
type session struct{ asked atomic.Bool }

type sessionKey struct{}

// identify closes a connection that does not ask for anything. http3 itself
// waits for a request's head for as long as its connection lives.
func identify(ctx context.Context, c *quic.Conn) context.Context {
	if h, ok := c.Context().Value(handshakeKey{}).(*handshake); ok {
		h.over()
	}
	s := &session{}
	timer := time.AfterFunc(media.IdentifyTimeout, func() {
		if !s.asked.Load() {
			_ = c.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "no request")
		}
	})
	context.AfterFunc(c.Context(), func() { timer.Stop() })
	return context.WithValue(ctx, sessionKey{}, s)
}

// asked notes that the request's connection is of use.
func asked(ctx context.Context) {
	if s, ok := ctx.Value(sessionKey{}).(*session); ok {
		s.asked.Store(true)
	}
}

// run serves until drain or close.
func (u *overUDP) run() error {
	u.started.Store(true)
	defer close(u.served)
	err := u.http.ServeListener(u.listener)
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("multiplex: HTTP/3: %w", err)
}

// drain sends GOAWAY to all and waits for their last answers, or for close.
func (u *overUDP) drain() {
	if u.stop() {
		_ = u.http.Shutdown(u.life) // its error is that of life
	}
}

// stop takes no more connections, and returns when the last one is counted:
// before that http3 must not be shut down. false: it never ran.
func (u *overUDP) stop() bool {
	_ = u.listener.Close() // quic-go has no error there
	if !u.started.Load() {
		return false
	}
	<-u.served
	return true
}

// close ends all connections.
func (u *overUDP) close() error {
	u.stop()
	u.end()
	err := u.http.Close()
	return errors.Join(err, u.transport.Close(), u.packets.Close())
}
