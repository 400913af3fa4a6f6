package edge

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tmms/cluster/relay"
	"tmms/edge/fanout"
	"tmms/edge/reactor"
	"tmms/edge/secure"
	"tmms/edge/viewer"
	"tmms/edge/viewer/rtmp"
	"tmms/edge/viewer/web"
	"tmms/media"
	wire "tmms/media/rtmp"
)

// Handover is a connection that asked to publish.
type Handover = rtmp.Handover

// What an edge asks of the cluster, see [viewer.Near].
type (
	// Near knows the nodes that clients may be sent to.
	Near = viewer.Near
	// NearQuery is what a client asks for.
	NearQuery = viewer.NearQuery
	// NearAnswer is where a client is, and where it is to go.
	NearAnswer = viewer.NearAnswer
	// NearNode is a node that clients may be sent to.
	NearNode = viewer.NearNode
	// Visitor is a viewer who comes.
	Visitor = viewer.Visitor
)

// Info describes one viewer.
type Info = viewer.Info

// Deps is what an edge works with.
type Deps struct {
	Hub  *relay.Hub  // the node's streams
	Apps viewer.Apps // domains and apps
	// Publish takes connections that want to publish, on any goroutine; nil
	// refuses them.
	Publish func(Handover)
	// PublishAt names an address, HOST:PORT, of a node that takes publishers, for
	// those who are refused; nil or "": none is known. It must not block.
	PublishAt func() string
	// PlayAt names an address, HOST:PORT, of another node that plays RTMP, for
	// players that Divert and Drain ask to reconnect; nil or "": where they are
	// connected to, Divert asks nobody. It must not block.
	PlayAt func() string
	// WatchAt is PlayAt for HTTP, secure: over TLS, for viewers who come while Divert
	// says so. It must not block.
	WatchAt func(secure bool) string
	// Near knows the nodes that clients may be sent to; nil: there are none.
	Near viewer.Near
	// TLS has the certificates and versions of RTMPS and HTTPS; needed for them.
	TLS *tls.Config
	// Budget bounds the unfinished RTMP messages of the process; nil: one of
	// media.MaxPartialBytesProcess for this edge.
	Budget     *wire.Budget
	Log        *slog.Logger          // nil: no logs
	Registerer prometheus.Registerer // nil: no metrics
}

// Edge is the edge role of a node.
type Edge struct {
	// Set at construction.
	reactor *reactor.Reactor
	gate    *viewer.Gate
	rtmp    *rtmp.Server
	web     *web.Server
	secure  *secure.Server   // nil without TLS
	https   *secureWeb       // nil without HTTPS
	engines []*fanout.Engine // by loop
	started time.Time
	addrs   Addrs
}

// Addrs are the addresses that an edge listens at; nil where it doesn't.
type Addrs struct {
	RTMP, RTMPS, HTTP, HTTPS net.Addr
	HTTP3                    net.Addr // UDP, the port of HTTPS
}

// errNoTLS refuses listeners that have no certificate.
var errNoTLS = errors.New("edge: listen.rtmps and listen.https need a TLS configuration")

// New validates the config and opens the listeners; nothing is served before
// Run. An edge that is not run must be closed.
func New(cfg Config, deps Deps) (*Edge, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("edge: %w", err)
	}
	if deps.TLS == nil && (cfg.RTMPS != "" || cfg.HTTPS != "") {
		return nil, errNoTLS
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	if deps.Budget == nil {
		deps.Budget = wire.NewBudget(media.MaxPartialBytesProcess)
	}
	rc := reactor.DefaultConfig()
	rc.Loops, rc.Engine, rc.MaxPerIP, rc.Log = cfg.Loops, reactor.Engine(cfg.Engine), cfg.Limits.ConnsPerIP, deps.Log
	r, err := reactor.New(rc)
	if err != nil {
		return nil, fmt.Errorf("edge: %w", err)
	}
	e := &Edge{reactor: r, gate: viewer.NewGate(cfg.Limits.Viewers), started: time.Now()}
	if err = e.build(cfg, deps); err != nil {
		return nil, errors.Join(fmt.Errorf("edge: %w", err), e.Close())
	}
	return e, nil
}

// build wires the protocols to the loops and opens the listeners.
func (e *Edge) build(cfg Config, deps Deps) (err error) {
	e.rtmp = rtmp.NewServer(rtmp.Config{
		Apps: deps.Apps, Gate: e.gate, Budget: deps.Budget, Flush: cfg.Flush, Publish: deps.Publish,
		PublishAt: deps.PublishAt, PlayAt: deps.PlayAt, Near: deps.Near, Log: deps.Log,
	})
	e.web, err = web.NewServer(web.Config{
		Hub: deps.Hub, Apps: deps.Apps, Gate: e.gate, Flush: cfg.Flush, WatchAt: deps.WatchAt,
		Near: deps.Near, Log: deps.Log,
	})
	if err != nil {
		return err
	}
	if deps.TLS != nil {
		e.secure = secure.New(secure.Config{TLS: deps.TLS, Gate: e.gate, Log: deps.Log})
	}
	m := newMetrics(e)
	var rtmpLoops []*rtmp.Loop
	var webLoops []*web.Loop
	for _, l := range e.reactor.Loops() {
		engine := fanout.New(fanout.Config{Hub: deps.Hub, Submit: l.Submit, Busy: l.Busy, OnFlush: m.observeFlush})
		e.engines = append(e.engines, engine)
		rtmpLoops = append(rtmpLoops, e.rtmp.Loop(l, engine))
		w := e.web.Loop(l, engine)
		webLoops = append(webLoops, w)
		l.OnTick(engine.OnTick)
		l.OnTick(w.OnTick)
	}
	err = e.listenAll(cfg, func(c *reactor.Conn) reactor.Protocol {
		return rtmpLoops[c.Loop().Index()].Open(c)
	}, webLoops)
	if err != nil {
		return err
	}
	if cfg.HTTPS != "" {
		e.https, err = openSecureWeb(e.addrs.HTTPS.String(), e.web.Handler(webLoops), deps.TLS, deps.Log)
		if err != nil {
			return err
		}
		e.addrs.HTTP3 = e.https.addr
		e.web.Advertise(e.https.server.AltSvc())
	}
	if deps.Registerer == nil {
		return nil
	}
	return deps.Registerer.Register(m)
}

// open begins a connection.
type open = func(*reactor.Conn) reactor.Protocol

// listenAll opens every listener of the config.
func (e *Edge) listenAll(cfg Config, rtmpOpen open, webLoops []*web.Loop) (err error) {
	webOpen := func(c *reactor.Conn) reactor.Protocol { return webLoops[c.Loop().Index()].Open(c) }
	if e.addrs.RTMP, err = e.listen(cfg.RTMP, rtmpOpen); err != nil {
		return err
	}
	if e.addrs.HTTP, err = e.listen(cfg.HTTP, webOpen); err != nil || e.secure == nil {
		return err
	}
	if e.addrs.RTMPS, err = e.listen(cfg.RTMPS, e.secure.Listener(secure.Route{Open: rtmpOpen})); err != nil {
		return err
	}
	https := secure.Route{
		Open:   func(c *reactor.Conn) reactor.Protocol { return webLoops[c.Loop().Index()].OpenSecure(c) },
		Protos: []string{"http/1.1"},
		Moved:  map[string]func(*tls.Conn){"h2": func(c *tls.Conn) { e.https.server.ServeConn(c) }},
	}
	e.addrs.HTTPS, err = e.listen(cfg.HTTPS, e.secure.Listener(https))
	return err
}

func (e *Edge) listen(addr string, begin open) (net.Addr, error) {
	if addr == "" {
		return nil, nil //nolint:nilnil // no address is asked for, so none is bound: no fault
	}
	return e.reactor.Listen(addr, begin)
}

// Addrs are the addresses that are listened at.
func (e *Edge) Addrs() Addrs { return e.addrs }

// Run serves until ctx ends, and returns when every goroutine and connection of
// the edge has ended.
func (e *Edge) Run(ctx context.Context) error {
	err := e.serve(ctx)
	if e.secure != nil {
		e.secure.Close()
	}
	e.rtmp.Wait()
	e.web.Close()
	if err != nil {
		return fmt.Errorf("edge: %w", err)
	}
	return nil
}

// serve runs the loops, and what needs them for less long.
func (e *Edge) serve(ctx context.Context) error {
	if e.https == nil {
		return e.reactor.Run(ctx)
	}
	loops, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(nil)
	ended := make(chan error, 1)
	failed, fail := context.WithCancel(ctx)
	go func() {
		ended <- e.reactor.Run(loops)
		fail() // the loops went first
	}()
	err := e.https.run(failed)
	cause := context.Cause(ctx)
	if cause == nil {
		cause = err
	}
	stop(cause)
	return errors.Join(err, <-ended)
}

// Close frees an edge that was never run.
func (e *Edge) Close() error {
	var err error
	if e.https != nil {
		err = e.https.close()
	}
	if e.web != nil {
		e.web.Close()
	}
	return errors.Join(err, e.reactor.Close())
}

// Viewers lists the viewers of the node, at most limit of each loop and of HLS.
// It waits for the loops' answers, or for ctx.
func (e *Edge) Viewers(ctx context.Context, limit int) ([]Info, error) {
	loops := e.reactor.Loops()
	answers := make(chan []Info, len(loops))
	asked := 0
	for i, l := range loops {
		if l.Post(func() { answers <- listViewers(e.engines[i], l.Now(), limit) }) {
			asked++
		}
	}
	all := e.web.HLSInfo(time.Since(e.started), limit)
	for range asked {
		select {
		case infos := <-answers:
			all = append(all, infos...)
		case <-ctx.Done():
			return nil, fmt.Errorf("edge: list viewers: %w", context.Cause(ctx))
		}
	}
	return all, nil
}

// Busy is the share of time that the loops work, over the last seconds, 0 to 1, the
// mean of all; or, if that is more, the share of the viewers that may be here.
func (e *Edge) Busy() float64 {
	loops, sum := e.reactor.Loops(), 0.0
	for _, l := range loops {
		sum += l.Stats().BusyRatio
	}
	return max(sum/float64(max(len(loops), 1)), e.gate.Filled())
}

// listViewers runs on the engine's loop.
func listViewers(e *fanout.Engine, now time.Duration, limit int) []Info {
	infos := make([]Info, 0, min(limit, e.Len()))
	e.Each(func(v *fanout.Viewer) bool {
		c, ok := v.Conn().(interface{ Remote() netip.AddrPort })
		if !ok || len(infos) >= limit {
			return !ok
		}
		state := "waiting"
		if v.Joined() {
			state = "playing"
		}
		infos = append(infos, Info{
			Key: v.Key(), Proto: v.Format().String(), Remote: c.Remote(), Since: now - v.Since(), Sent: v.Sent(),
			Lag: v.Lag(), State: state,
		})
		return len(infos) < limit
	})
	return infos
}
