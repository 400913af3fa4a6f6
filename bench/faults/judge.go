package faults

import (
	"slices"
	"time"

	"tmms/bench/signal"
)

// sane holds what a viewer got against what no fault excuses: frames that come
// twice, late or damaged, a clock that goes back or gains, sound and picture apart,
// a playlist that contradicts itself.
func (r *Result) sane(v Sight) {
	if n := v.Faults(); n > 0 {
		r.fault("%s: audio %+v, video %+v, %d returns to a publisher before, seams %v", v.Name,
			v.Tracks[signal.Audio], v.Tracks[signal.Video], v.Returned, v.Seams)
	}
	for _, s := range v.Seams {
		if s.Lost >= 0 && s.Forward > s.Sent+maxClockGain {
			r.fault("%s: the clock gains %v: %v", v.Name, s.Forward-s.Sent, s)
		}
	}
	if v.Apart > maxApart {
		r.fault("%s: sound and picture are %v apart", v.Name, v.Apart)
	}
	for _, f := range v.List.Faults {
		r.fault("%s: %s", v.Name, f)
	}
}

// gapless wants viewers to have noticed nothing; of those at edges but some.
func (r *Result) gapless(list []Sight, but ...string) {
	for _, v := range list {
		r.sane(v)
		if slices.Contains(but, v.Edge) {
			continue
		}
		if v.Lost() > 0 || len(v.Seams) > 0 {
			r.fault("%s: %d frames are lost: %v", v.Name, v.Lost(), v.Seams)
		}
		r.stayed(v)
		if v.List.Discontinuities > 0 || v.List.Anew > 0 {
			r.fault("%s: %d discontinuities, %d times anew", v.Name, v.List.Discontinuities, v.List.Anew)
		}
		if !v.HLS {
			r.took("without a picture", v.Silence, viewerNoGap)
		}
	}
}

// stayed wants a viewer to have kept its connection.
func (r *Result) stayed(v Sight) {
	if len(v.Ends) > 0 || v.Opened > 0 {
		r.fault("%s: disconnected: %q, %d times anew", v.Name, v.Ends, v.Opened)
	}
}

// Resumed wants viewers to have been kept through the loss of an owner, but those
// at some edges, and to have a picture again in time, on one clock.
func (r *Result) Resumed(list []Sight, limit time.Duration, but ...string) {
	for _, v := range list {
		r.sane(v)
		if slices.Contains(but, v.Edge) {
			continue
		}
		r.stayed(v)
		if v.List.Discontinuities > maxDiscontinuities || v.List.Anew > listsAnew {
			r.fault("%s: %d discontinuities, %d times anew", v.Name, v.List.Discontinuities, v.List.Anew)
		}
		if !v.HLS {
			r.took("viewers resume", v.Silence, limit)
		}
	}
}
