package multiplex

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"

	"tmms/media"
)

// overTCP is HTTP/2, by net/http on connections that it is handed.
type overTCP struct {
	// Set at construction.
	http   *http.Server
	log    *slog.Logger
	in     intake
	served chan struct{} // closed when run has accepted its last connection

	started atomic.Bool
	taking  sync.WaitGroup // connections; added to with mu held while not stopped

	mu      sync.Mutex
	stopped bool                       // guarded by mu
	open    map[net.Conn]chan struct{} // guarded by mu; closed with the connection
}

func newOverTCP(handler http.Handler, log *slog.Logger) *overTCP {
	t := &overTCP{
		log: log, in: intake{conns: make(chan net.Conn), done: make(chan struct{})}, served: make(chan struct{}),
		open: map[net.Conn]chan struct{}{},
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	t.http = &http.Server{
		Handler:           handler,
		Protocols:         protocols,
		ReadHeaderTimeout: media.HandshakeTimeout,
		IdleTimeout:       media.KeepAliveTimeout,
		MaxHeaderBytes:    media.MaxHTTPHead,
		ConnState:         t.onState,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          media.MaxMultiplexStreams,
			MaxDecoderHeaderTableSize:     media.HTTP2HeaderTable,
			MaxEncoderHeaderTableSize:     media.HTTP2HeaderTable,
			MaxReadFrameSize:              media.HTTP2Frame,
			MaxReceiveBufferPerConnection: media.HTTP2ConnWindow,
			MaxReceiveBufferPerStream:     media.HTTP2StreamWindow,
			SendPingTimeout:               media.MultiplexPing,
			PingTimeout:                   media.StallTimeout,
			WriteByteTimeout:              media.StallTimeout,
		},
	}
	return t
}

// take hands a connection to net/http, and returns when it is closed.
func (t *overTCP) take(c net.Conn) {
	ended, err := t.enter(c)
	if err != nil {
		t.log.Debug("http/2 connection refused", slog.String("remote", c.RemoteAddr().String()), slog.Any("err", err))
		c.Close()
		return
	}
	defer t.taking.Done()
	select {
	case t.in.conns <- c:
		<-ended
	case <-t.in.done:
		t.leave(c)
		c.Close()
	}
}

// enter counts a connection in; the channel is closed when it is.
func (t *overTCP) enter(c net.Conn) (<-chan struct{}, error) {
	secure, ok := c.(*tls.Conn)
	if !ok || secure.ConnectionState().NegotiatedProtocol != "h2" {
		return nil, errors.New("multiplex: not a TLS connection that has agreed on h2")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.stopped:
		return nil, http.ErrServerClosed
	case len(t.open) >= media.MaxMultiplexConns:
		return nil, fmt.Errorf("multiplex: too many HTTP/2 connections, the limit is %d", media.MaxMultiplexConns)
	}
	ended := make(chan struct{})
	t.open[c] = ended
	t.taking.Add(1)
	return ended, nil
}

func (t *overTCP) leave(c net.Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if ended := t.open[c]; ended != nil {
		close(ended)
		delete(t.open, c)
	}
}

// conns is the number of connections.
func (t *overTCP) conns() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return int64(len(t.open))
}

// onState sees connections end.
func (t *overTCP) onState(c net.Conn, state http.ConnState) {
	if state == http.StateClosed {
		t.leave(c)
	}
}

// run serves until drain or close.
func (t *overTCP) run() error {
	t.started.Store(true)
	defer close(t.served)
	err := t.http.Serve(&t.in)
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return fmt.Errorf("multiplex: HTTP/2: %w", err)
}

// stop takes no more connections.
func (t *overTCP) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.stopped {
		t.stopped = true
		close(t.in.done)
	}
}

// drain sends GOAWAY to all. net/http closes each connection after its last answer.
func (t *overTCP) drain() {
	t.stop()
	now, cancel := context.WithCancel(context.Background())
	cancel()
	_ = t.http.Shutdown(now) // does not wait, and says so
}

// close ends all connections.
func (t *overTCP) close() error {
	t.stop()
	if t.started.Load() {
		<-t.served // net/http knows them all now
	}
	err := t.http.Close()
	t.taking.Wait()
	return err
}

// intake is a net.Listener of connections that others have accepted.
type intake struct {
	conns chan net.Conn
	done  chan struct{} // closed when no more will come
}

// Accept implements net.Listener.
func (i *intake) Accept() (net.Conn, error) {
	select {
	case c := <-i.conns:
		return c, nil
	case <-i.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener; who has made the intake closes it.
func (i *intake) Close() error { return nil }

// Addr implements net.Listener; connections know their own.
func (i *intake) Addr() net.Addr { return &net.TCPAddr{} }
