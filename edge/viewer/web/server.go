package web

import (
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"tmms/cluster/relay"
	"tmms/edge/fanout"
	"tmms/edge/reactor"
	"tmms/edge/viewer"
	"tmms/media"
)

// Config is what a Server needs.
type Config struct {
	Hub  *relay.Hub
	Apps viewer.Apps
	Gate *viewer.Gate
	// Flush overrides the apps' flush interval; 0: it doesn't.
	Flush time.Duration
	// WatchAt names an address, HOST:PORT, of another node that serves HTTP, secure:
	// over TLS, for viewers who come while the gate diverts; nil or "": none is
	// known. It is called on loops, and on any goroutine.
	WatchAt func(secure bool) string
	// Near knows where clients are better off; nil: nobody does.
	Near viewer.Near
	Log  *slog.Logger
}

// Server serves HTTP viewers on all loops of a node.
type Server struct {
	// Set at construction.
	apps    viewer.Apps
	gate    *viewer.Gate
	flush   time.Duration
	watchAt func(secure bool) string // nil: nobody knows
	near    viewer.Near              // nil: nobody knows
	log     *slog.Logger
	assets  map[string]*asset
	streams *registry
	started time.Time
	altSvc  string   // of answers over TLS
	tallies []*tally // the handler's first, then each loop's

	hlsSent atomic.Int64 // bytes of playlists and segments
}

// NewServer returns a server; [Server.Loop] binds it to a loop.
func NewServer(cfg Config) (*Server, error) {
	assets, err := loadAssets()
	if err != nil {
		return nil, fmt.Errorf("web: embedded files: %w", err)
	}
	return &Server{
		apps: cfg.Apps, gate: cfg.Gate, flush: cfg.Flush, watchAt: cfg.WatchAt, near: cfg.Near, log: cfg.Log, assets: assets,
		streams: newRegistry(cfg.Hub), started: time.Now(), tallies: []*tally{{}},
	}, nil
}

// Advertise adds an Alt-Svc header (RFC 7838 section 3) to the answers over TLS;
// it must be called before the reactor runs.
func (s *Server) Advertise(altSvc string) { s.altSvc = altSvc }

// HLSViewers is the number of HLS sessions seen lately: addresses that asked
// for a stream's media playlist. Safe from any goroutine.
func (s *Server) HLSViewers() int { return s.streams.sessionCount() }

// HLSSent is the number of bytes of playlists and segments that were sent. Safe
// from any goroutine.
func (s *Server) HLSSent() int64 { return s.hlsSent.Load() }

// HLSInfo lists the HLS sessions at the loops' time now; at most limit. Safe
// from any goroutine.
func (s *Server) HLSInfo(now time.Duration, limit int) []viewer.Info {
	return s.streams.list(now, limit)
}

// Close gives the feeds back; the loops must have ended.
func (s *Server) Close() { s.streams.close() }

// Loop is the server's part on one loop, which owns it.
type Loop struct {
	server *Server
	loop   *reactor.Loop
	fanout *fanout.Engine
	parser *parser
	clock  clock
	out    []byte // scratch for answers
	tally  *tally

	waits  waitlist
	bodies allowance // until the next tick
	ready  []*conn   // have more to send, but their share or the loop's is used up
	spare  []*conn
	sent   int64 // bytes of bodies
	sweep  *reactor.Timer
}

// Loop binds the server to a loop, before the reactor runs.
func (s *Server) Loop(l *reactor.Loop, engine *fanout.Engine) *Loop {
	w := &Loop{server: s, loop: l, fanout: engine, parser: newParser(), bodies: newAllowance(true), tally: &tally{}}
	s.tallies = append(s.tallies, w.tally)
	w.sweep = l.NewTimer(w.onSweep)
	return w
}

// OpenSecure begins a connection over TLS.
func (l *Loop) OpenSecure(c *reactor.Conn) reactor.Protocol {
	c.SetTimer(media.IdentifyTimeout)
	return &conn{rc: c, loop: l, secure: true}
}

// Open begins a connection.
func (l *Loop) Open(c *reactor.Conn) reactor.Protocol {
	c.SetTimer(media.IdentifyTimeout)
	return &conn{rc: c, loop: l}
}

// OnTick goes on with bodies and looks after parked requests. It comes behind
// the fan-out's flush.
func (l *Loop) OnTick(now time.Duration) (busy bool) {
	l.bodies = newAllowance(l.fanout.Len() == 0)
	for end := time.Now().Add(l.bodies.time); len(l.ready) > 0 && l.more(end); {
		l.sendReady(end)
	}
	if l.waits.count > 0 {
		l.waits.look(now)
		l.wake()
	}
	return len(l.ready) > 0 || l.waits.count > 0
}

// more tells that the loop's answers may still take something. Not only sends take
// time, so they end by the clock too.
func (l *Loop) more(end time.Time) bool { return !l.bodies.over() && time.Now().Before(end) }

// sendReady gives those that have more to send a turn, in order, for as long as
// the loop's bodies may take time; those that are left come first in the next
// round, and those that have still more behind them.
func (l *Loop) sendReady(end time.Time) {
	l.ready, l.spare = l.spare[:0], l.ready
	done := 0
	for done < len(l.spare) && l.more(end) {
		c := l.spare[done]
		c.queued = false
		c.send()
		done++
	}
	rest := append(slices.Delete(l.spare, 0, done), l.ready...)
	clear(l.ready)
	l.ready, l.spare = rest, l.ready[:0]
}

// later lets c go on in the next tick.
func (l *Loop) later(c *conn) {
	if !c.queued {
		c.queued = true
		l.ready = append(l.ready, c)
		l.loop.Wake()
	}
}
