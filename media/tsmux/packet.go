package tsmux

import (
	"tmms/media"
	"tmms/media/flv"
	"tmms/media/mpegts"
)

// Frame is one audio or video frame. Payload is one access unit, as FLV carries
// it.
type Frame struct {
	Type    media.Type
	Key     bool // video: decoding can start here
	Codec   media.Codec
	DTS     media.Timestamp // stream time
	CTO     int32           // ms; PTS = DTS + CTO
	Payload []byte
}

// Packet is what a packet means to a muxer.
type Packet struct {
	// Kind says which of the fields holds: Track for KindConfig, Frame for KindKey,
	// KindDelta and KindAudio; for the other kinds there is nothing to mux.
	Kind  media.Kind
	Track mpegts.Track
	Frame Frame
}

// Read takes the body of a video or audio packet with its DTS apart. What it
// gives aliases the body. The error wraps flv.ErrMalformed.
func Read(typ media.Type, dts media.Timestamp, body []byte) (Packet, error) {
	info, err := flv.Describe(typ, body)
	if err != nil {
		return Packet{Kind: media.KindData}, err
	}
	p := Packet{Kind: info.Kind}
	switch info.Kind {
	case media.KindConfig:
		p.Track = mpegts.Track{Codec: info.Codec, Config: info.Payload}
	case media.KindKey, media.KindDelta, media.KindAudio:
		p.Frame = Frame{
			Type: typ, Key: info.Kind == media.KindKey, Codec: info.Codec, DTS: dts, CTO: info.CTO, Payload: info.Payload,
		}
	case media.KindData, media.KindEnd:
	}
	return p, nil
}
