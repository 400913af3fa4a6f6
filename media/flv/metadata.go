package flv

import (
	"bytes"
	"fmt"

	"tmms/media"
	"tmms/media/amf0"
)

// Metadata is what an onMetaData message says of the stream; 0 where it says
// nothing. Publishers make mistakes here: it is for display and for a first
// guess at the tracks, the codec headers decide.
type Metadata struct {
	Width, Height                float64 // pixels
	FrameRate                    float64 // frames per second
	VideoDataRate, AudioDataRate float64 // kbit/s
	SampleRate                   float64 // Hz
	VideoCodec, AudioCodec       media.Codec
	// HasVideo and HasAudio: the message announces such a track, by a codec id
	// that is not 0 or "", or else by a data rate or a size.
	HasVideo, HasAudio bool
	Encoder            string
	Props              []amf0.Property // all of it, in order
}

// ParseMetadata reads a data tag body: "onMetaData" and an object or ECMA
// array, with "@setDataFrame" in front or not. ok is false for other data
// messages. The error wraps [ErrMalformed]; AMF is bounded by
// [media.MaxAMFNodes] and [media.MaxAMFDepth].
func ParseMetadata(body []byte) (md Metadata, ok bool, err error) {
	values, err := amf0.DecodeAll(body)
	if err != nil {
		return Metadata{}, false, fmt.Errorf("%w: metadata: %w", ErrMalformed, err)
	}
	if len(values) > 0 && values[0].Text() == "@setDataFrame" {
		values = values[1:]
	}
	if len(values) < 2 || values[0].Text() != "onMetaData" {
		return Metadata{}, false, nil
	}
	o := values[1]
	md = Metadata{
		Width: o.Get("width").Float(), Height: o.Get("height").Float(),
		FrameRate:     o.Get("framerate").Float(),
		VideoDataRate: o.Get("videodatarate").Float(), AudioDataRate: o.Get("audiodatarate").Float(),
		SampleRate: o.Get("audiosamplerate").Float(), Props: o.Props,
		Encoder: o.Get("encoder").Text(),
	}
	if md.FrameRate == 0 {
		md.FrameRate = o.Get("fps").Float()
	}
	video, audio := o.Get("videocodecid"), o.Get("audiocodecid")
	md.VideoCodec = metaCodec(video, videoCodec, fourCCVideo)
	md.AudioCodec = metaCodec(audio, soundCodec, fourCCAudio)
	md.HasVideo = announced(video, md.VideoDataRate > 0 || md.Width > 0)
	md.HasAudio = announced(audio, md.AudioDataRate > 0 || md.SampleRate > 0)
	return md, true, nil
}

// announced says whether a codec id stands for a track; otherwise is for when
// there is no codec id.
func announced(id amf0.Value, otherwise bool) bool {
	switch id.Kind {
	case amf0.KindNumber:
		return id.Num != 0
	case amf0.KindString:
		return id.Str != ""
	default:
		return otherwise
	}
}

// metaCodec reads a codec id: a legacy number, a FourCC as a number (Enhanced
// RTMP v2) or as a string.
func metaCodec(id amf0.Value, legacy func(byte) media.Codec, fourCC func([4]byte) media.Codec) media.Codec {
	if s := id.Text(); len(s) == 4 {
		return fourCC([4]byte([]byte(s)))
	}
	n := id.Float()
	switch {
	case n >= 1 && n < 16:
		return legacy(byte(n))
	case n >= 1<<24 && n < 1<<32:
		v := uint32(n)
		return fourCC([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
	}
	return media.CodecUnknown
}

// soundCodec maps a sound format.
func soundCodec(format byte) media.Codec {
	codec, _ := audioCodec(format)
	return codec
}

// IsMetadata says whether a data tag body is an onMetaData message, with
// "@setDataFrame" in front or not, by its first bytes only.
func IsMetadata(body []byte) bool {
	const set, meta = "\x02\x00\x0d@setDataFrame", "\x02\x00\x0aonMetaData"
	return bytes.HasPrefix(bytes.TrimPrefix(body, []byte(set)), []byte(meta))
}
