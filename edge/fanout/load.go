package fanout

import "time"

// What the stretching of T goes by.
const (
	loadWindow = 100 * time.Millisecond // between two looks
	loadHigh   = 0.85                   // a loop that works for more than this share of the time has too much to do,
	loadLow    = 0.75                   // one that works for less could do more
	stretchUp  = 1.30
	stretchOff = 0.93
)

// load decides how much longer than T it takes from flush to flush, so that a
// loop which cannot send so often sends more at a time instead of losing viewers.
type load struct {
	busy func() time.Duration // how long the loop has worked so far; nil: unknown

	at, worked time.Duration // at the last look
	factor     float64       // 1 or more
}

// look takes the loop's measure, and gives the factor for T. most is the
// highest factor that any class has a use for.
func (l *load) look(now time.Duration, most float64) float64 {
	if l.busy == nil {
		return 1
	}
	passed := now - l.at
	if passed < loadWindow {
		return l.factor
	}
	worked := l.busy()
	share := float64(worked-l.worked) / float64(passed)
	l.at, l.worked = now, worked
	switch {
	case share > loadHigh:
		l.factor = min(l.factor*stretchUp, most)
	case share < loadLow:
		l.factor = max(l.factor*stretchOff, 1)
	}
	return l.factor
}
