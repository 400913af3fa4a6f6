package tsmux

import (
	"tmms/media"
	"tmms/media/mpegts"
)

const (
	// silence is after what time without a frame, in ms, a track is no longer in
	// the program: at the next group. It comes back with its next frame.
	silence media.Timestamp = 2000
	// enough is what stream time, in ms, tells of a stream whether a track that is
	// announced exists.
	enough media.Timestamp = 1000
)

// Live muxes a live stream as it comes. Its bytes can be played from the
// beginning of each group on: what [Live.Group] is followed by begins with PAT
// and PMT. A track is in the program from the beginning or from its first frame
// on; one that cannot be carried is left out. The zero value has no tracks. It
// has one owner and does not allocate in steady state but for the growth of dst.
//
//	Configure ...; Look ...; Begin; { Append | Group | Flush }
type Live struct {
	program      Program
	video, audio liveTrack
	tables       bool // due in front of the next frame
	looked       look
}

// liveTrack is what is known of the video or the audio.
type liveTrack struct {
	next    mpegts.Track // as announced last; CodecUnknown: not announced, or it cannot be carried
	in      bool         // to be in the program
	needKey bool         // video: the next frame to use is a keyframe
	last    media.Timestamp
}

// look is what was seen of a stream before its beginning.
type look struct {
	video, audio bool // there were frames
	some         bool
	first, last  media.Timestamp
}

// Configure takes a configuration that is in force before the first packet.
func (l *Live) Configure(typ media.Type, body []byte) {
	if p, err := Read(typ, 0, body); err == nil && p.Kind == media.KindConfig {
		l.announce(l.track(typ), typ, p.Track)
	}
}

// Look shows a packet that is ahead: which tracks exist is found out before the
// first table is written.
func (l *Live) Look(typ media.Type, dts media.Timestamp, body []byte) {
	p, err := Read(typ, dts, body)
	if err != nil {
		return
	}
	tr := l.track(typ)
	switch p.Kind {
	case media.KindConfig:
		if tr.next.Codec == media.CodecUnknown {
			l.announce(tr, typ, p.Track)
		}
	case media.KindKey, media.KindDelta, media.KindAudio:
		l.looked.note(typ, dts)
		if tr.next.Codec == media.CodecUnknown {
			l.announceFrame(tr, &p.Frame)
		}
	case media.KindData, media.KindEnd:
	}
}

func (k *look) note(typ media.Type, dts media.Timestamp) {
	if !k.some {
		k.some, k.first = true, dts
	}
	k.last = max(k.last, dts)
	k.video = k.video || typ == media.TypeVideo
	k.audio = k.audio || typ == media.TypeAudio
}

// Begin ends the looking: the next frame is the first, of the time dts. A track
// is there if it was announced, unless a second of the stream shows that nothing
// comes of it.
func (l *Live) Begin(dts media.Timestamp) {
	short := l.looked.last-l.looked.first < enough
	l.video.in = l.video.known() && (short || l.looked.video)
	l.audio.in = l.audio.known() && (short || l.looked.audio)
	l.video.last, l.audio.last = dts, dts
	l.video.needKey = true
	l.tables = true
	l.looked = look{}
}

// Carries tells whether there is a track that can be carried.
func (l *Live) Carries() bool { return l.video.known() || l.audio.known() }

// Group says that the next frame, of the time dts, begins a group. It appends
// what still belongs to the group before.
func (l *Live) Group(dst []byte, dts media.Timestamp) []byte {
	dst = l.Flush(dst)
	l.tables = true
	video, audio := l.video.silent(dts), l.audio.silent(dts)
	if video != audio {
		l.video.in, l.audio.in = l.video.in && !video, l.audio.in && !audio
	}
	return dst
}

func (t *liveTrack) known() bool                     { return t.next.Codec != media.CodecUnknown }
func (t *liveTrack) silent(now media.Timestamp) bool { return !t.in || now-t.last > silence }

// wanted is how the track is to be in the program.
func (t *liveTrack) wanted() mpegts.Track {
	if t.in {
		return t.next
	}
	return mpegts.Track{}
}

// Append appends what a packet of the first track of its type makes due: maybe
// nothing. Its body is only used during the call. What cannot be used is left
// out: a frame without its configuration or the keyframe that it needs, or of a
// codec that cannot be carried.
func (l *Live) Append(dst []byte, typ media.Type, dts media.Timestamp, body []byte) []byte {
	p, err := Read(typ, dts, body)
	if err != nil {
		return dst
	}
	tr := l.track(typ)
	switch p.Kind {
	case media.KindConfig:
		l.announce(tr, typ, p.Track)
	case media.KindKey, media.KindDelta, media.KindAudio:
		return l.frame(dst, tr, &p.Frame)
	case media.KindData, media.KindEnd:
	}
	return dst
}

// Flush appends the audio that is still gathered.
func (l *Live) Flush(dst []byte) []byte {
	if !l.program.Open() {
		return dst
	}
	return l.program.Flush(dst)
}

// Gathers tells that audio is gathered that no Append has given yet.
func (l *Live) Gathers() bool { return l.program.Open() && l.program.mux.Gathers() }

// Breaks appends, for each PID that may be in what comes next, a packet without
// payload that says that its counter does not continue: for a receiver that has
// not got what comes between.
func (l *Live) Breaks(dst []byte) []byte {
	if !l.program.Open() {
		return dst
	}
	return l.program.mux.AppendBreaks(dst)
}

func (l *Live) track(typ media.Type) *liveTrack {
	if typ == media.TypeVideo {
		return &l.video
	}
	return &l.audio
}

// announce takes a configuration; it holds from the next frame on.
func (l *Live) announce(tr *liveTrack, typ media.Type, t mpegts.Track) {
	switch {
	case tr.known() && Same(tr.next, t):
		return
	case Check(typ, t) != nil:
		tr.next, tr.in = mpegts.Track{}, false
	default:
		tr.next = Clone(t)
	}
	tr.needKey = typ == media.TypeVideo
}

// announceFrame takes the configuration out of a frame, where it is there.
func (l *Live) announceFrame(tr *liveTrack, f *Frame) {
	if !InFrames(f.Codec) {
		return
	}
	if t, ok := FrameTrack(f.Codec, f.Payload); ok {
		l.announce(tr, f.Type, t)
	}
}

// frame muxes one frame, with the tables in front if they are due or have changed.
func (l *Live) frame(dst []byte, tr *liveTrack, f *Frame) []byte {
	l.announceFrame(tr, f)
	if !tr.known() || tr.next.Codec != f.Codec || tr.needKey && !f.Key {
		return dst
	}
	tr.in, tr.needKey, tr.last = true, false, f.DTS
	dst, ok := l.settle(dst)
	if !ok {
		return dst
	}
	if l.tables {
		dst = l.program.Tables(l.program.Flush(dst))
		l.tables = false
	}
	// A frame that its codec cannot make sense of is lost, the stream goes on.
	dst, _ = l.program.Write(dst, f)
	return dst
}

// settle brings the program to what is wanted; false: it cannot be had.
func (l *Live) settle(dst []byte) ([]byte, bool) {
	video, audio := l.video.wanted(), l.audio.wanted()
	if l.program.Open() && Same(l.program.video, video) && Same(l.program.audio, audio) {
		return dst, true
	}
	dst = l.Flush(dst)
	if _, err := l.program.Apply(video, audio); err != nil {
		return dst, false
	}
	l.tables = true
	return dst, true
}
