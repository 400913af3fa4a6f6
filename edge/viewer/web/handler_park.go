package web

import (
	"context"
	"sync"
	"time"

	"tmms/media"
)

// parking is where requests of a [Handler] wait for their playlist or segment.
// One goroutine looks after all of them, for as long as there are any.
type parking struct {
	now     func() time.Duration
	working sync.WaitGroup

	mu      sync.Mutex
	waiting map[*parked]struct{} // guarded by mu
}

// parked is a request that waits.
type parked struct {
	wait   *waiting
	answer chan reply // has room for one
}

// wait parks a request until there is an answer; !ok: the client has gone.
func (h *Handler) wait(ctx context.Context, w *waiting) (r reply, ok bool) {
	p := h.parking.enter(w, h.server.gate.Draining())
	if p == nil {
		return w.refuse(h.server.now()), true
	}
	timer := time.NewTimer(media.ParkTimeout)
	defer timer.Stop()
	select {
	case r = <-p.answer:
		return r, true
	case <-timer.C:
	case <-ctx.Done():
	}
	if !h.parking.leave(p) {
		return <-p.answer, true
	}
	return w.giveUp(h.server.now()), ctx.Err() == nil
}

// enter parks a request; nil: too many are, or none may.
func (p *parking) enter(w *waiting, draining bool) *parked {
	p.mu.Lock()
	defer p.mu.Unlock()
	if draining || len(p.waiting) >= media.MaxParkedRequests {
		return nil
	}
	q := &parked{wait: w, answer: make(chan reply, 1)}
	if p.waiting == nil {
		p.waiting = map[*parked]struct{}{}
		p.working.Go(p.run)
	}
	p.waiting[q] = struct{}{}
	return q
}

// leave takes a request out; false: it has its answer.
func (p *parking) leave(q *parked) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.waiting[q]
	delete(p.waiting, q)
	return ok
}

// run looks after the requests until there are none.
func (p *parking) run() {
	ticker := time.NewTicker(parkCheck)
	defer ticker.Stop()
	for p.look() {
		<-ticker.C
	}
}

// look answers the requests whose time has come; more tells that others wait.
func (p *parking) look() (more bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	for q := range p.waiting {
		if r, ok := q.wait.look(now); ok {
			delete(p.waiting, q)
			q.answer <- r
		}
	}
	if len(p.waiting) == 0 {
		p.waiting = nil
		return false
	}
	return true
}
