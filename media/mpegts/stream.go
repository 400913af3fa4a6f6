package mpegts

import "fmt"

// maxLag bounds how far a composition offset may reach below zero, in ticks.
const maxLag = 10 * Clock

// stream is the state of one track.
type stream struct {
	pid pid
	es  elementary // nil: the track does not exist

	streamID, streamType byte

	started bool
	last    int64 // DTS of the last unit, in ticks
	lag     int64 // taken off every DTS, as units came with PTS < DTS
}

// reset puts a new codec on the track; counters, times and lag go on.
func (s *stream) reset(c *carried) {
	s.es = nil
	if c != nil {
		s.es, s.streamID = c.es, c.streamID
		s.streamType = c.es.streamType()
	}
}

// order makes the DTS of the track grow strictly and the PTS not less than it.
// Units whose PTS is below their DTS (negative composition offsets) do not
// move; from then on every DTS of the track is earlier by as much.
func (s *stream) order(pts, dts int64) (int64, int64, error) {
	if lag := dts - pts; lag > s.lag {
		if lag > maxLag {
			return 0, 0, fmt.Errorf("%w a PTS %d ticks below its DTS, the limit is %d", ErrUnsupported, lag, maxLag)
		}
		s.lag = lag
	}
	dts = s.grow(dts - s.lag)
	return max(pts, dts), dts, nil
}

// grow makes the DTS of the track grow strictly.
func (s *stream) grow(dts int64) int64 {
	if s.started && dts <= s.last {
		dts = s.last + 1
	}
	s.started, s.last = true, dts
	return dts
}
