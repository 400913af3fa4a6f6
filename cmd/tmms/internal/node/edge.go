package node

import (
	"context"
	"log/slog"
	"math"
	"net"
	"time"

	"tmms/cluster/certs"
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
	listen := n.cfg.Listen
	cfg.RTMP, cfg.RTMPS, cfg.HTTP, cfg.HTTPS = listen.RTMP, listen.RTMPS, listen.HTTP, listen.HTTPS
	cfg.Flush = n.cfg.Edge.Flush
	cfg.Engine, cfg.Limits = n.cfg.Edge.Engine, edge.Limits(n.cfg.Edge.Limits)
	if n.cfg.Edge.Loops > 0 {
		cfg.Loops = n.cfg.Edge.Loops
	}
	deps := edge.Deps{
		Hub: n.hub, Apps: n.group, Budget: n.budget, Log: n.opt.Log, Registerer: n.registry,
		Publish:   n.publish(),
		PublishAt: func() string { return n.addressOf(nodeconfig.RoleOrigin, "rtmp") },
		PlayAt:    func() string { return n.addressOf(nodeconfig.RoleEdge, "rtmp") },
		WatchAt:   n.watchAt,
		Near:      &n.nearest,
	}
	if n.certs != nil {
		deps.TLS = n.certs.TLS()
	}
	if n.edge, err = edge.New(cfg, deps); err != nil {
		return err
	}
	addrs := n.edge.Addrs()
	n.bound.RTMP, n.bound.HTTP, n.bound.RTMPS, n.bound.HTTPS = addrs.RTMP, addrs.HTTP, addrs.RTMPS, addrs.HTTPS
	return nil
}

// publish gives publishers to the origin; nil without one.
func (n *Node) publish() func(edge.Handover) {
	if n.origin == nil {
		return nil
	}
	return func(h edge.Handover) { n.origin.Accept(origin.Handover(h)) }
}

// listenForPublishers opens the ports of a node that has no loops.
func (n *Node) listenForPublishers(ctx context.Context) error {
	open := func(addr string) (net.Listener, error) {
		ln, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
		if err == nil {
			n.listeners = append(n.listeners, ln)
		}
		return ln, err
	}
	if addr := n.cfg.Listen.RTMP; addr != "" {
		ln, err := open(addr)
		if err != nil {
			return err
		}
		n.bound.RTMP = ln.Addr()
	}
	if addr := n.cfg.Listen.RTMPS; addr != "" {
		ln, err := open(addr)
		if err != nil {
			return err
		}
		n.bound.RTMPS = ln.Addr()
		n.listeners[len(n.listeners)-1] = certs.Listen(ln, n.certs.TLS())
	}
	return nil
}

// serving are the parts that let publishers and viewers in.
func (n *Node) serving() []Part {
	if n.edge != nil {
		return []Part{{"edge", n.edge.Run}}
	}
	parts := make([]Part, len(n.listeners))
	for i, ln := range n.listeners {
		parts[i] = Part{"rtmp", func(ctx context.Context) error {
			if err := n.origin.Serve(ctx, ln); err != nil {
				return err
			}
			<-ctx.Done() // a drain has closed it: the node has not ended yet
			return nil
		}}
	}
	return parts
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
