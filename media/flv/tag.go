package flv

import (
	"encoding/binary"
	"fmt"

	"tmms/media"
)

// TagHeaderSize is the length in bytes of a tag before its body.
const TagHeaderSize = 11

// Tag is one FLV tag (FLV 10.1 E.4.1):
//
//	type (1) | body length (3) | timestamp, low 24 bits (3) | timestamp, high 8 bits (1) |
//	stream id 0 (3) | body | PreviousTagSize = 11 + body length (4)
type Tag struct {
	// Type may be a value that media does not name; such a tag is to be skipped.
	Type media.Type
	// Timestamp is the decoding time in ms, modulo 2^32.
	Timestamp uint32
	// Body is the tag's data. Parsed, it aliases the input.
	Body []byte
}

// TagSize is the length in bytes of a tag with a body of n bytes,
// PreviousTagSize included.
func TagSize(n int) int { return TagHeaderSize + n + 4 }

// AppendTag appends t with its PreviousTagSize: TagSize(len(t.Body)) bytes.
// The body must be shorter than 2^24 bytes; [media.MaxMessageVideo] is.
func AppendTag(b []byte, t Tag) []byte {
	n := len(t.Body)
	b = append(b, byte(t.Type), byte(n>>16), byte(n>>8), byte(n),
		byte(t.Timestamp>>16), byte(t.Timestamp>>8), byte(t.Timestamp), byte(t.Timestamp>>24), 0, 0, 0)
	b = append(b, t.Body...)
	return binary.BigEndian.AppendUint32(b, uint32(TagHeaderSize+n))
}

// ParseTag reads one tag with its PreviousTagSize and says how many bytes that
// were. The error is [ErrShort] when b holds less than the whole tag, or wraps
// [ErrMalformed]: encrypted, a body over [media.MaxMessageVideo], or a
// PreviousTagSize that is not the tag's.
func ParseTag(b []byte) (t Tag, n int, err error) {
	if len(b) < TagHeaderSize {
		return Tag{}, 0, ErrShort
	}
	if b[0]&0xE0 != 0 {
		return Tag{}, 0, fmt.Errorf("%w: tag type byte 0x%02x is encrypted or reserved", ErrMalformed, b[0])
	}
	size := int(b[1])<<16 | int(b[2])<<8 | int(b[3])
	if size > media.MaxMessageVideo {
		return Tag{}, 0, fmt.Errorf("%w: tag body of %d bytes, the limit is %d",
			ErrMalformed, size, media.MaxMessageVideo)
	}
	n = TagSize(size)
	if len(b) < n {
		return Tag{}, 0, ErrShort
	}
	if prev := binary.BigEndian.Uint32(b[n-4:]); int64(prev) != int64(TagHeaderSize+size) {
		return Tag{}, 0, fmt.Errorf("%w: PreviousTagSize %d, the tag has %d", ErrMalformed, prev, TagHeaderSize+size)
	}
	return Tag{
		Type:      media.Type(b[0]),
		Timestamp: uint32(b[7])<<24 | uint32(b[4])<<16 | uint32(b[5])<<8 | uint32(b[6]),
		Body:      b[TagHeaderSize : TagHeaderSize+size : TagHeaderSize+size],
	}, n, nil
}
