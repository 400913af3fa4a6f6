package fanout

import (
	"math"
	"slices"

	"tmms/cluster/relay"
	"tmms/media"
	"tmms/media/bytelog"
)

// Steps of a viewer's clock at a skip.
const (
	// maxStep is the most that it may move on, in ms.
	maxStep media.Timestamp = 99
	// usualStep is that of a stream that does not tell, 25 frames a second.
	usualStep media.Timestamp = 40
)

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
	v.hear()
	s := v.slow
	missed := max(0, first.DTS-s.resumeAt(log, off))
	if int64(v.shift)+int64(missed) > math.MaxInt32 {
		v.leave(ErrLag)
		return false
	}
	v.shift += int32(missed)
	if s.config != j.Configs.Version {
		v.lead(&prefix{bytes: p.view.format.reconfigure(j, v.shift)})
	}
	v.cursor = off
	s.skipTo(off, missed, j.Configs.Version)
	e := p.channel.engine
	s.even = e.now - (p.view.live.LastDTS() - first.DTS).Duration()
	e.stats.skips.Add(1)
	return true
}

// resumeAt is the stream time at which the group at off has to come so that the
// viewer's clock goes on: one frame behind the last picture that it was sent,
// and late enough for the group's sound to follow the last sound.
func (s *slow) resumeAt(log *bytelog.Log, off int64) media.Timestamp {
	main := s.video
	if !main.seen {
		main = s.audio
	}
	if !main.seen { // it was sent configs at most
		return s.next
	}
	next := main.dts + main.step()
	if lead, ok := soundLead(log, off); ok && s.audio.seen {
		next = max(next, s.audio.dts+1+lead)
	}
	last := main.dts
	if s.audio.seen {
		last = max(last, s.audio.dts)
	}
	return min(next, last+maxStep)
}

func (t *lastTrack) step() media.Timestamp {
	if !t.two {
		return usualStep
	}
	return min(max(t.dts-t.before, 1), maxStep)
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
