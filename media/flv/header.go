package flv

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// HeaderSize is the length in bytes of what [AppendHeader] adds.
const HeaderSize = 9 + 4

// maxDataOffset bounds the header length that a file may claim; version 1 has 9.
const maxDataOffset = 1024

// Header flags (FLV 10.1 E.2).
const (
	flagVideo = 0x01
	flagAudio = 0x04
)

var (
	// ErrShort says that the input ends before the value does: call again with more.
	ErrShort = errors.New("flv: input is short")
	// ErrMalformed is wrapped by every error about bytes that no longer input can mend.
	ErrMalformed = errors.New("flv: malformed")
)

// Header is the start of an FLV file (FLV 10.1 E.2).
type Header struct {
	Audio, Video bool // what the file says it holds; not to be relied on
}

// AppendHeader appends the file header and PreviousTagSize0:
//
//	"FLV" | version 1 | flags | data offset 9 (4 bytes) | 0 (4 bytes)
func AppendHeader(b []byte, audio, video bool) []byte {
	var flags byte
	if audio {
		flags |= flagAudio
	}
	if video {
		flags |= flagVideo
	}
	return append(b, 'F', 'L', 'V', 1, flags, 0, 0, 0, 9, 0, 0, 0, 0)
}

// ParseHeader reads the file header and PreviousTagSize0; n is where the first
// tag starts. The error is [ErrShort] or wraps [ErrMalformed].
func ParseHeader(b []byte) (h Header, n int, err error) {
	if want := "FLV"; string(b[:min(len(b), 3)]) != want[:min(len(b), 3)] {
		return Header{}, 0, fmt.Errorf("%w: signature % x is not \"FLV\"", ErrMalformed, b[:min(len(b), 3)])
	}
	if len(b) < 9 {
		return Header{}, 0, ErrShort
	}
	offset := binary.BigEndian.Uint32(b[5:])
	if offset < 9 || offset > maxDataOffset {
		return Header{}, 0, fmt.Errorf("%w: data offset %d is not in 9..%d", ErrMalformed, offset, maxDataOffset)
	}
	n = int(offset) + 4
	if len(b) < n {
		return Header{}, 0, ErrShort
	}
	return Header{Audio: b[4]&flagAudio != 0, Video: b[4]&flagVideo != 0}, n, nil
}
