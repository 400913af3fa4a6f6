package node

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Of the look at this node's drain and at the other nodes.
const (
	// lookPause is the least time between two looks, lookInterval the most: a load
	// that changes wakes nobody.
	lookPause    = 100 * time.Millisecond
	lookInterval = 2 * time.Second
	// emptyInterval is the pause between two rounds of what empties this node.
	emptyInterval = time.Second
)

// errDrained is what the admin port says while the node is being drained: no
// balancer is to send anybody here.
var errDrained = errors.New("the node is being drained")

// serviceable says why nobody is to be sent to this node.
func (n *Node) serviceable() error {
	if err := n.health(); err != nil {
		return err
	}
	if n.drained() {
		return errDrained
	}
	return nil
}

// drained tells that operators want the node to be empty, as far as it knows. The
// cluster gives it no stream then.
func (n *Node) drained() bool { return n.group.Draining(n.group.ID()) }

// newDrain shows in the metrics whether the node is drained.
func (n *Node) newDrain(context.Context) error {
	return n.registry.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "tmms_node_drained", Help: "1 while operators want the node to be empty.",
	}, func() float64 {
		if n.drained() {
			return 1
		}
		return 0
	}))
}

// followDrain does what operators want of the node: it is emptied while it is
// drained, also from its start on, and serves as ever once it is not.
func (n *Node) followDrain(ctx context.Context) error {
	select {
	case <-n.ready:
	case <-ctx.Done():
		return nil
	}
	var emptying sync.WaitGroup
	defer emptying.Wait()
	stop := func() {}
	defer func() { stop() }()
	on := false
	for {
		placements, members := n.group.WatchPlacements(), n.backbone.gossip.Changed()
		n.places.look(n)
		if was := on; n.drained() != was {
			on = !was
			stop()
			emptying.Wait()
			stop = n.turn(ctx, &emptying, on)
		}
		if !n.await(ctx, placements, members) {
			return nil
		}
	}
}

// await returns when there may be something to look at; false: ctx has ended.
func (n *Node) await(ctx context.Context, placements, members <-chan struct{}) bool {
	select {
	case <-placements:
	case <-members:
	case <-time.After(lookInterval):
	case <-ctx.Done():
	}
	select {
	case <-time.After(lookPause):
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

// turn begins to empty the node, or to serve again; stop ends what goes on.
func (n *Node) turn(ctx context.Context, emptying *sync.WaitGroup, on bool) (stop context.CancelFunc) {
	ctx, stop = context.WithCancel(ctx)
	if on {
		n.opt.Log.Info("node is being drained")
		emptying.Go(func() { n.empty(ctx) })
	} else {
		n.opt.Log.Info("node is in service again")
	}
	if n.edge != nil {
		if err := n.edge.Divert(ctx, on); err != nil {
			n.opt.Log.Debug("players were not asked to go", slog.Any("err", err))
		}
	}
	return stop
}

// leaver is what a node with a vote can do, and one without need not.
type leaver interface {
	GiveUp(ctx context.Context) error
}

// empty gives away what others can take, again and again until ctx ends: the
// leadership may come back. Who is connected stays, unless it can reconnect.
func (n *Node) empty(ctx context.Context) {
	ticker := time.NewTicker(emptyInterval)
	defer ticker.Stop()
	for {
		if l, votes := n.group.(leaver); votes {
			if err := l.GiveUp(ctx); err != nil {
				n.opt.Log.Debug("leadership stays", slog.Any("err", err))
			}
		}
		if n.origin != nil {
			n.origin.HandOver(ctx)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// release ends the streams of viewers over HTTP, if they will be sent to another
// edge when they come again.
func (n *Node) release(ctx context.Context) error {
	if n.edge == nil || !n.drained() || n.watchAt(false) == "" {
		return nil
	}
	return n.edge.Release(ctx)
}
