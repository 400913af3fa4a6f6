package flv

import (
	"fmt"

	"tmms/media"
)

// Sound formats that have a header of their own (FLV 10.1 E.4.2.1).
const (
	soundEx  = 9
	soundAAC = 10
)

// AAC packet types (FLV 10.1 E.4.2.1).
const (
	aacSequenceHeader = 0
	aacRaw            = 1
)

// describeAudio reads
//
//	legacy:   sound format (4 bits) | rate (2 bits) | size (1 bit) | stereo (1 bit) | AAC: packet type (1)
//	enhanced: 9 (4 bits) | packet type (4 bits) | see [exHeader]
func describeAudio(body []byte) (Info, error) {
	if len(body) == 0 {
		return Info{}, shortBody("audio header", 1, body)
	}
	format := body[0] >> 4
	if format == soundEx {
		return describeExAudio(body)
	}
	codec, rate := audioCodec(format)
	if rate == 0 {
		rate = 44100 >> (3 - body[0]>>2&3) // 5512, 11025, 22050, 44100
	}
	info := Info{Codec: codec, Kind: media.KindAudio, Rate: rate, Channels: 1 + int(body[0]&1), Payload: body[1:]}
	if format != soundAAC {
		return info, nil
	}
	if len(body) < 2 {
		return Info{}, shortBody("AAC packet header", 2, body)
	}
	info.Payload = body[2:]
	switch body[1] {
	case aacSequenceHeader:
		info.Kind = media.KindConfig
	case aacRaw:
	default:
		return Info{}, fmt.Errorf("%w: AAC packet type %d is not 0 or 1: % x", ErrMalformed, body[1], head(body))
	}
	return info, nil
}

// audioCodec maps a sound format; rate is in Hz where the format fixes it, else 0.
func audioCodec(format byte) (codec media.Codec, rate int) {
	switch format {
	case 0, 3:
		return media.CodecPCM, 0
	case 1:
		return media.CodecADPCM, 0
	case 2:
		return media.CodecMP3, 0
	case 4:
		return media.CodecNellymoser, 16000
	case 5:
		return media.CodecNellymoser, 8000
	case 6:
		return media.CodecNellymoser, 0
	case 7:
		return media.CodecG711A, 8000
	case 8:
		return media.CodecG711U, 8000
	case soundAAC:
		return media.CodecAAC, 0
	case 11:
		return media.CodecSpeex, 16000
	case 14:
		return media.CodecMP3, 8000
	}
	return media.CodecUnknown, 0
}

// openExAudio reads the header of an Enhanced RTMP v2 audio body up to its first track.
func openExAudio(body []byte) (h exHeader, err error) {
	h = exHeader{body: body, packet: exPacket(body[0] & 0x0F).audio(), at: 1, isAudio: true}
	if err = h.skipModEx(); err != nil {
		return h, err
	}
	return h, h.readTrack()
}

// describeExAudio reads an Enhanced RTMP v2 audio body.
func describeExAudio(body []byte) (Info, error) {
	h, err := openExAudio(body)
	if err != nil {
		return Info{}, err
	}
	return h.audio(), nil
}

// audio describes the track at hand.
func (h *exHeader) audio() Info {
	info := h.info()
	info.Codec, info.Kind = fourCCAudio(h.fourCC), media.KindData
	switch h.packet {
	case exSequenceStart:
		info.Kind = media.KindConfig
	case exSequenceEnd:
		info.Kind, info.Payload = media.KindEnd, nil
	case exCodedFrames:
		info.Kind = media.KindAudio
	case exMetadata:
		info.Beside = true
	default:
	}
	return info
}

// fourCCAudio maps an Enhanced RTMP audio FourCC.
func fourCCAudio(fourCC [4]byte) media.Codec {
	switch string(fourCC[:]) {
	case "mp4a":
		return media.CodecAAC
	case ".mp3":
		return media.CodecMP3
	case "Opus":
		return media.CodecOpus
	case "ac-3":
		return media.CodecAC3
	case "ec-3":
		return media.CodecEAC3
	case "fLaC":
		return media.CodecFLAC
	}
	return media.CodecUnknown
}
