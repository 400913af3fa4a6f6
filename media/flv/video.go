package flv

import (
	"fmt"

	"tmms/media"
)

// Frame types (FLV 10.1 E.4.3.1).
const (
	frameKey       = 1
	frameInter     = 2
	frameDispos    = 3
	frameGenerated = 4
	frameCommand   = 5
)

// AVC packet types (FLV 10.1 E.4.3.1).
const (
	avcSequenceHeader = 0
	avcNALU           = 1
	avcEndOfSequence  = 2
)

// describeVideo reads
//
//	legacy:   frame type (4 bits) | codec id (4 bits) | AVC and HEVC: packet type (1) | composition time SI24 (3)
//	enhanced: 1 (1 bit) | frame type (3 bits) | packet type (4 bits) | see [exHeader]
func describeVideo(body []byte) (Info, error) {
	if len(body) == 0 {
		return Info{}, shortBody("video header", 1, body)
	}
	if body[0]&0x80 != 0 {
		return describeExVideo(body)
	}
	frame, codec := body[0]>>4, videoCodec(body[0]&0x0F)
	info := Info{Codec: codec, Payload: body[1:]}
	if frame == frameCommand {
		info.Kind = media.KindData
		return info, nil
	}
	if codec == media.CodecH264 || codec == media.CodecHEVC {
		return describeAVC(frame, info, body)
	}
	kind, err := frameKind(frame, body)
	info.Kind = kind
	return info, err
}

// videoCodec maps a legacy codec id; 12 is the HEVC that was in use before the
// enhanced header.
func videoCodec(id byte) media.Codec {
	switch id {
	case 2:
		return media.CodecH263
	case 3, 6:
		return media.CodecScreen
	case 4, 5:
		return media.CodecVP6
	case 7:
		return media.CodecH264
	case 12:
		return media.CodecHEVC
	}
	return media.CodecUnknown
}

// describeAVC fills info from the AVC packet header, which HEVC has too.
func describeAVC(frame byte, info Info, body []byte) (Info, error) {
	if len(body) < 2 {
		return Info{}, shortBody("AVC packet header", 5, body)
	}
	if body[1] == avcEndOfSequence {
		info.Kind, info.Payload = media.KindEnd, nil
		return info, nil
	}
	if len(body) < 5 {
		return Info{}, shortBody("AVC packet header", 5, body)
	}
	info.Payload = body[5:]
	switch body[1] {
	case avcSequenceHeader:
		info.Kind = media.KindConfig
		return info, nil
	case avcNALU:
		kind, err := frameKind(frame, body)
		info.Kind, info.CTO = kind, si24(body[2:])
		return info, err
	}
	return Info{}, fmt.Errorf("%w: AVC packet type %d is not 0..2: % x", ErrMalformed, body[1], head(body))
}

// frameKind maps the frame type of a coded frame.
func frameKind(frame byte, body []byte) (media.Kind, error) {
	switch frame {
	case frameKey, frameGenerated:
		return media.KindKey, nil
	case frameInter, frameDispos:
		return media.KindDelta, nil
	}
	return 0, fmt.Errorf("%w: video frame type %d is not 1..5: % x", ErrMalformed, frame, head(body))
}

// openExVideo reads the header of an Enhanced RTMP v2 video body up to its first
// track. A command frame has none, and no FourCC either: that is command.
func openExVideo(body []byte) (h exHeader, command bool, err error) {
	h = exHeader{body: body, packet: exPacket(body[0] & 0x0F), at: 1}
	if err = h.skipModEx(); err != nil {
		return h, false, err
	}
	if body[0]>>4&0x07 == frameCommand && h.packet != exMetadata {
		return h, true, nil
	}
	return h, false, h.readTrack()
}

// describeExVideo reads an Enhanced RTMP v2 video body.
func describeExVideo(body []byte) (Info, error) {
	h, command, err := openExVideo(body)
	if err != nil {
		return Info{}, err
	}
	if command {
		return Info{Kind: media.KindData, Nano: h.nano, Payload: body[h.at:]}, nil
	}
	return h.video()
}

// video describes the track at hand.
func (h *exHeader) video() (info Info, err error) {
	info = h.info()
	info.Codec = fourCCVideo(h.fourCC)
	frame := h.body[0] >> 4 & 0x07
	switch h.packet {
	case exSequenceStart, exMPEG2TSStart:
		info.Kind = media.KindConfig
	case exSequenceEnd:
		info.Kind, info.Payload = media.KindEnd, nil
	case exCodedFrames:
		info.Kind, err = frameKind(frame, h.body)
		if err == nil && (info.Codec == media.CodecH264 || info.Codec == media.CodecHEVC) {
			err = info.cutCTO(h.body)
		}
	case exCodedFramesX:
		info.Kind, err = frameKind(frame, h.body)
	default:
		info.Kind, info.Beside = media.KindData, h.packet == exMetadata
	}
	if err != nil {
		return Info{}, err
	}
	return info, nil
}

// cutCTO takes the SI24 composition time off the payload.
func (i *Info) cutCTO(body []byte) error {
	if len(i.Payload) < 3 {
		return shortBody("composition time", len(body)-len(i.Payload)+3, body)
	}
	i.CTO, i.Payload = si24(i.Payload), i.Payload[3:]
	return nil
}

// fourCCVideo maps an Enhanced RTMP video FourCC.
func fourCCVideo(fourCC [4]byte) media.Codec {
	switch string(fourCC[:]) {
	case "avc1":
		return media.CodecH264
	case "hvc1":
		return media.CodecHEVC
	case "av01":
		return media.CodecAV1
	case "vp08":
		return media.CodecVP8
	case "vp09":
		return media.CodecVP9
	}
	return media.CodecUnknown
}
