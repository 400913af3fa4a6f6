package relay

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"tmms/cluster/state"
	"tmms/media"
	"tmms/media/relaywire"
)

// pull gets one stream from the node that owns it, or over a shield, for as long
// as it has readers. It follows the placement: a new owner's packets continue the
// life that the old owner's began.
type pull struct {
	// Set at construction.
	puller *Puller
	feed   *Feed
	wake   chan struct{} // holds one

	placement state.Placement // guarded by puller.mu: the one that it was woken for
	phase     atomic.Int32    // for metrics

	mu sync.Mutex
	// Guarded by mu.
	writer   *Writer // nil: no owner has accepted yet
	started  bool    // seen.ID is a packet
	seen     relaywire.Position
	shelf    shelf
	hls      bool            // readers want segments
	standby  bool            // this node is the stream's standby
	source   *intake         // whose word on the publisher counts
	crossing *crossing       // into a higher epoch; nil: none
	floor    media.Timestamp // by the log's clock: nothing of the epoch goes before it
	whole    media.Timestamp // no packet is missing that came after it
	lag      time.Duration
	told     told // for operators

	// Owned by the pull's goroutine.
	intake   *intake   // the running subscription; nil: none
	next     *intake   // a second one, in the same epoch, that may take its place; nil: none
	old      *intake   // that of the owner before, until the new owner's first packet
	route    route     // where to subscribe
	ended    uint64    // the epoch whose end the owner told
	lingerAt time.Time // zero: there are readers
	goneAt   time.Time // zero: the stream is placed at another node
	retryAt  time.Time
	failures int
	failedAt uint64 // the epoch of the last one
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
	for _, in := range []**intake{&p.intake, &p.next, &p.old} {
		if *in != nil {
			p.retire(in, errClosed)
		}
	}
	cancel()
	p.end((*Writer).abandon)
}

// end ends the stream's life on this node, in the way that how does.
func (p *pull) end(how func(*Writer)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.feed.upstream.Store(nil)
	if p.writer != nil {
		how(p.writer)
	}
	p.writer, p.started, p.seen = nil, false, relaywire.Position{}
	p.crossing, p.floor, p.whole = nil, 0, 0
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
	p.arrive(now)
	p.want(readers)
	if !p.follow(ctx, now, readers) {
		return 0, false
	}
	p.second(ctx, now, readers)
	p.update()
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
		p.conclude(in)
		return
	}
	p.failed(in, err, now)
}

// conclude ends the life with the stream.
func (p *pull) conclude(in *intake) {
	p.ended = in.epoch
	for _, other := range []**intake{&p.intake, &p.next} {
		if *other != nil {
			p.retire(other, errEnded)
		}
	}
	p.end((*Writer).End)
}

// failed plans what follows a subscription that was interrupted: another node in
// place of a shield at once, the owner after a pause.
func (p *pull) failed(in *intake, err error, now time.Time) {
	p.interrupted(in, err, now)
	if p.next != nil { // it is on its way already
		p.promote(now)
		return
	}
	if now.Sub(in.began) > p.puller.cfg.Stall && in.accepted {
		p.failures = 0
	}
	p.failures++
	p.failedAt = in.epoch
	pause, spare := p.pause()
	if in.shield && p.blame(in, err, now) && spare {
		pause = 0
	}
	p.retryAt = now.Add(pause)
}

// pause is how long to wait before another try; spare: the node may try more now.
func (p *pull) pause() (pause time.Duration, spare bool) {
	cfg := p.puller.cfg
	limit := min(cfg.RetryMin<<min(p.failures-1, 16), cfg.RetryMax)
	if spare = p.puller.budget.take(time.Now()); !spare {
		limit = cfg.RetryMax
	}
	return limit/4 + rand.N(max(limit*3/4, 1)), spare
}

// retire closes a subscription and forgets it once its goroutine has ended,
// which the end of its context makes sure of.
func (p *pull) retire(in **intake, reason error) {
	p.mu.Lock()
	gone := *in
	gone.close(reason)
	*in = nil
	if p.source == gone {
		p.source = nil
	}
	if p.feed.upstream.Load() == gone && p.intake != nil && p.intake.accepted {
		p.feed.upstream.Store(p.intake.direct())
	}
	p.mu.Unlock()
	<-gone.done
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

// follow sees to it that the pull is subscribed in the epoch of the placement;
// false: the pull is over.
func (p *pull) follow(ctx context.Context, now time.Time, readers want) bool {
	placement, placed := p.puller.cluster.Placement(p.feed.key)
	here := placed && placement.Owner == p.puller.cluster.ID()
	if !placed || here {
		return p.adrift(here, readers, now)
	}
	p.goneAt = time.Time{}
	p.holdIndex(placement.Epoch)
	switch {
	case placement.Orphan():
		if p.intake == nil {
			p.setGrace()
		}
		return true
	case placement.Epoch == p.ended:
		return true // the placement is about to be released
	case p.intake != nil && p.intake.owner == placement.Owner && p.intake.epoch == placement.Epoch:
		if !readers.shield || !p.outdone() {
			return true
		}
		p.retire(&p.intake, errOutdone)
	case p.intake != nil:
		p.replace(now)
	}
	p.try(ctx, placement, readers, now)
	return true
}

// try subscribes, unless it has to wait after a failure in that epoch.
func (p *pull) try(ctx context.Context, at state.Placement, readers want, now time.Time) {
	if now.Before(p.retryAt) && at.Epoch == p.failedAt {
		return
	}
	p.intake = p.begin(ctx, p.pick(at, readers, now), at, trialNone)
	if p.intake == nil {
		p.retryAt, p.failedAt = now.Add(p.puller.cfg.RetryMax), at.Epoch
	}
}

// outdone tells that a node which this one is the shield of has got further than the
// owner was told, while that still counts: before the epoch's first packet.
func (p *pull) outdone() bool {
	if p.intake.shield || p.moved() {
		return false
	}
	p.mu.Lock()
	said, crossing := p.intake.said, p.crossing != nil
	p.mu.Unlock()
	if said == nil || crossing {
		return false
	}
	r := relaywire.Subscribe{Epoch: p.intake.epoch, Seen: *said, Resume: true}
	p.feed.ask(&r)
	return r.Seen != *said
}

// replace makes the running subscription the one of the owner before.
func (p *pull) replace(now time.Time) {
	for _, in := range []**intake{&p.old, &p.next} {
		if *in != nil {
			p.retire(in, errSuperseded)
		}
	}
	p.old, p.intake = p.intake, nil
	p.failures = 0
	p.retryAt = now
	p.route.settled()
}

// begin starts a subscription; nil: the node's address is not known.
func (p *pull) begin(ctx context.Context, from source, placement state.Placement, as trial) *intake {
	to, ok := p.puller.target(from.node)
	if !ok {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	in := newIntake(p, from, placement, as, cancel)
	p.puller.wg.Go(func() { in.run(ctx, to) })
	return in
}

// adrift waits a little when the stream is placed nowhere, or here, before the
// pull is over: its owner may still tell the end, a publisher of this node may
// take over. A standby that has become the owner waits for its session, for as long
// as the keeper does.
func (p *pull) adrift(here bool, readers want, now time.Time) bool {
	if here && readers.standby {
		return true
	}
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

// note keeps the phase for metrics, and the rest for operators.
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
	p.told.from, p.told.next = source{}, source{}
	if p.intake != nil {
		p.told.from = p.intake.source
	}
	if p.next != nil {
		p.told.next = p.next.source
	}
}

// watchdogLooks is how often in the time of a stall the watchdog looks.
const watchdogLooks = 8

// wait is the time to the next thing to look at.
func (p *pull) wait(now time.Time) time.Duration {
	next := p.puller.cfg.Stall / watchdogLooks
	for _, at := range []time.Time{p.lingerAt, p.goneAt, p.retryAt, p.route.at, p.silence(p.intake), p.silence(p.next)} {
		if d := at.Sub(now); !at.IsZero() && d > 0 {
			next = min(next, d)
		}
	}
	return next
}

// open makes the life that the owner's packets go to. p.mu is held.
func (p *pull) open(m relaywire.Ok) error {
	if p.writer != nil {
		p.writer.raise(m.Epoch)
		return nil
	}
	w, err := p.feed.hub.publish(p.feed.key, m.Epoch, LiveOptions{
		Keep: m.Keep, MaxBytes: m.MaxBytes, MaxLag: m.MaxLag, StartedAt: m.StartedAt,
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
	if p.started && pkt.ID.Epoch > p.seen.ID.Epoch {
		return p.cross(pkt, configs)
	}
	if !p.lift(pkt, configs) {
		return nil
	}
	return p.put(pkt, configs)
}

// put is append for a packet that is known to be the next. p.mu is held.
func (p *pull) put(pkt *media.Packet, configs *relaywire.Configs) error {
	if configs != nil { // it does not go on exactly where this node was
		p.writer.configure(configs, pkt)
		p.whole = pkt.DTS
	}
	if err := p.writer.Append(pkt); err != nil {
		return err
	}
	p.started, p.seen.ID = true, pkt.ID
	p.seen.DTS = max(p.seen.DTS, pkt.DTS)
	return nil
}
