package rtmp

import (
	"encoding/binary"
	"fmt"
)

// chunkStream is what a reader remembers of one chunk stream: the header that
// later chunks refer to, and the message that is being put together.
type chunkStream struct {
	buf       []byte // the message so far
	id        uint32
	charged   uint32 // bytes of buf that count as partial
	timestamp uint32 // of the message
	delta     uint32 // that a type 3 chunk adds when it starts a message
	ext       uint32 // value of the last extended timestamp field
	length    uint32
	streamID  uint32
	typ       uint8
	hasExt    bool // the last type 0, 1 or 2 header had an extended timestamp
	open      bool // a message has begun and is not complete
}

// headerLength is the length of the chunk header that begins with h, or the
// number of bytes needed to know more. A type 3 header is without its extended
// timestamp here, which only the chunk stream knows of.
func headerLength(h []byte) int {
	if len(h) == 0 {
		return 1
	}
	basic := basicLength(h[0])
	n := basic + [4]int{11, 7, 3, 0}[h[0]>>6]
	if len(h) < n || n == basic {
		return n
	}
	if uint24(h[basic:]) == extended {
		return n + 4
	}
	return n
}

func basicLength(b byte) int {
	switch b & 0x3F {
	case 0:
		return 2
	case 1:
		return 3
	}
	return 1
}

// chunkStreamID reads a basic header (RTMP 1.0 section 5.3.1.1).
func chunkStreamID(h []byte) uint32 {
	switch h[0] & 0x3F {
	case 0:
		return 64 + uint32(h[1])
	case 1:
		return 64 + uint32(h[1]) + uint32(h[2])<<8
	}
	return uint32(h[0] & 0x3F)
}

// apply takes a complete header of type 0 to 2 over; m is what follows the
// basic header.
func (s *chunkStream) apply(format uint8, m []byte) error {
	field, ext := uint24(m), false
	if field == extended {
		field, ext = binary.BigEndian.Uint32(m[len(m)-4:]), true
	}
	length, typ := s.length, s.typ
	if format < 2 {
		length, typ = uint24(m[3:]), m[6]
	}
	s.hasExt, s.ext = ext, field
	if s.open {
		return s.repeat(length, typ)
	}
	s.length, s.typ = length, typ
	s.delta = field
	if format == 0 {
		s.timestamp = field
		s.streamID = binary.LittleEndian.Uint32(m[7:])
		return nil
	}
	s.timestamp += field
	return nil
}

// repeat checks a header of type 0 to 2 in the middle of a message. Some
// encoders repeat the header instead of sending type 3; one that says
// something else is a protocol error.
func (s *chunkStream) repeat(length uint32, typ uint8) error {
	if length != s.length || typ != s.typ {
		return fmt.Errorf("%w: chunk stream %d: message of type %d with %d bytes becomes type %d with %d after %d bytes",
			ErrProtocol, s.id, s.typ, s.length, typ, length, len(s.buf))
	}
	return nil
}

func uint24(b []byte) uint32 {
	return uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2])
}
