package fanout

import (
	"fmt"
	"time"

	"tmms/cluster/relay"
	"tmms/media"
	"tmms/media/flv"
)

// Tick is the step of the flush: T is a multiple of it.
const Tick = 5 * time.Millisecond

// Budgets of a tick.
const (
	// slotTime bounds how long the flush of the slots that are due may take, so that
	// a loop with too much to send still reads and looks at its timers in between. It
	// is twice a Tick: most of such a loop's time still goes to the flush.
	slotTime = 10 * time.Millisecond
	// slotLook is the viewers' turns between two looks at the clock: short ones, else
	// turnBytes that are sent count as one more, and a join as joinTurns.
	slotLook  = 64
	turnBytes = 16 << 10
	joinTurns = 7
	// viewerBudget bounds the bytes of one viewer's turn.
	viewerBudget = 256 << 10
	// backlogBudget bounds the bytes that joins and wake-ups get in a tick, and
	// backlogTime how long they may take: many small ones cost more than their bytes.
	backlogBudget = 4 << 20
	backlogTime   = 3 * time.Millisecond
	backlogLook   = 8 // viewers between two looks at the clock
	// joinBatch bounds the waiting viewers that join in one flush of their slot,
	// and leaveBatch those that are asked to leave in a tick: a system call or
	// several each.
	joinBatch  = 512
	leaveBatch = 256
)

// Config of an engine.
type Config struct {
	Hub *relay.Hub
	// MaxWaiting bounds the viewers that wait for a publisher; 0 means
	// media.MaxWaitingViewers.
	MaxWaiting int
	// Submit makes all outcomes of SendLater come; nil: they have come already.
	Submit func()
	// Busy is how long the loop has worked so far: where it works nearly all the
	// time, flushes become rarer, see Options.FlushLimit; nil: never.
	Busy func() time.Duration
	// OnFlush, if set, is told how long the flush of a tick took.
	OnFlush func(time.Duration)
}

// Engine is the fan-out of one reactor loop, which owns it: all its methods but
// Stats are called on that loop.
type Engine struct {
	// Set at construction.
	hub     *relay.Hub
	max     int
	submit  func()
	observe func(time.Duration)
	clock   func() time.Time

	// Owned by the loop.
	streams  media.Table[*stream]
	classes  []*class
	viewers  int
	waiting  int
	now      time.Duration
	cell     time.Duration // now, rounded down to the grid, of the last tick
	load     load
	first    int       // of classes, to be flushed first
	until    time.Time // when the tick's time for slots is up
	turns    int       // until the next look at the clock
	backlog  []*Viewer // viewers that have more to get before their slot comes
	swap     []*Viewer // the backlog's other half
	partings []parting // to be done, in this order
	pass     pass
	shifted  shifted
	sent     [numFormats]int64 // bytes of this tick
	spare    []*slow           // for viewers whose socket gets full

	stats Stats
}

// New returns an engine without viewers.
func New(cfg Config) *Engine {
	e := &Engine{
		hub: cfg.Hub, max: cfg.MaxWaiting, submit: cfg.Submit, observe: cfg.OnFlush, clock: time.Now,
		load: load{busy: cfg.Busy, factor: 1},
	}
	if e.max == 0 {
		e.max = media.MaxWaitingViewers
	}
	if e.submit == nil {
		e.submit = func() {}
	}
	return e
}

// Stats are the engine's counters, for any goroutine.
func (e *Engine) Stats() *Stats { return &e.stats }

// Options of a viewer.
type Options struct {
	Key     media.StreamKey
	Format  Format
	Latency time.Duration // the app's latency target
	Flush   time.Duration // the app's T, a multiple of Tick
	// FlushLimit is how far T may stretch while the loop has too much to do; 0 or
	// less than Flush: not at all.
	FlushLimit time.Duration
	// Takes are the codecs that an RTMP player has announced by FourCC; it is sent
	// no stream with others. Codecs with a legacy header need no announcement.
	Takes flv.FourCCs
}

// Attach puts the viewer into the stream. If the stream has a keyframe the
// viewer joins there and gets its first bytes within this tick; else it waits.
// now is the loop's time. v must not be attached.
func (e *Engine) Attach(v *Viewer, conn Conn, sink Sink, opt Options, now time.Duration) error {
	s, err := e.open(opt.Key)
	if err != nil {
		return err
	}
	e.now = max(e.now, now)
	s.latency = opt.Latency
	live, j, ok := s.join()
	if !ok && e.waiting >= e.max {
		s.closeIfUnused()
		return fmt.Errorf("fanout: %s: %w, the limit is %d", opt.Key, ErrTooManyWaiting, e.max)
	}
	queued := v.flags & flagQueued
	*v = Viewer{conn: conn, sink: sink, flags: queued, takes: opt.Takes, since: e.now}
	c := e.class(opt.Flush, max(opt.Flush, opt.FlushLimit))
	slot := c.next()
	if ok {
		ch := s.channel(live, opt.Format, c)
		if v.enter(ch, slot, j) {
			return nil
		}
		defer ch.closeIfUnused() // not before the stream has another channel
	}
	s.channel(nil, opt.Format, c).add(v, slot)
	return nil
}

// class returns the class of viewers that are flushed every t, or up to limit
// under load.
func (e *Engine) class(t, limit time.Duration) *class {
	for _, c := range e.classes {
		if c.interval == t && c.limit == limit {
			return c
		}
	}
	c := newClass(t, limit)
	e.classes = append(e.classes, c)
	return c
}

// Len is the number of viewers attached.
func (e *Engine) Len() int { return e.viewers }

// Each calls f for every viewer until it returns false; f must not attach or
// detach any.
func (e *Engine) Each(f func(*Viewer) bool) {
	for _, s := range e.streams.All() {
		if !s.each(f) {
			return
		}
	}
}

// OnTick flushes the slots that are due at now, then joins and wake-ups, each
// under a budget. busy = false: there is nobody to tick for.
func (e *Engine) OnTick(now time.Duration) (busy bool) {
	e.now = now
	cell := now.Truncate(Tick)
	passed := cell - e.cell
	e.cell = cell
	if e.viewers == 0 {
		e.partings = nil
		return false
	}
	start := e.clock()
	e.until, e.turns = start.Add(slotTime), slotLook
	e.partSome()
	factor := e.load.look(now, e.mostStretch())
	e.stats.stretch.Store(int64(factor * 1000))
	worked := e.flushSlots(passed, factor)
	e.submit()
	worked = e.flushBacklog() || worked
	e.publish()
	e.shifted.forget()
	if worked && e.observe != nil {
		e.observe(e.clock().Sub(start))
	}
	return e.viewers > 0
}

// flushSlots lets time go by in all classes and flushes what is due, until the
// tick's time for it is up. Then the class behind the one that was cut short
// comes first in the next tick, and that one last, so that none starves.
func (e *Engine) flushSlots(passed time.Duration, factor float64) (worked bool) {
	first, over := e.first, false
	for i := range e.classes {
		at := (first + i) % len(e.classes)
		c := e.classes[at]
		c.pass(passed, factor)
		if over {
			continue
		}
		some, cut := c.flush(e)
		worked = worked || some
		if over = cut; cut {
			e.first = at + 1
		}
	}
	return worked
}

// late counts a viewer's turn, and tells now and then that the tick's time for
// slots is up.
func (e *Engine) late() bool {
	if e.turns--; e.turns >= 0 {
		return false
	}
	e.turns = slotLook - 1
	return !e.clock().Before(e.until)
}

// mostStretch is the highest factor that any class's limit allows.
func (e *Engine) mostStretch() float64 {
	most := 1.0
	for _, c := range e.classes {
		most = max(most, float64(c.limit)/float64(c.interval))
	}
	return most
}

// publish adds the tick's bytes to the counters.
func (e *Engine) publish() {
	for f, n := range e.sent {
		if n > 0 {
			e.stats.sent[f].Add(n)
			e.sent[f] = 0
		}
	}
}

// enqueue gives v a turn in this tick or the next.
func (e *Engine) enqueue(v *Viewer) {
	if v.flags&flagQueued == 0 {
		v.flags |= flagQueued
		e.backlog = append(e.backlog, v)
	}
}

// flushBacklog gives joins and wake-ups their turn, in order, until the tick's
// budget is used up; the rest comes first in the next tick.
func (e *Engine) flushBacklog() (worked bool) {
	if len(e.backlog) == 0 {
		return false
	}
	e.backlog, e.swap = e.swap[:0], e.backlog
	budget, end := int64(backlogBudget), e.clock().Add(backlogTime)
	for i, v := range e.swap {
		if i%backlogLook == backlogLook-1 && e.clock().After(end) {
			budget = 0
		}
		v.flags &^= flagQueued
		switch {
		case v.bucket == nil:
		case budget <= 0:
			e.enqueue(v)
		default:
			e.pass.begin(v.bucket.channel)
			v.turn(&e.pass, false)
			budget -= e.pass.end()
		}
	}
	clear(e.swap)
	e.swap = e.swap[:0]
	return true
}
