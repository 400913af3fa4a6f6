package flac

import (
	"bytes"
	"errors"
	"fmt"

	"tmms/media"
)

// ErrMalformed is wrapped by every error about bytes that are not FLAC.
var ErrMalformed = errors.New("flac: malformed")

// marker opens a FLAC stream (RFC 9639 section 6).
const marker = "fLaC"

// blockHeader is the size of a metadata block's header, streamInfo that of the
// body of a STREAMINFO block, in bytes.
const (
	blockHeader = 4
	streamInfo  = 34
)

// Header is a STREAMINFO metadata block (RFC 9639 section 8.2).
type Header struct {
	// MinBlock and MaxBlock are the samples of a frame and channel, 16 to 65535;
	// the last frame of a stream may have fewer.
	MinBlock, MaxBlock int
	SampleRate         int // Hz, 1 to 1048575
	Channels           int // 1 to 8
	BitsPerSample      int // 4 to 32
	// StreamInfo is the block's body as it came.
	StreamInfo [streamInfo]byte
}

// ParseHeader reads the header of a stream, which is what senders put into
// AudioPacketType.SequenceStart of Enhanced RTMP v2:
//
//	"fLaC" | metadata block STREAMINFO | further metadata blocks
//	block:      last (1 bit) | type (7 bits), 0: STREAMINFO | length (3) | body
//	STREAMINFO: min, max block size (2 each) | min, max frame size (3 each) |
//	            sample rate (20 bits) | channels - 1 (3 bits) | bits per sample - 1 (5 bits) |
//	            samples of the stream (36 bits) | MD5 (16)
//
// Further blocks are not read. The specification asks for the block alone, so the
// marker may be left out, and the block's header too. The error wraps [ErrMalformed].
func ParseHeader(b []byte) (Header, error) {
	if len(b) > media.MaxCodecConfig {
		return Header{}, fmt.Errorf("%w: header of %d bytes, the limit is %d", ErrMalformed, len(b), media.MaxCodecConfig)
	}
	info, err := findStreamInfo(b)
	if err != nil {
		return Header{}, err
	}
	h := Header{
		MinBlock:      int(info[0])<<8 | int(info[1]),
		MaxBlock:      int(info[2])<<8 | int(info[3]),
		SampleRate:    int(info[10])<<12 | int(info[11])<<4 | int(info[12])>>4,
		Channels:      int(info[12]>>1&7) + 1,
		BitsPerSample: int(info[12]&1)<<4 + int(info[13]>>4) + 1,
	}
	copy(h.StreamInfo[:], info)
	return h, h.validate()
}

// findStreamInfo gives the body of the first block, which must be STREAMINFO.
func findStreamInfo(b []byte) ([]byte, error) {
	rest := bytes.TrimPrefix(b, []byte(marker))
	if len(rest) == streamInfo {
		return rest, nil
	}
	if len(rest) < blockHeader || rest[0]&0x7F != 0 || string(rest[1:blockHeader]) != "\x00\x00\x22" {
		return nil, fmt.Errorf("%w: no STREAMINFO of %d bytes at the start: % x", ErrMalformed, streamInfo, head(b))
	}
	if rest = rest[blockHeader:]; len(rest) < streamInfo {
		return nil, fmt.Errorf("%w: STREAMINFO has %d bytes, %d are left: % x",
			ErrMalformed, streamInfo, len(rest), head(b))
	}
	return rest[:streamInfo], nil
}

// validate checks what RFC 9639 section 8.2 asks for; a sample rate of 0 means
// that it is no sound.
func (h *Header) validate() error {
	switch {
	case h.MinBlock < minBlock || h.MaxBlock < h.MinBlock:
		return fmt.Errorf("%w: blocks of %d to %d samples, the least is %d", ErrMalformed, h.MinBlock, h.MaxBlock, minBlock)
	case h.SampleRate == 0:
		return fmt.Errorf("%w: sample rate 0", ErrMalformed)
	case h.BitsPerSample < 4:
		return fmt.Errorf("%w: %d bits a sample, the least is 4", ErrMalformed, h.BitsPerSample)
	}
	return nil
}

// minBlock is the least number of samples in a block of which others follow.
const minBlock = 16

// head cuts bytes to what an error message may show.
func head(b []byte) []byte { return b[:min(len(b), 16)] }
