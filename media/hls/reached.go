package hls

import (
	"errors"
	"fmt"
)

// maxAhead is how far above the last segment a blocking request may ask
// (draft-pantos-hls-rfc8216bis section 6.2.5.2).
const maxAhead = 2

// ErrTooFar refuses a blocking request for what does not come next.
var ErrTooFar = errors.New("hls: the segment asked for is too far ahead")

// Reached tells whether x has what a blocking request asks for
// (draft-pantos-hls-rfc8216bis section 6.2.5.2): segment msn whole (part < 0), or
// part of it; a part past the end of segment msn means the first one of the next.
// An ended index has reached everything. The error wraps [ErrTooFar] if msn is
// more than two above the last.
func (x *Index) Reached(msn uint64, part int) (bool, error) {
	next := x.NextMSN()
	if x.Open != nil {
		next = x.Open.MSN
	}
	switch {
	case x.Ended:
		return true, nil
	case x.Open == nil && len(x.Segments) == 0:
		return false, nil
	case msn > next && msn-next >= maxAhead:
		return false, fmt.Errorf("%w: it is %d, the last one is %d, the limit is %d more", ErrTooFar, msn, next-1, maxAhead)
	case msn < next:
		return part < 0 || !x.pastEnd(msn, part) || x.hasPart(next, 0), nil
	}
	return part >= 0 && x.hasPart(msn, part), nil
}

// pastEnd says that the newest whole segment is msn and has no such part.
func (x *Index) pastEnd(msn uint64, part int) bool {
	n := len(x.Segments)
	if n == 0 {
		return false
	}
	s := x.Segments[n-1]
	return s.MSN == msn && len(s.Parts) > 0 && part >= len(s.Parts)
}

// hasPart says that the open segment is msn and has the part.
func (x *Index) hasPart(msn uint64, part int) bool {
	return x.Open != nil && x.Open.MSN == msn && part < len(x.Open.Parts)
}
