package av1

import (
	"fmt"
	"slices"

	"tmms/media"
)

// recordSize is the least size of a configuration record, in bytes.
const recordSize = 4

// Config is an AV1CodecConfigurationRecord. It owns its slices.
type Config struct {
	Profile  uint8 // 0 to 2
	Level    uint8 // seq_level_idx, 0 to 31
	HighTier bool
	BitDepth uint8 // 8, 10 or 12
	Mono     bool
	// Width and Height, and FrameRateNum / FrameRateDen in frames per second, are
	// those of the sequence header in the record; 0 if there is none, or it does
	// not tell.
	Width, Height              int
	FrameRateNum, FrameRateDen uint64
	// OBUs is what follows the record's four bytes: the sequence header and maybe
	// metadata.
	OBUs []byte
}

// ParseConfig reads a configuration record (AV1-ISOBMFF section 2.3.3):
//
//	1 (1 bit) | version 1 (7 bits) | profile (3 bits) | level (5 bits) |
//	tier (1 bit) | high bit depth (1 bit) | twelve bits (1 bit) | monochrome (1 bit) | chroma (4 bits) |
//	000 | presentation delay (5 bits) | OBUs
//
// The result keeps no reference to b. The error wraps [ErrMalformed].
func ParseConfig(b []byte) (*Config, error) {
	switch {
	case len(b) > media.MaxCodecConfig:
		return nil, fmt.Errorf("%w: configuration record of %d bytes, the limit is %d",
			ErrMalformed, len(b), media.MaxCodecConfig)
	case len(b) < recordSize:
		return nil, fmt.Errorf("%w: configuration record of %d bytes, %d are needed: % x",
			ErrMalformed, len(b), recordSize, b)
	case b[0] != 0x81:
		return nil, fmt.Errorf("%w: configuration record with marker and version %#x, not 0x81", ErrMalformed, b[0])
	case b[1]>>5 > 2:
		return nil, fmt.Errorf("%w: profile %d is not 0..2", ErrMalformed, b[1]>>5)
	}
	c := &Config{
		Profile: b[1] >> 5, Level: b[1] & 0x1F, HighTier: b[2]&0x80 != 0, BitDepth: 8, Mono: b[2]&0x10 != 0,
		OBUs: slices.Clone(b[recordSize:]),
	}
	switch {
	case b[2]&0x40 != 0 && b[2]&0x20 != 0 && c.Profile == 2:
		c.BitDepth = 12
	case b[2]&0x40 != 0:
		c.BitDepth = 10
	}
	return c, c.readSequence()
}

// readSequence looks for the sequence header.
func (c *Config) readSequence() error {
	for rest := c.OBUs; len(rest) > 0; {
		o, err := parseOBU(rest)
		if err != nil {
			return err
		}
		if o.typ == obuSequenceHeader {
			s, err := parseSequence(o.body)
			c.Width, c.Height, c.FrameRateNum, c.FrameRateDen = s.Width, s.Height, s.FrameRateNum, s.FrameRateDen
			return err
		}
		rest = rest[o.size:]
	}
	return nil
}

// Codec is the RFC 6381 name, "av01.P.LLT.DD" (AV1-ISOBMFF section 5).
func (c *Config) Codec() string {
	tier := "M"
	if c.HighTier {
		tier = "H"
	}
	return fmt.Sprintf("av01.%d.%02d%s.%02d", c.Profile, c.Level, tier, c.BitDepth)
}
