package tsmux

import (
	"bytes"
	"fmt"

	"tmms/media"
	"tmms/media/ac3"
	"tmms/media/mp3"
	"tmms/media/mpegts"
)

// Same says that two tracks are one in the same configuration. Where that is in
// the frames, two of them are the same if they say the same of the stream.
func Same(a, b mpegts.Track) bool {
	return a.Codec == b.Codec && (bytes.Equal(a.Config, b.Config) || sameFrame(a.Codec, a.Config, b.Config))
}

// Clone gives a track that shares no memory with t.
func Clone(t mpegts.Track) mpegts.Track {
	return mpegts.Track{Codec: t.Codec, Config: bytes.Clone(t.Config)}
}

// Check says whether a track can be carried: the error wraps
// mpegts.ErrUnsupported for a codec that cannot, and is the parser's for a bad
// configuration.
func Check(typ media.Type, t mpegts.Track) error {
	if t.Codec == media.CodecUnknown {
		return fmt.Errorf("%w an unknown %s codec", mpegts.ErrUnsupported, typ)
	}
	return mpegts.CheckTrack(typ, t)
}

// InFrames says that FLV has no configuration for the codec: each frame says
// what it is. See [FrameTrack].
func InFrames(c media.Codec) bool {
	return c == media.CodecMP3 || c == media.CodecAC3 || c == media.CodecEAC3
}

// FrameTrack gives the track that a frame of such a codec is of, whose Config is
// of the frame itself, not a copy. ok is false if the codec is another or the
// frame is none of it.
func FrameTrack(c media.Codec, frame []byte) (t mpegts.Track, ok bool) {
	switch c {
	case media.CodecMP3:
		if _, err := mp3.ParseHeader(frame); err != nil {
			return mpegts.Track{}, false
		}
		frame = frame[:mp3.HeaderSize]
	case media.CodecAC3, media.CodecEAC3:
		u, err := ac3.ParseUnit(frame)
		if err != nil || u.First.EAC3 != (c == media.CodecEAC3) || len(frame) > media.MaxCodecConfig {
			return mpegts.Track{}, false
		}
	default:
		return mpegts.Track{}, false
	}
	return mpegts.Track{Codec: c, Config: frame}, true
}

// MP3Track is FrameTrack for MP3.
func MP3Track(frame []byte) (t mpegts.Track, ok bool) { return FrameTrack(media.CodecMP3, frame) }

// sameFrame compares what all frames of a stream have in common.
func sameFrame(c media.Codec, a, b []byte) bool {
	switch c {
	case media.CodecMP3:
		return sameMP3(a, b)
	case media.CodecAC3, media.CodecEAC3:
		return sameAC3(a, b)
	default:
		return false
	}
}

// sameMP3: version, layer, sample rate and mono or not.
func sameMP3(a, b []byte) bool {
	if len(a) < mp3.HeaderSize || len(b) < mp3.HeaderSize {
		return false
	}
	return a[0] == b[0] && a[1]|1 == b[1]|1 && a[2]&0x0C == b[2]&0x0C && (a[3]>>6 == 3) == (b[3]>>6 == 3)
}

// sameAC3: all but the bit rate, which may vary.
func sameAC3(a, b []byte) bool {
	x, err := ac3.ParseUnit(a)
	if err != nil {
		return false
	}
	y, err := ac3.ParseUnit(b)
	if err != nil {
		return false
	}
	return x.First.EAC3 == y.First.EAC3 && x.First.SampleRate == y.First.SampleRate && x.First.BSID == y.First.BSID &&
		x.First.ACMOD == y.First.ACMOD && x.First.LFE == y.First.LFE && x.First.BSMOD == y.First.BSMOD &&
		x.Dependent == y.Dependent && x.ChannelMap == y.ChannelMap
}
