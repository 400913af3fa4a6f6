package flac

import (
	"fmt"
	"math/bits"
)

// Codes of the block size in a frame header that stand for a number at the end
// of the header, of 8 and 16 bits.
const (
	size8  = 6
	size16 = 7
)

// Samples is how many samples of each channel a frame holds (RFC 9639 section 9.1):
//
//	sync, fixed or variable block size (2) | block size (4 bits) | sample rate (4 bits) |
//	channels (4 bits) | bits per sample (3 bits) | 0 | number of the frame or sample (1 to 7) |
//	block size - 1 (0, 1 or 2) | sample rate (0, 1 or 2) | CRC (1)
//
// The error wraps [ErrMalformed].
func Samples(frame []byte) (int, error) {
	if len(frame) < 6 || frame[0] != 0xFF || frame[1]&0xFE != 0xF8 {
		return 0, fmt.Errorf("%w: frame without a sync code: % x", ErrMalformed, head(frame))
	}
	switch code := frame[2] >> 4; {
	case code == 0:
		return 0, fmt.Errorf("%w: reserved block size: % x", ErrMalformed, head(frame))
	case code == 1:
		return 192, nil
	case code < size8:
		return 144 << code, nil
	case code > size16:
		return 1 << code, nil
	case code == size8:
		return trailing(frame, 1)
	default:
		return trailing(frame, 2)
	}
}

// trailing reads a block size of n bytes behind the coded number.
func trailing(frame []byte, n int) (int, error) {
	at := 4 + numberSize(frame[4])
	if at == 4 || len(frame) < at+n {
		return 0, fmt.Errorf("%w: frame of %d bytes ends in its header: % x", ErrMalformed, len(frame), head(frame))
	}
	v := 0
	for _, c := range frame[at : at+n] {
		v = v<<8 | int(c)
	}
	return v + 1, nil
}

// numberSize is the length of a coded number by its first byte, as UTF-8 has it,
// extended to 36 bits (section 9.1.5); 0: no such byte.
func numberSize(first byte) int {
	switch ones := bits.LeadingZeros8(^first); ones {
	case 0:
		return 1
	case 1, 8:
		return 0
	default:
		return ones
	}
}
