package secure

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"runtime"
	"slices"
	"sync"

	"tmms/cluster/certs"
	"tmms/edge/reactor"
	"tmms/edge/viewer"
	"tmms/media"
)

// Config is what a Server needs.
type Config struct {
	// TLS has the certificates and versions; its NextProtos is not used.
	TLS  *tls.Config
	Gate *viewer.Gate // counts the ends of connections without a handshake
	Log  *slog.Logger
}

// Route says who serves a listener's connections once they are secure.
type Route struct {
	// Open begins a connection on its loop.
	Open func(*reactor.Conn) reactor.Protocol
	// Protos are what Open speaks (RFC 7301), best first; a client that offers
	// others only is refused. Without any, and without Moved, offers are ignored.
	Protos []string
	// Moved serves other protocols, each preferred to Protos, off the loops: it is
	// called on a goroutine of its own with a connection that blocks, and is done
	// with it when it returns. When the server closes, so does the connection.
	Moved map[string]func(*tls.Conn)
}

// Server takes TLS connections on all loops of a node.
type Server struct {
	// Set at construction.
	cfg Config
	cpu chan struct{} // a place each for a handshake that computes

	counters counters
	queue    queue
	working  sync.WaitGroup // goroutines of handshakes and of moved connections

	mu     sync.Mutex
	moved  map[net.Conn]struct{} // guarded by mu
	closed bool                  // guarded by mu
}

// New returns a server; [Server.Listener] makes it serve. Handshakes take at most
// half of the processors, so that streams go on while many come at once.
func New(cfg Config) *Server {
	return &Server{
		cfg: cfg, cpu: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)), moved: make(map[net.Conn]struct{}),
	}
}

// listener is a route as its connections see it.
type listener struct {
	Route
	server *Server
	tls    *tls.Config
}

// Listener gives the function that begins a connection, for [reactor.Reactor.Listen].
func (s *Server) Listener(r Route) func(*reactor.Conn) reactor.Protocol {
	ln := &listener{Route: r, server: s, tls: s.cfg.TLS.Clone()}
	ln.tls.NextProtos = append(slices.Sorted(maps.Keys(r.Moved)), r.Protos...)
	return func(rc *reactor.Conn) reactor.Protocol {
		rc.SetTimer(media.HandshakeTimeout)
		return &conn{listener: ln, rc: rc}
	}
}

// Close ends the connections that were moved off the loops, and returns when all
// goroutines of the server have ended; the loops must have ended.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	for nc := range s.moved {
		nc.Close()
	}
	s.mu.Unlock()
	s.working.Wait()
}

// move runs a protocol off the loops.
func (s *Server) move(open func() (net.Conn, error), serve func(*tls.Conn)) {
	s.working.Go(func() {
		nc, err := open()
		if err != nil {
			s.cfg.Log.Warn("viewer lost", slog.Any("err", fmt.Errorf("secure: take over: %w", err)))
			return
		}
		defer nc.Close()
		over, ok := nc.(*certs.Conn)
		if !ok || !s.enter(nc) {
			return
		}
		defer s.leave(nc)
		serve(over.Conn)
	})
}

// enter counts a moved connection in, unless there are too many.
func (s *Server) enter(nc net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.moved) >= media.MaxTLSMoved {
		return false
	}
	s.moved[nc] = struct{}{}
	return true
}

func (s *Server) leave(nc net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.moved, nc)
}
