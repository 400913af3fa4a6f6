package session

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"tmms/cluster/state"
)

// fencePause is the least time between two looks at all placements; unseenPause
// the most, while this node's copy of the cluster is behind its own claims, and
// between two tries to take a stream back.
const (
	fencePause  = 50 * time.Millisecond
	unseenPause = 500 * time.Millisecond
)

// Watch ends the streams that this node does not own any more, until ctx ends:
// those that were given to another node in a later epoch, and those whose
// placement was dropped. Their publishers are closed and come back to where the
// stream is now; who watches here goes on with what comes from there. A stream
// whose placement has merely lost its owner, because this node was not heard
// of for a while, goes on and is taken back: nobody else has its epoch. Streams
// that the cluster has given to this node are taken over, and it is told how the
// standbys are. Without Deps.Placements it only waits.
func (r *Registry) Watch(ctx context.Context) {
	p := r.deps.Placements
	if p == nil {
		<-ctx.Done()
		return
	}
	quit := make(chan struct{})
	var jobs sync.WaitGroup
	defer jobs.Wait()
	defer close(quit)
	jobs.Go(func() { r.background.serve(ctx, quit) })
	for started := r.deps.Started; ; {
		changed := p.WatchPlacements()
		var again <-chan time.Time
		unsettled := r.fenceAll(p)
		if r.adopt(p) || unsettled {
			again = time.After(unseenPause)
		}
		select {
		case <-changed:
		case <-again:
		case <-started:
			started = nil
		case <-ctx.Done():
			return
		}
		if pause(ctx, fencePause); ctx.Err() != nil {
			return
		}
	}
}

// fenceAll looks at all streams; unsettled: again soon, even if no placement changes.
func (r *Registry) fenceAll(p Placements) (unsettled bool) {
	for _, s := range r.all() {
		placement, ok := p.Placement(s.key)
		switch s.fence(placement, ok) {
		case settled:
			s.follow(placement)
			continue
		case lost:
			r.background.run(s.resume)
		case unseen, waiting:
		}
		unsettled = true
	}
	return unsettled
}

// ownership is what a placement says of a stream of this node.
type ownership int

const (
	settled ownership = iota // it is this node's, or has ended here
	unseen                   // the copy of the cluster does not have the claim yet
	waiting                  // it is an orphan, and is about to be taken back
	lost                     // it is an orphan, to be taken back now
)

// fence ends the stream if its placement says that it is not this node's. The
// copy of the cluster may be behind: an earlier epoch says nothing, and nor does
// a placement that is not there before it has been.
func (s *stream) fence(now state.Placement, placed bool) ownership {
	s.mu.Lock()
	if s.phase != live && s.phase != grace {
		defer s.mu.Unlock()
		if s.phase == ended {
			return settled
		}
		return unseen
	}
	owned := placed && now.Epoch <= s.epoch || !placed && !s.seen
	s.seen = s.seen || placed && now.Epoch == s.epoch
	if owned {
		defer s.mu.Unlock()
		return s.ownership(now)
	}
	reason := fmt.Errorf("session: %s: %w: epoch %d, now %d", s.key, ErrSuperseded, s.epoch, now.Epoch)
	s.sendOn(s.takePublisher(), now, reason)
	if placed {
		s.part(reason)
	} else {
		s.finish(reason)
	}
	s.mu.Unlock()
	s.leave() // there is nothing to give back
	return settled
}

// sendOn tells a publisher, if there is one, where the stream is now, or closes it.
// s.mu is held: what it writes next is refused, and it knows why.
func (s *stream) sendOn(p *Publisher, now state.Placement, reason error) {
	switch {
	case p == nil:
	case p.info.Moved == nil || now.Orphan():
		p.info.Close(reason)
	default:
		p.info.Moved(Moved{Owner: now.Owner, Epoch: now.Epoch, Headers: s.seq.inForce(), Reason: reason})
	}
}

// ownership tells how a placement that is not another node's stands. s.mu is held.
func (s *stream) ownership(now state.Placement) ownership {
	switch at := s.reg.deps.Now(); {
	case !s.seen:
		return unseen
	case s.reg.isClosed(): // it was given up, see Leave
		return settled
	case now.Epoch != s.epoch || !now.Orphan():
		return settled
	case at.Before(s.again):
		return waiting
	default:
		s.again = at.Add(s.reg.cfg.ClaimTimeout) // until resume has ended
		return lost
	}
}

// resume takes the stream back after it has lost its owner. What hinders it for
// good, the placement will say.
func (s *stream) resume(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, s.reg.cfg.ClaimTimeout)
	defer cancel()
	_, err := s.reg.deps.Claims.Resume(ctx, s.key, s.epoch)
	if err != nil {
		s.log().Warn("stream not taken back", slog.Any("err", err))
	} else {
		s.log().Info("stream taken back")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.again = s.reg.deps.Now().Add(unseenPause)
}
