package av1

import (
	"errors"
	"fmt"
)

// ErrMalformed is wrapped by every error about bytes that are not AV1.
var ErrMalformed = errors.New("av1: malformed")

// Types of OBU that containers care about (section 6.2.2).
const (
	obuSequenceHeader    = 1
	obuTemporalDelimiter = 2
)

// Flags of an OBU's first byte, beside its type.
const (
	obuForbidden = 0x80
	obuExtension = 0x04
	obuHasSize   = 0x02
)

// maxLEB128 is the longest coded size, in bytes (section 4.10.5).
const maxLEB128 = 8

// obu is one open bitstream unit.
type obu struct {
	typ  byte
	size int    // in all
	body []byte // without header and size
}

// parseOBU reads the OBU that b begins with (section 5.3):
//
//	0 | type (4 bits) | extension (1 bit) | has size (1 bit) | reserved (1 bit) |
//	extension: layers (1) | has size: size of the body (LEB128) | body
//
// Without a size it takes all that is left.
func parseOBU(b []byte) (obu, error) {
	if len(b) == 0 || b[0]&obuForbidden != 0 {
		return obu{}, fmt.Errorf("%w: no OBU: % x", ErrMalformed, head(b))
	}
	at := 1
	if b[0]&obuExtension != 0 {
		at++
	}
	if len(b) < at {
		return obu{}, fmt.Errorf("%w: OBU of %d bytes ends in its header: % x", ErrMalformed, len(b), head(b))
	}
	n := uint64(len(b) - at)
	if b[0]&obuHasSize != 0 {
		var k int
		if n, k = leb128(b[at:]); k == 0 {
			return obu{}, fmt.Errorf("%w: OBU ends in its size: % x", ErrMalformed, head(b))
		}
		at += k
	}
	if n > uint64(len(b)-at) {
		return obu{}, fmt.Errorf("%w: OBU of %d bytes, %d are left: % x", ErrMalformed, n, len(b)-at, head(b))
	}
	size := at + int(n)
	return obu{typ: b[0] >> 3 & 0x0F, size: size, body: b[at:size]}, nil
}

// leb128 reads a number and says how many bytes it takes; 0: it does not end.
func leb128(b []byte) (v uint64, n int) {
	for i, c := range b[:min(len(b), maxLEB128)] {
		v |= uint64(c&0x7F) << (7 * i)
		if c&0x80 == 0 {
			return v, i + 1
		}
	}
	return 0, 0
}

// StripDelimiters appends a temporal unit without its temporal delimiters, as a
// sample of ISO media has it (AV1-ISOBMFF section 2.4). On error dst is returned
// as it was and the error wraps [ErrMalformed].
func StripDelimiters(dst, unit []byte) ([]byte, error) {
	out := dst
	for len(unit) > 0 {
		o, err := parseOBU(unit)
		if err != nil {
			return dst, err
		}
		if o.typ != obuTemporalDelimiter {
			out = append(out, unit[:o.size]...)
		}
		unit = unit[o.size:]
	}
	return out, nil
}

// head cuts bytes to what an error message may show.
func head(b []byte) []byte { return b[:min(len(b), 16)] }
