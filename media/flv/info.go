package flv

import (
	"encoding/binary"
	"fmt"

	"tmms/media"
)

// Info is what the codec header of a tag body says.
type Info struct {
	Codec media.Codec // CodecUnknown: a codec that media does not name; it may be passed on
	// Kind is what the packet means to a group. KindConfig: a sequence header.
	// KindKey: a keyframe, a generated one too; the flag is trusted. KindEnd: end
	// of sequence. KindData of a video or audio body: a command frame, colour
	// metadata, a multichannel layout or a packet type unknown here; it goes to
	// FLV and RTMP viewers as it is, carries no media and starts no group.
	Kind media.Kind
	// FourCC is zero with a legacy header.
	FourCC [4]byte
	Track  media.TrackID // 0 without a multitrack header; the first track of several
	// Several: another track follows in the body, see [Tracks].
	Several bool
	// Beside: the body says something of its track that stays in force until it is
	// said anew: colour metadata, or the layout of channels. Kind is KindData then.
	Beside bool
	CTO    int32 // composition offset in ms, may be negative
	// Nano is the part of the timestamp below 1 ms, in ns (Enhanced RTMP v2, ModEx).
	Nano uint32
	// Payload is what follows the codec header: the configuration record, or one
	// access unit. It aliases the body.
	Payload []byte
	// Rate in Hz and Channels are what a legacy audio header claims, 0 elsewhere.
	// AAC and MP3 say the truth only in their own headers.
	Rate, Channels int

	packet exPacket // of an enhanced header
}

// Describe reads the codec header of a tag body: legacy (FLV 10.1 E.4.2 and
// E.4.3, HEVC as codec id 12 too) or Enhanced RTMP v2. It is stateless, keeps
// no reference but Payload and does not allocate. The error wraps
// [ErrMalformed] and shows the bytes at fault; an empty audio or video body is
// malformed too.
func Describe(typ media.Type, body []byte) (Info, error) {
	switch typ {
	case media.TypeAudio:
		return describeAudio(body)
	case media.TypeVideo:
		return describeVideo(body)
	case media.TypeData:
		return Info{Kind: media.KindData, Payload: body}, nil
	}
	return Info{}, fmt.Errorf("%w: tag type %d is not audio, video or data", ErrMalformed, typ)
}

// CodecID is how onMetaData names the codec of an audio or video body, which
// Describe has read: by the number in a legacy header, or by the FourCC.
func CodecID(typ media.Type, body []byte, i *Info) uint32 {
	switch {
	case i.FourCC != [4]byte{}:
		return binary.BigEndian.Uint32(i.FourCC[:])
	case typ == media.TypeVideo:
		return uint32(body[0] & 0x0F)
	}
	return uint32(body[0] >> 4)
}

// shortBody says that a header needs more bytes than the body has.
func shortBody(what string, need int, body []byte) error {
	return fmt.Errorf("%w: %s needs %d bytes, has %d: % x", ErrMalformed, what, need, len(body), head(body))
}

// head cuts a body to what an error message may show.
func head(b []byte) []byte { return b[:min(len(b), 16)] }

// si24 reads a signed 24-bit number.
func si24(b []byte) int32 {
	return int32(uint32(b[0])<<24|uint32(b[1])<<16|uint32(b[2])<<8) >> 8
}
