package reactor

import (
	"math"
	"time"
)

// Phase is a part of a loop's turn.
type Phase uint8

// The phases, in the order of a turn.
const (
	PhaseWait     Phase = iota // asleep
	PhaseDispatch              // sockets are accepted, read and written
	PhaseMailbox               // posted functions run
	PhaseTimers                // timers fire
	PhaseHooks                 // OnTick hooks flush what the others have produced
	PhaseClose                 // condemned connections are closed
	numPhases
)

// String is the phase's name, as in metrics and logs.
func (p Phase) String() string {
	switch p {
	case PhaseDispatch:
		return "dispatch"
	case PhaseMailbox:
		return "mailbox"
	case PhaseTimers:
		return "timers"
	case PhaseHooks:
		return "hooks"
	case PhaseClose:
		return "close"
	case PhaseWait, numPhases:
	}
	return "wait"
}

// Phases are those that a turn spends its time in, in order.
func Phases() []Phase {
	return []Phase{PhaseDispatch, PhaseMailbox, PhaseTimers, PhaseHooks, PhaseClose}
}

// Budgets of a turn: what is over them waits for the next one, which follows at
// once. All together, with the flush of a tick, stay below Overrun. A phase ends
// with the first step behind its time, so it gets on however slow the machine is.
const (
	eventSlice   = 4 * time.Millisecond
	readySlice   = 2 * time.Millisecond
	messageSlice = 2 * time.Millisecond
	timerSlice   = 2 * time.Millisecond
	hookSlice    = 2 * time.Millisecond // of each hook, as far as it asks Over
	closeSlice   = 2 * time.Millisecond

	// readBytes bounds the bytes that sockets with events are read in a turn, and
	// those that were left over as well: about a millisecond of copying.
	readBytes = 4 << 20
	// readyBatch, timerBatch, hookBatch and closeBatch bound the connections read
	// again, the timers, a hook's steps and the connections closed in a turn.
	readyBatch = 1024
	timerBatch = 2048
	hookBatch  = 4096
	closeBatch = 1024
)

// Overrun is how long a turn may take before it counts as one: four cells of a
// grid of 5 ms, about what a viewer's player does not notice.
const Overrun = 20 * time.Millisecond

// work is what a loop has done in one turn.
type work struct {
	events, accepts, bytes, messages, timers, closed int
}

// turn is the loop's present turn: where it stands and what it may still do.
type turn struct {
	started time.Duration
	phase   Phase
	since   time.Duration // when the phase began
	until   time.Duration // when the phase's time is up
	steps   int           // that the phase may still take
	bytes   int           // that may still be read
	spent   [numPhases]time.Duration
	work    work
}

// turn is what a loop does once it is woken. The order matters: bytes are read
// before messages and timers, so that a deadline never overtakes data that was
// there in time, unless the budget of reading has run out; hooks come late, to
// send what all of these have produced in one go; and connections are closed
// last, so that no callback of the turn meets one that has gone. Each phase has
// a budget of its own, see Over, so that none can starve the others.
func (l *Loop) turn() {
	// 1. Wait, until there is an event or the wheel or the grid is due.
	planned := l.wanted
	if !l.wait() {
		return
	}
	// 2. Now, once.
	l.begin()
	// 3. Readable and writable sockets, then those that had more than their budget.
	left := l.takeReady()
	served := l.dispatch()
	served += l.readReady(left)
	// 4. Mailbox, at most so many.
	l.enter(PhaseMailbox, messageSlice, l.cfg.MailboxBatch)
	served += l.runMessages()
	// 5. Timers.
	l.enter(PhaseTimers, timerSlice, timerBatch)
	served += l.wheel.Advance(l.now, l.fire)
	// 6. Hooks: flush the viewers.
	l.enter(PhaseHooks, hookSlice, hookBatch)
	l.tick(planned, served > 0)
	// 7. Close the condemned.
	l.enter(PhaseClose, closeSlice, closeBatch)
	l.closeCondemned()
	// 8. Record how long it took.
	l.finish()
}

// wait sleeps until there is something to do; not if events of the last turn
// are left. false: the engine is broken.
func (l *Loop) wait() bool {
	if len(l.left) > 0 {
		return true
	}
	timeout := l.timeout()
	due := never
	if timeout >= 0 {
		due = l.now + timeout
	}
	l.published.place.Store(placeOf(PhaseWait, due))
	n, err := l.engine.wait(l.events, timeout)
	if err != nil {
		l.fail(err)
		return false
	}
	l.left = l.events[:n]
	return true
}

// begin starts a turn.
func (l *Loop) begin() {
	l.now = l.reactor.clock()
	l.turning = turn{phase: PhaseDispatch, started: l.now, since: l.now}
	l.published.place.Store(placeOf(PhaseDispatch, l.now))
}

// finish ends a turn.
func (l *Loop) finish() {
	t := &l.turning
	end := l.reactor.clock()
	l.leavePhase(end)
	l.record(t.started, end)
	l.now = end
	if l.inspect != nil {
		l.inspect(*t)
	}
}

// timeout is how long the next wait may take; negative is for ever. l.now is
// the end of the last turn.
func (l *Loop) timeout() time.Duration {
	if l.more || len(l.ready) > 0 || len(l.condemned) > 0 {
		return 0
	}
	timeout := time.Duration(-1)
	if at, ok := l.wheel.Next(); ok {
		timeout = max(0, at-l.now)
	}
	if l.wanted {
		grid := max(0, l.nextCell()-l.now)
		if timeout < 0 || grid < timeout {
			timeout = grid
		}
	}
	if l.cfg.Awake && l.slab.used > 0 && (timeout < 0 || timeout > awakeWait) {
		timeout = awakeWait
	}
	return timeout
}

// nextCell is the first moment at which hooks may be called again.
func (l *Loop) nextCell() time.Duration { return time.Duration(l.lastCell+1) * l.cfg.Tick }

// tick calls the hooks if they are wanted and the grid allows it. planned says
// that the loop went to sleep in order to call them.
func (l *Loop) tick(planned, active bool) {
	l.now = l.reactor.clock()
	if planned {
		l.count.windowLateness = max(l.count.windowLateness, l.now-l.nextCell())
	}
	l.wanted = l.wanted || active
	cell := int64(l.now / l.cfg.Tick)
	if !l.wanted || cell <= l.lastCell {
		return
	}
	l.lastCell, l.wanted = cell, false
	for _, hook := range l.hooks {
		l.allow(hookSlice, hookBatch)
		if hook(l.now) {
			l.wanted = true
		}
	}
	l.Submit()
}

// enter begins a phase that may take a time and a number of steps.
func (l *Loop) enter(p Phase, slice time.Duration, steps int) {
	now := l.reactor.clock()
	l.leavePhase(now)
	t := &l.turning
	t.phase, t.since, t.until, t.steps, t.bytes = p, now, now+slice, steps, readBytes
	l.published.place.Store(placeOf(p, t.started))
}

// leavePhase charges the time up to now to the present phase.
func (l *Loop) leavePhase(now time.Duration) {
	t := &l.turning
	t.spent[t.phase] += now - t.since
	t.since = now
}

// allow gives the phase a time and a number of steps anew.
func (l *Loop) allow(slice time.Duration, steps int) {
	t := &l.turning
	t.until, t.steps, t.bytes = l.reactor.clock()+slice, steps, readBytes
}

// Over takes one of the phase's steps, and reports whether that was the last one
// or the phase's time is up: what is still to be done must wait for the next
// turn. It is for callbacks that do many things at once, such as hooks.
func (l *Loop) Over() bool {
	t := &l.turning
	t.steps--
	return t.steps <= 0 || l.late()
}

// late tells whether the phase's time is up.
func (l *Loop) late() bool { return l.reactor.clock() >= l.turning.until }

// longest is the phase that the turn spent most of its time in.
func (t *turn) longest() Phase {
	most := PhaseDispatch
	for _, p := range Phases() {
		if t.spent[p] > t.spent[most] {
			most = p
		}
	}
	return most
}

// place is where a loop stands: the phase in the low bits, and above them when
// its turn began or, while it waits, when it has to wake up.
type place int64

const placeBits = 3

// never is the wake-up of a loop that waits for events only.
const never = time.Duration(math.MaxInt64 >> placeBits)

func placeOf(p Phase, at time.Duration) int64 { return int64(min(at, never))<<placeBits | int64(p) }

func (p place) phase() Phase { return Phase(p & (1<<placeBits - 1)) }

// overdue is how long a turn has lasted at a time, or a wake-up is late.
func (p place) overdue(now time.Duration) time.Duration {
	return max(0, now-time.Duration(p>>placeBits))
}
