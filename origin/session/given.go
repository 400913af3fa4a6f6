package session

import (
	"context"
	"errors"
	"log/slog"

	"tmms/cluster/state"
	"tmms/media"
)

// given is what a registry remembers of streams that are not its own, to tell those
// that the cluster has given to this node from those that it has just left.
type given struct {
	past map[media.StreamKey]uint64 // those that were released: the epochs in which they were this node's
}

// mostPast is how many streams that were released are remembered before those are
// forgotten that the copy of the cluster does not have any more.
const mostPast = 1024

// leave notes that a stream is this node's no more.
func (g *given) leave(r *Registry, key media.StreamKey, epoch uint64) {
	p := r.deps.Placements
	if p == nil || epoch == 0 {
		return
	}
	if g.past == nil {
		g.past = map[media.StreamKey]uint64{}
	}
	if len(g.past) >= mostPast {
		g.forget(p, r.deps.Node)
	}
	g.past[key] = epoch
}

// forget drops the streams that the copy of the cluster does not show as they were.
func (g *given) forget(p Placements, node string) {
	for key, epoch := range g.past {
		if now, ok := p.Placement(key); !ok || now.Owner != node || now.Epoch > epoch {
			delete(g.past, key)
		}
	}
}

// ownedStream is a placement that names this node as the owner.
type ownedStream struct {
	state.Placement

	// given says that the cluster has, and not by a claim: to the standby in sync of the
	// owner before.
	given bool
}

// has tells whether the cluster has given a stream to this node, by its placement in
// this node's copy.
func (r *Registry) has(now state.Placement, key media.StreamKey) (own ownedStream, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.deps.Node == "" || now.Owner != r.deps.Node || now.Epoch <= r.given.past[key] || !r.hasStarted() {
		return ownedStream{}, false
	}
	return ownedStream{Placement: now, given: true}, true
}

// hasStarted tells that placements of an earlier process of this node are none of
// its own any more.
func (r *Registry) hasStarted() bool {
	if r.deps.Started == nil {
		return true
	}
	select {
	case <-r.deps.Started:
		return true
	default:
		return false
	}
}

// adopt takes over what the cluster has given to this node; unsettled: something is
// in the way, which passes.
func (r *Registry) adopt(p Placements) (unsettled bool) {
	if r.isClosed() {
		return false
	}
	for _, placed := range p.PlacedAt(r.deps.Node) {
		if own, ok := r.has(placed.Placement, placed.Key); ok && !r.adoptOne(placed.Key, own) {
			unsettled = true
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.given.forget(p, r.deps.Node)
	return unsettled
}

// adoptOne takes over a stream, unless it is this node's in that epoch already; false:
// it is about to end here, or to be claimed.
func (r *Registry) adoptOne(key media.StreamKey, own ownedStream) bool {
	s, created, err := r.enter(key)
	switch {
	case err != nil:
		s = newStream(r, key)
		s.log().Warn("stream not taken over", slog.Any("err", err))
		r.mu.Lock()
		r.given.leave(r, key, own.Epoch)
		r.mu.Unlock()
		s.epoch = own.Epoch
		r.background.run(s.release)
	case created:
		r.background.run(func(context.Context) { s.adopt(own) })
	default:
		return s.isIn(own.Epoch)
	}
	return true
}

// isIn tells that the stream is this node's in an epoch.
func (s *stream) isIn(epoch uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return (s.phase == live || s.phase == grace) && s.epoch >= epoch
}

// errGiven is why a stream that was taken over has no publisher.
var errGiven = errors.New("its owner was another node")

// adopt takes over a stream that the cluster has given to this node: it waits for a
// publisher, as long as the app's grace lasts. It is called once, by whoever made s.
func (s *stream) adopt(own ownedStream) {
	defer close(s.ready)
	app, err := s.reg.deps.App(s.key)
	if err != nil {
		s.decline(own, err)
		return
	}
	if err = s.open(own, app); err != nil {
		s.log().Warn("stream not taken over", slog.Any("err", err))
		return
	}
	s.mu.Lock()
	s.app, s.seen = app, true
	if app.Grace > 0 {
		s.wait(errGiven)
		s.mu.Unlock()
		return
	}
	s.finish(errGiven)
	s.mu.Unlock()
	s.release(context.Background())
}

// decline gives back a stream that was not opened.
func (s *stream) decline(own ownedStream, reason error) {
	s.mu.Lock()
	s.epoch, s.phase = own.Epoch, ended
	s.mu.Unlock()
	s.log().Warn("stream not taken over", slog.Any("err", reason))
	s.release(context.Background())
}

// take makes this node the owner, for its first publisher. The error is a
// *state.OwnedError if another node is; the standby in sync is given the stream
// when that is lost, and does not claim it: it would not be known to have all of it.
func (s *stream) take(ctx context.Context) (ownedStream, error) {
	r := s.reg
	if p := r.deps.Placements; p != nil {
		now, placed := p.Placement(s.key)
		if own, ok := r.has(now, s.key); placed && ok {
			return own, nil
		}
		heir := placed && now.Standby == r.deps.Node && now.InSync && now.Owner != r.deps.Node
		if heir && !now.Orphan() {
			return ownedStream{}, &state.OwnedError{Key: s.key, Placement: now}
		}
		if heir {
			moved, err := r.deps.Claims.Move(ctx, s.key, now.Epoch, r.deps.Node)
			if err == nil || !refusal(err) {
				return ownedStream{Placement: moved, given: true}, err
			}
		}
	}
	placement, err := r.deps.Claims.Claim(ctx, s.key)
	return ownedStream{Placement: placement}, err
}
