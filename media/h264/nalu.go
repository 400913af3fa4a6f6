package h264

import (
	"fmt"

	"tmms/media"
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

// scanner walks the NAL units of an AVCC access unit. Units of length zero are
// left out; a length that leads past the end, or is itself cut off, ends the
// walk, as nothing behind it can be located. Both are counted in dropped.
type scanner struct {
	rest       []byte
	lengthSize int
	dropped    int
}

// next gives the next NAL unit; it aliases the payload and is never empty.
func (s *scanner) next() (nalu []byte, ok bool) {
	for len(s.rest) > 0 {
		if len(s.rest) < s.lengthSize {
			break
		}
		var n uint32
		for _, c := range s.rest[:s.lengthSize] {
			n = n<<8 | uint32(c)
		}
		body := s.rest[s.lengthSize:]
		if uint64(n) > uint64(len(body)) {
			break
		}
		nalu, s.rest = body[:n:n], body[n:]
		if n > 0 {
			return nalu, true
		}
		s.dropped++
	}
	if len(s.rest) > 0 {
		s.dropped++
		s.rest = nil
	}
	return nil, false
}

// Split appends the NAL units of an AVCC access unit to dst; they alias
// payload. Units of length zero and those that claim more bytes than there
// are do not appear and are counted in dropped. The error wraps
// [ErrMalformed]: a length size that is not 1, 2 or 4, no unit left, or more
// than [media.MaxNALUs].
func Split(dst [][]byte, payload []byte, lengthSize int) (nalus [][]byte, dropped int, err error) {
	if lengthSize != 1 && lengthSize != 2 && lengthSize != 4 {
		return dst, 0, fmt.Errorf("%w: NAL unit length size %d is not 1, 2 or 4", ErrMalformed, lengthSize)
	}
	s := scanner{rest: payload, lengthSize: lengthSize}
	nalus = dst
	for {
		nalu, ok := s.next()
		if !ok {
			break
		}
		if len(nalus)-len(dst) == media.MaxNALUs {
			return dst, s.dropped, errTooMany()
		}
		nalus = append(nalus, nalu)
	}
	if len(nalus) == len(dst) {
		return dst, s.dropped, errNothingLeft(payload, lengthSize, s.dropped)
	}
	return nalus, s.dropped, nil
}

func errTooMany() error {
	return fmt.Errorf("%w: access unit of more than %d NAL units", ErrMalformed, media.MaxNALUs)
}

func errNothingLeft(payload []byte, lengthSize, dropped int) error {
	return fmt.Errorf("%w: access unit of %d bytes (length size %d) has no whole NAL unit, %d dropped: % x",
		ErrMalformed, len(payload), lengthSize, dropped, payload[:min(len(payload), 16)])
}

// AppendAnnexB appends NAL units, each behind a start code of four bytes
// (H.264 annex B).
func AppendAnnexB(dst []byte, nalus ...[]byte) []byte {
	for _, n := range nalus {
		dst = append(dst, 0, 0, 0, 1)
		dst = append(dst, n...)
	}
	return dst
}

// AppendRBSP appends a NAL unit without its emulation prevention bytes
// (H.264 section 7.3.1): 00 00 03 becomes 00 00.
func AppendRBSP(dst, nalu []byte) []byte {
	zeros := 0
	for _, c := range nalu {
		if zeros >= 2 && c == 3 {
			zeros = 0
			continue
		}
		if c == 0 {
			zeros++
		} else {
			zeros = 0
		}
		dst = append(dst, c)
	}
	return dst
}
