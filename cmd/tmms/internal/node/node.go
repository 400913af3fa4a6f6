package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"tmms/cluster/admin"
	"tmms/cluster/certs"
	"tmms/cluster/relay"
	"tmms/cluster/state"
	"tmms/cmd/tmms/internal/nodeconfig"
	"tmms/edge"
	"tmms/media"
	"tmms/media/rtmp"
	"tmms/origin"
)

// Options are what a node gets beside its configuration.
type Options struct {
	Log     *slog.Logger
	Level   *slog.LevelVar // of Log
	Version string
	// FirstConfig is put in force if the cluster never had a config; nil: none.
	FirstConfig *state.Document
}

// Node is one node with all its parts.
type Node struct {
	// Set at construction.
	cfg        nodeconfig.Config
	opt        Options
	registry   *prometheus.Registry
	budget     *rtmp.Budget
	group      group
	backbone   *backbone
	operations *operations
	hub        *relay.Hub
	local      *admin.Local
	origin     *origin.Origin // nil without the role
	sockets    sockets        // of the origin
	edge       *edge.Edge     // nil without the role
	admin      *admin.Server  // nil when off
	delay      *delay
	listeners  []net.Listener // RTMP and RTMPS of a node without edge, else none
	certs      *certs.Store   // of viewers and publishers; nil without a TLS port
	bound      Addresses
	places     places
	nearest    nearest
	told       atomic.Uint32 // the load that other nodes were told last, 0 to 255
	ready      chan struct{} // closed when the node serves
}

// errOS refuses other systems than Linux, whose epoll the edge is built on.
var errOS = errors.New("tmms serves on Linux only")

// New makes the parts of a node, its data folder too, and opens its ports, so
// that what can't be had is known before anything runs. Run frees it all.
func New(ctx context.Context, cfg nodeconfig.Config, opt Options) (*Node, error) {
	if runtime.GOOS != "linux" {
		return nil, fmt.Errorf("%w, this is %s; a container or a virtual machine will do", errOS, runtime.GOOS)
	}
	n := &Node{
		cfg: cfg, opt: opt, registry: prometheus.NewRegistry(), hub: relay.NewHub(), backbone: &backbone{},
		budget: rtmp.NewBudget(media.MaxPartialBytesProcess), ready: make(chan struct{}),
	}
	n.nearest.node = n
	n.delay = newDelay()
	n.registry.MustRegister(n.delay.seconds,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	n.local = admin.NewLocal(view{n}, view{n}, view{n}, view{n})
	for _, build := range []func(context.Context) error{
		n.loadCerts, n.newGroup, n.newOrigin, n.newEdge, n.newAdmin, n.newGossip, n.newOperations, n.newDrain, n.newFacts,
	} {
		if err := build(ctx); err != nil {
			return nil, errors.Join(err, n.closePorts())
		}
	}
	return n, nil
}

func (n *Node) newOrigin(context.Context) (err error) {
	if !n.cfg.Node.Has(nodeconfig.RoleOrigin) {
		return nil
	}
	cfg := origin.DefaultConfig()
	cfg.Ingest.MaxConns = n.cfg.Origin.Limits.Publishers
	cfg.Session.MaxStreams = n.cfg.Origin.Limits.Streams
	deps := origin.Deps{
		Hub: n.hub, Claims: n.group, Apps: n.group, Budget: n.budget,
		Log: n.opt.Log, Registerer: n.registry, Now: time.Now,
	}
	n.originDeps(&deps)
	if n.sockets, err = newSockets(n.opt.Log); err != nil {
		return err
	}
	deps.Sockets = n.sockets
	if n.origin, err = origin.New(cfg, deps); err != nil {
		return err
	}
	n.backbone.relay.OnPush(n.origin.AcceptPush)
	return nil
}

func (n *Node) newAdmin(ctx context.Context) (err error) {
	if n.cfg.Listen.Admin == "" {
		return nil
	}
	n.admin, err = admin.New(
		admin.Config{Addr: n.cfg.Listen.Admin, TokensFile: n.cfg.Admin.TokensFile},
		admin.Deps{
			Log: n.opt.Log, Level: n.opt.Level, Gatherer: n.registry, Version: n.opt.Version,
			Streams: view{n}, Viewers: view{n}, Why: view{n}, Nodes: view{n},
			Configs: n.group, Placements: n.group, Drains: drains{n}, Ready: n.serviceable,
			Peers: n.peers(), Group: n.operator(), Keys: n.operator(), Tokens: n.operator(), Revocations: n.group,
		})
	if err != nil {
		return err
	}
	n.bound.Admin, err = n.admin.Listen(ctx)
	return err
}

// errStarting is what the admin port says while the node does not serve yet.
var errStarting = errors.New("the node is starting")

func (n *Node) readiness() error {
	select {
	case <-n.ready:
		return nil
	default:
		return errStarting
	}
}

// health is what the admin port says of the node: readiness, and what ails a
// voter meanwhile; its streams go on.
func (n *Node) health() error {
	if v, votes := n.group.(interface{ Trouble() error }); votes && v.Trouble() != nil {
		return v.Trouble()
	}
	return n.readiness()
}

// Ready is closed once the raft group is ready and viewers and publishers are served.
func (n *Node) Ready() <-chan struct{} { return n.ready }

// Domains are the domains in force.
func (n *Node) Domains() []*state.Domain { return n.group.Config().Domains() }

// Run works until ctx ends; it returns when everything has ended. Peers that can
// reconnect are asked to first, and have [media.ReconnectTimeout] for it; without
// such it does not wait. Then ends what serves, then the part in the cluster's state, because what ends before gives
// its placements back, and the ways to the other nodes last. A node runs once.
func (n *Node) Run(ctx context.Context) error {
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	drained := n.drainThen(ctx, serving, stop)
	endFabric := n.background(ctx, stop, n.fabricParts()...)
	endGroup := n.background(ctx, stop, append(n.socketParts(), Part{"state", n.group.Run})...)
	err := Supervise(serving, n.parts()...)
	stop() // a part has failed, maybe: nothing is left to be drained
	drained()
	n.farewell(ctx)
	return errors.Join(err, endGroup(), endFabric())
}

// background runs parts that outlive the end of ctx until end is called, which
// waits for them; should one end before, nothing can be served any more.
func (n *Node) background(ctx context.Context, stop func(), parts ...Part) (end func() error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() {
		err := error(nil)
		if len(parts) > 0 {
			err = Supervise(ctx, parts...)
			stop()
		}
		ended <- err
	}()
	return func() error {
		cancel()
		return <-ended
	}
}

// socketParts read for the publishers, which the origin closes when it ends.
func (n *Node) socketParts() []Part {
	if n.origin == nil {
		return nil
	}
	return []Part{{"sockets", n.sockets.reactor.Run}}
}

func (n *Node) fabricParts() []Part {
	return []Part{
		{"fabric", n.backbone.fabric.Run},
		{"sessions", n.keepOrigins},
		{"certificate", n.followIdentity},
		{"renewal", n.renewIdentity},
		{"revocations", n.followRevocations},
	}
}

// identityInterval is how often the certificate's files are looked at.
const identityInterval = 10 * time.Second

// followIdentity takes new certificate files without a restart.
func (n *Node) followIdentity(ctx context.Context) error {
	n.backbone.identity.Follow(ctx, identityInterval, func(err error) {
		if err != nil {
			n.opt.Log.Error("certificate was not reloaded", slog.Any("err", err))
			return
		}
		n.backbone.fabric.Recheck()
		n.opt.Log.Info("certificate was reloaded", slog.Time("not_after", n.backbone.identity.NotAfter()))
	})
	<-ctx.Done()
	return nil
}

func (n *Node) parts() []Part {
	parts := []Part{{"start", n.startThenServe}, {"delay", n.delay.run}}
	if n.origin != nil {
		parts = append(parts, Part{"origin", n.origin.Run}, Part{"apps", n.followApps})
	}
	if n.admin != nil {
		parts = append(parts, Part{"admin", n.admin.Run})
	}
	if n.certs != nil {
		parts = append(parts, Part{"certificates", n.followCerts})
	}
	parts = append(parts, Part{"gossip", n.backbone.gossip.Run}, Part{"load", n.tellLoad}, Part{"drain", n.followDrain},
		Part{"nearest", n.followNearest})
	parts = append(parts, n.operationParts()...)
	parts = append(parts, Part{"relay", n.backbone.puller.Run})
	if n.backbone.keeper != nil {
		parts = append(parts, Part{"standby", n.keepStandbys})
	}
	return parts
}

// startThenServe lets viewers and publishers in once the node knows the config.
// Until then they wait in the backlogs of the ports.
func (n *Node) startThenServe(ctx context.Context) error {
	if err := n.start(ctx); err != nil {
		return errors.Join(err, n.closePorts())
	}
	n.opt.Log.Info("node is ready", slog.String("node", n.cfg.Node.Name), slog.Any("addresses", n.advertised()))
	close(n.ready)
	return Supervise(ctx, n.serving()...)
}
