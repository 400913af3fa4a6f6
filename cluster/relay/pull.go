package relay

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"tmms/cluster/state"
	"tmms/media"
	"tmms/media/relaywire"
)

// pull gets one stream from whatever node owns it, for as long as it has
// readers. It follows the placement: a new owner's packets continue the life
// that the old owner's began.
type pull struct {
	// Set at construction.
	puller *Puller
	feed   *Feed
	wake   chan struct{} // holds one

	placement state.Placement // guarded by puller.mu: the one that it was woken for
	phase     atomic.Int32    // for metrics

	mu sync.Mutex
	// Guarded by mu.
	writer  *Writer // nil: no owner has accepted yet
	started bool    // seen.ID is a packet
	seen    relaywire.Position
	shelf   shelf
	hls     bool    // readers want segments
	source  *intake // the newest subscription that was accepted

	// Owned by the pull's goroutine.
	intake   *intake   // the running subscription; nil: none
	old      *intake   // the one before, until the new owner's first packet
	ended    uint64    // the epoch whose end the owner told
	lingerAt time.Time // zero: there are readers
	goneAt   time.Time // zero: the stream is placed at another node
	retryAt  time.Time
	failures int
}

// phases of a pull, for metrics.
const (
	pullConnecting int32 = iota // no packet of the present owner yet
	pullLive
	pullGrace
	pullWaiting // for an owner
	numPullPhases
)

func phaseName(phase int32) string {
	return [...]string{"connecting", "live", "grace", "waiting"}[phase]
}

func newPull(p *Puller, f *Feed, placement state.Placement) *pull {
	return &pull{puller: p, feed: f, placement: placement, wake: make(chan struct{}, 1), shelf: shelf{budget: p.segments}}
}

// poke makes the pull look at everything anew.
func (p *pull) poke() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// run pulls until nobody wants the stream, it has ended, or ctx ends.
func (p *pull) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer p.finish(cancel)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.wake:
		case <-timer.C:
		}
		next, ok := p.step(ctx, time.Now())
		if !ok {
			return
		}
		timer.Reset(next)
	}
}

// finish ends everything of the pull.
func (p *pull) finish(cancel context.CancelFunc) {
	for _, in := range []*intake{p.intake, p.old} {
		if in != nil {
			p.mu.Lock()
			in.close(errClosed)
			p.mu.Unlock()
		}
	}
	cancel()
	for _, in := range []*intake{p.intake, p.old} {
		if in != nil {
			<-in.done
		}
	}
	p.end()
}

// end ends the stream's life on this node.
func (p *pull) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.writer != nil {
		p.writer.End()
	}
	p.writer, p.started, p.seen = nil, false, relaywire.Position{}
	p.shelf.clear()
	p.shelf = shelf{budget: p.puller.segments, bytes: p.shelf.bytes} // what is being read gives its room back
}

// step looks at everything and does what is to be done now; ok = false: the
// pull is over. Else it has to be called again after wait, or when it is poked.
func (p *pull) step(ctx context.Context, now time.Time) (wait time.Duration, ok bool) {
	readers := p.feed.want()
	if readers.local || p.lingered(readers, now) {
		return 0, false
	}
	p.reap(now)
	if !p.follow(ctx, now) {
		return 0, false
	}
	p.tellHLS(readers.hls)
	p.note()
	return p.wait(now), true
}

// lingered tells that there have been no readers for so long that the pull ends.
func (p *pull) lingered(w want, now time.Time) bool {
	if w.readers {
		p.lingerAt = time.Time{}
		return false
	}
	if p.lingerAt.IsZero() {
		p.lingerAt = now.Add(p.puller.cfg.Linger)
	}
	return !now.Before(p.lingerAt)
}

// reap takes out the subscriptions that are over, or have to be.
func (p *pull) reap(now time.Time) {
	if p.old != nil && (p.over(p.old, now) != nil || p.moved()) {
		p.retire(&p.old, errSuperseded)
	}
	if p.intake == nil {
		return
	}
	err := p.over(p.intake, now)
	if err == nil {
		return
	}
	in := p.intake
	p.retire(&p.intake, err)
	if errors.Is(err, errEnded) {
		p.ended = in.epoch
		p.end()
		return
	}
	if now.Sub(in.began) > p.puller.cfg.Stall && in.accepted {
		p.failures = 0
	}
	p.failures++
	p.retryAt = now.Add(p.pause())
	p.puller.log.Info("pull interrupted", slog.String("stream", p.feed.key.String()),
		slog.String("node", in.owner), slog.Uint64("epoch", in.epoch), slog.Any("err", err))
}

// pause is how long to wait before another try.
func (p *pull) pause() time.Duration {
	cfg := p.puller.cfg
	limit := min(cfg.RetryMin<<min(p.failures-1, 16), cfg.RetryMax)
	if !p.puller.budget.take(time.Now()) {
		limit = cfg.RetryMax
	}
	return limit/4 + rand.N(max(limit*3/4, 1))
}

// retire closes a subscription and forgets it once its goroutine has ended,
// which the end of its context makes sure of.
func (p *pull) retire(in **intake, reason error) {
	p.mu.Lock()
	(*in).close(reason)
	p.mu.Unlock()
	<-(*in).done
	*in = nil
}

// moved tells that the present owner's packets have come.
func (p *pull) moved() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.intake != nil && p.started && p.seen.ID.Epoch >= p.intake.epoch && p.intake.accepted
}

// over says why a subscription is over, or has to be; nil if it isn't.
func (p *pull) over(in *intake, now time.Time) error {
	stall := p.puller.cfg.Stall
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case in.err != nil:
		return in.err
	case in.ending != nil && now.Before(in.endBy):
		return nil
	case in.ending != nil:
		return errEnded // what is missing won't come
	case now.UnixNano()-in.heard.Load() > int64(stall):
		return errStalled
	case in.accepted && in.reorder.waiting() && now.Sub(in.delivered) > stall:
		return errStalled
	}
	return nil
}

// follow sees to it that the pull is subscribed at the node that the placement
// names; false: the pull is over.
func (p *pull) follow(ctx context.Context, now time.Time) bool {
	placement, placed := p.puller.cluster.Placement(p.feed.key)
	here := placed && placement.Owner == p.puller.cluster.ID()
	if !placed || here {
		return p.adrift(here, now)
	}
	p.goneAt = time.Time{}
	switch {
	case placement.Orphan():
		if p.intake == nil {
			p.setGrace()
		}
		return true
	case placement.Epoch == p.ended:
		return true // the placement is about to be released
	case p.intake != nil && p.intake.owner == placement.Owner && p.intake.epoch == placement.Epoch:
		return true
	case p.intake != nil:
		if p.old != nil {
			p.retire(&p.old, errSuperseded)
		}
		p.old, p.intake = p.intake, nil
		p.failures = 0
		p.retryAt = now
	}
	if now.Before(p.retryAt) {
		return true
	}
	to, ok := p.puller.target(placement)
	if !ok {
		p.retryAt = now.Add(p.puller.cfg.RetryMax)
		return true
	}
	ctx, cancel := context.WithCancel(ctx)
	in := newIntake(p, placement.Owner, placement.Epoch, cancel, now)
	p.intake = in
	p.puller.wg.Go(func() { in.run(ctx, to) })
	return true
}

// adrift waits a little when the stream is placed nowhere, or here, before the
// pull is over: its owner may still tell the end, a publisher of this node may
// take over.
func (p *pull) adrift(here bool, now time.Time) bool {
	if p.goneAt.IsZero() {
		p.goneAt = now.Add(p.puller.cfg.Gone)
		if here {
			p.goneAt = now.Add(p.puller.cfg.Settle)
		}
	}
	p.mu.Lock()
	nothing := p.writer == nil
	p.mu.Unlock()
	return !nothing && now.Before(p.goneAt)
}

func (p *pull) setGrace() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.writer != nil {
		p.writer.SetState(StateGrace)
	}
}

// tellHLS passes on whether readers want segments.
func (p *pull) tellHLS(on bool) {
	p.mu.Lock()
	if !on && p.hls {
		p.shelf.clear()
		if p.writer != nil {
			p.writer.PublishIndex(nil)
		}
	}
	p.hls = on
	have := p.shelf.have()
	p.mu.Unlock()
	if p.intake != nil {
		p.intake.update(on, have)
	}
}

// trim drops the segments that the node has no room for.
func (p *pull) trim() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if x := p.shelf.trim(); x != nil && p.writer != nil {
		p.writer.PublishIndex(x)
	}
}

// note keeps the phase for metrics.
func (p *pull) note() {
	p.mu.Lock()
	defer p.mu.Unlock()
	phase := pullConnecting
	switch {
	case p.intake == nil:
		phase = pullWaiting
	case p.intake.accepted && p.writer != nil && p.writer.live.State() == StateGrace:
		phase = pullGrace
	case p.intake.accepted:
		phase = pullLive
	}
	p.phase.Store(phase)
}

// wait is the time to the next thing to look at.
func (p *pull) wait(now time.Time) time.Duration {
	next := p.puller.cfg.Stall / 4 // the watchdog
	for _, at := range []time.Time{p.lingerAt, p.goneAt, p.retryAt} {
		if d := at.Sub(now); !at.IsZero() && d > 0 {
			next = min(next, d)
		}
	}
	return next
}

// open makes the life that the owner's packets go to. p.mu is held.
func (p *pull) open(m relaywire.Ok) error {
	if p.writer != nil {
		return nil
	}
	w, err := p.feed.hub.publish(p.feed.key, m.Epoch, LiveOptions{
		Keep: m.Keep, MaxBytes: m.MaxBytes, StartedAt: m.StartedAt,
	}, true)
	if err != nil {
		return err
	}
	p.writer = w
	p.seen, p.started = w.position() // a life that waited has packets
	return nil
}

// adopt makes the pull go on with a life that was published on this node; nil
// is none. It is called before run.
func (p *pull) adopt(w *Writer) {
	if w == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.writer = w
	p.seen, p.started = w.position()
	p.shelf.adopt(w.live.Index())
}

// append puts the next packet into the log, behind the configs that it needs;
// what is there already is dropped. p.mu is held.
func (p *pull) append(pkt *media.Packet, configs *relaywire.Configs) error {
	if p.started && pkt.ID.Compare(p.seen.ID) <= 0 {
		return nil
	}
	if configs != nil {
		p.writer.configure(configs, pkt)
	}
	if err := p.writer.Append(pkt); err != nil {
		return err
	}
	p.started, p.seen.ID = true, pkt.ID
	p.seen.DTS = max(p.seen.DTS, pkt.DTS)
	return nil
}
