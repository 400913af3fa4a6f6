package mpegts

import "tmms/media"

// PES stream ids (ISO/IEC 13818-1 table 2-22).
const (
	streamIDAudio = 0xC0
	streamIDVideo = 0xE0
)

// carriages lists what can be carried; a further codec is one more entry.
var carriages = [...]carriage{
	{codec: media.CodecH264, typ: media.TypeVideo, streamID: streamIDVideo, open: openH264},
	{codec: media.CodecAAC, typ: media.TypeAudio, streamID: streamIDAudio, open: openAAC},
	{codec: media.CodecMP3, typ: media.TypeAudio, streamID: streamIDAudio, open: openMP3},
}
