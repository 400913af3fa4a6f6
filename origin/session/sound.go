package session

import (
	"tmms/media"
	"tmms/media/aac"
	"tmms/media/ac3"
	"tmms/media/flac"
	"tmms/media/mp3"
	"tmms/media/opus"
)

// soundOf reads rate in Hz and channels from an audio configuration; 0 is what it
// does not say.
func soundOf(codec media.Codec, record []byte) (rate, channels int) {
	switch codec {
	case media.CodecAAC:
		if c, err := aac.ParseConfig(record); err == nil {
			return max(c.SampleRate, c.ExtensionRate), c.Channels
		}
	case media.CodecOpus: // decoded at one rate, whatever went in
		if h, err := opus.ParseHead(record); err == nil {
			return opus.Rate, h.Channels
		}
	case media.CodecFLAC:
		if h, err := flac.ParseHeader(record); err == nil {
			return h.SampleRate, h.Channels
		}
	default:
	}
	return 0, 0
}

// soundInFrames tells that each frame of the codec says what sound it is; a
// configuration has nothing to add.
func soundInFrames(codec media.Codec) bool {
	return codec == media.CodecMP3 || codec == media.CodecAC3 || codec == media.CodecEAC3
}

// frameSound is the same as soundOf by a frame; 0 if the codec's frames do not
// say, or not so that it can be read.
func frameSound(codec media.Codec, frame []byte) (rate, channels int) {
	switch codec {
	case media.CodecMP3:
		if h, err := mp3.ParseHeader(frame); err == nil {
			return h.SampleRate, h.Channels
		}
	case media.CodecAC3, media.CodecEAC3:
		if u, err := ac3.ParseUnit(frame); err == nil {
			return u.First.SampleRate, u.Channels()
		}
	default:
	}
	return 0, 0
}
