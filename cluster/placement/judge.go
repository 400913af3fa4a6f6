package placement

import "time"

// Verdict says whether a node is fit to be a shield.
type Verdict uint8

// The verdicts.
const (
	Fit        Verdict = iota
	Overloaded         // it has no room for more; still better than none
	Far                // the way to it is much longer than that to the owner
	Lossy              // the way to it loses much more than that to the owner
	New                // it may go as it came
)

// String gives "ok", or why the node is passed over.
func (v Verdict) String() string {
	switch v {
	case Fit:
		return "ok"
	case Overloaded:
		return "overloaded"
	case Far:
		return "far"
	case Lossy:
		return "lossy"
	case New:
		return "has just come"
	}
	return "unknown"
}

// What makes a node unfit, and, lower, fit again. A shield of a region is near, so
// that only one which is much worse than the way that it saves is passed over.
const (
	overloadedFrom uint8 = 240 // of 255
	overloadedTo   uint8 = 205

	farTimes, farBeyond  = 2, 50 * time.Millisecond // of the way to the owner, and on top
	nearTimes, nearBelow = 1.5, 25 * time.Millisecond
	farUnknown           = 500 * time.Millisecond // while the way to the owner is not known
	nearUnknown          = 300 * time.Millisecond

	lossyFrom, lossyTo = 0.10, 0.05
	lossyTimes         = 2 // of the way to the owner
)

// Agree is how many samples in a row must say the same for a verdict to change.
const Agree = 3

// Judge comes to a verdict on one node for the streams of one owner, sample by
// sample. The zero value finds it fit.
type Judge struct {
	verdict  Verdict
	opposed  Verdict // what the last samples say instead
	opposing int     // how many of them
}

// Verdict is what holds now.
func (j Judge) Verdict() Verdict { return j.verdict }

// Sample takes the ways to the node and to the owner as they are now.
func (j Judge) Sample(node, owner Path) Judge {
	says := j.look(node, owner)
	switch {
	case says == j.verdict:
		j.opposing = 0
	case j.opposing > 0 && says == j.opposed:
		j.opposing++
	default:
		j.opposed, j.opposing = says, 1
	}
	if j.opposing >= Agree {
		return Judge{verdict: says}
	}
	return j
}

// look judges one sample; what made the node unfit has to get better by more than
// it had to get worse.
func (j Judge) look(node, owner Path) Verdict {
	load, loss := overloadedFrom, float64(lossyFrom)
	far, unknown := limit(owner.RTT, farTimes, farBeyond), farUnknown
	switch j.verdict {
	case Overloaded:
		load = overloadedTo
	case Far:
		far, unknown = limit(owner.RTT, nearTimes, nearBelow), nearUnknown
	case Lossy:
		loss = lossyTo
	case Fit, New:
	}
	if owner.RTT == 0 {
		far = unknown
	}
	switch {
	case node.Load >= load:
		return Overloaded
	case node.RTT > far:
		return Far
	case node.Loss > max(loss, lossyTimes*owner.Loss):
		return Lossy
	}
	return Fit
}

func limit(rtt time.Duration, times float64, more time.Duration) time.Duration {
	return time.Duration(times*float64(rtt)) + more
}
