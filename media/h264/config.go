package h264

import (
	"errors"
	"fmt"
	"slices"

	"tmms/media"
)

// ErrMalformed is wrapped by every error about bytes that are not H.264.
var ErrMalformed = errors.New("h264: malformed")

// Config is an AVCDecoderConfigurationRecord (ISO/IEC 14496-15 section 5.3.3.1).
// It owns its slices.
type Config struct {
	Profile, Compatibility, Level uint8
	// LengthSize is the number of bytes, 1, 2 or 4, in front of each NAL unit.
	LengthSize int
	SPS, PPS   [][]byte // NAL units without start code; at least one each
}

// ParseConfig reads a configuration record:
//
//	1 | profile | compatibility | level | 111111 length size - 1 (2 bits) |
//	111 number of SPS (5 bits) | { length (2) | SPS } | number of PPS (1) | { length (2) | PPS }
//
// What follows the PPS (chroma format, SPS extensions) is skipped. The result
// keeps no reference to b. The error wraps [ErrMalformed].
func ParseConfig(b []byte) (*Config, error) {
	if len(b) > media.MaxCodecConfig {
		return nil, fmt.Errorf("%w: configuration record of %d bytes, the limit is %d",
			ErrMalformed, len(b), media.MaxCodecConfig)
	}
	if len(b) < 7 {
		return nil, fmt.Errorf("%w: configuration record of %d bytes, at least 7 are needed: % x", ErrMalformed, len(b), b)
	}
	if b[0] != 1 {
		return nil, fmt.Errorf("%w: configuration record version %d is not 1", ErrMalformed, b[0])
	}
	c := &Config{Profile: b[1], Compatibility: b[2], Level: b[3], LengthSize: int(b[4]&3) + 1}
	if c.LengthSize == 3 {
		return nil, fmt.Errorf("%w: NAL unit length size 3 is not 1, 2 or 4", ErrMalformed)
	}
	rest := slices.Clone(b[5:])
	var err error
	if c.SPS, rest, err = parseSets(rest, 0x1F, nalSPS); err != nil {
		return nil, err
	}
	if c.PPS, _, err = parseSets(rest, 0xFF, nalPPS); err != nil {
		return nil, err
	}
	return c, nil
}

// parseSets reads a count (under mask) and so many parameter sets of one type.
func parseSets(b []byte, mask byte, typ NALType) (sets [][]byte, rest []byte, err error) {
	if len(b) == 0 {
		return nil, nil, fmt.Errorf("%w: configuration record ends before its %s count", ErrMalformed, typ)
	}
	count := int(b[0] & mask)
	if count == 0 {
		return nil, nil, fmt.Errorf("%w: configuration record has no %s", ErrMalformed, typ)
	}
	b = b[1:]
	sets = make([][]byte, 0, min(count, len(b)/2))
	for i := range count {
		if len(b) < 2 {
			return nil, nil, fmt.Errorf("%w: configuration record ends at %s %d of %d", ErrMalformed, typ, i, count)
		}
		n := int(b[0])<<8 | int(b[1])
		b = b[2:]
		if n == 0 || n > len(b) {
			return nil, nil, fmt.Errorf("%w: %s %d of %d has %d bytes, %d are left", ErrMalformed, typ, i, count, n, len(b))
		}
		if got := TypeOf(b); got != typ {
			return nil, nil, fmt.Errorf("%w: %s %d of %d is a NAL unit of type %d", ErrMalformed, typ, i, count, got)
		}
		sets = append(sets, b[:n:n])
		b = b[n:]
	}
	return sets, b, nil
}

// CodecString is the RFC 6381 name, "avc1.PPCCLL", from the record's own bytes.
func (c *Config) CodecString() string {
	return fmt.Sprintf("avc1.%02x%02x%02x", c.Profile, c.Compatibility, c.Level)
}
