package mpegts

// How the clock reference (PCR) relates to the timestamps, in ticks.
const (
	// pcrLead is how far the clock is behind the DTS that is being written: the
	// time a receiver has to get a unit, and room for tracks that are not
	// interleaved tightly.
	pcrLead = 500 * TicksPerMS
	// audioAhead is how far audio may be ahead of video before it drives the
	// clock in its place: more than publishers interleave, and than the time
	// between two pictures at 3 fps.
	audioAhead = 450 * TicksPerMS
	// pcrEvery is the longest distance of two clock references (DVB TS 101 154;
	// ISO/IEC 13818-1 section 2.7.2 allows 100 ms).
	pcrEvery = 40 * TicksPerMS
	// tablesEvery, plus the 40 ms that the clock may step, stays below the 500 ms
	// that PAT and PMT may be apart.
	tablesEvery = 400 * TicksPerMS
	// maxFill bounds the gap that is filled with clock references, 25 packets a
	// second: one video frame a minute needs it. Over a longer gap the clock
	// jumps and says so.
	maxFill = 90 * Clock
)

// clock decides when a clock reference and the tables are due. Its times are
// stream time minus the lead.
type clock struct {
	started bool
	given   bool  // a reference was written
	pcr     int64 // last reference; before the first, where the clock was started
	jumped  bool  // the next reference carries the discontinuity indicator

	tablesAt    int64 // when the tables were last written
	tablesKnown bool  // tablesAt holds
	tablesFresh bool  // they were just written, at the time that comes next
}

// at is the clock's time when a unit with that DTS is written.
func (c *clock) at(dts int64) int64 { return dts - pcrLead }

// start lets the clock run from t, if it does not run yet; nothing is written.
func (c *clock) start(t int64) {
	if !c.started {
		c.started, c.pcr = true, t
	}
}

// due is how many references lead to the time t, none more than pcrEvery behind
// the one before; 0 if the clock is there already.
func (c *clock) due(t int64) int {
	if t-c.pcr > maxFill {
		c.pcr, c.jumped = t-pcrEvery, c.given
	}
	return int(max(0, t-c.pcr+pcrEvery-1) / pcrEvery)
}

// next is the time of the next reference when n lead to t.
func (c *clock) next(n int, t int64) int64 {
	if n == 1 {
		return t
	}
	return c.pcr + pcrEvery
}

// reference sets the clock to t and gives the adaptation field that says so.
func (c *clock) reference(t int64) adaptation {
	a := adaptation{pcr: t, hasPCR: true, discontinuity: c.jumped}
	c.started, c.given, c.pcr, c.jumped = true, true, t, false
	return a
}

// tablesWritten says that the caller wrote the tables in front of what comes next.
func (c *clock) tablesWritten() { c.tablesFresh = true }

// tablesChanged makes the tables due at once.
func (c *clock) tablesChanged() { c.tablesKnown = false }

// appendTables appends the tables if they are due at t.
func (c *clock) appendTables(dst []byte, t int64, tb *tables) []byte {
	if !c.tablesFresh {
		if c.tablesKnown && t-c.tablesAt < tablesEvery {
			return dst
		}
		dst = tb.append(dst)
	}
	c.tablesAt, c.tablesKnown, c.tablesFresh = t, true, false
	return dst
}
