package session

import (
	"tmms/media"
	"tmms/media/av1"
	"tmms/media/h264"
	"tmms/media/hevc"
)

// shape is what a video configuration tells of the picture.
type shape struct {
	width, height int     // pixels
	fps           float64 // 0: it does not say
}

// shapeOf reads the configuration of a codec that says how large the picture is.
// That of VP9 does not.
func shapeOf(codec media.Codec, record []byte) (shape, bool) {
	switch codec {
	case media.CodecH264:
		return h264Shape(record)
	case media.CodecHEVC:
		return hevcShape(record)
	case media.CodecAV1:
		return av1Shape(record)
	default:
		return shape{}, false
	}
}

func h264Shape(record []byte) (shape, bool) {
	c, err := h264.ParseConfig(record)
	if err != nil {
		return shape{}, false
	}
	sps, err := h264.ParseSPS(c.SPS[0])
	if err != nil {
		return shape{}, false
	}
	return shape{sps.Width, sps.Height, perSecond(uint64(sps.FrameRateNum), uint64(sps.FrameRateDen))}, true
}

func hevcShape(record []byte) (shape, bool) {
	c, err := hevc.ParseConfig(record)
	if err != nil {
		return shape{}, false
	}
	sps, err := hevc.ParseSPS(c.SPS[0])
	if err != nil {
		return shape{}, false
	}
	return shape{sps.Width, sps.Height, perSecond(uint64(sps.FrameRateNum), uint64(sps.FrameRateDen))}, true
}

// av1Shape needs the sequence header in the record, which need not be there.
func av1Shape(record []byte) (shape, bool) {
	c, err := av1.ParseConfig(record)
	if err != nil || c.Width == 0 {
		return shape{}, false
	}
	return shape{c.Width, c.Height, perSecond(c.FrameRateNum, c.FrameRateDen)}, true
}

// perSecond is a rate of pictures, 0 for none and for what is no sensible one:
// timing of 90,000 ticks a second without more means that it is not constant.
func perSecond(num, den uint64) float64 {
	if den == 0 {
		return 0
	}
	if fps := float64(num) / float64(den); fps < maxClaim {
		return fps
	}
	return 0
}
