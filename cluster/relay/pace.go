package relay

import (
	"context"
	"time"
)

// tickOf is the pause between two looks at so many subscriptions; 0 is for ever.
func tickOf(subscriptions int) time.Duration {
	switch {
	case subscriptions == 0:
		return 0
	case subscriptions < busySession:
		return sendTick
	}
	return busyTick
}

// pace wakes the subscriptions that have something to do, at each tick while
// there are any: they don't wake per packet, and have no timers of their own.
func (p *peer) pace(ctx context.Context) {
	tick := time.NewTicker(sendTick)
	defer tick.Stop()
	every := sendTick // 0: it is stopped
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
		if next := tickOf(len(list)); next != every {
			every = next
			if tick.Stop(); every > 0 {
				tick.Reset(every)
			}
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
