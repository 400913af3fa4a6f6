package pipeline

import (
	"bytes"
	"math"
	"slices"
	"time"

	"tmms/media"
	"tmms/media/fmp4"
	"tmms/media/hls"
)

// list is the window of segments, and publishes it.
type list struct {
	// Set at construction.
	epoch   uint64
	window  int
	segment time.Duration
	publish func(*hls.Index)

	version       uint64
	target        time.Duration // 0 until the first segment
	partTarget    time.Duration // 0 until then, and without low latency
	shown         *hls.Index    // the last version
	inits         []*hls.Init   // replaced, never changed
	lastInit      *hls.Init
	entries       []entry // in order of MSN: look-back, then listed
	listed        int
	bytes         int // of all entries
	total         time.Duration
	discontinuous uint64 // discontinuities that have left the playlist, those of earlier epochs included
	dependent     bool   // a segment did not start with a keyframe
	variant       hls.Variant
	peakBPS       int
	rateKnown     bool
	ended         bool
	cut           media.Timestamp // of the open segment's first frame
	resume        []byte          // how to go on there
	resumed       bool            // the last version has them
}

// entry is a segment that can be fetched.
type entry struct {
	*hls.Segment
	longest time.Duration // of the playlists that it was in
	left    time.Duration // total when it left the playlist
}

func newList(cfg Config, publish func(*hls.Index)) *list {
	return &list{
		epoch: cfg.Epoch, window: cfg.Window, segment: cfg.Segment, publish: publish,
		discontinuous: cfg.Discontinuities,
	}
}

// describe takes the program of the segments to come.
func (l *list) describe(cfg fmp4.Config) {
	l.variant = describe(cfg)
	l.rateKnown = false
}

// inherit makes a new list go on with the index of another owner.
func (l *list) inherit(x *hls.Index) {
	var playlist time.Duration
	for _, s := range x.Playlist() {
		playlist += s.Duration
	}
	for _, s := range x.Segments {
		l.entries = append(l.entries, entry{Segment: s, longest: playlist})
		l.bytes += size(s)
	}
	l.listed, l.target, l.partTarget = x.Listed, x.Target, x.PartTarget
	l.discontinuous, l.dependent = x.DiscontinuitySequence, !x.Independent
	l.variant, l.peakBPS, l.rateKnown = x.Variant, x.Variant.PeakBPS, x.Variant.FrameRate > 0
	l.inits, l.shown = slices.Clone(x.Inits), x
	if n := len(x.Inits); n > 0 && x.Inits[n-1].Epoch == x.Epoch {
		l.lastInit = x.Inits[n-1]
	}
}

// begins notes how a segment begins, for the versions to come.
func (l *list) begins(at point) {
	l.cut, l.resume, l.resumed = media.Timestamp(at.cut), at.append(nil), false
}

// init gives the version of an initialization section: that of the last one if
// it is the same.
func (l *list) init(data []byte) (version uint32) {
	if l.lastInit != nil {
		if bytes.Equal(l.lastInit.Data, data) {
			return l.lastInit.Version
		}
		version = l.lastInit.Version
	}
	l.lastInit = &hls.Init{Epoch: l.epoch, Version: version + 1, Data: data}
	l.inits = append(slices.Clip(l.inits), l.lastInit)
	return l.lastInit.Version
}

// add appends a segment with that many video frames and publishes the index.
func (l *list) add(s *hls.Segment, videoFrames int) {
	if l.target == 0 {
		l.target = targetDuration(max(s.Duration, l.segment))
	}
	l.entries = append(l.entries, entry{Segment: s})
	l.listed++
	l.bytes += size(s)
	l.total += s.Duration
	l.dependent = l.dependent || !s.Independent
	l.measure(s, videoFrames)
	l.slide()
	l.show()
}

// targetDuration is half as much again as what was seen, in whole seconds:
// room for longer groups.
func targetDuration(seen time.Duration) time.Duration {
	return time.Duration(math.Round(1.5*seen.Seconds())) * time.Second
}

// end publishes the end mark, unless nothing was published.
func (l *list) end() {
	if l.version == 0 || l.ended {
		return
	}
	l.ended = true
	l.show()
}

// slide moves segments out of the playlist, and after one more playlist
// duration and their own out of reach (RFC 8216 section 6.2.2).
func (l *list) slide() {
	for l.listed > l.window {
		e := &l.entries[len(l.entries)-l.listed]
		e.left = l.total
		l.listed--
		if e.Discontinuity {
			l.discontinuous++
		}
	}
	lookBack := len(l.entries) - l.listed
	var duration time.Duration
	for _, e := range l.entries[lookBack:] {
		duration += e.Duration
	}
	for i := lookBack; i < len(l.entries); i++ {
		l.entries[i].longest = max(l.entries[i].longest, duration)
	}
	for ; lookBack > 0; lookBack-- {
		e := l.entries[0]
		if l.total-e.left < e.longest+e.Duration && l.bytes <= media.MaxHLSStreamBytes {
			return
		}
		l.bytes -= size(e.Segment)
		l.entries[0] = entry{}
		l.entries = l.entries[1:]
	}
}

// size is that of a segment in all its formats, in bytes.
func size(s *hls.Segment) (n int) {
	for _, m := range []*hls.Media{s.TS, s.MP4} {
		if m != nil {
			n += m.Size
		}
	}
	return n
}

// forget drops the initialization sections that no segment needs any more.
func (l *list) forget() {
	for _, e := range l.entries {
		if e.MP4 == nil {
			continue
		}
		for len(l.inits) > 0 && before(l.inits[0], e.Segment) {
			l.inits = l.inits[1:]
		}
		return
	}
}

// before says that an initialization section is older than that of a segment.
func before(i *hls.Init, s *hls.Segment) bool {
	return i.Epoch < s.Epoch || i.Epoch == s.Epoch && i.Version < s.Init
}

// show publishes the next version.
func (l *list) show() {
	l.version++
	l.forget()
	x := &hls.Index{
		Version: l.version, Listing: l.version, Epoch: l.epoch, Target: l.target, DiscontinuitySequence: l.discontinuous,
		Segments: make([]*hls.Segment, len(l.entries)), Listed: l.listed,
		Independent: !l.dependent, Ended: l.ended, Variant: l.variant,
		PartTarget: l.partTarget, Inits: l.inits, Cut: l.cut, Resume: l.resume,
	}
	l.resumed = true
	for i, e := range l.entries {
		x.Segments[i] = e.Segment
	}
	x.Variant.PeakBPS, x.Variant.AverageBPS = l.peakBPS, l.averageBPS()
	l.shown = x
	l.publish(x)
}

// part publishes the open segment with the parts that it has now, beside the
// segments of the last version.
func (l *list) part(open *hls.Segment) {
	l.version++
	x := *l.shown
	x.Version, x.Open, x.Inits = l.version, open, l.inits
	if !l.resumed { // the first segment of an epoch that goes on with another's list
		x.Listing, x.Cut, x.Resume, l.resumed = l.version, l.cut, l.resume, true
	}
	l.shown = &x
	l.publish(&x)
}
