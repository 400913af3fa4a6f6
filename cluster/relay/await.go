package relay

import (
	"context"

	"tmms/media"
)

// AwaitStandby waits until the standby, which is in sync, has all that was written by
// now. false: it was lost, or ctx has ended. Where this node does not know of a standby
// in sync there is nothing to wait for.
func (w *Writer) AwaitStandby(ctx context.Context) bool {
	at, _ := w.position()
	g := w.live.gate.Load()
	if g == nil {
		return true
	}
	for waited := false; ; waited = true {
		more, has := g.has(at.ID)
		if has || more == nil {
			return has || !waited
		}
		select {
		case <-more:
		case <-ctx.Done():
			return false
		}
	}
}

// has tells whether the standby has the packet at; else more is closed when it has
// others, nil if it is not in sync.
func (g *gate) has(at media.PacketID) (more <-chan struct{}, has bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case !g.inSync:
		return nil, false
	case g.acked.ID.Compare(at) >= 0:
		return nil, true
	case g.heard == nil:
		g.heard = make(chan struct{})
	}
	return g.heard, false
}

// wake lets those who wait look again. mu is held.
func (g *gate) wake() {
	if g.heard != nil {
		close(g.heard)
		g.heard = nil
	}
}
