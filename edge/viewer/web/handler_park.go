package web

import (
	"context"
	"sync"
	"time"

	"tmms/media"
	"tmms/media/hls"
)

// parking is where requests of a [Handler] wait for their playlist or file. One
// goroutine looks after all of them, for as long as there are any.
type parking struct {
	now     func() time.Duration
	working sync.WaitGroup

	mu sync.Mutex
	// Guarded by mu.
	groups map[*hlsStream]*group
	count  int // requests
	looked time.Duration
}

// group is the requests that wait for the same stream.
type group struct {
	index   *hls.Index // of the stream, as of the last look
	members map[*parked]struct{}
	hasty   int // of members
}

// parked is a request that waits.
type parked struct {
	wait   *waiting
	answer chan reply // has room for one
}

// wait parks a request until there is an answer; !ok: the client has gone.
func (h *Handler) wait(ctx context.Context, w *waiting, kind Kind) (r reply, ok bool) {
	patience := w.patience()
	p := h.parking.enter(w, h.server.gate.Draining())
	if p == nil {
		return w.refuse(h.server.now()), true
	}
	h.tally().parked[kind].Add(1)
	timer := time.NewTimer(patience)
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

// enter parks a request; nil: too many are, or none may. One whose time has come
// meanwhile has its answer.
func (p *parking) enter(w *waiting, draining bool) *parked {
	p.mu.Lock()
	defer p.mu.Unlock()
	if draining || p.count >= media.MaxParkedRequests {
		return nil
	}
	q := &parked{wait: w, answer: make(chan reply, 1)}
	if r, ok := w.look(p.now()); ok {
		q.answer <- r
		return q
	}
	if p.groups == nil {
		p.groups = map[*hlsStream]*group{}
		p.working.Go(p.run)
	}
	g := p.groups[w.stream]
	if g == nil {
		g = &group{members: map[*parked]struct{}{}}
		p.groups[w.stream] = g
	}
	g.members[q] = struct{}{}
	if w.hasty() {
		g.hasty++
	}
	p.count++
	return q
}

// leave takes a request out; false: it has its answer.
func (p *parking) leave(q *parked) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	g := p.groups[q.wait.stream]
	if g == nil {
		return false
	}
	if _, ok := g.members[q]; !ok {
		return false
	}
	p.remove(g, q)
	return true
}

// remove takes a request out of its group. p.mu is held.
func (p *parking) remove(g *group, q *parked) {
	delete(g.members, q)
	p.count--
	if q.wait.hasty() {
		g.hasty--
	}
	if len(g.members) == 0 {
		delete(p.groups, q.wait.stream)
	}
}

// run looks after the requests until there are none.
func (p *parking) run() {
	ticker := time.NewTicker(hastyCheck)
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
	all := now-p.looked >= parkCheck
	if all {
		p.looked = now
	}
	for stream, g := range p.groups {
		if !all && g.hasty == 0 {
			continue
		}
		x := stream.playlistIndex()
		if x == g.index {
			continue
		}
		g.index = x
		p.answer(g, now)
	}
	if p.count == 0 {
		p.groups = nil
		return false
	}
	return true
}

// answer answers those of a group whose time has come. p.mu is held.
func (p *parking) answer(g *group, now time.Duration) {
	for q := range g.members {
		if r, ok := q.wait.look(now); ok {
			p.remove(g, q)
			q.answer <- r
		}
	}
}
