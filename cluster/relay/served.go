package relay

import (
	"slices"

	"tmms/media/hls"
)

// What was served of a stream must keep its meaning when another node becomes its
// owner: a segment's number its name, and a name its bytes.

// numbers are segment numbers that were shown, first to last, under one epoch.
type numbers struct{ epoch, first, last uint64 }

// maxServed bounds the changes of the owner that a shelf remembers.
const maxServed = 16

// remember notes the names that an index shows.
func (s *shelf) remember(x *hls.Index) {
	for seg := range allOf(x) {
		n := len(s.served)
		switch {
		case n > 0 && seg.MSN <= s.served[n-1].last:
		case n > 0 && s.served[n-1].epoch == seg.Epoch && seg.MSN == s.served[n-1].last+1:
			s.served[n-1].last = seg.MSN
		default:
			if n == maxServed {
				s.served = slices.Delete(s.served, 0, 1)
			}
			s.served = append(s.served, numbers{seg.Epoch, seg.MSN, seg.MSN})
		}
	}
}

// allOf lists the segments of an index, the open one last.
func allOf(x *hls.Index) func(yield func(*hls.Segment) bool) {
	return func(yield func(*hls.Segment) bool) {
		for _, seg := range x.Segments {
			if !yield(seg) {
				return
			}
		}
		if x.Open != nil {
			yield(x.Open)
		}
	}
}

// goesOn tells that an index of another epoch may follow what was served: it begins
// above that, or it has got as far and gives no number another meaning.
func (s *shelf) goesOn(x *hls.Index) bool {
	if x.Listed > 0 && x.Playlist()[0].MSN > s.highest {
		return true
	}
	if x.NextMSN() <= s.highest {
		return false
	}
	for seg := range allOf(x) {
		if seg.MSN <= s.highest && !s.agrees(seg) {
			return false
		}
	}
	return true
}

// agrees tells that a segment has the name, and as far as it is known the bytes, that
// were served under its number.
func (s *shelf) agrees(seg *hls.Segment) bool {
	for _, n := range s.served {
		if n.first <= seg.MSN && seg.MSN <= n.last && n.epoch != seg.Epoch {
			return false
		}
	}
	if s.shown == nil {
		return true
	}
	if old := s.shown.Lookup(seg.Epoch, seg.MSN); old != nil {
		return old.Duration == seg.Duration && old.Discontinuity == seg.Discontinuity && slices.Equal(old.Parts, seg.Parts) &&
			sameSize(old.TS, seg.TS) && sameSize(old.MP4, seg.MP4)
	}
	open := s.shown.Open
	if open == nil || idOf(open) != idOf(seg) {
		return true
	}
	n := len(open.Parts)
	return n <= len(seg.Parts) && slices.Equal(open.Parts, seg.Parts[:n]) && open.Discontinuity == seg.Discontinuity
}

func sameSize(a, b *hls.Media) bool {
	return (a == nil) == (b == nil) && (a == nil || a.Size == b.Size)
}

// hold marks what is shown as that of an owner before, if it is of an epoch before
// that one; nil: nothing has changed.
func (s *shelf) hold(epoch uint64) *hls.Index {
	if s.shown == nil || s.shown.Held || s.shown.Epoch >= epoch {
		return nil
	}
	held := *s.shown
	held.Held = true
	s.shown = &held
	return &held
}
