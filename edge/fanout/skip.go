package fanout

import (
	"math"
	"slices"
	"time"

	"tmms/cluster/relay"
	"tmms/media"
	"tmms/media/bytelog"
)

// Bounds of the look at what a viewer was sent last, and gets first after a skip.
const (
	lookBack = 64 // entries
	// maxStep is the most that a viewer's clock may move on at a skip, in ms.
	maxStep media.Timestamp = 99
	// usualStep is that of a stream that does not tell, 25 frames a second.
	usualStep media.Timestamp = 40
)

// late tells that the viewer is more than twice the latency target behind,
// though there is a newer group to be in. A viewer whose only choice is a long
// group is not late, nor is one that has still to get its prefix.
func (v *Viewer) late(p *pass) bool {
	if v.prefix != nil || v.cursor >= p.newest {
		return false
	}
	e, ok := p.view.log.At(v.cursor)
	return !ok || p.view.live.LastDTS()-e.DTS > p.lagMax
}

// skip moves the viewer, which stands between two messages, to the newest group
// and takes off its clock what it has missed: what comes next is as far from
// what came last as one frame from the other. Its format's configs come again if
// they have changed meanwhile. It tells whether the viewer can go on.
func (v *Viewer) skip(p *pass) bool {
	log := p.view.log
	off, j, ok := p.view.latest()
	first, found := log.At(off)
	if !ok || !found || off <= v.cursor {
		return true
	}
	shift := int64(v.shift) + int64(max(0, first.DTS-v.resumeAt(log, off)))
	if shift > math.MaxInt32 {
		v.leave(ErrLag)
		return false
	}
	v.shift = int32(shift)
	if had, ok := log.At(v.cursor - 1); !ok || had.Config != j.Configs.Version {
		v.prefix, v.prefixOff = &prefix{bytes: p.view.format.reconfigure(j, v.shift)}, 0
	}
	v.cursor = off
	v.engine.stats.skips.Add(1)
	return true
}

// resumeAt is the stream time at which the group at off has to come so that the
// viewer's clock goes on: one frame behind the last picture that it was sent,
// and late enough for the group's sound to follow the last sound.
func (v *Viewer) resumeAt(log *bytelog.Log, off int64) media.Timestamp {
	video, audio := lastSent(log, v.cursor)
	main := video
	if !main.seen {
		main = audio
	}
	if !main.seen { // all that it was sent is gone
		return v.stuckAt
	}
	next := main.dts + main.step()
	if lead, ok := soundLead(log, off); ok && audio.seen {
		next = max(next, audio.dts+1+lead)
	}
	return min(next, max(video.dts, audio.dts)+maxStep)
}

// lastTrack is the newest frame of a kind, and the one before it.
type lastTrack struct {
	dts, before media.Timestamp
	seen, two   bool
}

func (t *lastTrack) step() media.Timestamp {
	if !t.two {
		return usualStep
	}
	return min(max(t.dts-t.before, 1), maxStep)
}

func (t *lastTrack) note(dts media.Timestamp) {
	switch {
	case !t.seen:
		t.dts, t.seen = dts, true
	case !t.two:
		t.before, t.two = dts, true
	}
}

// lastSent looks back from an offset for the last frames of video and audio.
func lastSent(log *bytelog.Log, off int64) (video, audio lastTrack) {
	for range lookBack {
		e, ok := log.At(off - 1)
		if !ok || off <= log.Tail() || video.two && audio.two {
			break
		}
		switch e.Kind {
		case media.KindAudio:
			audio.note(e.DTS)
		case media.KindKey, media.KindDelta:
			video.note(e.DTS)
		default:
		}
		off = e.Off
	}
	return video, audio
}

// soundLead is how much earlier than the group's first frame its first sound is.
func soundLead(log *bytelog.Log, off int64) (media.Timestamp, bool) {
	r := log.Reader(off)
	var start media.Timestamp
	for i := range lookBack {
		e, _, ok := r.Next()
		if !ok {
			break
		}
		if i == 0 {
			start = e.DTS
		}
		if e.Kind == media.KindAudio {
			return start - e.DTS, true
		}
	}
	return 0, false
}

// latest is the newest place to join at whose configs are known for sure.
func (v *view) latest() (off int64, j relay.Join, ok bool) {
	if v.format == FLV {
		j, ok = v.live.NewestGroup()
		return j.Offset, j, ok && j.Configs != nil
	}
	for _, m := range slices.Backward(*v.marks.Load()) {
		if m.Configs != nil {
			return m.off, m.Join, true
		}
	}
	return 0, relay.Join{}, false
}

// reconfigure makes the codec configs of a group for a viewer whose clock is
// shift behind the stream's.
func (f Format) reconfigure(j relay.Join, shift int32) (b []byte) {
	for i := range j.Configs.Headers {
		h := &j.Configs.Headers[i]
		b = f.appendMessage(b, h.Type, j.DTS-media.Timestamp(shift), h.Body)
	}
	if f == WebSocket && len(b) > 0 {
		b = append(appendWSHeader(nil, len(b)), b...)
	}
	return b
}

// lagMax is how far a viewer may be behind before it skips.
func lagMax(latency time.Duration) media.Timestamp {
	return media.Timestamp(2 * latency.Milliseconds())
}
