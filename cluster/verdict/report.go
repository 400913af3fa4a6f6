package verdict

import "time"

// Never is a [Report.Media] of a node that has sent no media.
const Never time.Duration = -1

// Report is what one node says of another.
type Report struct {
	// Known says that it had a session with it. Who never had one can't tell that
	// it is silent.
	Known bool
	// Silent is the time since something came from it over the fabric, without the
	// time in which the witness itself did not run.
	Silent time.Duration
	// Media is the time since media came from it; negative: never.
	Media time.Duration
	// Starting says of the witness itself what [Court.Starts] is told: a judge that has
	// just begun has not been told yet.
	Starting bool
}

// heardOf is a report with when it came.
type heardOf struct {
	Report

	at time.Duration
}

// witnesses reports whether it says at now that the node has been silent for so long.
func (r heardOf) witnesses(silence, now time.Duration) bool {
	return r.fresh(now) && r.Known && r.Silent >= silence
}

// vetoes reports whether it says at now that media came from the node just then. A
// witness that got media is no witness of silence.
func (r heardOf) vetoes(now time.Duration) bool {
	return r.fresh(now) && r.Media >= 0 && r.Media <= MediaVeto
}

func (r heardOf) fresh(now time.Duration) bool { return now-r.at <= ReportLife }
