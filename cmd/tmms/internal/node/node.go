package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"tmms/cluster/admin"
	"tmms/cluster/consensus"
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
	cfg      nodeconfig.Config
	opt      Options
	registry *prometheus.Registry
	budget   *rtmp.Budget
	raft     *consensus.Node
	hub      *relay.Hub
	origin   *origin.Origin
	edge     *edge.Edge    // nil without the role
	admin    *admin.Server // nil when off
	listener net.Listener  // RTMP of a node without edge, else nil
	bound    Addresses
	ready    chan struct{} // closed when the node serves
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
		cfg: cfg, opt: opt, registry: prometheus.NewRegistry(), hub: relay.NewHub(),
		budget: rtmp.NewBudget(media.MaxPartialBytesProcess), ready: make(chan struct{}),
	}
	n.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, build := range []func(context.Context) error{n.newRaft, n.newOrigin, n.newEdge, n.newAdmin} {
		if err := build(ctx); err != nil {
			return nil, errors.Join(err, n.closePorts())
		}
	}
	return n, nil
}

func (n *Node) newRaft(context.Context) (err error) {
	n.raft, err = consensus.New(consensus.Config{DataDir: n.cfg.Node.DataDir}, consensus.Deps{
		Log: n.opt.Log, Registerer: n.registry,
	})
	return err
}

func (n *Node) newOrigin(context.Context) (err error) {
	cfg := origin.DefaultConfig()
	cfg.Ingest.MaxConns = n.cfg.Origin.Limits.Publishers
	cfg.Session.MaxStreams = n.cfg.Origin.Limits.Streams
	n.origin, err = origin.New(cfg, origin.Deps{
		Hub: n.hub, Claims: n.raft, Apps: n.raft, Budget: n.budget,
		Log: n.opt.Log, Registerer: n.registry, Now: time.Now,
	})
	return err
}

func (n *Node) newAdmin(ctx context.Context) (err error) {
	if n.cfg.Listen.Admin == "" {
		return nil
	}
	n.admin, err = admin.New(
		admin.Config{Addr: n.cfg.Listen.Admin, TokensFile: n.cfg.Admin.TokensFile},
		admin.Deps{
			Log: n.opt.Log, Level: n.opt.Level, Gatherer: n.registry, Version: n.opt.Version,
			Streams: view{n}, Viewers: view{n}, Nodes: view{n}, Configs: n.raft, Ready: n.readiness,
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

// Ready is closed once the raft group is ready and viewers and publishers are served.
func (n *Node) Ready() <-chan struct{} { return n.ready }

// Domains are the domains in force.
func (n *Node) Domains() []*state.Domain { return n.raft.Config().Domains() }

// Run works until ctx ends; it returns when everything has ended, the raft
// group last, because what ends before gives its placements back. A node runs once.
func (n *Node) Run(ctx context.Context) error {
	raft, stopRaft := context.WithCancel(context.WithoutCancel(ctx))
	defer stopRaft()
	serving, stop := context.WithCancel(ctx)
	defer stop()
	raftEnded := make(chan error, 1)
	go func() {
		err := n.raft.Run(raft)
		stop() // nothing can be claimed any more
		raftEnded <- err
	}()
	err := Supervise(serving, n.parts()...)
	stopRaft()
	return errors.Join(err, <-raftEnded)
}

func (n *Node) parts() []Part {
	parts := []Part{{"origin", n.origin.Run}, {"start", n.startThenServe}}
	if n.admin != nil {
		parts = append(parts, Part{"admin", n.admin.Run})
	}
	return parts
}

// startThenServe lets viewers and publishers in once the node knows the config.
// Until then they wait in the backlogs of the ports.
func (n *Node) startThenServe(ctx context.Context) error {
	if err := n.start(ctx); err != nil {
		return errors.Join(err, n.closePorts())
	}
	left := leftovers(n.raft)
	parts := append(n.serving(), Part{"sweep", func(ctx context.Context) error {
		return sweep(ctx, n.raft, left, n.opt.Log)
	}})
	n.opt.Log.Info("node is ready", slog.String("node", n.cfg.Node.Name), slog.Any("addresses", n.advertised()))
	close(n.ready)
	return Supervise(ctx, parts...)
}
