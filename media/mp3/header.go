// Package mp3 reads MPEG audio frame headers (ISO/IEC 11172-3, ISO/IEC
// 13818-3 and the MPEG-2.5 extension), layers I to III.
package mp3

import (
	"errors"
	"fmt"
)

// ErrMalformed is wrapped by every error about bytes that are not MPEG audio.
var ErrMalformed = errors.New("mp3: malformed")

// HeaderSize is the length in bytes of a frame header.
const HeaderSize = 4

// Version is the MPEG version of a frame.
type Version uint8

// The versions; 2 halves the sample rates of 1, 2.5 halves them again.
const (
	MPEG1 Version = iota
	MPEG2
	MPEG25
)

// String gives "1", "2" or "2.5".
func (v Version) String() string { return [...]string{"1", "2", "2.5", "?"}[min(v, 3)] }

// Header is a frame header.
type Header struct {
	Version    Version
	Layer      int // 1, 2 or 3
	SampleRate int // Hz
	BitRate    int // bit/s; 0: free format
	Channels   int // 1 or 2
	Samples    int // a frame and channel
	Size       int // bytes, header included; 0: free format, not said by the header
}

// ParseHeader reads the header of the frame that starts at b[0]:
//
//	sync (11 bits) | version (2) | layer (2) | no CRC (1) |
//	bit rate (4) | sample rate (2) | padding (1) | private (1) |
//	mode (2) | mode extension (2) | copyright (1) | original (1) | emphasis (2)
//
// The error wraps [ErrMalformed].
func ParseHeader(b []byte) (Header, error) {
	if len(b) < HeaderSize {
		return Header{}, fmt.Errorf("%w: frame of %d bytes, the header has %d: % x", ErrMalformed, len(b), HeaderSize, b)
	}
	bad := func(what string) (Header, error) {
		return Header{}, fmt.Errorf("%w: %s: % x", ErrMalformed, what, b[:HeaderSize])
	}
	if b[0] != 0xFF || b[1]&0xE0 != 0xE0 {
		return bad("no sync word")
	}
	var h Header
	switch b[1] >> 3 & 3 {
	case 0:
		h.Version = MPEG25
	case 1:
		return bad("reserved version")
	case 2:
		h.Version = MPEG2
	case 3:
		h.Version = MPEG1
	}
	if h.Layer = 4 - int(b[1]>>1&3); h.Layer == 4 {
		return bad("reserved layer")
	}
	rate := b[2] >> 2 & 3
	if rate == 3 {
		return bad("reserved sample rate")
	}
	h.SampleRate = sampleRates[rate] >> h.Version
	bitRate := b[2] >> 4
	if bitRate == 15 {
		return bad("forbidden bit rate")
	}
	h.BitRate = h.bitRates()[bitRate] * 1000
	h.Channels = 2
	if b[3]>>6 == 3 {
		h.Channels = 1
	}
	h.Samples = h.samples()
	h.Size = h.size(int(b[2] >> 1 & 1))
	return h, nil
}

// bitRates gives the table for the version and layer, in kbit/s.
func (h Header) bitRates() *[15]int {
	switch {
	case h.Version == MPEG1:
		return &bitRates1[h.Layer-1]
	case h.Layer == 1:
		return &bitRates2[0]
	}
	return &bitRates2[1]
}

func (h Header) samples() int {
	switch {
	case h.Layer == 1:
		return 384
	case h.Layer == 3 && h.Version != MPEG1:
		return 576
	}
	return 1152
}

// size is in slots of one byte, of four in layer I (ISO/IEC 11172-3 section 2.4.3.1).
func (h Header) size(padding int) int {
	if h.BitRate == 0 {
		return 0
	}
	slot := 1
	if h.Layer == 1 {
		slot = 4
	}
	return (h.Samples*h.BitRate/(8*slot)/h.SampleRate + padding) * slot
}

// Frames counts the whole frames that b consists of, as some encoders put
// several into one message, and sums up their samples. A free-format frame
// takes all that is left. The error wraps [ErrMalformed]: the first frame's
// header is wrong; what is wrong further back ends the count only.
func Frames(b []byte) (first Header, samples int, err error) {
	first, err = ParseHeader(b)
	if err != nil {
		return Header{}, 0, err
	}
	for h := first; ; {
		samples += h.Samples
		if h.Size == 0 || h.Size >= len(b) {
			return first, samples, nil
		}
		b = b[h.Size:]
		if h, err = ParseHeader(b); err != nil || h.SampleRate != first.SampleRate {
			return first, samples, nil //nolint:nilerr // trailing bytes are no frame
		}
	}
}
