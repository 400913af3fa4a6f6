package mpegts

// pesHeaderSize is the size of the longest PES header here, with PTS and DTS.
const pesHeaderSize = 9 + 5 + 5

// unit is a PES packet in parts that lie apart, so that each byte is copied once:
// from where it came into a transport packet. It is used again for the next.
type unit struct {
	header [pesHeaderSize]byte
	parts  [][]byte // still to be taken behind part; the first is the header
	next   int
	part   []byte
	size   int // bytes in part and in what is behind it
}

// begin makes it empty, with a place for the header.
func (u *unit) begin() { u.parts = append(u.parts[:0], nil) }

// finish writes the PES header (ISO/IEC 13818-1 section 2.4.3.6) in front of the
// parts:
//
//	00 00 01 | stream id | length (2) | 10 00 0 1 00: aligned data | PTS and DTS flags |
//	header length | PTS (5) | DTS (5, unless it is the PTS)
//
// The length counts what follows it; 0 (unbounded, video only) where 16 bits do
// not hold it.
func (u *unit) finish(streamID byte, pts, dts int64) {
	flags, stamps := byte(0x80), 5
	if pts != dts {
		flags, stamps = 0xC0, 10
	}
	u.size = 0
	for _, p := range u.parts {
		u.size += len(p)
	}
	length := 3 + stamps + u.size
	if length > 0xFFFF {
		length = 0
	}
	h := append(u.header[:0], 0, 0, 1, streamID, byte(length>>8), byte(length), 0x84, flags, byte(stamps))
	if pts == dts {
		h = appendStamp(h, 0x20, pts)
	} else {
		h = appendStamp(appendStamp(h, 0x30, pts), 0x10, dts)
	}
	u.size += len(h)
	u.part, u.next = h, 1
}

// take appends the next n bytes, which there are.
func (u *unit) take(dst []byte, n int) []byte {
	u.size -= n
	for n > len(u.part) {
		dst = append(dst, u.part...)
		n -= len(u.part)
		u.part = u.parts[u.next]
		u.next++
	}
	dst = append(dst, u.part[:n]...)
	u.part = u.part[n:]
	return dst
}

// drop forgets the parts, which are others'.
func (u *unit) drop() {
	clear(u.parts)
	u.part = nil
}

// appendStamp appends a 33-bit timestamp between marker bits.
func appendStamp(b []byte, marker byte, ticks int64) []byte {
	v := wrap(ticks)
	return append(b, marker|byte(v>>29)&0x0E|1, byte(v>>22), byte(v>>14)|1, byte(v>>7), byte(v<<1)|1)
}

// wrap brings stream time to the 33 bits of the wire.
func wrap(ticks int64) uint64 { return uint64(ticks+TimeOffset) & (1<<33 - 1) }
