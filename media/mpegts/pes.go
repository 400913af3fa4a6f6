package mpegts

import "slices"

// pesHeaderRoom is the size of the longest PES header here, with PTS and DTS.
const pesHeaderRoom = 9 + 5 + 5

// pesRoom makes b a buffer that is empty but for room for a PES header.
func pesRoom(b []byte) []byte { return slices.Grow(b[:0], pesHeaderRoom)[:pesHeaderRoom] }

// finishPES writes the PES header (ISO/IEC 13818-1 section 2.4.3.6) into the
// room in front of the elementary stream bytes, and gives the PES packet:
//
//	00 00 01 | stream id | length (2) | 10 00 0 1 00: aligned data | PTS and DTS flags |
//	header length | PTS (5) | DTS (5, unless it is the PTS)
//
// The length counts what follows it; 0 (unbounded, video only) where 16 bits do
// not hold it.
func finishPES(unit []byte, streamID byte, pts, dts int64) []byte {
	flags, stamps := byte(0x80), 5
	if pts != dts {
		flags, stamps = 0xC0, 10
	}
	pes := unit[pesHeaderRoom-9-stamps:]
	length := len(pes) - 6
	if length > 0xFFFF {
		length = 0
	}
	copy(pes, []byte{0, 0, 1, streamID, byte(length >> 8), byte(length), 0x84, flags, byte(stamps)})
	h := pes[:9]
	if pts == dts {
		appendStamp(h, 0x20, pts)
	} else {
		appendStamp(appendStamp(h, 0x30, pts), 0x10, dts)
	}
	return pes
}

// appendStamp appends a 33-bit timestamp between marker bits.
func appendStamp(b []byte, marker byte, ticks int64) []byte {
	v := wrap(ticks)
	return append(b, marker|byte(v>>29)&0x0E|1, byte(v>>22), byte(v>>14)|1, byte(v>>7), byte(v<<1)|1)
}

// wrap brings stream time to the 33 bits of the wire.
func wrap(ticks int64) uint64 { return uint64(ticks+TimeOffset) & (1<<33 - 1) }
