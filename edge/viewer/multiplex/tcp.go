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
	in     *intake
	served chan struct{} // closed when run has accepted its last connection

	started atomic.Bool
	conns   atomic.Int64
	open    sync.WaitGroup // connections taken
}

func newOverTCP(handler http.Handler, log *slog.Logger) *overTCP {
	t := &overTCP{
		log: log, in: &intake{conns: make(chan net.Conn), done: make(chan struct{})}, served: make(chan struct{}),
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

// take hands a connection to net/http.
func (t *overTCP) take(c net.Conn) {
	if err := t.admit(c); err != nil {
		t.log.Debug("http/2 connection refused", slog.String("remote", c.RemoteAddr().String()), slog.Any("err", err))
		c.Close()
	}
}

func (t *overTCP) admit(c net.Conn) error {
	secure, ok := c.(*tls.Conn)
	if !ok || secure.ConnectionState().NegotiatedProtocol != "h2" {
		return errors.New("multiplex: not a TLS connection that has agreed on h2")
	}
	if n := t.conns.Add(1); n > media.MaxMultiplexConns {
		t.conns.Add(-1)
		return fmt.Errorf("multiplex: too many HTTP/2 connections, the limit is %d", media.MaxMultiplexConns)
	}
	if !t.in.put(c, &t.open) {
		t.conns.Add(-1)
		return http.ErrServerClosed
	}
	return nil
}

// onState sees connections end.
func (t *overTCP) onState(_ net.Conn, state http.ConnState) {
	if state == http.StateClosed {
		t.conns.Add(-1)
		t.open.Done()
	}
}

// run serves until drain or close.
func (t *overTCP) run() error {
	t.started.Store(true)
	defer close(t.served)
	err := t.http.Serve(t.in)
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return fmt.Errorf("multiplex: HTTP/2: %w", err)
}

// drain sends GOAWAY to all. net/http closes each connection after its last answer.
func (t *overTCP) drain() {
	t.in.stop()
	now, cancel := context.WithCancel(context.Background())
	cancel()
	_ = t.http.Shutdown(now) // does not wait, and says so
}

// close ends all connections.
func (t *overTCP) close() error {
	t.in.stop()
	if t.started.Load() {
		<-t.served // net/http knows them all now
	}
	err := t.http.Close()
	t.open.Wait()
	return err
}

// intake is a net.Listener of connections that others have accepted.
type intake struct {
	conns chan net.Conn
	done  chan struct{} // closed by stop

	mu      sync.Mutex
	stopped bool           // guarded by mu
	putting sync.WaitGroup // added to with mu held while not stopped
}

// put gives a connection to Accept and counts it as open; false: the intake was
// stopped.
func (i *intake) put(c net.Conn, open *sync.WaitGroup) bool {
	i.mu.Lock()
	if i.stopped {
		i.mu.Unlock()
		return false
	}
	i.putting.Add(1)
	open.Add(1)
	i.mu.Unlock()
	defer i.putting.Done()
	select {
	case i.conns <- c:
		return true
	case <-i.done:
		open.Done()
		return false
	}
}

// stop lets nobody in from now on; it returns when every put has.
func (i *intake) stop() {
	i.mu.Lock()
	if !i.stopped {
		i.stopped = true
		close(i.done)
	}
	i.mu.Unlock()
	i.putting.Wait()
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

// Close implements net.Listener.
func (i *intake) Close() error {
	i.stop()
	return nil
}

// Addr implements net.Listener; connections know their own.
func (i *intake) Addr() net.Addr { return &net.TCPAddr{} }
