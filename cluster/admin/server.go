package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tmms/media"
)

// How long a request may take, from its head to the last byte of the answer.
const (
	bodyTimeout    = 15 * time.Second
	writeTimeout   = 30 * time.Second
	drainTimeout   = 2 * time.Second
	requestTimeout = 25 * time.Second // for what waits on the cluster
)

// Server is the admin port of a node.
type Server struct {
	// Set at construction.
	deps   Deps
	addr   string
	file   string // with the tokens; "": there are none
	hosts  []string
	local  *Local
	asking chan struct{} // a place for each question to another node

	summaries summaries
	tokens    atomic.Pointer[[]token] // never none with a file

	mu       sync.Mutex
	listener net.Listener // guarded by mu; nil until Listen
}

// New checks the config and reads the tokens; it opens nothing. A server that
// others than this machine can reach is refused without tokens.
func New(cfg Config, deps Deps) (*Server, error) {
	if err := deps.validate(); err != nil {
		return nil, err
	}
	if cfg.Addr == "" {
		cfg.Addr = DefaultAddr
	}
	local, err := isLoopback(cfg.Addr)
	if err != nil {
		return nil, err
	}
	tokens, err := loadTokens(cfg.TokensFile)
	if err != nil {
		return nil, err
	}
	if !local && len(tokens) == 0 {
		return nil, fmt.Errorf("admin: %s can be reached from other machines: give a tokens file, or use %s",
			cfg.Addr, DefaultAddr)
	}
	s := &Server{
		deps: deps, addr: cfg.Addr, file: cfg.TokensFile, local: NewLocal(deps.Streams, deps.Viewers, deps.Why, deps.Configs),
		asking: make(chan struct{}, media.MaxPeerQueries),
	}
	s.tokens.Store(&tokens)
	for _, h := range cfg.Hosts {
		s.hosts = append(s.hosts, strings.ToLower(h))
	}
	return s, nil
}

// Listen opens the port and gives its address. Calling it before [Server.Run]
// finds a busy port early; Run calls it otherwise.
func (s *Server) Listen(ctx context.Context) (net.Addr, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		var lc net.ListenConfig
		ln, err := lc.Listen(ctx, "tcp", s.addr)
		if err != nil {
			return nil, fmt.Errorf("admin: %w", err)
		}
		s.listener = &boundedListener{Listener: ln, free: make(chan struct{}, media.MaxAdminConns), done: make(chan struct{})}
	}
	return s.listener.Addr(), nil
}

// Run serves until ctx ends, then lets running requests end for a moment and
// returns nil.
func (s *Server) Run(ctx context.Context) error {
	addr, err := s.Listen(ctx)
	if err != nil {
		return err
	}
	srv := &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: media.HandshakeTimeout,
		ReadTimeout:       bodyTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       media.KeepAliveTimeout,
		MaxHeaderBytes:    media.MaxHTTPHead,
		ErrorLog:          slog.NewLogLogger(s.deps.Log.Handler(), slog.LevelDebug),
	}
	s.deps.Log.Info("admin port is open", slog.String("addr", addr.String()), slog.Int("tokens", len(*s.tokens.Load())))
	following, stop := context.WithCancel(ctx)
	var follower sync.WaitGroup
	follower.Go(func() { s.followTokens(following, tokensInterval) })
	defer follower.Wait()
	defer stop()
	served := make(chan error, 1)
	go func() { served <- srv.Serve(s.listener) }()
	select {
	case err = <-served:
	case <-ctx.Done():
		err = errors.Join(shutDown(ctx, srv), <-served)
	}
	if err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("admin: %w", err)
	}
	return nil
}

func shutDown(ctx context.Context, srv *http.Server) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		return srv.Close() // what still runs is cut off
	}
	return nil
}

// boundedListener holds at most cap(free) connections; more wait in the backlog.
type boundedListener struct {
	net.Listener
	free chan struct{}
	once sync.Once
	done chan struct{}
}

// Accept waits for a free place, then for a connection.
func (l *boundedListener) Accept() (net.Conn, error) {
	select {
	case l.free <- struct{}{}:
	case <-l.done:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.free
		return nil, err
	}
	return &boundedConn{Conn: c, free: l.free}, nil
}

// Close also wakes an Accept that waits for a place.
func (l *boundedListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return l.Listener.Close()
}

type boundedConn struct {
	net.Conn
	once sync.Once
	free chan struct{}
}

// Close gives the place back, once.
func (c *boundedConn) Close() error {
	c.once.Do(func() { <-c.free })
	return c.Conn.Close()
}
