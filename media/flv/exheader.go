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
	case 5:
		return exMultitrack
	default:
		return exReserved
	}
}

// Multitrack types (AvMultitrackType).
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
		h.payload = h.body[h.at:]
		return nil
	}
	if err := h.need("multitrack header", 1); err != nil {
		return err
	}
	kind := h.body[h.at] >> 4
	h.setPacket(h.body[h.at])
	h.at++
	if kind > manyTracksManyCodecs || h.packet == exMultitrack || h.packet == exModEx {
		return fmt.Errorf("%w: multitrack type %d around packet type %d: % x",
			ErrMalformed, kind, h.packet, head(h.body))
	}
	if err := h.readFourCC(); err != nil { // in the header or in the first track: the same place
		return err
	}
	if err := h.need("track id", 1); err != nil {
		return err
	}
	h.track = media.TrackID(h.body[h.at])
	h.at++
	if kind == oneTrack {
		h.payload = h.body[h.at:]
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
