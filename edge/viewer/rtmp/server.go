package rtmp

import (
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"tmms/edge/fanout"
	"tmms/edge/reactor"
	"tmms/edge/viewer"
	"tmms/media"
	wire "tmms/media/rtmp"
)

// Handover is a connection that asked to publish, with all that is known of it:
// the publisher is never asked to begin anew.
type Handover struct {
	Conn    net.Conn
	RTMP    *wire.ServerConn // its Output may hold bytes to send
	Request *wire.Request    // to be accepted or rejected
	Unread  []byte           // received, and not yet fed
}

// Config is what a Server needs.
type Config struct {
	Apps   viewer.Apps
	Gate   *viewer.Gate
	Budget *wire.Budget // of unfinished messages; nil: no bound
	// Flush overrides the apps' flush interval; 0: it doesn't.
	Flush time.Duration
	// Publish takes over a connection that wants to publish; nil refuses those.
	// It is called on a goroutine of its own.
	Publish func(Handover)
	// PublishAt names an address, HOST:PORT, to publish at for those who are
	// refused; nil or "": none is known. It is called on a loop.
	PublishAt func() string
	// PlayAt names an address, HOST:PORT, of another node that plays, for players
	// that are asked to reconnect; nil or "": where they are connected to. It is
	// called on a loop.
	PlayAt func() string
	// Near knows where clients are better off; nil: nobody does.
	Near viewer.Near
	Log  *slog.Logger
}

// playElsewhere is where players are to reconnect at.
func (c *Config) playElsewhere() string {
	if c.PlayAt == nil {
		return ""
	}
	return c.PlayAt()
}

// publishElsewhere tells a publisher where to go.
func (c *Config) publishElsewhere() string {
	if c.PublishAt != nil {
		if at := c.PublishAt(); at != "" {
			return noPublishers + ", publish to rtmp://" + at
		}
	}
	return noPublishers
}

const noPublishers = "this node takes no publishers"

// Server serves RTMP on all loops of a node.
type Server struct {
	cfg Config
	// handing counts the hand-overs under way.
	handing sync.WaitGroup
	able    atomic.Int64 // players that can be asked to reconnect
}

// NewServer returns a server; [Server.Loop] binds it to a loop.
func NewServer(cfg Config) *Server { return &Server{cfg: cfg} }

// Wait returns when no hand-over is under way; the loops must have ended.
func (s *Server) Wait() { s.handing.Wait() }

// Reconnectable is the number of players that can be asked to reconnect. It is safe
// for concurrent use.
func (s *Server) Reconnectable() int64 { return s.able.Load() }

// Loop is the server's part on one loop.
type Loop struct {
	server *Server
	loop   *reactor.Loop
	fanout *fanout.Engine
	group  *wire.ServerGroup
}

// Loop binds the server to a loop, before the reactor runs.
func (s *Server) Loop(l *reactor.Loop, engine *fanout.Engine) *Loop {
	return &Loop{
		server: s, loop: l, fanout: engine, group: wire.NewServerGroup(wire.ServerConfig{Budget: s.cfg.Budget}),
	}
}

// Open begins a connection.
func (l *Loop) Open(rc *reactor.Conn) reactor.Protocol {
	rc.SetTimer(media.HandshakeTimeout)
	return &conn{rc: rc, loop: l, opened: l.loop.Now(), rtmp: l.group.NewConn()}
}

// handOver makes the connection and passes it on, off the loop.
func (s *Server) handOver(open func() (net.Conn, error), h Handover) {
	s.handing.Go(func() {
		c, err := open()
		if err != nil {
			h.RTMP.Close()
			s.cfg.Log.Warn("publisher lost", slog.Any("err", fmt.Errorf("rtmp: hand over: %w", err)))
			return
		}
		h.Conn = c
		s.cfg.Publish(h)
	})
}
