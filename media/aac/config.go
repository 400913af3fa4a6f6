package aac

import (
	"errors"
	"fmt"
	"strconv"

	"tmms/media"
	"tmms/media/bitio"
)

// ErrMalformed is wrapped by every error about bytes that are no AudioSpecificConfig.
var ErrMalformed = errors.New("aac: malformed")

// ObjectType is an audio object type (ISO/IEC 14496-3 table 1.17).
type ObjectType uint8

// The object types with a meaning here.
const (
	Main     ObjectType = 1
	LC       ObjectType = 2
	SSR      ObjectType = 3
	LTP      ObjectType = 4
	SBR      ObjectType = 5
	Scalable ObjectType = 6
	ERBSAC   ObjectType = 22
	PS       ObjectType = 29
	ELD      ObjectType = 39
)

// freqExplicit is the frequency index of a rate in 24 bits.
const freqExplicit = 15

// Signs of an extension behind the core configuration (section 1.6.6.1).
const (
	syncSBR = 0x2B7
	syncPS  = 0x548
)

// Config is an AudioSpecificConfig.
type Config struct {
	// ObjectType is the core's, with SBR and PS taken off: 2 for HE-AAC.
	ObjectType ObjectType
	// Signalled is the object type that comes first in the record: 5 or 29 where
	// SBR or PS is signalled explicitly up front, else ObjectType.
	Signalled ObjectType
	// SampleRate is the core's, in Hz.
	SampleRate int
	// ChannelConfig is 1..7 or 11..14 (section 1.6.3.5), or 0: PCE holds the layout.
	ChannelConfig uint8
	// Channels counts the core's output channels; 0 if the record does not say.
	Channels int
	// SBR and PS: the record says that the extension is used. A stream may use
	// them without saying so.
	SBR, PS bool
	// ExtensionRate is the output rate with SBR, in Hz; 0 without.
	ExtensionRate int
	// FrameSamples is 1024 or 960, or 512 or 480 for ELD: per frame and channel at SampleRate.
	FrameSamples int
	// pce is the program config element as a raw data block carries it, its
	// 3-bit id in front, aligned to a byte at the end; nil unless ChannelConfig is 0.
	pce []byte
}

// ParseConfig reads an AudioSpecificConfig. For object types without a
// GASpecificConfig (CELP, USAC ...) only the fields up to ChannelConfig are
// read. The result keeps no reference to b. The error wraps [ErrMalformed].
func ParseConfig(b []byte) (*Config, error) {
	if len(b) > media.MaxCodecConfig {
		return nil, fmt.Errorf("%w: AudioSpecificConfig of %d bytes, the limit is %d",
			ErrMalformed, len(b), media.MaxCodecConfig)
	}
	r := bitio.NewReader(b)
	c := &Config{FrameSamples: 1024}
	c.readHead(r)
	var err error
	switch {
	case r.Short() || c.SampleRate == 0:
	case isGA(c.ObjectType):
		err = c.readGA(r)
	case c.ObjectType == ELD:
		c.FrameSamples = 512
		if r.Flag() {
			c.FrameSamples = 480
		}
	}
	switch {
	case err != nil:
		return nil, err
	case r.Short():
		return nil, fmt.Errorf("%w: AudioSpecificConfig of %d bytes ends early: % x", ErrMalformed, len(b), head(b))
	case c.SampleRate == 0:
		return nil, fmt.Errorf("%w: AudioSpecificConfig with reserved frequency index or rate 0: % x",
			ErrMalformed, head(b))
	case c.ObjectType == 0:
		return nil, fmt.Errorf("%w: AudioSpecificConfig with object type 0: % x", ErrMalformed, head(b))
	}
	if c.Signalled != SBR && c.Signalled != PS {
		c.readExtension(r)
	}
	return c, nil
}

// readHead reads object type, rate and channels, and SBR or PS if they come first.
func (c *Config) readHead(r *bitio.Reader) {
	c.Signalled = readObjectType(r)
	c.ObjectType = c.Signalled
	c.SampleRate = readRate(r)
	c.ChannelConfig = uint8(r.U(4))
	if c.Signalled == SBR || c.Signalled == PS {
		c.SBR, c.PS = true, c.Signalled == PS
		c.ExtensionRate = readRate(r)
		c.ObjectType = readObjectType(r)
		if c.ObjectType == ERBSAC {
			r.U(4) // extensionChannelConfiguration
		}
	}
	c.Channels = channels(c.ChannelConfig)
}

// readObjectType follows section 1.6.2.1, GetAudioObjectType.
func readObjectType(r *bitio.Reader) ObjectType {
	if t := r.U(5); t != 31 {
		return ObjectType(t)
	}
	return ObjectType(32 + r.U(6))
}

// readRate reads a frequency index, and the rate itself if the index says so;
// 0 if the index is reserved.
func readRate(r *bitio.Reader) int {
	i := r.U(4)
	if i == freqExplicit {
		return int(r.U(24))
	}
	if int(i) < len(sampleRates) {
		return sampleRates[i]
	}
	return 0
}

// isGA says whether GASpecificConfig follows (table 1.15).
func isGA(t ObjectType) bool {
	switch t {
	case Main, LC, SSR, LTP, Scalable, 7, 17, 19, 20, 21, ERBSAC, 23:
		return true
	default:
		return false
	}
}

// readGA follows GASpecificConfig (section 4.4.1).
func (c *Config) readGA(r *bitio.Reader) error {
	if r.Flag() { // frameLengthFlag
		c.FrameSamples = 960
	}
	if c.ObjectType == 23 { // ER AAC LD
		c.FrameSamples /= 2
	}
	if r.Flag() { // dependsOnCoreCoder
		r.U(14) // coreCoderDelay
	}
	extension := r.Flag()
	if c.ChannelConfig == 0 {
		if err := c.readPCE(r); err != nil {
			return err
		}
	}
	if c.ObjectType == Scalable || c.ObjectType == 20 {
		r.U(3) // layerNr
	}
	if extension {
		switch c.ObjectType {
		case ERBSAC:
			r.U(5 + 11) // numOfSubFrame, layer_length
		case 17, 19, 20, 23:
			r.U(3) // resilience flags
		default:
		}
		r.Flag() // extensionFlag3
	}
	return nil
}

// readExtension looks for SBR and PS signalled behind the core configuration
// (section 1.6.6.1). What is not an extension is left alone.
func (c *Config) readExtension(r *bitio.Reader) {
	if r.Left() < 16 || r.U(11) != syncSBR || readObjectType(r) != SBR || !r.Flag() {
		return
	}
	rate := readRate(r)
	if r.Short() || rate == 0 {
		return
	}
	c.SBR, c.ExtensionRate = true, rate
	if r.Left() >= 12 && r.U(11) == syncPS {
		c.PS = r.Flag()
	}
}

// channels of a channel configuration; 0 if it is reserved or in a PCE.
func channels(config uint8) int {
	if int(config) < len(channelCounts) {
		return channelCounts[config]
	}
	return 0
}

// CodecString is the RFC 6381 name, "mp4a.40.N", N as signalled first.
func (c *Config) CodecString() string { return "mp4a.40." + strconv.Itoa(int(c.Signalled)) }

// head cuts bytes to what an error message may show.
func head(b []byte) []byte { return b[:min(len(b), 32)] }
