package mpegts

import (
	"strings"

	"tmms/media"
)

// PES stream ids (ISO/IEC 13818-1 table 2-22). What MPEG has no id for is
// private data.
const (
	streamIDPrivate = 0xBD
	streamIDAudio   = 0xC0
	streamIDVideo   = 0xE0
)

// Of each type, what can be carried; a further codec is one more entry.
var (
	videoCarriages = []carriage[pictures]{
		{media.CodecH264, streamIDVideo, openH264},
		{media.CodecHEVC, streamIDVideo, openHEVC},
	}
	audioCarriages = []carriage[sounds]{
		{media.CodecAAC, streamIDAudio, openAAC},
		{media.CodecMP3, streamIDAudio, openMP3},
		{media.CodecOpus, streamIDPrivate, openOpus},
		{media.CodecAC3, streamIDPrivate, openAC3},
		{media.CodecEAC3, streamIDPrivate, openEAC3},
	}
)

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

// stuffing fills up packets.
var stuffing = strings.Repeat("\xFF", packetSize)
