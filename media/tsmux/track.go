package tsmux

import (
	"bytes"
	"fmt"

	"tmms/media"
	"tmms/media/mp3"
	"tmms/media/mpegts"
)

// Same says that two tracks are one in the same configuration.
func Same(a, b mpegts.Track) bool { return a.Codec == b.Codec && bytes.Equal(a.Config, b.Config) }

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

// MP3Track makes of a frame what all frames of a stream have in common, since
// FLV has no configuration for MP3: version, layer, sample rate and mono or not.
// ok is false if it is no MP3.
func MP3Track(frame []byte) (t mpegts.Track, ok bool) {
	if _, err := mp3.ParseHeader(frame); err != nil {
		return mpegts.Track{}, false
	}
	mono := byte(0)
	if frame[3]>>6 == 3 {
		mono = 0xC0
	}
	return mpegts.Track{Codec: media.CodecMP3, Config: []byte{frame[0], frame[1] | 1, frame[2] & 0x0C, mono}}, true
}
