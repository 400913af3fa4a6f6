package mpegts

import (
	"fmt"

	"tmms/media"
)

// Stream types (ISO/IEC 13818-1 table 2-34, A/52 sections A3.1 and G3.1).
const (
	typeMPEG1Audio = 0x03
	typeMPEG2Audio = 0x04
	typePrivate    = 0x06 // of what is in the registration descriptor
	typeADTS       = 0x0F
	typeMetadata   = 0x15
	typeH264       = 0x1B
	typeHEVC       = 0x24
	typeAC3        = 0x81
	typeEAC3       = 0x87
)

// elementary turns the payloads of one codec, as FLV carries them, into what
// PES packets carry.
type elementary interface {
	// append appends the elementary stream bytes of one payload, and says whether
	// decoding can start at it. On error dst is returned as it was.
	append(dst, payload []byte, key bool) (es []byte, start bool, err error)
	// ticks is how long an audio payload plays.
	ticks(payload []byte) int64
	// streamType may change with what append has seen.
	streamType() byte
	// descriptors are those of the PMT.
	descriptors() []byte
	// dropped counts what append left out.
	dropped() uint64
}

// carriage says how MPEG-TS carries a codec.
type carriage struct {
	codec    media.Codec
	typ      media.Type
	streamID byte
	open     func(config []byte) (elementary, error)
}

// carried is a track whose configuration was read.
type carried struct {
	es       elementary
	streamID byte
}

// open reads the configuration of a track; nil if there is no track.
func open(typ media.Type, t Track) (*carried, error) {
	if t.Codec == media.CodecUnknown {
		return nil, nil //nolint:nilnil // no track is no fault
	}
	for _, c := range &carriages {
		if c.codec != t.Codec || c.typ != typ {
			continue
		}
		es, err := c.open(t.Config)
		if err != nil {
			return nil, err
		}
		return &carried{es: es, streamID: c.streamID}, nil
	}
	return nil, fmt.Errorf("%w %s as %s", ErrUnsupported, t.Codec, typ)
}
