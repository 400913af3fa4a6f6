package h264

import (
	"fmt"

	"tmms/media"
	"tmms/media/nal"
)

// NALType is the nal_unit_type of a NAL unit (H.264 table 7-1).
type NALType uint8

// The types that framing cares about.
const (
	nalIDR NALType = 5
	nalSPS NALType = 7
	nalPPS NALType = 8
	nalAUD NALType = 9
)

// String names the type for messages.
func (t NALType) String() string {
	switch t {
	case nalIDR:
		return "IDR"
	case nalSPS:
		return "SPS"
	case nalPPS:
		return "PPS"
	case nalAUD:
		return "AUD"
	}
	return fmt.Sprintf("NAL type %d", uint8(t))
}

// TypeOf gives the type of a NAL unit, which must not be empty.
func TypeOf(nalu []byte) NALType { return NALType(nalu[0] & 0x1F) }

// Split appends the NAL units of an AVCC access unit to dst; they alias
// payload. Units of length zero and those that claim more bytes than there
// are do not appear and are counted in dropped. The error wraps
// [ErrMalformed]: a length size that is not 1, 2 or 4, no unit left, or more
// than [media.MaxNALUs].
func Split(dst [][]byte, payload []byte, lengthSize int) (nalus [][]byte, dropped int, err error) {
	if lengthSize != 1 && lengthSize != 2 && lengthSize != 4 {
		return dst, 0, fmt.Errorf("%w: NAL unit length size %d is not 1, 2 or 4", ErrMalformed, lengthSize)
	}
	s := nal.Scanner{Rest: payload, LengthSize: lengthSize}
	nalus = dst
	for {
		nalu, ok := s.Next()
		if !ok {
			break
		}
		if len(nalus)-len(dst) == media.MaxNALUs {
			return dst, s.Dropped, errTooMany()
		}
		nalus = append(nalus, nalu)
	}
	if len(nalus) == len(dst) {
		return dst, s.Dropped, errNothingLeft(payload, lengthSize, s.Dropped)
	}
	return nalus, s.Dropped, nil
}

func errTooMany() error {
	return fmt.Errorf("%w: access unit of more than %d NAL units", ErrMalformed, media.MaxNALUs)
}

func errNothingLeft(payload []byte, lengthSize, dropped int) error {
	return fmt.Errorf("%w: access unit of %d bytes (length size %d) has no whole NAL unit, %d dropped: % x",
		ErrMalformed, len(payload), lengthSize, dropped, payload[:min(len(payload), 16)])
}
