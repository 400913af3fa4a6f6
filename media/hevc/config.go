package hevc

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"tmms/media"
)

// ErrMalformed is wrapped by every error about bytes that are not HEVC.
var ErrMalformed = errors.New("hevc: malformed")

// Config is an HEVCDecoderConfigurationRecord (ISO/IEC 14496-15 section
// 8.3.3.1). It owns its slices.
type Config struct {
	ProfileSpace  uint8 // 0..3
	HighTier      bool
	Profile       uint8   // general_profile_idc
	Compatibility uint32  // general_profile_compatibility_flags, flag 0 is the highest bit
	Constraints   [6]byte // general_constraint_indicator_flags
	Level         uint8   // general_level_idc, thirty times the level
	ChromaFormat  uint8   // chroma_format_idc
	// BitDepthLuma and BitDepthChroma are in bits a sample.
	BitDepthLuma, BitDepthChroma uint8
	// LengthSize is the number of bytes, 1, 2 or 4, in front of each NAL unit.
	LengthSize    int
	VPS, SPS, PPS [][]byte // NAL units without start code; at least one each
}

// recordSize is the length in bytes of a record up to the number of arrays.
const recordSize = 23

// ParseConfig reads a configuration record:
//
//	1 | profile space (2 bits) tier (1) profile (5) | compatibility (4) | constraints (6) | level |
//	1111 minimal spatial segmentation (12 bits) | 111111 parallelism (2) | 111111 chroma format (2) |
//	11111 luma bit depth - 8 (3) | 11111 chroma bit depth - 8 (3) | average frame rate (2) |
//	constant frame rate (2 bits) temporal layers (3) nested (1) length size - 1 (2) | number of arrays |
//	{ complete (1 bit) 0 type (6) | number of units (2) | { length (2) | NAL unit } }
//
// Arrays of other types than VPS, SPS and PPS, such as SEI, are skipped. The
// result keeps no reference to b. The error wraps [ErrMalformed].
func ParseConfig(b []byte) (*Config, error) {
	if len(b) > media.MaxCodecConfig {
		return nil, fmt.Errorf("%w: configuration record of %d bytes, the limit is %d",
			ErrMalformed, len(b), media.MaxCodecConfig)
	}
	if len(b) < recordSize {
		return nil, fmt.Errorf("%w: configuration record of %d bytes, at least %d are needed: % x",
			ErrMalformed, len(b), recordSize, b)
	}
	if b[0] != 1 {
		return nil, fmt.Errorf("%w: configuration record version %d is not 1", ErrMalformed, b[0])
	}
	c := &Config{
		ProfileSpace: b[1] >> 6, HighTier: b[1]&0x20 != 0, Profile: b[1] & 0x1F,
		Compatibility: uint32(b[2])<<24 | uint32(b[3])<<16 | uint32(b[4])<<8 | uint32(b[5]),
		Constraints:   [6]byte(b[6:12]), Level: b[12],
		ChromaFormat: b[16] & 3, BitDepthLuma: b[17]&7 + 8, BitDepthChroma: b[18]&7 + 8,
		LengthSize: int(b[21]&3) + 1,
	}
	if c.LengthSize == 3 {
		return nil, fmt.Errorf("%w: NAL unit length size 3 is not 1, 2 or 4", ErrMalformed)
	}
	if err := c.readArrays(slices.Clone(b[recordSize:]), int(b[22])); err != nil {
		return nil, err
	}
	if len(c.VPS) == 0 || len(c.SPS) == 0 || len(c.PPS) == 0 {
		return nil, fmt.Errorf("%w: configuration record with %d VPS, %d SPS, %d PPS, one of each is needed",
			ErrMalformed, len(c.VPS), len(c.SPS), len(c.PPS))
	}
	return c, nil
}

// readArrays reads count arrays of NAL units.
func (c *Config) readArrays(b []byte, count int) error {
	for i := range count {
		if len(b) < 3 {
			return fmt.Errorf("%w: configuration record ends at array %d of %d", ErrMalformed, i, count)
		}
		typ, units := NALType(b[0]&0x3F), int(b[1])<<8|int(b[2])
		var err error
		if b, err = c.readUnits(b[3:], typ, units); err != nil {
			return err
		}
	}
	return nil
}

// readUnits reads the NAL units of one array.
func (c *Config) readUnits(b []byte, typ NALType, count int) (rest []byte, err error) {
	for i := range count {
		if len(b) < 2 {
			return nil, fmt.Errorf("%w: configuration record ends at %s %d of %d", ErrMalformed, typ, i, count)
		}
		n := int(b[0])<<8 | int(b[1])
		b = b[2:]
		if n < headerSize || n > len(b) {
			return nil, fmt.Errorf("%w: %s %d of %d has %d bytes, %d are left", ErrMalformed, typ, i, count, n, len(b))
		}
		if got := TypeOf(b); got != typ {
			return nil, fmt.Errorf("%w: %s %d of %d is a NAL unit of type %d", ErrMalformed, typ, i, count, got)
		}
		switch typ {
		case nalVPS:
			c.VPS = append(c.VPS, b[:n:n])
		case nalSPS:
			c.SPS = append(c.SPS, b[:n:n])
		case nalPPS:
			c.PPS = append(c.PPS, b[:n:n])
		default:
		}
		b = b[n:]
	}
	return b, nil
}

// Codec is the RFC 6381 name by ISO/IEC 14496-15 section E.3, such as
// "hvc1.1.6.L93.B0": profile, compatibility flags in reverse, tier and level,
// constraint bytes without zeros at the end.
func (c *Config) Codec() string {
	var s strings.Builder
	s.WriteString("hvc1.")
	if c.ProfileSpace > 0 {
		s.WriteByte('A' + c.ProfileSpace - 1)
	}
	tier := 'L'
	if c.HighTier {
		tier = 'H'
	}
	fmt.Fprintf(&s, "%d.%X.%c%d", c.Profile, bits.Reverse32(c.Compatibility), tier, c.Level)
	end := len(c.Constraints)
	for end > 0 && c.Constraints[end-1] == 0 {
		end--
	}
	for _, b := range c.Constraints[:end] {
		fmt.Fprintf(&s, ".%X", b)
	}
	return s.String()
}
