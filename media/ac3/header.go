package ac3

import (
	"errors"
	"fmt"
)

// ErrMalformed is wrapped by every error about bytes that are no syncframe.
var ErrMalformed = errors.New("ac3: malformed")

// HeaderSize is what of a syncframe must be there to read its header, in bytes.
const HeaderSize = 7

// BlockSamples is the length of an audio block in samples.
const BlockSamples = 256

// Values of bsid (A/52 section 5.4.2.1, E2.3.1.6). 9 and 10 are AC-3 at a half
// and a quarter of the rate.
const (
	bsidAC3  = 8
	maxAC3   = 10
	maxBSID  = 16
	noSample = 3 // fscod that is reserved, or tells that the rate is a reduced one
)

// StreamType says what a syncframe of E-AC-3 is to others (A/52 table E2.1).
type StreamType byte

// The stream types; AC-3 is Independent.
const (
	Independent StreamType = iota // a program of its own, or the first channels of one
	Dependent                     // further channels of the independent frame in front
	Converted                     // independent, made of AC-3
)

// Header is what a syncframe says of itself.
type Header struct {
	EAC3       bool
	SampleRate int // Hz
	Channels   int // with the low frequency channel
	FrameSize  int // bytes, header included
	Samples    int // of each channel in the frame
	DataRate   int // kbit/s; for E-AC-3 what FrameSize comes to
	FSCod      byte
	BSID       byte
	BSMOD      byte // E-AC-3: 0, a complete main service; it is said in optional parts only
	ACMOD      byte
	LFE        bool
	// BitRateCode is frmsizecod >> 1, an index of the table of rates; AC-3 only.
	BitRateCode byte
	// The rest is of E-AC-3 only.
	StreamType  StreamType
	SubstreamID byte
	// ChannelMap of a Dependent frame says where its channels are, the highest bit
	// being the left one (A/52 table E2.5); 0 if it does not.
	ChannelMap uint16
}

// ParseHeader reads the header of the syncframe that starts at frame[0]; the
// rest of it need not be there:
//
//	AC-3:   0B 77 | CRC (2) | fscod (2 bits) frmsizecod (6) | bsid (5) bsmod (3) | acmod (3) ... lfeon (1)
//	E-AC-3: 0B 77 | type (2 bits) substream (3) words - 1 (11) | fscod (2) blocks (2) acmod (3) lfeon (1) | bsid (5) ...
//
// The error wraps [ErrMalformed].
func ParseHeader(frame []byte) (Header, error) {
	if len(frame) < HeaderSize {
		return Header{}, fmt.Errorf("%w: frame of %d bytes, the header has %d: % x",
			ErrMalformed, len(frame), HeaderSize, frame)
	}
	if frame[0] != 0x0B || frame[1] != 0x77 {
		return Header{}, fmt.Errorf("%w: no sync word: % x", ErrMalformed, frame[:HeaderSize])
	}
	h := Header{BSID: frame[5] >> 3, FSCod: frame[4] >> 6}
	switch {
	case h.BSID <= maxAC3:
		return h, h.readAC3(frame)
	case h.BSID <= maxBSID:
		return h, h.readEAC3(frame)
	}
	return Header{}, fmt.Errorf("%w: bsid %d, the limit is %d: % x", ErrMalformed, h.BSID, maxBSID, frame[:HeaderSize])
}

// readAC3 follows A/52 sections 5.3.1 and 5.3.2.
func (h *Header) readAC3(b []byte) error {
	code := b[4] & 0x3F
	if h.FSCod == noSample || int(code>>1) >= len(dataRates) {
		return fmt.Errorf("%w: fscod %d, frmsizecod %d: % x", ErrMalformed, h.FSCod, code, b[:HeaderSize])
	}
	slower := max(h.BSID, bsidAC3) - bsidAC3
	rate, dataRate := sampleRates[h.FSCod], dataRates[code>>1]
	words := 96 * 1000 * dataRate / rate
	if rate == 44100 {
		words += int(code & 1)
	}
	h.BitRateCode, h.BSMOD, h.ACMOD = code>>1, b[5]&7, b[6]>>5
	h.SampleRate, h.DataRate, h.FrameSize, h.Samples = rate>>slower, dataRate>>slower, 2*words, 6*BlockSamples
	lfe := 3 // its bit in b[6], behind the mix levels that there are
	if h.ACMOD&1 != 0 && h.ACMOD != 1 {
		lfe += 2 // cmixlev
	}
	if h.ACMOD&4 != 0 {
		lfe += 2 // surmixlev
	}
	if h.ACMOD == 2 {
		lfe += 2 // dsurmod
	}
	h.setChannels(b[6]>>(7-lfe)&1 == 1)
	return nil
}

// readEAC3 follows A/52 section E1.2.2 as far as the channel map.
func (h *Header) readEAC3(b []byte) error {
	h.EAC3, h.StreamType, h.SubstreamID = true, StreamType(b[2]>>6), b[2]>>3&7
	h.FrameSize = 2 * (int(b[2]&7)<<8 + int(b[3]) + 1)
	blocks, reduced := b[4]>>4&3, 0
	fscod := h.FSCod
	if fscod == noSample {
		fscod, blocks, reduced = blocks, 3, 1 // fscod2, six blocks
	}
	if h.StreamType > Converted || fscod == noSample || h.FrameSize < HeaderSize {
		return fmt.Errorf("%w: stream type %d, fscod %d, frame of %d bytes: % x",
			ErrMalformed, h.StreamType, fscod, h.FrameSize, b[:HeaderSize])
	}
	h.SampleRate = sampleRates[fscod] >> reduced
	h.Samples = blockCounts[blocks] * BlockSamples
	h.DataRate = h.FrameSize * 8 * h.SampleRate / h.Samples / 1000
	h.ACMOD = b[4] >> 1 & 7
	h.setChannels(b[4]&1 == 1)
	if h.StreamType == Dependent {
		h.ChannelMap = channelMap(b, h.ACMOD == 0)
	}
	return nil
}

func (h *Header) setChannels(lfe bool) {
	h.LFE, h.Channels = lfe, channelCounts[h.ACMOD]
	if lfe {
		h.Channels++
	}
}

// channelMap reads chanmap, which is behind dialnorm (5 bits) and compr (8, if a
// bit says so), both of them twice with two mono programs.
func channelMap(b []byte, dual bool) uint16 {
	at := 45 // in bits, behind bsid
	bit := func() bool {
		set := at/8 < len(b) && b[at/8]>>(7-at%8)&1 == 1
		at++
		return set
	}
	skipLevels := func() {
		at += 5
		if bit() {
			at += 8
		}
	}
	skipLevels()
	if dual {
		skipLevels()
	}
	if !bit() || at+16 > 8*len(b) {
		return 0
	}
	var m uint16
	for range 16 {
		m <<= 1
		if bit() {
			m |= 1
		}
	}
	return m
}
