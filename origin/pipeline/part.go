package pipeline

import (
	"slices"
	"time"

	"tmms/media"
	"tmms/media/hls"
)

const (
	// leastPart is what a part lasts of the part target at least, in percent, but
	// for the last of a segment (draft-pantos-hls-rfc8216bis section 4.4.3.7).
	leastPart = 85
	// rounding is what a time in whole milliseconds may be off.
	rounding media.Timestamp = 1
)

// partRule says where the parts of a segment end. The zero target is that of an
// epoch whose part target is not known yet, or that has none.
type partRule struct {
	want   media.Timestamp // what a part should last
	target media.Timestamp // what it may last
}

// due says that a part that lasts d before the next frame ends there. step is how
// long the frame lasts, as far as it is known; key: decoding can start with it.
func (r partRule) due(d, step media.Timestamp, key bool) bool {
	if r.target == 0 {
		return d >= r.want-step/4-rounding // the nearest whole number of frames, or one more
	}
	return d >= r.target || 100*d >= leastPart*r.target && (key || d+step > r.target+rounding)
}

// freeze fixes the target by the parts of the first segment, in order: what the
// longest of them lasts, unless that is a gap, and not so much that another one
// is too short. Of a single part it is that, since no frame could end it earlier,
// or, if that one is too short, a whole number of steps.
func (r *partRule) freeze(parts []hls.Part, step media.Timestamp, most time.Duration) {
	if len(parts) == 1 && parts[0].Duration >= r.want.Duration() {
		r.target = ms(min(parts[0].Duration, most))
		return
	}
	var whole []time.Duration
	for _, p := range parts[:max(len(parts)-1, 0)] {
		whole = append(whole, p.Duration)
	}
	if len(whole) == 0 {
		step = max(step, 1)
		r.target = min(max((r.want-step/4+step-1)/step, 1)*step, ms(most))
		return
	}
	slices.Sort(whole)
	usual := whole[len(whole)/2]
	longest := usual
	for _, d := range whole {
		if d <= usual+usual/4 {
			longest = d
		}
	}
	r.target = ms(min(longest, whole[0]*100/leastPart, most))
}

// duration is that of a part, as its tag has it. Where it is longer than the
// target, with a gap in the media, it is the target, and EXTINF has it whole.
func (r partRule) duration(d media.Timestamp) time.Duration {
	if r.target > 0 {
		d = min(d, r.target)
	}
	return d.Duration()
}

// partDue says that the open part ends before the frame.
func (p *Pipeline) partDue(tr *track, f *frame) bool {
	if p.mux.mp4 == nil || !p.mux.mp4.Gathers() || p.hasVideo() != (tr.typ == media.TypeVideo) {
		return false
	}
	rule := p.parts
	if !p.cfg.LowLatency && p.mux.gathered() >= fragmentBytes {
		rule.want = ms(media.StandbyPiece)
	}
	return rule.due(f.DTS-p.open.partStart, tr.step(), p.hasVideo() && f.Key)
}

// closePart ends the open part, or fragment, at the time end.
func (p *Pipeline) closePart(end media.Timestamp) {
	mp4, s := p.mux.mp4, p.open
	if mp4 == nil || !mp4.Gathers() {
		return
	}
	var b []byte
	if len(s.mp4.chunks) == 0 {
		s.init = p.list.init(p.mux.header())
		b = mp4.AppendSegmentStart(nil)
	}
	b = mp4.AppendFragment(b, end)
	s.mp4.chunks = append(s.mp4.chunks, b)
	s.mp4.size += len(b)
	s.parts = append(s.parts, hls.Part{
		Duration: p.parts.duration(end - s.partStart), Independent: s.partIndependent || !p.hasVideo(), Size: len(b),
	})
	s.partStart, s.partVideo, s.partIndependent = end, false, false
	p.splice = nil
}

// show publishes the parts that were closed since the last time. It comes after
// the frame behind them: what is promised as the next part will come.
func (p *Pipeline) show() {
	s := p.open
	if !p.cfg.LowLatency || p.list.target == 0 || s.shown == len(s.parts) {
		return
	}
	s.shown = len(s.parts)
	p.list.part(s.snapshot(p.cfg.Epoch, p.msn, !p.hasVideo()))
}
