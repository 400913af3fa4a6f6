package pipeline

import (
	"errors"
	"fmt"
	"time"
)

// Config says how one stream is cut in one epoch.
type Config struct {
	Epoch uint64 // of the ownership; part of every segment's name
	// FirstMSN is the number of the first segment: the unix second of the claim.
	FirstMSN uint64
	// Segment is the target: a cut comes at the first keyframe at or after it.
	Segment time.Duration
	// MinSegment is the shortest segment but for the last, at least one second,
	// so that a later claim starts at a higher number. A forced cut may come
	// earlier only as long as segments last a second on average.
	MinSegment time.Duration
	// Window is how many segments a playlist lists.
	Window int
	// LowLatency makes fragmented MP4 in parts of every segment.
	LowLatency bool
	// Part is what a part lasts at least, but for the last of a segment.
	Part time.Duration
	// Resumed says that the stream had segments in an earlier epoch: the first
	// one here is a discontinuity.
	Resumed bool
	// Discontinuities are those of the earlier epochs, as far as they are known.
	Discontinuities uint64
}

// Bounds of a configuration.
const (
	minSegment = time.Second
	maxSegment = 60 * time.Second
	minWindow  = 3 // RFC 8216 section 6.2.2: a playlist has three target durations
	maxWindow  = 60
	minPart    = 100 * time.Millisecond
	maxPart    = time.Second
)

// fragment is how long a fragment of a segment without parts is, about: its
// frames are held until it is written. One that has fragmentBytes is no longer than
// [media.StandbyPiece]: little shall be left for the segment's end. Smaller ones would
// be boxes for a good part.
const (
	fragment      = time.Second
	fragmentBytes = 16 << 10
)

// DefaultConfig gives the defaults for an epoch that begins at the unix second.
func DefaultConfig(epoch, unixSecond uint64) Config {
	return Config{
		Epoch: epoch, FirstMSN: unixSecond, Segment: 2 * time.Second, MinSegment: minSegment, Window: 6,
		Part: 200 * time.Millisecond,
	}
}

// Validate gives every fault of c.
func (c Config) Validate() error {
	var errs []error
	if c.MinSegment < minSegment || c.MinSegment > maxSegment {
		errs = append(errs, fmt.Errorf("pipeline: MinSegment is %v, the limits are %v and %v",
			c.MinSegment, minSegment, maxSegment))
	}
	if c.Segment < c.MinSegment || c.Segment > maxSegment {
		errs = append(errs, fmt.Errorf("pipeline: Segment is %v, the limits are MinSegment (%v) and %v",
			c.Segment, c.MinSegment, maxSegment))
	}
	if c.Window < minWindow || c.Window > maxWindow {
		errs = append(errs, fmt.Errorf("pipeline: Window is %d, the limits are %d and %d",
			c.Window, minWindow, maxWindow))
	}
	if c.LowLatency && (c.Part < minPart || c.Part > maxPart) {
		errs = append(errs, fmt.Errorf("pipeline: Part is %v, the limits are %v and %v", c.Part, minPart, maxPart))
	}
	return errors.Join(errs...)
}
