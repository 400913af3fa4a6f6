package session

import (
	"context"
	"fmt"
	"time"

	"tmms/cluster/state"
)

// fencePause is the least time between two looks at all placements; unseenPause
// the most, while this node's copy of the cluster is behind its own claims.
const (
	fencePause  = 50 * time.Millisecond
	unseenPause = 500 * time.Millisecond
)

// Watch ends the streams that this node does not own any more, until ctx ends:
// those that were given to another node in a later epoch, and those whose
// placement was dropped. Their publishers are closed and come back to where the
// stream is now. A stream whose placement has merely lost its owner goes on:
// nobody else has its epoch, and it is given back. Without Deps.Placements it
// only waits.
func (r *Registry) Watch(ctx context.Context) {
	p := r.deps.Placements
	if p == nil {
		<-ctx.Done()
		return
	}
	for {
		changed := p.WatchPlacements()
		var again <-chan time.Time
		for _, s := range r.all() {
			placement, ok := p.Placement(s.key)
			if !s.fence(placement, ok) && again == nil {
				again = time.After(unseenPause)
			}
		}
		select {
		case <-changed:
		case <-again:
		case <-ctx.Done():
			return
		}
		select {
		case <-time.After(fencePause):
		case <-ctx.Done():
			return
		}
	}
}

// fence ends the stream if its placement says that it is not this node's. The
// copy of the cluster may be behind: an earlier epoch says nothing, and nor does
// a placement that is not there before it has been. seen is false as long as
// the copy does not have the claim.
func (s *stream) fence(now state.Placement, placed bool) (seen bool) {
	s.mu.Lock()
	if s.phase != live && s.phase != grace {
		defer s.mu.Unlock()
		return s.phase == ended
	}
	owned := placed && now.Epoch <= s.epoch || !placed && !s.seen
	s.seen = s.seen || placed && now.Epoch == s.epoch
	if owned {
		defer s.mu.Unlock()
		return s.seen
	}
	p := s.pub
	s.pub = nil
	if s.timer != nil {
		s.timer.Stop()
	}
	reason := fmt.Errorf("session: %s: %w: epoch %d, now %d", s.key, ErrSuperseded, s.epoch, now.Epoch)
	s.finish(reason)
	s.mu.Unlock()
	if p != nil {
		p.info.Close(reason)
	}
	s.leave() // there is nothing to give back
	return true
}
