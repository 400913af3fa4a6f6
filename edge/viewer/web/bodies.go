package web

import "time"

// Budgets of the bodies' sending.
const (
	// pieceSize bounds one send: enough to spread its cost, little enough to
	// keep the loop's turns short.
	pieceSize = 256 << 10
	// turnShare bounds what one connection sends before the others have their turn.
	turnShare = 1 << 20
	// bodyBytes and bodyTime bound what all connections of a loop together send of
	// bodies from one of its ticks to the next, beside live viewers: those take what
	// they need first. It is 6 Gbit/s, and two fifths of the time at most, which
	// leaves a loop below what makes flushes rarer.
	bodyBytes = 4 << 20
	bodyTime  = 2 * time.Millisecond
	// aloneBytes and aloneTime are the same without live viewers: more than a cell
	// of the grid, so that all of the loop's time can be used.
	aloneBytes = 16 << 20
	aloneTime  = 6 * time.Millisecond
)

// allowance is what a loop's answers may still take until its next tick.
type allowance struct {
	bytes int
	time  time.Duration
}

func newAllowance(alone bool) allowance {
	if alone {
		return allowance{aloneBytes, aloneTime}
	}
	return allowance{bodyBytes, bodyTime}
}

// over tells that nothing is left; a new one has something left.
func (a *allowance) over() bool { return a.bytes <= 0 || a.time <= 0 }

// spend takes off a send of n bytes that began at start.
func (a *allowance) spend(n int, start time.Time) {
	a.bytes -= n
	a.time -= time.Since(start)
}
