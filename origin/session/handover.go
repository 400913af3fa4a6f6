package session

import (
	"context"
	"log/slog"
	"sync"
)

// HandOver gives each stream that has a standby in sync to that; its publisher is
// told where the stream is, see [PublisherInfo]. left is the number of streams that
// stay: without such a standby, or the cluster does not answer before ctx, or
// Config.ReleaseTimeout, is over.
func (r *Registry) HandOver(ctx context.Context) (left int) {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.ReleaseTimeout)
	defer cancel()
	var wg sync.WaitGroup
	slots := make(chan struct{}, closeWorkers)
	for _, s := range r.all() {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			s.handOver(ctx)
		})
	}
	wg.Wait()
	return r.Len()
}

// handOver gives the stream to its standby. Until the cluster has decided readers see
// no further segment: the new owner may not have it.
func (s *stream) handOver(ctx context.Context) {
	p := s.reg.deps.Placements
	if p == nil {
		return
	}
	now, placed := p.Placement(s.key)
	if !placed || now.Owner != s.reg.deps.Node || !now.InSync || s.standby.exposed() || !s.hold(now.Epoch, true) {
		return
	}
	moved, err := s.reg.deps.Claims.Move(ctx, s.key, now.Epoch, now.Standby)
	if err != nil {
		s.hold(now.Epoch, false)
		s.log().Warn("stream not handed over", slog.String("to", now.Standby), slog.Any("err", err))
		return
	}
	s.fence(moved, true)
}

// hold keeps segments from readers, or lets them see them, if the stream is this
// node's in that epoch.
func (s *stream) hold(epoch uint64, on bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase != live && s.phase != grace || s.epoch != epoch {
		return false
	}
	s.seq.segments.hold(on)
	return true
}
