package relay

import (
	"testing"
	"time"

	"tmms/media/hls"
)

// servedSegment is one in fragmented MP4 with parts of these sizes.
func servedSegment(epoch, msn uint64, parts ...int) *hls.Segment {
	s := &hls.Segment{Epoch: epoch, MSN: msn, MP4: &hls.Media{}}
	for _, n := range parts {
		s.Parts = append(s.Parts, hls.Part{Size: n, Duration: time.Second})
		s.Duration += time.Second
		s.MP4.Size += n
	}
	return s
}

// TestNumbersKeepTheirMeaning: which indexes of a new owner may follow what was served.
func TestNumbersKeepTheirMeaning(t *testing.T) {
	served := func() *hls.Index {
		return &hls.Index{
			Epoch: 7, Version: 9, Listed: 2, Open: servedSegment(7, 105, 10, 20),
			Segments: []*hls.Segment{servedSegment(6, 102, 1), servedSegment(6, 103, 1, 2), servedSegment(7, 104, 3)},
		}
	}
	old := served().Segments
	next := func(list ...*hls.Segment) *hls.Index {
		return &hls.Index{Epoch: 8, Version: 1, Segments: list, Listed: min(2, len(list))}
	}
	for _, c := range []struct {
		name          string
		x             *hls.Index
		want, cleared bool // cleared: without what was shown at hand
	}{
		{"the open segment is closed with more", next(old[1], old[2], servedSegment(7, 105, 10, 20, 5)), true, true},
		{"the open segment is closed as it is", next(old[1], old[2], servedSegment(7, 105, 10, 20)), true, true},
		{"and one more", next(old[2], servedSegment(7, 105, 10, 20), servedSegment(8, 106, 1)), true, true},
		{"closed with less", next(old[1], old[2], servedSegment(7, 105, 10)), false, true},
		{"closed with other parts", next(old[1], old[2], servedSegment(7, 105, 10, 21, 5)), false, true},
		{"not as far", next(old[0], old[1], old[2]), false, false},
		{"under its own name", next(old[1], old[2], servedSegment(8, 105, 10, 20, 5)), false, false},
		{"an older one under another name", next(servedSegment(7, 103, 1, 2), old[2], servedSegment(7, 105, 10, 20)), false, false},
		{"an older one with other bytes", next(old[1], servedSegment(7, 104, 4), servedSegment(7, 105, 10, 20)), false, true},
		{"anew above all", next(servedSegment(8, 106, 1), servedSegment(8, 107, 1)), true, true},
		{"anew, on what was open", next(servedSegment(8, 105, 1), servedSegment(8, 106, 1)), false, false},
		{"nothing", next(), false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s shelf
			s.see(served())
			if got := s.goesOn(c.x); got != c.want {
				t.Errorf("it may follow: %t", got)
			}
			s.clear()
			if got := s.goesOn(c.x); got != c.cleared {
				t.Errorf("once only the names are known: %t", got)
			}
		})
	}
}

func TestServedIsBounded(t *testing.T) {
	var s shelf
	for epoch := range uint64(100) {
		s.see(&hls.Index{Epoch: epoch, Segments: []*hls.Segment{servedSegment(epoch, 2*epoch, 1), servedSegment(epoch, 2*epoch+1, 1)}})
	}
	if len(s.served) != maxServed || s.served[maxServed-1] != (numbers{99, 198, 199}) {
		t.Errorf("%d: %+v", len(s.served), s.served)
	}
}

func TestHeldIndex(t *testing.T) {
	var s shelf
	if s.hold(8) != nil {
		t.Error("nothing is held")
	}
	x := &hls.Index{Epoch: 7, Version: 3}
	s.see(x)
	if s.hold(7) != nil {
		t.Error("it is the present owner's")
	}
	if held := s.hold(8); held == nil || !held.Held || held.Version != 3 || x.Held {
		t.Errorf("%+v of %+v", held, x)
	}
	if s.hold(9) != nil {
		t.Error("it is held already")
	}
}
