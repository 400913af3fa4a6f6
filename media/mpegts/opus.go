package mpegts

import (
	"fmt"

	"tmms/media/opus"
)

// opusTS is Opus as the draft of ETSI TS Opus (0.1.3) and FFmpeg have it: packets behind a control
// header, in private data that is registered as "Opus".
type opusTS struct{ channels byte }

func openOpus(config []byte) (elementary, error) {
	h, err := opus.ParseHead(config)
	if err != nil {
		return nil, err
	}
	if h.MappingFamily > opus.FamilyVorbis || h.Channels >= len(opusMappings) {
		return nil, fmt.Errorf("%w Opus of %d channels in mapping family %d, only families 0 and 1",
			ErrUnsupported, h.Channels, h.MappingFamily)
	}
	m := opusMappings[h.Channels]
	if h.Streams != m.streams || h.Coupled != m.coupled || h.Mapping != nil && string(h.Mapping) != m.mapping {
		return nil, fmt.Errorf("%w Opus of %d channels as %d streams, %d coupled, mapped % x, only as %d, %d, % x",
			ErrUnsupported, h.Channels, h.Streams, h.Coupled, h.Mapping, m.streams, m.coupled, m.mapping)
	}
	return opusTS{channels: byte(h.Channels)}, nil
}

// append puts the control header in front of a packet:
//
//	0x3FF (11 bits) | start trim 0 | end trim 0 | extension 0 | reserved (2 bits) |
//	size: any number of 255, then what is left of it (1)
//
// The pre-skip is not trimmed: it is of the encoder's first packets, which no
// viewer of a live stream begins at.
func (o opusTS) append(dst, packet []byte, _ bool) (es []byte, start bool, err error) {
	if _, err := opus.Samples(packet); err != nil {
		return dst, false, err
	}
	dst = append(dst, 0x7F, 0xE0)
	n := len(packet)
	for ; n >= 255; n -= 255 {
		dst = append(dst, 255)
	}
	dst = append(dst, byte(n))
	return append(dst, packet...), true, nil
}

func (o opusTS) ticks(packet []byte) int64 {
	n, err := opus.Samples(packet)
	if err != nil {
		return 0
	}
	return int64(n) * Clock / opus.Rate
}

// descriptors are the registration and the channel configuration code, in an
// extension descriptor of the tag 0x80.
func (o opusTS) descriptors() []byte {
	return append(registration("Opus"), tagExtension, 2, 0x80, o.channels)
}

func (o opusTS) streamType() byte { return typePrivate }
func (o opusTS) dropped() uint64  { return 0 }
