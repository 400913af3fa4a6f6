package node

import (
	"context"
	"log/slog"
	"math"
	"net"
	"time"

	"tmms/cmd/tmms/internal/nodeconfig"
	"tmms/edge"
	"tmms/origin"
)

// viewersTimeout bounds the wait for the loops' answers.
const viewersTimeout = time.Second

// newEdge opens the ports of viewers and publishers; without the edge role
// there are only publishers.
func (n *Node) newEdge(ctx context.Context) (err error) {
	if !n.cfg.Node.Has(nodeconfig.RoleEdge) {
		return n.listenForPublishers(ctx)
	}
	cfg := edge.DefaultConfig()
	cfg.RTMP, cfg.HTTP, cfg.Flush = n.cfg.Listen.RTMP, n.cfg.Listen.HTTP, n.cfg.Edge.Flush
	cfg.Engine, cfg.Limits = n.cfg.Edge.Engine, edge.Limits(n.cfg.Edge.Limits)
	if n.cfg.Edge.Loops > 0 {
		cfg.Loops = n.cfg.Edge.Loops
	}
	n.edge, err = edge.New(cfg, edge.Deps{
		Hub: n.hub, Apps: n.group, Budget: n.budget, Log: n.opt.Log, Registerer: n.registry,
		Publish:   n.publish(),
		PublishAt: func() string { return n.addressOf(nodeconfig.RoleOrigin, "rtmp") },
	})
	if err != nil {
		return err
	}
	addrs := n.edge.Addrs()
	n.bound.RTMP, n.bound.HTTP = addrs.RTMP, addrs.HTTP
	return nil
}

// publish gives publishers to the origin; nil without one.
func (n *Node) publish() func(edge.Handover) {
	if n.origin == nil {
		return nil
	}
	return func(h edge.Handover) { n.origin.Accept(origin.Handover(h)) }
}

func (n *Node) listenForPublishers(ctx context.Context) error {
	if n.cfg.Listen.RTMP == "" {
		return nil
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", n.cfg.Listen.RTMP)
	if err != nil {
		return err
	}
	n.listener, n.bound.RTMP = ln, ln.Addr()
	return nil
}

// serving are the parts that let publishers and viewers in.
func (n *Node) serving() []Part {
	switch {
	case n.edge != nil:
		return []Part{{"edge", n.edge.Run}}
	case n.listener != nil:
		return []Part{{"rtmp", func(ctx context.Context) error { return n.origin.Serve(ctx, n.listener) }}}
	}
	return nil
}

// viewers lists all viewers of this node; none before it serves.
func (n *Node) viewers() []edge.Info {
	if n.edge == nil || n.readiness() != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), viewersTimeout)
	defer cancel()
	list, err := n.edge.Viewers(ctx, math.MaxInt)
	if err != nil {
		n.opt.Log.Warn("viewers were not listed", slog.Any("err", err))
	}
	return list
}
