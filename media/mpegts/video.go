package mpegts

import (
	"tmms/media/h264"
	"tmms/media/hevc"
)

// avc is H.264: AVCC in, Annex B out.
type avc struct{ *h264.Converter }

func openH264(config []byte) (elementary, error) {
	cfg, err := h264.ParseConfig(config)
	if err != nil {
		return nil, err
	}
	c, err := h264.NewConverter(cfg)
	if err != nil {
		return nil, err
	}
	return avc{c}, nil
}

func (a avc) append(dst, payload []byte, key bool) (es []byte, start bool, err error) {
	es, err = a.Append(dst, payload, key)
	return es, a.Keyframe(), err
}
func (a avc) ticks([]byte) int64  { return 0 }
func (a avc) streamType() byte    { return typeH264 }
func (a avc) descriptors() []byte { return nil }
func (a avc) dropped() uint64     { return a.Dropped() }

// hvc is HEVC. The HEVC video descriptor (ISO/IEC 13818-1 section 2.6.95) is only
// needed for temporal layers on a PID of their own, and left out.
type hvc struct{ *hevc.Converter }

func openHEVC(config []byte) (elementary, error) {
	cfg, err := hevc.ParseConfig(config)
	if err != nil {
		return nil, err
	}
	c, err := hevc.NewConverter(cfg)
	if err != nil {
		return nil, err
	}
	return hvc{c}, nil
}

func (h hvc) append(dst, payload []byte, key bool) (es []byte, start bool, err error) {
	es, err = h.Append(dst, payload, key)
	return es, h.Keyframe(), err
}
func (h hvc) ticks([]byte) int64  { return 0 }
func (h hvc) streamType() byte    { return typeHEVC }
func (h hvc) descriptors() []byte { return nil }
func (h hvc) dropped() uint64     { return h.Dropped() }
