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

// elementary is how a codec stands in the PMT.
type elementary interface {
	// streamType may change with what a payload says.
	streamType() byte
	descriptors() []byte
}

// pictures turns the access units of a video codec, as FLV carries them, into
// what PES packets carry.
type pictures interface {
	elementary
	// Append appends the parts of one access unit. On error dst is returned as it
	// was.
	Append(dst [][]byte, payload []byte, key bool) ([][]byte, error)
	// Keyframe says whether decoding can start at the last one.
	Keyframe() bool
	// Dropped counts what Append left out.
	Dropped() uint64
}

// sounds turns the frames of an audio codec, as FLV carries them, into what PES
// packets carry.
type sounds interface {
	elementary
	// append appends the elementary stream bytes of one payload. On error dst is
	// returned as it was.
	append(dst, payload []byte) ([]byte, error)
	// ticks is how long a payload plays.
	ticks(payload []byte) int64
}

// carriage says how MPEG-TS carries a codec.
type carriage[E elementary] struct {
	codec    media.Codec
	streamID byte
	open     func(config []byte) (E, error)
}

// open reads the configuration of a track; es is nil if there is no track.
func open[E elementary](from []carriage[E], typ media.Type, t Track) (es E, streamID byte, err error) {
	if t.Codec == media.CodecUnknown {
		return es, 0, nil
	}
	for _, c := range from {
		if c.codec == t.Codec {
			es, err = c.open(t.Config)
			return es, c.streamID, err
		}
	}
	return es, 0, fmt.Errorf("%w %s as %s", ErrUnsupported, t.Codec, typ)
}
