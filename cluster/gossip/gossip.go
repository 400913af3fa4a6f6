package gossip

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"

	"tmms/cluster/placement"
	"tmms/media"
)

// Gossip is a node's membership of the cluster. All its methods may be called
// from any goroutine, before, during and after Run.
type Gossip struct {
	// Set at construction.
	cfg       Config
	log       *slog.Logger
	settings  *memberlist.Config
	pace      pace
	transport *transport
	keys      *keys
	roster    *roster
	urgent    chan struct{} // a look for lost members is due
	loaded    chan struct{} // the load has changed

	self      Meta          // but for the load
	load      atomic.Uint32 // 0..255
	leaving   atomic.Bool
	contested atomic.Bool // this node's name was met at another address
	started   atomic.Bool

	list    atomic.Pointer[memberlist.Memberlist] // nil before Run
	cluster atomic.Pointer[string]                // nil or the tag of the cluster

	hereMu sync.Mutex
	here   placement.Coordinate // guarded by hereMu

	conflictMu sync.Mutex
	conflicts  map[conflict]bool // guarded by conflictMu; those that were logged
}

// New checks what it is given and opens the ports, so that Addr is known and
// can be told in what others are told. Run frees them; Close does if it never runs.
func New(cfg Config, self Meta, deps Deps) (*Gossip, error) {
	self.Version = self.Version[:min(len(self.Version), media.MaxNodeVersion)]
	if err := errors.Join(cfg.validate(deps), self.validate()); err != nil {
		return nil, err
	}
	g := &Gossip{
		cfg: cfg, log: deps.Log, roster: newRoster(), self: self,
		urgent: make(chan struct{}, 1), loaded: make(chan struct{}, 1), conflicts: make(map[conflict]bool),
		here: placement.Origo(),
	}
	g.load.Store(uint32(self.Load))
	g.settings, g.pace = cfg.Preset.settings()
	var err error
	if g.keys, err = newKeys(cfg.Keys); err != nil {
		return nil, err
	}
	if g.transport, err = newTransport(cfg.Listen); err != nil {
		return nil, err
	}
	if deps.Registerer != nil {
		if err := deps.Registerer.Register(newCollector(g)); err != nil {
			return nil, errors.Join(fmt.Errorf("gossip: register metrics: %w", err), g.Close())
		}
	}
	return g, nil
}

// Addr is what was bound, for UDP and TCP.
func (g *Gossip) Addr() netip.AddrPort { return g.transport.bound() }

// Close frees the ports of a Gossip that will not run.
func (g *Gossip) Close() error { return g.transport.Shutdown() }

// Members lists the nodes of the cluster, this one included once Run has begun,
// and those that are gone since less than a day; ordered by name.
func (g *Gossip) Members() []Member { return g.roster.list(time.Now()) }

// Changed gives a channel that is closed at the next change of the members: take
// it before reading them.
func (g *Gossip) Changed() <-chan struct{} { return g.roster.watch() }

// SetLoad says how busy this node is, 0 to 255. Others hear of it within seconds,
// however often it is called.
func (g *Gossip) SetLoad(load uint8) {
	if g.load.Swap(uint32(load)) != uint32(load) {
		g.update()
	}
}

// update has what this node says of itself told again soon.
func (g *Gossip) update() {
	select {
	case g.loaded <- struct{}{}:
	default:
	}
}

// encoded is this node's Meta as it is now.
func (g *Gossip) encoded() []byte {
	m := g.self
	m.Load = uint8(g.load.Load())
	m.Cluster = g.tag()
	var flags byte
	if g.leaving.Load() {
		flags |= flagLeaving
	}
	return appendMeta(make([]byte, 0, maxMeta), &m, flags)
}

var errRan = errors.New("gossip: Run was called before")

// Run takes part in the gossip until ctx ends: it joins, and looks for members
// that were lost as long as it runs. It says farewell in a bounded time and
// returns nil. What it cannot reach is no reason to return. It runs once.
func (g *Gossip) Run(ctx context.Context) error {
	if g.started.Swap(true) {
		return errRan
	}
	advertise, err := g.advertised(ctx)
	if err != nil {
		if ctx.Err() != nil {
			err = nil
		}
		return errors.Join(err, g.Close())
	}
	// Not ctx: the farewell needs the network after its end.
	dials, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	g.transport.start(dials, advertise)
	list, err := memberlist.Create(g.memberlistConfig())
	if err != nil {
		return errors.Join(fmt.Errorf("gossip: %w", err), g.Close())
	}
	g.list.Store(list)
	g.log.Info("gossip has started", slog.String("node", g.self.Name), slog.String("addr", advertise.String()))
	j := newJoiner(g, list, advertise)
	var joining sync.WaitGroup
	joining.Go(func() { j.run(ctx) })
	g.tellLoad(ctx, list)
	g.farewell(list)
	stop()
	err = list.Shutdown() // closes the connections that a join may wait on
	joining.Wait()
	if err != nil {
		return fmt.Errorf("gossip: %w", err)
	}
	return nil
}

func (g *Gossip) memberlistConfig() *memberlist.Config {
	c, e := g.settings, events{g}
	c.Name = g.self.Name
	c.Transport = g.transport
	c.Keyring = g.keys.ring
	c.Delegate, c.Events, c.Alive, c.Conflict, c.Ping, c.Merge = e, e, e, e, e, e
	c.TCPTimeout = g.pace.dialTimeout
	c.LogOutput = newBridge(g.log, func(name string) { g.roster.doubt(name, StateSuspect, time.Now()) })
	return c
}

// noWait is the least that memberlist waits for.
const noWait = time.Nanosecond

// tellLoad spreads the load, at most once in a while, until ctx ends.
func (g *Gossip) tellLoad(ctx context.Context, list *memberlist.Memberlist) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.loaded:
		}
		_ = list.UpdateNode(noWait) // it goes out with the next gossip; that is not waited for
		select {
		case <-ctx.Done():
			return
		case <-time.After(g.pace.load):
		}
	}
}

// farewell tells the others that this node is leaving, then that it has left:
// memberlist does not tell them whether a node died or left.
func (g *Gossip) farewell(list *memberlist.Memberlist) {
	g.leaving.Store(true)
	err := errors.Join(list.UpdateNode(g.pace.leave), list.Leave(g.pace.leave))
	if err != nil {
		g.log.Debug("farewell was not heard by all", slog.Any("err", err))
	}
}
