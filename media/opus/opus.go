// Package opus reads what a container needs to know of Opus: the
// identification header (RFC 7845) and how long a packet plays (RFC 6716).
package opus

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrMalformed is wrapped by every error about bytes that are not Opus.
var ErrMalformed = errors.New("opus: malformed")

// Rate is the rate in Hz in which packets and pre-skip are counted, whatever the
// encoder was fed with.
const Rate = 48000

// MaxSamples is the longest packet: 120 ms (RFC 6716 section 3.2.5).
const MaxSamples = Rate * 120 / 1000

// Channel mapping families (RFC 7845 section 5.1.1, RFC 8486).
const (
	FamilyRTP        = 0 // mono or stereo, no mapping table
	FamilyVorbis     = 1 // up to 8 channels, as surround sound
	familyProjection = 3 // a matrix instead of the table
)

// Head is an identification header. Its Mapping is its own.
type Head struct {
	Channels      int   // 1..255
	PreSkip       int   // samples at 48 kHz to leave out at the start
	InputRate     int   // Hz, of what was encoded; 0: not said
	Gain          int16 // of the output, in units of 1/256 dB
	MappingFamily byte
	// Streams are in each packet, the first Coupled of them stereo.
	Streams, Coupled byte
	// Mapping gives the decoded channel of each output channel, 255 for silence;
	// nil for families without a table, 0 and 3.
	Mapping []byte
}

// magic is in front of the header in Ogg and in Enhanced RTMP, not in ISO files.
const magic = "OpusHead"

// ParseHead reads an identification header (RFC 7845 section 5.1), with or
// without its first field:
//
//	"OpusHead" | version (1): 0..15 | channels (1) | pre-skip (2) | input rate (4) | gain (2) | family (1) |
//	unless family 0: streams (1) | coupled (1) | mapping (channels)
//
// Numbers are little endian. The error wraps [ErrMalformed].
func ParseHead(b []byte) (Head, error) {
	all := b
	b = bytes.TrimPrefix(b, []byte(magic))
	const fixed = 11
	if len(b) < fixed {
		return Head{}, fmt.Errorf("%w: header of %d bytes, %d are needed: % x", ErrMalformed, len(b), fixed, cut(all))
	}
	if b[0]>>4 != 0 {
		return Head{}, fmt.Errorf("%w: header version %d is not 0..15", ErrMalformed, b[0])
	}
	h := Head{
		Channels: int(b[1]), PreSkip: int(binary.LittleEndian.Uint16(b[2:])),
		InputRate: int(binary.LittleEndian.Uint32(b[4:])), Gain: int16(binary.LittleEndian.Uint16(b[8:])),
		MappingFamily: b[10],
	}
	if h.Channels == 0 {
		return Head{}, fmt.Errorf("%w: header without channels: % x", ErrMalformed, cut(all))
	}
	if h.MappingFamily == FamilyRTP {
		if h.Channels > 2 {
			return Head{}, fmt.Errorf("%w: %d channels in mapping family 0, the limit is 2", ErrMalformed, h.Channels)
		}
		h.Streams, h.Coupled = 1, byte(h.Channels-1)
		return h, nil
	}
	return h, h.readMapping(b[fixed:])
}

// readMapping follows RFC 7845 section 5.1.1.
func (h *Head) readMapping(b []byte) error {
	if h.MappingFamily == FamilyVorbis && h.Channels > 8 {
		return fmt.Errorf("%w: %d channels in mapping family 1, the limit is 8", ErrMalformed, h.Channels)
	}
	if len(b) < 2 {
		return fmt.Errorf("%w: header without stream count: % x", ErrMalformed, cut(b))
	}
	h.Streams, h.Coupled = b[0], b[1]
	decoded := int(h.Streams) + int(h.Coupled)
	if h.Streams == 0 || h.Coupled > h.Streams || decoded > 255 {
		return fmt.Errorf("%w: %d streams, %d of them coupled", ErrMalformed, h.Streams, h.Coupled)
	}
	if h.MappingFamily == familyProjection {
		return nil
	}
	b = b[2:]
	if len(b) < h.Channels {
		return fmt.Errorf("%w: mapping of %d bytes for %d channels", ErrMalformed, len(b), h.Channels)
	}
	h.Mapping = bytes.Clone(b[:h.Channels])
	for i, m := range h.Mapping {
		if int(m) >= decoded && m != 255 {
			return fmt.Errorf("%w: channel %d is decoded channel %d of %d", ErrMalformed, i, m, decoded)
		}
	}
	return nil
}

// Samples tells how long a packet plays, in samples at 48 kHz, from its first
// byte (RFC 6716 section 3.1):
//
//	configuration (5 bits) | stereo (1 bit) | frames (2 bits): one, two, two, as the next byte says
//
// Nothing else of it is looked at. The error wraps [ErrMalformed].
func Samples(packet []byte) (n int, err error) {
	if len(packet) == 0 {
		return 0, fmt.Errorf("%w: packet of 0 bytes", ErrMalformed)
	}
	frames := 2
	switch packet[0] & 3 {
	case 0:
		frames = 1
	case 3:
		if len(packet) < 2 {
			return 0, fmt.Errorf("%w: packet ends before its frame count: % x", ErrMalformed, packet)
		}
		frames = int(packet[1] & 0x3F)
	}
	n = frames * frameSamples(packet[0]>>3)
	if n == 0 || n > MaxSamples {
		return 0, fmt.Errorf("%w: packet of %d frames, %d samples, the limit is %d", ErrMalformed, frames, n, MaxSamples)
	}
	return n, nil
}

// frameSamples is the length of a frame by its configuration (RFC 6716 table 2).
func frameSamples(config byte) int {
	const ms = Rate / 1000
	switch {
	case config < 12: // SILK: 10, 20, 40, 60 ms
		return [...]int{10 * ms, 20 * ms, 40 * ms, 60 * ms}[config&3]
	case config < 16: // hybrid: 10, 20 ms
		return 10 * ms << (config & 1)
	}
	return 5 * ms / 2 << (config & 3) // CELT: 2.5, 5, 10, 20 ms
}

// cut bounds what an error message shows.
func cut(b []byte) []byte { return b[:min(len(b), 32)] }
