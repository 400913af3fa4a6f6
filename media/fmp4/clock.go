package fmp4

// clock gives audio frames even times: stream time comes in whole ms, with
// jitter. Its times are in samples.
type clock struct {
	started bool
	next    int64 // when the next frame begins, by the samples of those before
}

// Bounds of the drift between stream time and the samples that came, as parts of
// a second: it may be as long as a frame, but no shorter and no longer than
// these. Jitter of stream time, which has whole ms, comes on top.
const (
	driftLeast  = 50  // 20 ms
	driftMost   = 25  // 40 ms; picture and sound that are further apart are noticed
	driftJitter = 500 // 2 ms
)

// inStep says whether a frame that is due at a stream time may follow the one
// before at once.
func (c *clock) inStep(due, samples, rate int64) bool {
	limit := min(max(samples, rate/driftLeast), rate/driftMost) + rate/driftJitter
	drift := due - c.next
	return c.started && drift <= limit && drift >= -limit
}

// step moves the clock behind a frame that begins at t. Where the frame could not
// begin as early as it was due, it is as much shorter.
func (c *clock) step(t, due, samples int64, inStep bool) {
	c.started = true
	if inStep {
		due = t
	}
	c.next = max(t+1, due+samples)
}
