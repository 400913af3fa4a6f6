package flv

import (
	"iter"

	"tmms/media"
)

// Tracks gives what Describe says of each track in an audio or video body, in
// order: one for most, more with the multitrack types ManyTracks and
// ManyTracksManyCodecs. An error, as of Describe, ends it. It does not allocate.
func Tracks(typ media.Type, body []byte) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		info, err := Describe(typ, body)
		if !yield(info, err) || err != nil || !info.Several {
			return
		}
		var h exHeader
		if typ == media.TypeVideo {
			h, _, err = openExVideo(body)
		} else {
			h, err = openExAudio(body)
		}
		for err == nil && h.more() {
			if err = h.nextTrack(); err == nil {
				info, err = h.describe()
			}
			if !yield(info, err) {
				return
			}
		}
	}
}

// describe describes the track at hand.
func (h *exHeader) describe() (Info, error) {
	if h.isAudio {
		return h.audio(), nil
	}
	return h.video()
}

// AppendOneTrack appends a body of its own for a track of a body with several
// that is no coded frame: a multitrack body of the type OneTrack. i is of [Tracks].
func AppendOneTrack(b []byte, typ media.Type, i Info) []byte {
	if typ == media.TypeVideo {
		b = append(b, 0x80|frameKey<<4|byte(exMultitrack), oneTrack<<4|byte(i.packet))
	} else {
		b = append(b, soundEx<<4|audioMultitrack, oneTrack<<4|byte(i.packet))
	}
	b = append(append(b, i.FourCC[:]...), byte(i.Track))
	return append(b, i.Payload...)
}
