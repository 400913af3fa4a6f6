package vp9

import (
	"errors"
	"fmt"
)

// ErrMalformed is wrapped by every error about bytes that are not a VP9 configuration.
var ErrMalformed = errors.New("vp9: malformed")

// recordSize is the size of a configuration record in bytes, boxHeader that of
// the version and flags in front of it where it comes as a box has it.
const (
	recordSize = 8
	boxHeader  = 4
)

// Config is a VPCodecConfigurationRecord.
type Config struct {
	Profile uint8 // 0 to 3
	// Level is ten times the level; 0: not known.
	Level       uint8
	BitDepth    uint8 // 8, 10 or 12
	Subsampling uint8 // of chroma, 0 to 3; 0 and 1 are 4:2:0
	FullRange   bool
	// Primaries, Transfer and Matrix are the codes of ISO/IEC 23091-2.
	Primaries, Transfer, Matrix uint8
}

// ParseConfig reads a configuration record:
//
//	profile (1) | level (1) | bit depth (4 bits) | chroma subsampling (3 bits) | full range (1 bit) |
//	colour primaries (1) | transfer characteristics (1) | matrix coefficients (1) | 0 (2)
//
// Version and flags of a box in front of it, which some senders leave there, are
// skipped. The error wraps [ErrMalformed].
func ParseConfig(b []byte) (*Config, error) {
	r := b
	if len(b) >= boxHeader+recordSize && string(b[:boxHeader]) == "\x01\x00\x00\x00" {
		r = b[boxHeader:] // a record that begins like this would have a bit depth of 0
	}
	if len(r) < recordSize {
		return nil, fmt.Errorf("%w: configuration record of %d bytes, %d are needed: % x",
			ErrMalformed, len(r), recordSize, r)
	}
	c := &Config{
		Profile: r[0], Level: r[1], BitDepth: r[2] >> 4, Subsampling: r[2] >> 1 & 7, FullRange: r[2]&1 == 1,
		Primaries: r[3], Transfer: r[4], Matrix: r[5],
	}
	switch {
	case c.Profile > 3:
		return nil, fmt.Errorf("%w: profile %d is not 0..3", ErrMalformed, c.Profile)
	case c.BitDepth != 8 && c.BitDepth != 10 && c.BitDepth != 12:
		return nil, fmt.Errorf("%w: bit depth %d is not 8, 10 or 12", ErrMalformed, c.BitDepth)
	case c.Subsampling > 3:
		return nil, fmt.Errorf("%w: chroma subsampling %d is not 0..3", ErrMalformed, c.Subsampling)
	}
	return c, nil
}

// Append appends the record, without the version and flags of a box.
func (c *Config) Append(b []byte) []byte {
	packed := c.BitDepth<<4 | c.Subsampling<<1
	if c.FullRange {
		packed |= 1
	}
	return append(b, c.Profile, c.Level, packed, c.Primaries, c.Transfer, c.Matrix, 0, 0)
}

// commonLevel stands for a level that is not known: 4.1 has 1080p at 60 fps.
const commonLevel = 41

// Codec is the RFC 6381 name, "vp09.PP.LL.DD". Browsers refuse level 0, so that
// a level which is not known is named as a common one.
func (c *Config) Codec() string {
	level := c.Level
	if level == 0 {
		level = commonLevel
	}
	return fmt.Sprintf("vp09.%02d.%02d.%02d", c.Profile, level, c.BitDepth)
}
