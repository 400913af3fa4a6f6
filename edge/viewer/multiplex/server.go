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

// Config is what a Server needs besides its handler and its certificates.
type Config struct {
	// Packets is the UDP socket of HTTP/3, which the server closes; nil: none.
	Packets net.PacketConn
	Log     *slog.Logger
}

// Server serves HTTP/2 and HTTP/3. It is safe for concurrent use.
type Server struct {
	// Set at construction.
	handler http.Handler
	h2      *overTCP
	h3      *overUDP // nil: there is no HTTP/3
	altSvc  string

	requests atomic.Int64
	working  sync.WaitGroup // what Run and Drain have started

	mu       sync.Mutex
	closed   bool           // guarded by mu
	handling sync.WaitGroup // requests; added to with mu held while not closed
}

// New returns a server that serves nothing before Run; one that is not run must
// be closed. config has the certificates and is not changed; HTTP/2 does not use
// it, since its connections come with their handshake done.
func New(cfg Config, handler http.Handler, config *tls.Config) (*Server, error) {
	if cfg.Packets != nil && config == nil {
		return nil, errors.New("multiplex: HTTP/3 needs a TLS configuration")
	}
	s := &Server{handler: handler}
	s.h2 = newOverTCP(http.HandlerFunc(s.serve), cfg.Log)
	if cfg.Packets == nil {
		return s, nil
	}
	h3, err := newOverUDP(cfg, http.HandlerFunc(s.serve), config)
	if err != nil {
		return nil, fmt.Errorf("multiplex: listen for HTTP/3: %w", err)
	}
	s.h3 = h3
	if a, ok := cfg.Packets.LocalAddr().(*net.UDPAddr); ok {
		s.altSvc = fmt.Sprintf(`h3=":%d"; ma=%d`, a.Port, int(media.AltSvcAge.Seconds()))
	}
	return s, nil
}

// AltSvc is the Alt-Svc header (RFC 7838 section 3) that tells clients of the
// HTTP/3 port; "" without HTTP/3. Answers over HTTP/2 have it already.
func (s *Server) AltSvc() string { return s.altSvc }

// ServeConn serves a connection, a *tls.Conn that has agreed on "h2", and returns
// when it is closed.
func (s *Server) ServeConn(c net.Conn) { s.h2.take(c) }

// Conns are the connections of HTTP/2 and of HTTP/3 now, those in a QUIC
// handshake included.
func (s *Server) Conns() (h2, h3 int64) {
	if s.h3 != nil {
		h3 = s.h3.conns.Load()
	}
	return s.h2.conns(), h3
}

// Run serves until ctx ends, and returns when all connections are closed and all
// handlers and other goroutines have ended. It is called once.
func (s *Server) Run(ctx context.Context) error {
	ended := make(chan error, 2)
	s.working.Go(func() { ended <- s.h2.run() })
	if s.h3 != nil {
		s.working.Go(func() { ended <- s.h3.run() })
	}
	var err error
	for over := false; !over; {
		select {
		case <-ctx.Done():
			over = true
		case err = <-ended: // nil: by a drain
			over = err != nil
		}
	}
	return errors.Join(err, s.Close())
}

// Drain tells the clients to ask elsewhere next (GOAWAY, RFC 9113 section 6.8 and
// RFC 9114 section 5.2) and takes no more connections. Requests under way go on;
// Drain does not wait for them.
func (s *Server) Drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.working.Go(s.h2.drain)
	if s.h3 != nil {
		s.working.Go(s.h3.drain)
	}
}

// Close ends all connections, and returns when all handlers and other goroutines
// have ended. Run does it by itself.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	err := s.h2.close()
	if s.h3 != nil {
		err = errors.Join(err, s.h3.close())
	}
	s.handling.Wait()
	s.working.Wait()
	return err
}

// enter counts a request in; false: the server is closed.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.handling.Add(1)
	}
	return !s.closed
}

// serve bounds the requests of all connections.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if !s.enter() {
		panic(http.ErrAbortHandler)
	}
	defer s.handling.Done()
	defer s.requests.Add(-1)
	if s.altSvc != "" && r.ProtoMajor == 2 {
		w.Header().Set("Alt-Svc", s.altSvc)
	}
	if s.requests.Add(1) > media.MaxMultiplexRequests {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Retry-After", "1")
		http.Error(w, "too many requests at once", http.StatusServiceUnavailable)
		return
	}
	asked(r.Context())
	s.handler.ServeHTTP(w, r)
}
