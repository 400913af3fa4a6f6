package reactor

import (
	"time"

	"tmms/edge/timewheel"
)

// Timer calls a function on its loop, by the loop's wheel. All methods are for
// the loop's thread; nothing of it allocates but NewTimer.
type Timer struct {
	loop  *Loop
	fire  func()
	entry timewheel.Entry
}

// NewTimer makes a timer that is not set; fire must not block. It may be called
// before Run.
func (l *Loop) NewTimer(fire func()) *Timer {
	t := &Timer{loop: l, fire: fire}
	t.entry.Owner = t
	return t
}

// Set makes the function be called once, d after the turn's [Loop.Now], rounded
// up to a tick; it replaces the time that was set before.
func (t *Timer) Set(d time.Duration) { t.loop.wheel.Add(&t.entry, t.loop.now+d) }

// Stop takes back Set.
func (t *Timer) Stop() { t.loop.wheel.Cancel(&t.entry) }

// Active reports whether the function is still to be called.
func (t *Timer) Active() bool { return t.entry.Active() }
