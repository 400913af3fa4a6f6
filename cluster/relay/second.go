package relay

import (
	"context"
	"errors"
	"time"

	"tmms/cluster/state"
	"tmms/media"
	"tmms/media/relaywire"
)

// A second subscription of a pull runs beside the first in two cases: because that
// one is silent (a hedge), or because another node should be the source (a move).
// Packets have an identity and go into the log in their order, once, whichever
// subscription brings them first; so the second may take over at any packet as
// long as it goes on without a gap, which its Ok says.

// second sees to the second subscription.
func (p *pull) second(ctx context.Context, now time.Time, readers want) {
	p.route.at = time.Time{}
	at, ok := p.puller.cluster.Placement(p.feed.key)
	if p.intake == nil || !ok || at.Orphan() || at.Epoch != p.intake.epoch {
		return
	}
	if p.next != nil && !p.decide(now) || p.intake == nil {
		return
	}
	if p.silent(p.intake, now) {
		p.hedge(ctx, at, now)
		return
	}
	p.route.tried = nil
	p.move(ctx, at, readers, now)
}

// silence is when a shield will have been silent for too long; zero: it need not speak.
func (p *pull) silence(in *intake) time.Time {
	if in == nil || !in.shield {
		return time.Time{}
	}
	p.mu.Lock()
	accepted := in.accepted
	p.mu.Unlock()
	at := time.Unix(0, in.heard.Load()).Add(p.puller.cfg.Hedge)
	if patience := in.began.Add(p.puller.cfg.Stall / 2); !accepted && patience.Before(at) {
		return patience // it says only that it waits itself
	}
	return at
}

func (p *pull) silent(in *intake, now time.Time) bool {
	at := p.silence(in)
	return !at.IsZero() && !now.Before(at)
}

// hedge asks another node because the source is silent.
func (p *pull) hedge(ctx context.Context, at state.Placement, now time.Time) {
	if now.Before(p.route.hedgeAt) {
		p.route.at = p.route.hedgeAt
		return
	}
	from, ok := p.spare(at, now)
	switch {
	case !ok: // all were asked: from the beginning, a while later
		p.route.tried = nil
		p.route.hedgeAt = now.Add(p.puller.cfg.RetryMax)
	case !p.puller.budget.take(now):
		p.route.hedgeAt = now.Add(p.puller.cfg.RetryMin)
	}
	if now.Before(p.route.hedgeAt) {
		p.route.at = p.route.hedgeAt
		return
	}
	p.route.tried[from.node] = true
	if p.next = p.begin(ctx, from, at, trialUrgent); p.next != nil {
		p.puller.metrics.hedges.Inc()
		p.tell(func(t *told) { t.hedges++ })
	}
}

// move asks the node that should be the source, once it has been that for a while,
// so that a member which comes and goes moves nothing. Where other nodes wait for
// this one as their shield, or the owner for its standby, it does not wait.
func (p *pull) move(ctx context.Context, at state.Placement, readers want, now time.Time) {
	better := p.pick(at, readers, now)
	if better.same(p.intake.source) {
		p.route.better = source{}
		return
	}
	if !better.same(p.route.better) {
		p.route.better, p.route.since = better, now
	}
	due := p.route.since.Add(p.puller.cfg.Steady)
	if readers.direct() {
		due = p.route.since
	} else if !p.isAccepted(p.intake) {
		return
	}
	if now.Before(due) {
		p.route.at = due
		return
	}
	budget := p.puller.moves
	if readers.direct() {
		budget = p.puller.budget
	}
	if !budget.take(now) {
		p.route.at = now.Add(p.puller.cfg.RetryMin)
		return
	}
	p.next = p.begin(ctx, better, at, trialMove)
}

func (p *pull) isAccepted(in *intake) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return in.accepted
}

// decide looks whether the second subscription takes over, or is given up; false:
// neither yet.
func (p *pull) decide(now time.Time) bool {
	in := p.next
	if err := p.over(in, now); err != nil {
		p.retire(&p.next, err)
		if errors.Is(err, errEnded) {
			p.conclude(in)
			return true
		}
		p.turnedDown(in, err, now)
		return true
	}
	p.mu.Lock()
	speaks, crossed, since := in.spoken, in.crossed, in.since
	first := p.intake.accepted
	p.mu.Unlock()
	heard := time.Unix(0, p.intake.heard.Load())
	back := first && heard.After(in.began)
	switch {
	case in.urgent && back:
		p.retire(&p.next, errNeedless)
		p.route.settled()
	case in.urgent && speaks && p.waits(heard, since, now):
		return false
	case crossed, speaks && (in.urgent || !first || now.Sub(in.began) > p.puller.cfg.Settle):
		p.promote(now)
	case in.urgent && p.silent(in, now):
		p.retire(&p.next, errSilent)
		p.turnedDown(in, errSilent, now)
	default:
		return false
	}
	return true
}

// waits tells that the first source, which lives and only says Pending, may have its
// Ok on the way: what an owner says is a hop behind at its shields. Else all edges of
// a region would ask an owner that begins late.
func (p *pull) waits(heard, since, now time.Time) bool {
	hedge := p.puller.cfg.Hedge
	until := since.Add(hedge)
	if now.Sub(heard) >= hedge || !now.Before(until) {
		return false
	}
	p.route.at = until
	return true
}

// turnedDown notes that a second subscription has come to nothing.
func (p *pull) turnedDown(in *intake, err error, now time.Time) {
	p.interrupted(in, err, now)
	if in.shield {
		p.blame(in, err, now)
	}
	if !in.urgent {
		p.route.since = now.Add(p.puller.cfg.RetryMax)
	}
}

// promote makes the second subscription the source.
func (p *pull) promote(now time.Time) {
	in, first := p.next, p.intake
	p.mu.Lock()
	p.intake, p.next = in, nil
	in.trial = false
	if in.accepted {
		p.setSource(in)
	}
	if first != nil {
		p.told.moves++
	}
	p.mu.Unlock()
	p.failures = 0
	p.route.settled()
	if first == nil {
		return
	}
	reason := errMoved
	if in.urgent {
		reason = errSilent
		if first.shield {
			p.blame(first, errSilent, now)
		}
		p.interrupted(first, errSilent, now)
	}
	p.puller.metrics.moves.Inc()
	p.retire(&first, reason)
}

// setSource makes a subscription the one whose word counts. p.mu is held.
func (p *pull) setSource(in *intake) {
	p.source = in
	p.writer.SetState(stateOf(in.grace))
	if in.shield {
		p.feed.upstream.Store(nil)
	}
}

// continues tells that a source goes on where the pull is, or before. p.mu is held.
func (p *pull) continues(m relaywire.Ok) bool {
	return !p.started || m.Exact || m.Start == (media.PacketID{}) || m.Start.Compare(p.seen.ID) <= 0
}
