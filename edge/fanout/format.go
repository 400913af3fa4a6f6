package fanout

import (
	"encoding/binary"

	"tmms/media"
	"tmms/media/bytelog"
	"tmms/media/flv"
	"tmms/media/rtmp"
)

// Format is what a viewer's bytes look like.
type Format uint8

// The formats of the live bytes.
const (
	FLV       Format = iota // FLV header, then tags (FLV 10.1 annex E)
	RTMP                    // chunks as rtmp.AppendMedia makes them
	WebSocket               // binary frames: the FLV header with its first tags, then a tag each (RFC 6455)
	numFormats
)

// String gives the format's name as the metrics have it.
func (f Format) String() string {
	switch f {
	case FLV:
		return "flv"
	case RTMP:
		return "rtmp"
	case WebSocket:
		return "ws-flv"
	default:
		return "unknown"
	}
}

// size is the length of an entry of the FLV log in this format.
func (f Format) size(e *bytelog.Entry, raw []byte) int {
	if f == RTMP {
		return rtmp.MediaSize(message(e, raw))
	}
	return wsHeaderSize(len(raw)) + len(raw)
}

// append adds an entry of the FLV log in this format to b.
func (f Format) append(b []byte, e *bytelog.Entry, raw []byte) []byte {
	if f == RTMP {
		return rtmp.AppendMedia(b, message(e, raw))
	}
	return append(appendWSHeader(b, len(raw)), raw...)
}

// message is an entry of the FLV log as RTMP has it. From 0xFFFFFF ms of stream
// time on all have the extended time, also after the 32 bits have wrapped: a clock
// that skips have set back may then still be in front of the wrap, where a time
// does not fit in 24 bits, and lengths must not change.
func message(e *bytelog.Entry, raw []byte) rtmp.Message {
	return rtmp.Message{
		Type: e.Type, Timestamp: uint32(e.DTS), Extended: e.DTS >= chunkExtended, Body: e.Body(raw),
	}
}

// appendMessage adds a packet to a prefix: an RTMP message, else a tag.
func (f Format) appendMessage(b []byte, typ media.Type, dts media.Timestamp, body []byte) []byte {
	if f == RTMP {
		return rtmp.AppendMedia(b, rtmp.Message{Type: typ, Timestamp: uint32(dts), Body: body})
	}
	return flv.AppendTag(b, flv.Tag{Type: typ, Timestamp: uint32(dts), Body: body})
}

// Sizes of a WebSocket frame header from a server (RFC 6455 section 5.2).
const (
	wsSmall  = 125
	wsMedium = 1<<16 - 1
)

func wsHeaderSize(n int) int {
	switch {
	case n <= wsSmall:
		return 2
	case n <= wsMedium:
		return 4
	}
	return 10
}

// appendWSHeader adds the header of an unmasked final binary frame of n bytes.
func appendWSHeader(b []byte, n int) []byte {
	const finalBinary = 0x82
	switch {
	case n <= wsSmall:
		return append(b, finalBinary, byte(n))
	case n <= wsMedium:
		return binary.BigEndian.AppendUint16(append(b, finalBinary, 126), uint16(n))
	}
	return binary.BigEndian.AppendUint64(append(b, finalBinary, 127), uint64(n))
}
