package session

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"tmms/cluster/relay"
	"tmms/cluster/state"
)

// follower is what the owner of a stream knows of its standby.
type follower struct {
	mu sync.Mutex
	// Guarded by mu, with which nothing is called.
	node    string // id, as the placement has it and the writer was told; "": none
	inSync  bool   // as the placement has it
	said    relay.StandbyEvent
	untold  bool // the cluster is to be told of said, and
	telling bool // somebody does
}

// follow takes the standby that the stream's placement names. It is called by one
// goroutine.
func (s *stream) follow(now state.Placement) {
	if now.Orphan() || !s.isIn(now.Epoch) { // the copy is behind, or it has ended
		return
	}
	f := &s.standby
	f.mu.Lock()
	changed := f.node != now.Standby
	f.node, f.inSync = now.Standby, now.InSync
	if changed {
		f.said, f.untold = relay.StandbyEvent{}, false
	} else if f.said.InSync && !f.inSync { // it lost its owner in between
		s.toTell()
	}
	f.mu.Unlock()
	if !changed {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase == live || s.phase == grace {
		s.seq.writer.SetStandby(now.Standby, s.heard)
	}
}

// heard takes what the writer says of the standby; see [relay.Writer.SetStandby].
func (s *stream) heard(e relay.StandbyEvent) {
	f := &s.standby
	f.mu.Lock()
	defer f.mu.Unlock()
	if e.Node == f.node && e.Node != "" {
		f.said = e
		s.toTell()
	}
}

// toTell has somebody tell the cluster. s.standby.mu is held.
func (s *stream) toTell() {
	f := &s.standby
	f.untold = true
	if !f.telling {
		f.telling = true
		s.reg.background.run(s.tell)
	}
}

// tell lets the cluster know how the standby is, until it knows or the placement
// has another one. Meanwhile the stream goes on.
func (s *stream) tell(ctx context.Context) {
	failed := false
	for {
		e, ok := s.standby.next(ctx.Err() != nil)
		if !ok {
			return
		}
		err := s.setStandby(ctx, e)
		if err == nil || refusal(err) {
			continue // a refusal says that the placement has changed: it will be seen
		}
		if !failed {
			failed = true
			s.log().Warn("the cluster was not told of the standby", slog.String("standby", e.Node),
				slog.Bool("in_sync", e.InSync), slog.Any("err", err))
		}
		s.standby.again(e)
		pause(ctx, unseenPause)
	}
}

// next gives what the cluster is to be told; !ok: nothing any more.
func (f *follower) next(ended bool) (e relay.StandbyEvent, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.telling = f.untold && !ended && !(f.said.InSync && f.inSync); f.telling {
		f.untold = false
	}
	return f.said, f.telling
}

// again has the cluster told once more, unless there is something else to tell.
func (f *follower) again(e relay.StandbyEvent) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.untold = f.untold || f.said == e
}

// setStandby proposes what the event means.
func (s *stream) setStandby(ctx context.Context, e relay.StandbyEvent) error {
	select {
	case s.reg.proposals <- struct{}{}:
		defer func() { <-s.reg.proposals }()
	case <-ctx.Done():
		return ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, s.reg.cfg.ClaimTimeout)
	defer cancel()
	c := state.SetStandby{Key: state.Key(s.key), Epoch: s.epoch, From: e.Node, To: e.Node, InSync: e.InSync}
	if !e.InSync {
		c.To = ""
	}
	now, err := s.reg.deps.Claims.SetStandby(ctx, c)
	if err != nil {
		return err
	}
	s.log().Info("standby", slog.String("standby", e.Node), slog.Bool("in_sync", e.InSync), slog.String("why", e.Reason))
	s.standby.mu.Lock()
	defer s.standby.mu.Unlock()
	if s.standby.node == e.Node {
		s.standby.inSync = now.InSync
	}
	return nil
}

// refusal tells that the cluster has decided, and not for lack of a leader.
func refusal(err error) bool {
	for _, known := range []error{
		state.ErrStaleEpoch, state.ErrStandby, state.ErrOwned, state.ErrNotPlaced, state.ErrNotInSync, state.ErrDraining,
	} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

// exposed tells that the placement counts on a standby that readers do not wait for.
func (f *follower) exposed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.inSync && f.said.Node == f.node && !f.said.InSync
}

// describe fills in what listings say of it.
func (f *follower) describe(i *Info) {
	i.Exposed = f.exposed()
	f.mu.Lock()
	defer f.mu.Unlock()
	i.Standby, i.InSync = f.node, f.inSync
}
