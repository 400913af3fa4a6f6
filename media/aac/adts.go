package aac

import (
	"errors"
	"fmt"
	"slices"
)

// ErrADTS is wrapped by every error about a stream that ADTS cannot carry.
var ErrADTS = errors.New("aac: ADTS cannot carry")

// ADTSHeaderSize is the length in bytes of an ADTS header without CRC.
const ADTSHeaderSize = 7

// maxADTSFrame is the largest aac_frame_length, header included.
const maxADTSFrame = 1<<13 - 1

// CheckADTS says whether frames of this configuration fit into ADTS: a core of
// object type 1 to 4, a rate that has a frequency index, channel configuration
// 0 to 7 and frames of 1024 samples. SBR and PS ride along unsaid. The error
// wraps [ErrADTS] and names what does not fit.
func (c *Config) CheckADTS() error {
	switch {
	case c.ObjectType < Main || c.ObjectType > LTP:
		return fmt.Errorf("%w audio object type %d, only 1 to 4", ErrADTS, c.ObjectType)
	case c.frequencyIndex() < 0:
		return fmt.Errorf("%w a sample rate of %d Hz, only those with a frequency index", ErrADTS, c.SampleRate)
	case c.ChannelConfig > 7:
		return fmt.Errorf("%w channel configuration %d, only 0 to 7", ErrADTS, c.ChannelConfig)
	case c.FrameSamples != 1024:
		return fmt.Errorf("%w frames of %d samples, only 1024", ErrADTS, c.FrameSamples)
	}
	return nil
}

// frequencyIndex of the core's rate, -1 if it has none. A rate that was given
// explicitly (index 15) has one if it is in the table.
func (c *Config) frequencyIndex() int { return slices.Index(sampleRates[:], c.SampleRate) }

// AppendADTS appends one raw frame (raw_data_block) in ADTS:
//
//	sync 0xFFF (12 bits) | MPEG-4 0 (1) | layer 0 (2) | no CRC 1 (1) |
//	object type - 1 (2) | frequency index (4) | private 0 (1) | channel configuration (3) |
//	original, home, copyright id, copyright start 0 (4) | frame length (13) |
//	buffer fullness 0x7FF (11) | raw data blocks - 1 = 0 (2)
//
// With channel configuration 0 the program config element goes in front of the
// frame's own elements, so that each frame can be decoded from here on. On
// error dst is returned as it was, and the error wraps [ErrADTS].
func (c *Config) AppendADTS(dst, frame []byte) ([]byte, error) {
	if err := c.CheckADTS(); err != nil {
		return dst, err
	}
	n := ADTSHeaderSize + len(c.pce) + len(frame)
	if n > maxADTSFrame {
		return dst, fmt.Errorf("%w a frame of %d bytes, the limit is %d", ErrADTS, n, maxADTSFrame)
	}
	profile, index := byte(c.ObjectType-1), byte(c.frequencyIndex())
	dst = append(dst, 0xFF, 0xF1,
		profile<<6|index<<2|c.ChannelConfig>>2,
		c.ChannelConfig<<6|byte(n>>11),
		byte(n>>3),
		byte(n<<5)|0x1F,
		0xFC)
	dst = append(dst, c.pce...)
	return append(dst, frame...), nil
}
