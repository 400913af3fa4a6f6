package mpegts

import (
	"tmms/media/h264"
	"tmms/media/hevc"
)

// avc is H.264: AVCC in, Annex B out.
type avc struct{ *h264.Converter }

func openH264(config []byte) (pictures, error) {
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

func (a avc) streamType() byte    { return typeH264 }
func (a avc) descriptors() []byte { return nil }

// hvc is HEVC. The HEVC video descriptor (ISO/IEC 13818-1 section 2.6.95) is only
// needed for temporal layers on a PID of their own, and left out.
type hvc struct{ *hevc.Converter }

func openHEVC(config []byte) (pictures, error) {
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

func (h hvc) streamType() byte    { return typeHEVC }
func (h hvc) descriptors() []byte { return nil }
