package fmp4

import (
	"encoding/binary"
	"fmt"
	"strconv"

	"tmms/media/aac"
	"tmms/media/flac"
	"tmms/media/mp3"
)

// sampleBits is what a sample entry says of compressed audio.
const sampleBits = 16

// Object types of a decoder's configuration (ISO/IEC 14496-1 table 5).
const (
	objectAAC        = 0x40
	objectMPEG2Audio = 0x69
	objectMPEG1Audio = 0x6B
)

// openAAC carries AAC of every object type (ISO/IEC 14496-14 section 5.6). Where
// SBR is signalled up front and doubles the rate, the rate is the doubled one.
func openAAC(config []byte) (*codec, error) {
	cfg, err := aac.ParseConfig(config)
	if err != nil {
		return nil, err
	}
	rate, samples := cfg.SampleRate, cfg.FrameSamples
	if cfg.ExtensionRate == 2*rate {
		rate, samples = 2*rate, 2*samples
	}
	channels := cfg.Channels
	if channels == 0 {
		channels = 2 // the template's value; decoders ask the configuration
	}
	return &codec{
		fourCC: "mp4a", name: cfg.CodecString(), config: elementaryStream(objectAAC, config),
		rate: uint32(rate), channels: channels, bits: sampleBits,
		next: func(frame []byte) (int, int, error) { return len(frame), samples, nil },
	}, nil
}

// openMP3 carries MPEG audio (ISO/IEC 14496-14 section 5.6).
func openMP3(frame []byte) (*codec, error) {
	h, err := mp3.ParseHeader(frame)
	if err != nil {
		return nil, err
	}
	object := byte(objectMPEG1Audio)
	if h.Version != mp3.MPEG1 {
		object = objectMPEG2Audio
	}
	return &codec{
		// HLS players know it by the object type that MPEG-4 has for it (ISO/IEC
		// 14496-3 table 1.17), rather than by the one in the file.
		fourCC: "mp4a", name: "mp4a.40." + strconv.Itoa(31+h.Layer), config: elementaryStream(object, nil),
		rate: uint32(h.SampleRate), channels: h.Channels, bits: sampleBits, next: mp3Rate(h.SampleRate).next,
	}, nil
}

// mp3Rate is the sample rate of a track of MPEG audio, in Hz.
type mp3Rate int

// next takes one frame off a message, which may hold several; what comes behind
// them and is none goes with the last.
func (r mp3Rate) next(b []byte) (size, samples int, err error) {
	h, err := mp3.ParseHeader(b)
	if err != nil {
		return 0, 0, err
	}
	if h.SampleRate != int(r) {
		return 0, 0, fmt.Errorf("%w an MP3 frame of %d Hz in a track of %d Hz", ErrUnsupported, h.SampleRate, r)
	}
	if h.Size > 0 && h.Size < len(b) {
		if next, err := mp3.ParseHeader(b[h.Size:]); err == nil && next.SampleRate == h.SampleRate {
			return h.Size, h.Samples, nil
		}
	}
	return len(b), h.Samples, nil
}

// openFLAC carries FLAC (Encapsulation of FLAC in ISO Base Media File Format).
func openFLAC(header []byte) (*codec, error) {
	h, err := flac.ParseHeader(header)
	if err != nil {
		return nil, err
	}
	const last = 0x80 // the only metadata block, of type STREAMINFO
	info := h.StreamInfo[:]
	return &codec{
		fourCC: "fLaC", name: "fLaC", config: fullBox("dfLa", 0, 0, u32(last<<24|uint32(len(info))), info),
		rate: uint32(h.SampleRate), channels: h.Channels, bits: h.BitsPerSample, next: nextFLAC,
	}, nil
}

func nextFLAC(frame []byte) (size, samples int, err error) {
	samples, err = flac.Samples(frame)
	return len(frame), samples, err
}

// elementaryStream is an esds box (ISO/IEC 14496-14 section 5.6): an ES_Descriptor
// around a DecoderConfigDescriptor, with what is specific to the decoder, if
// anything, and an SLConfigDescriptor.
func elementaryStream(object byte, specific []byte) []byte {
	const audioStream = 5<<2 | 1
	decoder := append([]byte{object, audioStream}, make([]byte, 3+4+4)...) // buffer size and bit rates: not told
	if len(specific) > 0 {
		decoder = append(decoder, descriptor(5, specific)...)
	}
	const predefinedMP4 = 2
	body := append(u16(0), 0) // ES_ID, flags
	body = append(body, descriptor(4, decoder)...)
	body = append(body, descriptor(6, []byte{predefinedMP4})...)
	return fullBox("esds", 0, 0, descriptor(3, body))
}

// descriptor puts tag and length in front of a body (ISO/IEC 14496-1 section
// 8.3.3): seven bits of the length a byte, four bytes, as most writers do.
func descriptor(tag byte, body []byte) []byte {
	n := uint32(len(body))
	size := 0x80808000 | n>>21<<24 | n>>14&0x7F<<16 | n>>7&0x7F<<8 | n&0x7F
	return append(binary.BigEndian.AppendUint32([]byte{tag}, size), body...)
}
