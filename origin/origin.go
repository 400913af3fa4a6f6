package origin

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tmms/cluster/relay"
	"tmms/cluster/state"
	"tmms/media"
	"tmms/media/rtmp"
	"tmms/origin/ingest"
	"tmms/origin/session"
)

// Elsewhere is an origin that is to have a stream in place of this one.
type Elsewhere = ingest.Elsewhere

// Handover is a connection that asked to publish, as an edge's loop gives it away.
type Handover = ingest.Handover

// Deps are what an origin works with; all fields are needed but Registerer and
// those of a cluster of several nodes.
type Deps struct {
	Hub        *relay.Hub
	Claims     session.Claimer
	Apps       ingest.Apps
	Budget     *rtmp.Budget // shared with the other RTMP connections of the process
	Log        *slog.Logger
	Registerer prometheus.Registerer // nil: no metrics
	Now        func() time.Time

	// Of a cluster.
	Placements session.Placements // nil: nobody else claims the streams of this node
	Node       string             // this node's id, with Placements
	// Started is closed once the cluster knows that no stream is this node's of an
	// earlier process; nil: so it is.
	Started <-chan struct{}
	Forward ingest.Forwarder // nil: a stream that another node owns is refused
	Sockets ingest.Sockets   // nil: a goroutine reads for each publisher; it must outlive Run
	// PlayAt names an address, HOST:PORT, of a node that plays, for players that
	// come here; nil or "": none is known.
	PlayAt func() string
	// WatchAt is PlayAt for HTTP.
	WatchAt func() string
	// PublishAt names an address, HOST:PORT, of another node that takes publishers,
	// for those that Drain asks to reconnect; nil or "": where they are connected to.
	PublishAt func() string
	// Yield names an origin that is to have a stream in place of this node; see
	// [ingest.Deps].
	Yield func(key media.StreamKey, failed []string) (Elsewhere, bool)
	// Nearer names an origin where a publisher is better off; see [ingest.Deps].
	Nearer func(from netip.Addr) string
}

// errDeps refuses Deps with holes.
var errDeps = errors.New("origin: Hub, Claims, Apps, Budget, Log and Now are needed")

// Origin takes publishers and owns their streams. It is safe for concurrent use.
type Origin struct {
	// Set at construction.
	cfg      Config
	apps     ingest.Apps
	sessions *session.Registry
	server   *ingest.Server
	pushes   *pushes
}

// New returns an origin without publishers.
func New(cfg Config, deps Deps) (*Origin, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if deps.Hub == nil || deps.Claims == nil || deps.Apps == nil || deps.Budget == nil ||
		deps.Log == nil || deps.Now == nil {
		return nil, errDeps
	}
	sessions, err := session.New(cfg.Session, session.Deps{
		Hub: deps.Hub, Claims: deps.Claims, Placements: deps.Placements, Log: deps.Log, Now: deps.Now,
		Node: deps.Node, Started: deps.Started, App: func(key media.StreamKey) (*state.App, error) {
			return findApp(deps.Apps, key)
		},
	})
	if err != nil {
		return nil, err
	}
	server, err := ingest.New(cfg.Ingest, ingest.Deps{
		Sessions: sessions, Apps: deps.Apps, Forward: deps.Forward, Placements: deps.Placements, Node: deps.Node,
		Sockets: deps.Sockets, Budget: deps.Budget, PlayAt: deps.PlayAt, WatchAt: deps.WatchAt,
		PublishAt: deps.PublishAt, Yield: deps.Yield, Nearer: deps.Nearer,
		Log: deps.Log, Now: deps.Now,
	})
	if err != nil {
		return nil, err
	}
	o := &Origin{cfg: cfg, apps: deps.Apps, sessions: sessions, server: server, pushes: newPushes()}
	if deps.Registerer != nil {
		if err := o.register(deps.Registerer); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// Run watches over the streams' placements until ctx ends, then ends every
// publisher and every stream; in a cluster the streams lose their owner before
// their publishers are closed, and go on where those come back. When it
// returns, all goroutines of the origin have ended, all placements have been
// given back (or not, which is logged), and Accept refuses.
func (o *Origin) Run(ctx context.Context) error {
	o.sessions.Watch(ctx)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), o.cfg.StopTimeout)
	defer cancel()
	o.sessions.Leave(ctx)
	o.pushes.close(ingest.ErrClosed)
	o.server.Close(ingest.ErrClosed)
	o.sessions.Close(ctx)
	return nil
}

// Accept takes over a connection that asked to publish. It never blocks; when
// there are too many, the connection is closed. It may be called from any
// goroutine, before, during and after Run.
func (o *Origin) Accept(h Handover) { o.server.Accept(h) }

// Serve accepts publisher connections from ln, which it closes, until ctx is
// done, Drain or Run ends; then it returns nil. For nodes without an edge.
func (o *Origin) Serve(ctx context.Context, ln net.Listener) error { return o.server.Serve(ctx, ln) }

// Drain stops to accept and empties the node of publishers. In a cluster the
// streams lose their owner first, and go on where their publishers come to. Those
// that can reconnect are asked to, and have media.ReconnectTimeout for it; others,
// and forwarded ones, are closed. What is left of streams goes to the grace. It
// returns when the publishers are gone, or with ctx's error.
func (o *Origin) Drain(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		o.sessions.Leave(ctx)
		o.server.Drain(ctx)
		o.pushes.close(ingest.ErrDraining)
		o.server.Close(ingest.ErrDraining)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// HandOver gives each stream that has a standby in sync to that. Publishers go on:
// what they send is relayed to the new owner, from the next keyframe on, for which the
// stream waits [media.HandOverWait], or they are asked to reconnect where that fails.
// left is the number of streams that stay.
func (o *Origin) HandOver(ctx context.Context) (left int) { return o.sessions.HandOver(ctx) }

// GiveAway is HandOver of one stream, if it is this node's in that epoch. The error
// wraps [session.ErrKept] if the stream stays.
func (o *Origin) GiveAway(ctx context.Context, key media.StreamKey, epoch uint64) error {
	return o.sessions.GiveAway(ctx, key, epoch)
}

// Reconnectable is the number of publishers that Drain would ask to reconnect, and
// so wait for.
func (o *Origin) Reconnectable() int64 { return o.server.Reconnectable() }

// Streams lists what is published on this node, by key.
func (o *Origin) Streams() []session.Info { return o.sessions.Streams() }

// Stream describes one stream; ok = false if it is not published here.
func (o *Origin) Stream(key media.StreamKey) (info session.Info, ok bool) {
	return o.sessions.Stream(key)
}
