package h264

import (
	"fmt"
	"slices"

	"tmms/media"
	"tmms/media/nal"
)

// aud is an access unit delimiter that allows any slice type (H.264 section 7.3.2.4).
const aud = "\x00\x00\x00\x01\x09\xf0"

// Converter turns the AVCC access units of one stream into Annex B access
// units that a decoder can start at: each opens with exactly one access unit
// delimiter, and a keyframe carries every parameter set exactly once, in
// front. It remembers parameter sets that come in band; they replace those of
// the configuration with the same id. One owner; no allocation per access unit.
type Converter struct {
	lengthSize int
	sets       nal.Sets
	dropped    uint64
	keyframe   bool
}

// Kinds of parameter sets.
const (
	kindSPS = iota
	kindPPS
)

// NewConverter starts with the parameter sets of the configuration. The error
// wraps [ErrMalformed].
func NewConverter(cfg *Config) (*Converter, error) {
	c := &Converter{lengthSize: cfg.LengthSize}
	for _, nalu := range slices.Concat(cfg.SPS, cfg.PPS) {
		if err := c.learn(nalu); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// Dropped counts the NAL units that were left out so far: empty, longer than
// their access unit, or an unusable parameter set of a keyframe.
func (c *Converter) Dropped() uint64 { return c.dropped }

// Keyframe tells that the access unit that was converted last was a keyframe.
func (c *Converter) Keyframe() bool { return c.keyframe }

// Append converts one access unit and appends it to dst; key says that it is a
// keyframe (an IDR is taken for one in any case). On error dst is returned as
// it was and the error wraps [ErrMalformed].
func (c *Converter) Append(dst, payload []byte, key bool) ([]byte, error) {
	key, err := c.inspect(payload, key)
	if err != nil {
		return dst, err
	}
	c.keyframe = key
	dst = append(dst, aud...)
	if key {
		dst = c.sets.Append(dst)
	}
	s := nal.Scanner{Rest: payload, LengthSize: c.lengthSize}
	for {
		nalu, ok := s.Next()
		if !ok {
			return dst, nil
		}
		switch TypeOf(nalu) {
		case nalAUD:
			continue
		case nalSPS, nalPPS:
			if key {
				continue
			}
		default:
		}
		dst = append(dst, 0, 0, 0, 1)
		dst = append(dst, nalu...)
	}
}

// inspect counts what is to be dropped, learns parameter sets and says whether
// this is a keyframe. Afterwards the access unit is known to have a NAL unit.
func (c *Converter) inspect(payload []byte, key bool) (bool, error) {
	s := nal.Scanner{Rest: payload, LengthSize: c.lengthSize}
	count, bad := 0, 0
	for {
		nalu, ok := s.Next()
		if !ok {
			break
		}
		if count++; count > media.MaxNALUs {
			return false, errTooMany()
		}
		switch TypeOf(nalu) {
		case nalIDR:
			key = true
		case nalSPS, nalPPS:
			if c.learn(nalu) != nil {
				bad++
			}
		default:
		}
	}
	if key {
		s.Dropped += bad
	}
	c.dropped += uint64(s.Dropped)
	if count == 0 {
		return false, errNothingLeft(payload, c.lengthSize, s.Dropped)
	}
	return key, nil
}

// learn keeps a parameter set in place of the one with the same id.
func (c *Converter) learn(nalu []byte) error {
	kind, skip := kindPPS, 1
	if TypeOf(nalu) == nalSPS {
		kind, skip = kindSPS, 4 // profile, compatibility and level are in front of the id
	}
	id, err := setID(nalu, skip)
	if err != nil {
		return err
	}
	if total, ok := c.sets.Put(kind, id, nalu); !ok {
		return fmt.Errorf("%w: parameter sets of %d bytes, the limit is %d", ErrMalformed, total, media.MaxCodecConfig)
	}
	return nil
}

// setID reads the id of a parameter set, a ue(v) behind skip bytes.
func setID(nalu []byte, skip int) (uint32, error) {
	var scratch [16]byte
	rbsp := nal.AppendRBSP(scratch[:0], nalu[:min(len(nalu), len(scratch))])
	if len(rbsp) > skip {
		r := nal.NewBits(rbsp[skip:])
		if id := r.UE(); !r.Short() && id <= maxPPSID {
			return id, nil
		}
	}
	return 0, fmt.Errorf("%w: %s without an id: % x", ErrMalformed, TypeOf(nalu), nalu[:min(len(nalu), len(scratch))])
}

// maxPPSID is the largest pic_parameter_set_id (H.264 section 7.4.2.2); an SPS
// id ends at 31, which [ParseSPS] checks.
const maxPPSID = 255
