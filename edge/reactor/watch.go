package reactor

import (
	"log/slog"
	"time"
)

const (
	// watchInterval is how often the watch looks at the loops.
	watchInterval = time.Second
	// stuckAfter is how long a turn may last, or a wake-up be late, before the
	// loop counts as stuck: no budget of a turn allows a tenth of that.
	stuckAfter = time.Second
	// overrunPause is the least time between two warnings of turns that took too long.
	overrunPause = 10 * time.Second
)

// overrun is a turn that took longer than Overrun; immutable.
type overrun struct {
	took  time.Duration
	phase Phase // that took most of it,
	spent time.Duration
	work  work
}

// watch looks after the loops from a goroutine of its own, for a loop must not
// wait for a log.
type watch struct {
	loops []*Loop
	log   *slog.Logger

	stuck  []time.Duration // by loop: how long it was at the last look; 0: not
	warned time.Duration   // when turns that took too long were told of last
	quiet  bool            // that was never
	seen   []uint64        // by loop: overruns that were told of
}

func newWatch(loops []*Loop, log *slog.Logger) *watch {
	return &watch{
		loops: loops, log: log, quiet: true,
		stuck: make([]time.Duration, len(loops)), seen: make([]uint64, len(loops)),
	}
}

// startWatch watches the loops until the function that it returns is called.
func (r *Reactor) startWatch() (end func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(watchInterval)
		defer ticker.Stop()
		w := newWatch(r.loops, r.cfg.Log)
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				w.look(r.clock())
			}
		}
	}()
	return func() {
		close(done)
		<-ended
	}
}

// look warns of loops that are stuck, once each time, and of turns that took too
// long, now and then.
func (w *watch) look(now time.Duration) {
	for i, l := range w.loops {
		w.lookStuck(i, l, now)
	}
	if w.quiet || now-w.warned >= overrunPause {
		w.lookOverruns(now)
	}
}

func (w *watch) lookStuck(i int, l *Loop, now time.Duration) {
	if l.thread.Load() == 0 {
		return // it does not run
	}
	at := place(l.published.place.Load())
	before := w.stuck[i]
	w.stuck[i] = at.overdue(now)
	switch {
	case w.stuck[i] >= stuckAfter:
		if before == 0 {
			w.log.Warn("event loop is stuck", slog.Int("loop", i), slog.String("phase", at.phase().String()),
				slog.Duration("for", w.stuck[i]))
		}
	case before != 0:
		w.log.Warn("event loop goes on", slog.Int("loop", i))
		fallthrough
	default:
		w.stuck[i] = 0
	}
}

// lookOverruns tells of the longest turn since the last time.
func (w *watch) lookOverruns(now time.Duration) {
	var worst *overrun
	var loop int
	var turns uint64
	for i, l := range w.loops {
		o := l.published.worst.Swap(nil)
		if o == nil {
			continue
		}
		turns += w.fresh(i, l)
		if worst == nil || o.took > worst.took {
			worst, loop = o, i
		}
	}
	if worst == nil {
		return
	}
	w.warned, w.quiet = now, false
	w.log.Warn("event loop turns took too long", slog.Uint64("turns", turns), slog.Duration("limit", Overrun),
		slog.Int("loop", loop), slog.Duration("longest", worst.took),
		slog.String("phase", worst.phase.String()), slog.Duration("phase_took", worst.spent),
		slog.Int("events", worst.work.events), slog.Int("accepts", worst.work.accepts),
		slog.Int("read_bytes", worst.work.bytes), slog.Int("messages", worst.work.messages),
		slog.Int("timers", worst.work.timers), slog.Int("closed", worst.work.closed))
}

// fresh is how many of a loop's turns have taken too long since the last time.
func (w *watch) fresh(i int, l *Loop) uint64 {
	var all uint64
	for p := range l.published.overruns {
		all += l.published.overruns[p].Load()
	}
	n := all - w.seen[i]
	w.seen[i] = all
	return n
}
