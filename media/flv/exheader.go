package flv

import (
	"fmt"

	"tmms/media"
)

// exPacket is a packet type of Enhanced RTMP v2, numbered as for video
// (VideoPacketType); [exPacket.audio] maps the AudioPacketType.
type exPacket byte

const (
	exSequenceStart exPacket = iota
	exCodedFrames
	exSequenceEnd
	exCodedFramesX
	exMetadata
	exMPEG2TSStart
	exMultitrack
	exModEx
	exReserved
)

// audio maps an AudioPacketType to the numbers of video, where Multitrack is 6
// and not 5, and there is neither CodedFramesX nor MPEG2TSSequenceStart.
func (p exPacket) audio() exPacket {
	switch p {
	case 0, 1, 2, 7:
		return p
	case 4:
		return exMetadata
	case audioMultitrack:
		return exMultitrack
	default:
		return exReserved
	}
}

// audioMultitrack is exMultitrack as an AudioPacketType.
const audioMultitrack = 5

// Multitrack types (AvMultitrackType); 1 is ManyTracks.
const (
	oneTrack             = 0
	manyTracksManyCodecs = 2
)

// modExNano is the ModEx type TimestampOffsetNano.
const modExNano = 0

// exHeader reads what follows the first byte of an Enhanced RTMP v2 body
// (ExVideoTagHeader, ExAudioTagHeader):
//
//	ModEx, any number of times:
//	  data size - 1 (1; 255: then size - 1 in 2 bytes) | data | ModEx type (4 bits) | packet type (4 bits)
//	Multitrack:
//	  multitrack type (4 bits) | packet type (4 bits) | FourCC (4, unless ManyTracksManyCodecs), then a track:
//	  FourCC (4, ManyTracksManyCodecs) | track id (1) | size (3, unless OneTrack) | payload
//	else:
//	  FourCC (4) | payload
type exHeader struct {
	body    []byte
	at      int // what is read of body
	packet  exPacket
	isAudio bool
	multi   bool // there is a multitrack header, of this kind
	kind    byte

	nano    uint32
	fourCC  [4]byte
	track   media.TrackID
	payload []byte
}

// need makes sure that n more bytes are there.
func (h *exHeader) need(what string, n int) error {
	if len(h.body)-h.at < n {
		return shortBody(what, h.at+n, h.body)
	}
	return nil
}

// setPacket takes a packet type from the wire.
func (h *exHeader) setPacket(b byte) {
	h.packet = exPacket(b & 0x0F)
	if h.isAudio {
		h.packet = h.packet.audio()
	}
}

// skipModEx reads the modifiers in front of the packet. Only the nanosecond
// offset is kept; other types are skipped by their size.
func (h *exHeader) skipModEx() error {
	for h.packet == exModEx {
		if err := h.need("ModEx size", 1); err != nil {
			return err
		}
		size := int(h.body[h.at]) + 1
		h.at++
		if size == 256 {
			if err := h.need("ModEx size", 2); err != nil {
				return err
			}
			size = int(h.body[h.at])<<8 + int(h.body[h.at+1]) + 1
			h.at += 2
		}
		if err := h.need("ModEx data", size+1); err != nil {
			return err
		}
		data := h.body[h.at : h.at+size]
		h.at += size
		if h.body[h.at]>>4 == modExNano && size >= 3 {
			h.nano = uint32(data[0])<<16 | uint32(data[1])<<8 | uint32(data[2])
		}
		h.setPacket(h.body[h.at])
		h.at++
	}
	return nil
}

// readTrack reads from the multitrack header, if there is one, to the payload
// of the first track.
func (h *exHeader) readTrack() error {
	if h.packet != exMultitrack {
		if err := h.readFourCC(); err != nil {
			return err
		}
		h.payload, h.at = h.body[h.at:], len(h.body)
		return nil
	}
	if err := h.need("multitrack header", 1); err != nil {
		return err
	}
	h.multi = true
	h.kind = h.body[h.at] >> 4
	h.setPacket(h.body[h.at])
	h.at++
	if h.kind > manyTracksManyCodecs || h.packet == exMultitrack || h.packet == exModEx {
		return fmt.Errorf("%w: multitrack type %d around packet type %d: % x",
			ErrMalformed, h.kind, h.packet, head(h.body))
	}
	if h.kind != manyTracksManyCodecs {
		if err := h.readFourCC(); err != nil {
			return err
		}
	}
	return h.nextTrack()
}

// more tells that another track follows.
func (h *exHeader) more() bool { return h.multi && h.kind != oneTrack && h.at < len(h.body) }

// nextTrack reads one track of a multitrack body.
func (h *exHeader) nextTrack() error {
	if h.kind == manyTracksManyCodecs {
		if err := h.readFourCC(); err != nil {
			return err
		}
	}
	if err := h.need("track id", 1); err != nil {
		return err
	}
	h.track = media.TrackID(h.body[h.at])
	h.at++
	if h.kind == oneTrack {
		h.payload, h.at = h.body[h.at:], len(h.body)
		return nil
	}
	if err := h.need("track size", 3); err != nil {
		return err
	}
	size := int(h.body[h.at])<<16 | int(h.body[h.at+1])<<8 | int(h.body[h.at+2])
	h.at += 3
	if err := h.need("track", size); err != nil {
		return err
	}
	h.payload = h.body[h.at : h.at+size]
	h.at += size
	return nil
}

func (h *exHeader) readFourCC() error {
	if err := h.need("FourCC", 4); err != nil {
		return err
	}
	copy(h.fourCC[:], h.body[h.at:])
	h.at += 4
	return nil
}

// info is what the header says of the track at hand, but for the kind.
func (h *exHeader) info() Info {
	return Info{
		FourCC: h.fourCC, Track: h.track, Several: h.more(), Nano: h.nano, Payload: h.payload, packet: h.packet,
	}
}
