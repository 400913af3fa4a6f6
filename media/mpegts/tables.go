package mpegts

import "tmms/media"

// PES stream ids (ISO/IEC 13818-1 table 2-22). What MPEG has no id for is
// private data.
const (
	streamIDPrivate = 0xBD
	streamIDAudio   = 0xC0
	streamIDVideo   = 0xE0
)

// carriages lists what can be carried; a further codec is one more entry.
var carriages = [...]carriage{
	{codec: media.CodecH264, typ: media.TypeVideo, streamID: streamIDVideo, open: openH264},
	{codec: media.CodecHEVC, typ: media.TypeVideo, streamID: streamIDVideo, open: openHEVC},
	{codec: media.CodecAAC, typ: media.TypeAudio, streamID: streamIDAudio, open: openAAC},
	{codec: media.CodecMP3, typ: media.TypeAudio, streamID: streamIDAudio, open: openMP3},
	{codec: media.CodecOpus, typ: media.TypeAudio, streamID: streamIDPrivate, open: openOpus},
	{codec: media.CodecAC3, typ: media.TypeAudio, streamID: streamIDPrivate, open: openAC3},
	{codec: media.CodecEAC3, typ: media.TypeAudio, streamID: streamIDPrivate, open: openEAC3},
}

// opusMappings by channels are those of a channel configuration code: streams,
// coupled ones among them, and the decoded channel of each output channel (RFC
// 7845 section 5.1.1.2, as the draft of ETSI TS Opus, 0.1.3, has it).
var opusMappings = [...]struct {
	streams, coupled byte
	mapping          string
}{
	1: {1, 0, "\x00"},
	2: {1, 1, "\x00\x01"},
	3: {2, 1, "\x00\x02\x01"},
	4: {2, 2, "\x00\x01\x02\x03"},
	5: {3, 2, "\x00\x04\x01\x02\x03"},
	6: {4, 2, "\x00\x04\x01\x02\x03\x05"},
	7: {4, 3, "\x00\x04\x01\x02\x03\x05\x06"},
	8: {5, 3, "\x00\x06\x01\x02\x03\x04\x05\x07"},
}
