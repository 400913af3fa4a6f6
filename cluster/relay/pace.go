package relay

import (
	"context"
	"time"
)

// pace wakes the subscriptions that have something to do, every sendTick while
// there are any: they don't wake per packet, and have no timers of their own.
func (p *peer) pace(ctx context.Context) {
	tick := time.NewTicker(sendTick)
	defer tick.Stop()
	ticking := true
	placements := p.server.cluster.WatchPlacements()
	var list []*subscription
	var looked time.Time
	for {
		var now time.Time
		select {
		case <-ctx.Done():
			return
		case now = <-tick.C:
		case <-p.first:
			now = time.Now()
		}
		list = p.list(list[:0])
		switch some := len(list) > 0; {
		case some && !ticking:
			tick.Reset(sendTick)
			ticking = true
		case !some && ticking:
			tick.Stop()
			ticking = false
		}
		if now.Sub(looked) >= placementPause && closed(placements) {
			placements = p.server.cluster.WatchPlacements()
			looked = now
			for _, s := range list {
				s.checkPlacement()
			}
		}
		for _, s := range list {
			s.pace(now)
		}
	}
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// list appends the subscriptions.
func (p *peer) list(to []*subscription) []*subscription {
	p.mu.Lock()
	defer p.mu.Unlock()
	for s := range p.subs {
		to = append(to, s)
	}
	return to
}
