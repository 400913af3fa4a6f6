package hevc

import (
	"fmt"
	"slices"

	"tmms/media"
	"tmms/media/nal"
)

// Kinds of parameter sets, in the order in which a decoder needs them.
const (
	kindVPS = iota
	kindSPS
	kindPPS
)

// Converter turns the length-prefixed access units of one stream into Annex B
// access units that a decoder can start at: each opens with exactly one access
// unit delimiter, and a keyframe carries every parameter set exactly once, in
// front. It remembers parameter sets that come in band; they replace those of
// the configuration with the same id. One owner; no allocation per access unit.
type Converter struct {
	lengthSize int
	sets       nal.Sets
	dropped    uint64
	keyframe   bool
}

// NewConverter starts with the parameter sets of the configuration. The error
// wraps [ErrMalformed].
func NewConverter(cfg *Config) (*Converter, error) {
	c := &Converter{lengthSize: cfg.LengthSize}
	for _, nalu := range slices.Concat(cfg.VPS, cfg.SPS, cfg.PPS) {
		if err := c.learn(nalu); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// Dropped counts the NAL units that were left out so far: empty or without a
// whole header, longer than their access unit, or an unusable parameter set of a
// keyframe.
func (c *Converter) Dropped() uint64 { return c.dropped }

// Keyframe tells that the access unit that was converted last was a keyframe.
func (c *Converter) Keyframe() bool { return c.keyframe }

// Append converts one access unit and appends it to dst; key says that it is a
// keyframe (one with an IRAP picture is taken for one in any case). On error dst
// is returned as it was and the error wraps [ErrMalformed].
func (c *Converter) Append(dst, payload []byte, key bool) ([]byte, error) {
	u, err := c.inspect(payload)
	if err != nil {
		return dst, err
	}
	key = key || u.irap
	c.keyframe = key
	if key {
		c.dropped += uint64(u.badSets)
	}
	// The delimiter allows any slice type and has the temporal id of its access
	// unit (H.265 sections 7.3.2.5 and 7.4.2.2).
	dst = append(dst, 0, 0, 0, 1, byte(nalAUD)<<1, u.temporal, 0x50)
	if key {
		dst = c.sets.Append(dst)
	}
	s := nal.Scanner{Rest: payload, LengthSize: c.lengthSize}
	for {
		nalu, ok := s.Next()
		if !ok {
			return dst, nil
		}
		if len(nalu) < headerSize || TypeOf(nalu) == nalAUD || key && isSet(nalu) {
			continue
		}
		dst = append(dst, 0, 0, 0, 1)
		dst = append(dst, nalu...)
	}
}

// unit is what was seen of an access unit.
type unit struct {
	irap     bool
	badSets  int
	temporal byte // temporal id + 1 of the picture
	pictures bool // temporal holds
}

// inspect counts what is to be dropped and learns parameter sets. Afterwards the
// access unit is known to have a NAL unit.
func (c *Converter) inspect(payload []byte) (unit, error) {
	u := unit{temporal: 1}
	s := nal.Scanner{Rest: payload, LengthSize: c.lengthSize}
	count := 0
	for {
		nalu, ok := s.Next()
		if !ok {
			break
		}
		if len(nalu) < headerSize {
			s.Dropped++
			continue
		}
		if count++; count > media.MaxNALUs {
			return unit{}, fmt.Errorf("%w: access unit of more than %d NAL units", ErrMalformed, media.MaxNALUs)
		}
		u.note(c, nalu)
	}
	c.dropped += uint64(s.Dropped)
	if count == 0 {
		return unit{}, fmt.Errorf("%w: access unit of %d bytes (length size %d) has no whole NAL unit, %d dropped: % x",
			ErrMalformed, len(payload), c.lengthSize, s.Dropped, payload[:min(len(payload), 16)])
	}
	return u, nil
}

func (u *unit) note(c *Converter, nalu []byte) {
	switch typ := TypeOf(nalu); {
	case typ <= nalVCLLast:
		u.irap = u.irap || typ.IRAP()
		if !u.pictures && nalu[1]&7 != 0 {
			u.temporal, u.pictures = nalu[1]&7, true
		}
	case isSet(nalu):
		if c.learn(nalu) != nil {
			u.badSets++
		}
	}
}

// isSet tells that a NAL unit is a parameter set of the base layer. Those of
// other layers stay where they are.
func isSet(nalu []byte) bool {
	typ := TypeOf(nalu)
	return typ >= nalVPS && typ <= nalPPS && layer(nalu) == 0
}

// learn keeps a parameter set in place of the one with the same id.
func (c *Converter) learn(nalu []byte) error {
	kind, id, err := setID(nalu)
	if err != nil {
		return err
	}
	if total, ok := c.sets.Put(kind, id, nalu); !ok {
		return fmt.Errorf("%w: parameter sets of %d bytes, the limit is %d", ErrMalformed, total, media.MaxCodecConfig)
	}
	return nil
}

// Largest ids (H.265 sections 7.4.3.2.1 and 7.4.3.3.1); that of a VPS has 4 bits.
const (
	maxSPSID = 15
	maxPPSID = 63
)

// setHead bounds what is read of a parameter set to find its id: an SPS has the
// profiles and levels of up to 7 sub-layers in front of it.
const setHead = 160

// setID reads kind and id of a parameter set.
func setID(nalu []byte) (kind int, id uint32, err error) {
	var scratch [setHead]byte
	r := nal.NewBits(nal.AppendRBSP(scratch[:0], nalu[:min(len(nalu), setHead)]))
	r.Skip(8 * headerSize)
	limit := uint32(15)
	switch TypeOf(nalu) {
	case nalVPS:
		kind, id = kindVPS, r.U(4)
	case nalSPS:
		r.Skip(4) // sps_video_parameter_set_id
		layers := int(r.U(3))
		r.Skip(1) // sps_temporal_id_nesting_flag
		skipProfiles(r, layers)
		kind, id, limit = kindSPS, r.UE(), maxSPSID
	default:
		kind, id, limit = kindPPS, r.UE(), maxPPSID
	}
	if r.Short() || id > limit {
		return 0, 0, fmt.Errorf("%w: %s without an id: % x", ErrMalformed, TypeOf(nalu), nalu[:min(len(nalu), 32)])
	}
	return kind, id, nil
}
