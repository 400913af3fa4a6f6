package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"tmms/cluster/relay"
	"tmms/cluster/state"
	"tmms/media"
)

// ErrKept says that a stream was not handed over.
var ErrKept = errors.New("the stream was not handed over")

// errLacking keeps a stream here whose standby does not get the last of it.
var errLacking = errors.New("the standby has not got all of the stream")

// HandOver gives each stream that has a standby in sync to that; its publisher is
// told where the stream is, see [PublisherInfo]. left is the number of streams that
// stay: without such a standby, or the cluster does not answer before ctx, or
// Config.ReleaseTimeout behind [media.HandOverWait], is over.
func (r *Registry) HandOver(ctx context.Context) (left int) {
	ctx, cancel := context.WithTimeout(ctx, media.HandOverWait+r.cfg.ReleaseTimeout)
	defer cancel()
	var wg sync.WaitGroup
	slots := make(chan struct{}, closeWorkers)
	for _, s := range r.all() { // all at once, since each waits for a frame of its own
		wg.Go(func() { s.handOver(ctx, slots) })
	}
	wg.Wait()
	return r.Len()
}

// GiveAway is HandOver of one stream, if it is this node's in that epoch. The error
// wraps [ErrKept] if the stream stays.
func (r *Registry) GiveAway(ctx context.Context, key media.StreamKey, epoch uint64) error {
	r.mu.Lock()
	s := r.streams.Get(key)
	r.mu.Unlock()
	if s == nil || !s.owned(epoch) {
		return fmt.Errorf("session: %s in epoch %d is not here: %w", key, epoch, ErrKept)
	}
	ctx, cancel := context.WithTimeout(ctx, media.HandOverWait+r.cfg.ReleaseTimeout)
	defer cancel()
	if !s.handOver(ctx, make(chan struct{}, 1)) {
		return fmt.Errorf("session: %s: %w", key, ErrKept)
	}
	return nil
}

// owned reports whether the stream is this node's in that epoch.
func (s *stream) owned(epoch uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ours(epoch)
}

// ours is owned for who holds s.mu.
func (s *stream) ours(epoch uint64) bool {
	return (s.phase == live || s.phase == grace) && s.epoch == epoch
}

// handOver gives the stream to its standby, so that no frame is lost: its publisher
// holds in front of one that the next owner can begin with, and goes on there once
// the standby has all before it. A place in slots bounds how many do the latter.
func (s *stream) handOver(ctx context.Context, slots chan struct{}) (moved bool) {
	select {
	case s.handing <- struct{}{}:
		defer func() { <-s.handing }()
	case <-ctx.Done():
		return false
	}
	if _, ok := s.successor(); !ok {
		return false
	}
	back := s.turn(ctx)
	select {
	case slots <- struct{}{}:
		moved = s.moveOver(ctx)
		<-slots
	case <-ctx.Done():
	}
	if !moved {
		back()
	}
	return moved
}

// successor gives the placement of the stream if its standby can take it over.
func (s *stream) successor() (now state.Placement, ok bool) {
	p := s.reg.deps.Placements
	if p == nil {
		return now, false
	}
	now, ok = p.Placement(s.key)
	return now, ok && now.Owner == s.reg.deps.Node && now.InSync && !s.standby.exposed()
}

// turn asks the publisher, if it can, to hold in front of the frame that the stream
// is to go on with elsewhere, and waits for that, [media.HandOverWait] at most: an
// encoder may make a keyframe every twenty seconds. back lets it go on here.
func (s *stream) turn(ctx context.Context) (back func()) {
	s.mu.Lock()
	p := s.pub
	if p == nil || p.info.Turn == nil || s.phase != live {
		s.mu.Unlock()
		return func() {}
	}
	held := make(chan struct{})
	p.held = held
	p.info.Turn(s.seq.turn())
	s.mu.Unlock()
	s.log().Info("stream is to be handed over")
	t := time.NewTimer(media.HandOverWait)
	defer t.Stop()
	select {
	case <-held:
	case <-t.C:
	case <-ctx.Done():
	}
	return func() { p.info.Turn(Turn{}) }
}

// turn names the frame that another owner of the stream can begin with.
func (q *sequencer) turn() Turn {
	return Turn{On: true, Video: q.clock != nil && q.group.watching(q.clock.Last()), Track: q.group.master}
}

// moveOver has the cluster give the stream to its standby, once that has all of it.
// Until it is decided readers see no further segment: the new owner may not have it.
func (s *stream) moveOver(ctx context.Context) bool {
	now, ok := s.successor()
	if !ok || !s.hold(now.Epoch, true) {
		return false
	}
	moved, err := s.moveWhole(ctx, now)
	if err != nil {
		s.hold(now.Epoch, false)
		s.log().Warn("stream not handed over", slog.String("to", now.Standby), slog.Any("err", err))
		return false
	}
	s.fence(moved, true)
	return true
}

// moveWhole moves the stream unless the standby lacks something.
func (s *stream) moveWhole(ctx context.Context, now state.Placement) (state.Placement, error) {
	wait, cancel := context.WithTimeout(ctx, media.StandbyHold)
	defer cancel()
	if !s.writer().AwaitStandby(wait) {
		return now, errLacking
	}
	return s.reg.deps.Claims.Move(ctx, s.key, now.Epoch, now.Standby)
}

// writer is the stream's, which is open.
func (s *stream) writer() *relay.Writer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seq.writer
}

// hold keeps segments from readers, or lets them see them, if the stream is this
// node's in that epoch.
func (s *stream) hold(epoch uint64, on bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ours(epoch) {
		return false
	}
	s.seq.segments.hold(on)
	return true
}
