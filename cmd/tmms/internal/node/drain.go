package node

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"tmms/media"
)

// drainTimeout bounds the drain of a node that is to end: the time that peers have
// to reconnect, and some to take the streams' owner off and to ask.
const drainTimeout = media.ReconnectTimeout + time.Second

// drainThen drains the node at the end of ctx and calls stop then; the end of
// serving cuts the drain short. The result waits until it is over, and calls it
// off if ctx has not ended.
func (n *Node) drainThen(ctx, serving context.Context, stop func()) (wait func()) {
	over := make(chan struct{})
	off := context.AfterFunc(ctx, func() {
		defer close(over)
		n.drain(serving)
		stop()
	})
	return func() {
		if !off() {
			<-over
		}
	}
}

// drain empties the node of viewers and publishers while everything else works on,
// so that those who can reconnect have seen no end when they are at another node.
// Where nobody can, there is nothing to wait for: all are closed by the end itself.
func (n *Node) drain(ctx context.Context) {
	able := n.reconnectable()
	if n.readiness() != nil || able == 0 {
		return
	}
	n.opt.Log.Info("node is drained", slog.Int64("reconnecting", able))
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	var all sync.WaitGroup
	empty := func(drain func(context.Context) error) {
		all.Go(func() {
			if err := drain(ctx); err != nil {
				n.opt.Log.Info("peers are left after the drain", slog.Any("err", err))
			}
		})
	}
	if n.origin != nil {
		empty(n.origin.Drain)
	}
	if n.edge != nil {
		empty(n.edge.Drain)
	}
	all.Wait()
}

// reconnectable is the number of viewers and publishers that can be asked to
// reconnect (Enhanced RTMP v2).
func (n *Node) reconnectable() (able int64) {
	if n.origin != nil {
		able += n.origin.Reconnectable()
	}
	if n.edge != nil {
		able += n.edge.Reconnectable()
	}
	return able
}
