package media

// Codec names an elementary stream format.
type Codec uint8

// The codecs that FLV, RTMP or Enhanced RTMP v2 can announce.
const (
	CodecUnknown Codec = iota
	CodecH264
	CodecHEVC
	CodecAV1
	CodecVP8
	CodecVP9
	CodecH263 // Sorenson
	CodecVP6
	CodecScreen
	CodecAAC
	CodecMP3
	CodecOpus
	CodecAC3
	CodecEAC3
	CodecFLAC
	CodecSpeex
	CodecG711A
	CodecG711U
	CodecNellymoser
	CodecPCM
	CodecADPCM
	numCodecs
)

// String gives the codec's usual short name, such as "h264".
func (c Codec) String() string {
	names := [numCodecs]string{
		"unknown", "h264", "hevc", "av1", "vp8", "vp9", "h263", "vp6", "screen",
		"aac", "mp3", "opus", "ac3", "eac3", "flac", "speex", "g711a", "g711u", "nellymoser", "pcm", "adpcm",
	}
	if c < numCodecs {
		return names[c]
	}
	return "unknown"
}
