package reactor

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"tmms/edge/timewheel"
)

const (
	// scratchSize is the buffer that all connections of a loop are read into.
	scratchSize = 64 << 10
	// maxEvents bounds the events of one wait; the rest come with the next.
	maxEvents = 1024
	// awakeWait is the longest wait of a loop that stays awake.
	awakeWait = 10 * time.Millisecond
)

// Loop is one event loop. Its methods are for its own thread, and for the
// goroutine that builds the reactor before Run, where they do not say otherwise.
type Loop struct {
	// Set at construction.
	reactor *Reactor
	index   int
	cfg     Config
	log     *slog.Logger
	engine  engine
	batcher batcher // the engine; nil: it sends one by one
	mailbox *mailbox

	// Shared with other goroutines.
	conns        atomic.Int64 // connections, those on their way here included
	oldest       atomic.Int64 // when the oldest unidentified one was accepted
	stopping     atomic.Pointer[error]
	thread       atomic.Int64 // the kernel's id of the loop's thread; 0: it does not run
	mailboxDrops atomic.Uint64
	published    published

	// Owned by the loop.
	now       time.Duration
	wheel     *timewheel.Wheel
	slab      slab
	pending   pendingList
	listeners []*listener
	hooks     []func(now time.Duration) (busy bool)
	wanted    bool  // hooks are to be called in the next cell of the grid
	lastCell  int64 // the last one they were called in
	more      bool  // messages were left in the mailbox
	ready     []token
	spare     []token
	condemned []*Conn
	scratch   []byte
	events    []event
	left      []event // of events: still to be served
	turning   turn
	inspect   func(turn) // tests look at each turn
	batch     []later
	settleFn  func(sent) // settle; a method value would be made anew for each submit
	settling  bool
	layers    *layering // nil: no connection had a layer yet
	reserve   int       // descriptor to give up when there is no other; -1: none
	count     counters
	failed    error
}

func newLoop(r *Reactor, index int) (*Loop, error) {
	e, found, err := newEngine(r.cfg.Engine, maxEvents, r.cfg.Loops)
	if err != nil {
		return nil, err
	}
	if index == 0 {
		r.cfg.Log.Info("event loops", slog.Int("loops", r.cfg.Loops), slog.String("engine", found))
	}
	reserve, err := openReserve()
	if err != nil {
		return nil, errors.Join(err, e.close())
	}
	batch, _ := e.(batcher)
	l := &Loop{
		reactor:  r,
		index:    index,
		cfg:      r.cfg,
		log:      r.cfg.Log.With(slog.Int("loop", index)),
		engine:   e,
		batcher:  batch,
		mailbox:  newMailbox(r.cfg.MailboxSize, e.wake),
		wheel:    timewheel.New(r.cfg.Tick, 0),
		lastCell: -1,
		more:     true, // look into the mailbox first: it may have been used before Run
		scratch:  make([]byte, scratchSize),
		events:   make([]event, maxEvents),
		reserve:  reserve,
	}
	if batch != nil {
		l.batch = make([]later, 0, maxBatch)
	}
	l.settleFn = l.settle
	l.count.bounds = TurnBounds()
	l.publishOldest()
	l.published.place.Store(placeOf(PhaseWait, never))
	return l, nil
}

// Index is the loop's number, from 0.
func (l *Loop) Index() int { return l.index }

// Now is the time of the turn, since the reactor was made, monotonic. It is
// read when the wait ends and again before the hooks.
func (l *Loop) Now() time.Duration { return l.now }

// Post makes f be called on the loop, soon, without the caller waiting for it.
// It reports false, and f is not called, if the mailbox is full or the loop has
// ended; otherwise f is called exactly once, at the latest when the reactor
// shuts down. Safe from any goroutine; it never blocks.
func (l *Loop) Post(f func()) bool { return l.put(message{run: f}) }

// OnTick adds a hook, which is called at most once in each cell of the grid of
// Config.Tick (the cell's number is now / Tick), while there is something to do:
//   - in the cell that follows, as exactly as the kernel wakes us, as long as
//     some hook has answered busy;
//   - in the same turn, or in the next cell if they were called in this one
//     already, when anything happened on the loop: bytes, a posted function, a
//     timer, Wake.
//
// Cells that were missed, because a turn took longer, are not made up for: the
// hook sees from now how many there were.
func (l *Loop) OnTick(hook func(now time.Duration) (busy bool)) { l.hooks = append(l.hooks, hook) }

// Busy is how long the loop has worked, that is not waited, up to this turn.
func (l *Loop) Busy() time.Duration { return l.count.busy }

// Wake makes the hooks be called although nothing else happened.
func (l *Loop) Wake() { l.wanted = true }

// Conn finds a connection by its ID, nil if it has gone or is about to.
func (l *Loop) Conn(id ID) *Conn {
	c := l.slab.find(token(id))
	if c == nil || c.state != stateOpen {
		return nil
	}
	return c
}

func (l *Loop) put(m message) bool {
	if l.mailbox.put(m) {
		return true
	}
	l.mailboxDrops.Add(1)
	return false
}

// run is the loop's life, on a thread of its own.
func (l *Loop) run() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	l.thread.Store(int64(threadID()))
	defer l.thread.Store(0)
	l.now = l.reactor.clock()
	if err := l.engine.start(); err != nil {
		l.fail(err)
	}
	for _, ln := range l.listeners {
		if err := l.engine.watchListener(ln.fd, ln.token()); err != nil {
			l.fail(err)
		}
	}
	for l.stopping.Load() == nil && l.failed == nil {
		l.turn()
	}
	l.end()
	if l.failed != nil {
		return fmt.Errorf("loop %d: %w", l.index, l.failed)
	}
	return nil
}

// dispatch serves the events of one wait, as far as the phase's budget goes.
func (l *Loop) dispatch() (served int) {
	l.allow(eventSlice, maxEvents)
	for over := false; served < len(l.left) && !over; over = l.Over() || l.turning.bytes <= 0 {
		l.serve(&l.left[served])
		served++
	}
	l.left = l.left[served:]
	l.turning.work.events += served
	return served
}

// serve does what one event asks for.
func (l *Loop) serve(ev *event) {
	if ev.token.generation() == 0 {
		if ln := l.listeners[ev.token.place()]; ln.fd >= 0 {
			l.accept(ln)
		}
		return
	}
	c := l.slab.find(ev.token)
	if c == nil {
		return // an event of a connection that has gone
	}
	if ev.hangup {
		c.hangup = true
	}
	if ev.writable || c.state == stateFlushing {
		l.writable(c)
	}
	if ev.readable && !c.queued {
		l.read(c)
	}
}

// writable sends what waits and tells the protocol that there is room.
func (l *Loop) writable(c *Conn) {
	c.full = false
	switch c.state {
	case stateOpen:
		if c.out != nil && (c.flush() != nil || c.out != nil) {
			return
		}
		c.proto.OnWritable(c)
	case stateFlushing:
		c.continueClose()
	default:
		return
	}
	if !c.full {
		l.arm(c, false)
	}
}

// arm asks for writable events, or no longer.
func (l *Loop) arm(c *Conn, on bool) {
	if c.armed == on || c.state == stateCondemned || c.closed() {
		return
	}
	if err := l.engine.arm(int(c.fd), c.token(), on); err != nil {
		l.condemn(c, err)
		return
	}
	c.armed = on
}

// read passes on what the socket has, up to the budget. A read that comes back
// short has emptied the socket: what comes later is a new edge.
func (l *Loop) read(c *Conn) {
	c.openFresh()
	budget := l.cfg.ReadBudget
	for c.readable() {
		b := l.scratch[:min(len(l.scratch), budget)]
		n, again, err := l.engine.recv(int(c.fd), b)
		switch {
		case err != nil:
			l.condemn(c, err)
			return
		case again:
			return
		case n == 0:
			c.peerEnded()
			return
		}
		l.count.received += uint64(n)
		l.turning.work.bytes += n
		l.turning.bytes -= n
		if c.state == stateOpen {
			c.received(b[:n])
		}
		if n < len(b) && !c.hangup {
			return
		}
		if budget -= n; budget == 0 || l.late() {
			l.readLater(c)
			return
		}
	}
	if c.paused && c.hangup && c.state == stateOpen {
		if err := socketError(int(c.fd)); err != nil {
			l.condemn(c, err)
		}
	}
}

// readLater puts c on the list of those that are read in the next turn
// whether or not an event comes.
func (l *Loop) readLater(c *Conn) {
	if !c.queued {
		c.queued = true
		l.ready = append(l.ready, c.token())
	}
}

// takeReady gives the connections that the turn before has left on the list;
// those that come onto it from now on are for the next turn.
func (l *Loop) takeReady() []token {
	left := l.ready
	l.ready, l.spare = l.spare[:0], left
	return left
}

// readReady reads those on the list, in order, as far as the phase's budget
// goes; the rest comes first in the next turn.
func (l *Loop) readReady(left []token) (served int) {
	l.allow(readySlice, readyBatch)
	for over := false; served < len(left) && !over; over = l.Over() || l.turning.bytes <= 0 {
		if c := l.slab.find(left[served]); c != nil {
			c.queued = false
			l.read(c)
		}
		served++
	}
	if served < len(left) {
		rest := slices.Delete(left, 0, served)
		rest = append(rest, l.ready...)
		l.ready, l.spare = rest, l.ready[:0]
	}
	return served
}

// runMessages empties the mailbox, but for what is over the phase's budget.
func (l *Loop) runMessages() (ran int) {
	l.mailbox.open()
	l.more = true
	for over := false; !over; over = l.Over() {
		m, ok := l.mailbox.take()
		if !ok {
			l.more = false
			break
		}
		if ran++; m.run == nil {
			l.start(m.fresh)
			continue
		}
		m.run()
	}
	l.turning.work.messages += ran
	return ran
}

// fire is called by the wheel.
func (l *Loop) fire(e *timewheel.Entry) {
	l.turning.work.timers++
	l.expire(e)
	if l.Over() {
		l.wheel.Pause()
	}
}

func (l *Loop) expire(e *timewheel.Entry) {
	switch owner := e.Owner.(type) {
	case *Conn:
		if owner.state == stateOpen {
			owner.proto.OnTimer(owner)
			return
		}
		owner.Reset(nil) // CloseAfterFlush took too long
	case *Timer:
		owner.fire()
	case *listener:
		l.resumeAccept(owner)
	}
}

// condemn makes c be closed at the end of the turn. A connection that is
// closing already keeps its reason.
func (l *Loop) condemn(c *Conn, reason error) {
	switch c.state {
	case stateOpen:
		c.reason = &reason
	case stateFlushing, stateDraining:
	default:
		return
	}
	c.state = stateCondemned
	l.leave(c)
}

// detach lets go of c without closing its socket.
func (l *Loop) detach(c *Conn) {
	c.state = stateDetached
	l.leave(c)
	l.conns.Add(-1)
	l.reactor.addresses.give(c.Remote().Addr())
}

// leave ends c's part in the loop, up to its place in the slab.
func (l *Loop) leave(c *Conn) {
	l.wheel.Cancel(&c.timer)
	l.identified(c)
	l.condemned = append(l.condemned, c)
}

// closeCondemned frees the connections that ended in this turn, oldest first,
// as far as the phase's budget goes. OnClose may condemn others, they are closed
// too.
func (l *Loop) closeCondemned() {
	done := 0
	for over := false; done < len(l.condemned) && !over; over = l.Over() {
		c := l.condemned[done]
		if c.state == stateCondemned {
			l.close(c)
		}
		l.slab.put(c)
		done++
	}
	l.turning.work.closed += done
	rest := copy(l.condemned, l.condemned[done:])
	clear(l.condemned[rest:])
	l.condemned = l.condemned[:rest]
}

func (l *Loop) close(c *Conn) {
	if c.proto != nil {
		c.proto.OnClose(c, *c.reason)
	}
	if c.reset || c.full {
		resetOnClose(int(c.fd))
	}
	closeSocket(int(c.fd))
	l.conns.Add(-1)
	l.reactor.addresses.give(c.Remote().Addr())
}

// fail ends the loop, and with it the reactor: the engine is broken.
func (l *Loop) fail(err error) {
	if l.failed == nil {
		l.failed = err
	}
}

// stop makes the loop end after its turn; from any goroutine.
func (l *Loop) stop(cause error) {
	if l.stopping.CompareAndSwap(nil, &cause) {
		l.engine.wake()
	}
}

// end closes everything; what was posted before still runs.
func (l *Loop) end() {
	l.closeListeners()
	l.mailbox.close()
	l.allow(never, math.MaxInt)
	for l.runMessages() > 0 {
		l.now = l.reactor.clock()
	}
	reason := l.failed
	if cause := l.stopping.Load(); reason == nil && cause != nil {
		reason = *cause
	}
	l.slab.each(func(c *Conn) { l.condemn(c, reason) })
	for len(l.condemned) > 0 {
		l.closeCondemned()
	}
	l.wheel.Stop()
	l.record(l.now, l.now)
	l.free()
}

// free gives back the loop's own descriptors.
func (l *Loop) free() {
	if l.reserve >= 0 {
		closeSocket(l.reserve)
		l.reserve = -1
	}
	if err := l.engine.close(); err != nil {
		l.fail(err)
	}
}
