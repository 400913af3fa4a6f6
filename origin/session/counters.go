package session

import "sync/atomic"

// DropReason says why a packet did not enter its stream.
type DropReason int

// The reasons.
const (
	// DropLate: it came from a publisher that has been replaced.
	DropLate DropReason = iota
	// DropNoKeyframe: a video frame before its track's first keyframe of the run.
	DropNoKeyframe
	// DropMalformed: its codec header can't be read.
	DropMalformed
	// DropOversize: a codec configuration over media.MaxCodecConfig.
	DropOversize
	// DropTracks: a track id that is not below media.MaxPublishedTracks.
	DropTracks
	numDropReasons
)

// DropReasons lists all reasons.
func DropReasons() []DropReason {
	return []DropReason{DropLate, DropNoKeyframe, DropMalformed, DropOversize, DropTracks}
}

// String is the value of the metric's label.
func (r DropReason) String() string {
	names := [numDropReasons]string{"late", "no_keyframe", "malformed", "oversize", "tracks"}
	if r < 0 || r >= numDropReasons {
		return "unknown"
	}
	return names[r]
}

// Counters count over all streams of a registry. They are safe for concurrent use.
type Counters struct {
	rebases atomic.Int64
	drops   [numDropReasons]atomic.Int64
}

// Rebases counts the discontinuities within a run that a timeline corrected.
func (c *Counters) Rebases() int64 { return c.rebases.Load() }

// Dropped counts the packets that were dropped for a reason.
func (c *Counters) Dropped(r DropReason) int64 {
	if r < 0 || r >= numDropReasons {
		return 0
	}
	return c.drops[r].Load()
}
