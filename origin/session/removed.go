package session

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"tmms/cluster/state"
	"tmms/media"
)

// ErrRemoved ends a stream whose app is not in the config any more.
var ErrRemoved = errors.New("the app was taken out of the config")

// Configs is the config in force on this node.
type Configs interface {
	// Watch gives it, and a channel that is closed when there is a later one.
	Watch() (*state.Config, <-chan struct{})
}

// lookAgain is how long after a change of the config it is looked once more for
// streams of removed apps: a publisher that was let in just before may have taken so
// long to claim its stream.
const lookAgain = 15 * time.Second

// FollowApps ends the streams whose app, or domain, is taken out of the config, until
// ctx ends; all others are left alone, whatever else changes. Publishers are closed
// with an error that wraps [ErrRemoved].
func (r *Registry) FollowApps(ctx context.Context, configs Configs) {
	for {
		cfg, changed := configs.Watch()
		r.endRemoved(ctx, cfg)
		select {
		case <-time.After(lookAgain):
			r.endRemoved(ctx, cfg)
		case <-changed:
			continue
		case <-ctx.Done():
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// endRemoved ends the streams that a config has no app for, and waits for that.
func (r *Registry) endRemoved(ctx context.Context, cfg *state.Config) {
	var wg sync.WaitGroup
	defer wg.Wait()
	slots := make(chan struct{}, closeWorkers)
	for _, s := range r.all() {
		reason := removed(cfg, s.key)
		if reason == nil {
			continue
		}
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			s.remove(ctx, reason)
		})
	}
}

// removed says why a stream has no place in a config; nil: it has.
func removed(cfg *state.Config, key media.StreamKey) error {
	d, err := cfg.Domain(key.Domain)
	if err == nil {
		_, err = d.App(key.App)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRemoved, err)
	}
	return nil
}

// remove ends the stream, without a grace.
func (s *stream) remove(ctx context.Context, reason error) {
	<-s.ready
	s.mu.Lock()
	if s.phase == ended {
		s.mu.Unlock()
		return
	}
	p := s.takePublisher()
	s.finish(reason)
	s.mu.Unlock()
	if p != nil {
		p.info.Close(reason)
	}
	s.release(ctx)
}
