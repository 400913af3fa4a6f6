package fmp4

import (
	"errors"
	"fmt"

	"tmms/media/av1"
	"tmms/media/h264"
	"tmms/media/vp9"
)

// ErrMalformed is wrapped by the error that refuses an access unit.
var ErrMalformed = errors.New("fmp4: malformed")

// openH264 carries H.264 as avc1 (ISO/IEC 14496-15 section 5.4).
func openH264(config []byte) (*codec, error) {
	cfg, err := h264.ParseConfig(config)
	if err != nil {
		return nil, err
	}
	c := &codec{
		fourCC: "avc1", name: cfg.CodecString(), config: box("avcC", config), copy: lengthSize(cfg.LengthSize).copyUnit,
	}
	// A decoder may understand a parameter set that is not understood here.
	if sps, err := h264.ParseSPS(cfg.SPS[0]); err == nil {
		c.picture(sps.Width, sps.Height, uint64(sps.FrameRateNum), uint64(sps.FrameRateDen))
	}
	return c, nil
}

// openAV1 carries AV1 (AV1-ISOBMFF section 2).
func openAV1(config []byte) (*codec, error) {
	cfg, err := av1.ParseConfig(config)
	if err != nil {
		return nil, err
	}
	c := &codec{fourCC: "av01", name: cfg.Codec(), config: box("av1C", config), copy: copyAV1}
	c.picture(cfg.Width, cfg.Height, cfg.FrameRateNum, cfg.FrameRateDen)
	return c, nil
}

// openVP9 carries VP9 (VP Codec ISO Media File Format Binding 1.0).
func openVP9(config []byte) (*codec, error) {
	cfg, err := vp9.ParseConfig(config)
	if err != nil {
		return nil, err
	}
	return &codec{
		fourCC: "vp09", name: cfg.Codec(), config: fullBox("vpcC", 1, 0, cfg.Append(nil)),
		copy: copyWhole, size: vp9.ParseFrame,
	}, nil
}

// picture takes what a configuration says of the pictures; a size that a sample
// entry cannot hold is not known.
func (c *codec) picture(width, height int, rateNum, rateDen uint64) {
	if width <= 0xFFFF && height <= 0xFFFF {
		c.width, c.height = width, height
	}
	if rateDen > 0 {
		c.frameRate = float64(rateNum) / float64(rateDen)
	}
}

// learn takes the size of the pictures from a keyframe, if it is not known.
func (c *codec) learn(keyframe []byte) {
	if c.size == nil || c.width > 0 && c.height > 0 {
		return
	}
	if width, height, ok := c.size(keyframe); ok {
		c.picture(width, height, 0, 0)
	}
}

// lengthSize is the number of bytes, 1, 2 or 4, in front of each NAL unit.
type lengthSize int

// copyUnit appends an access unit of NAL units, and refuses one with lengths
// that do not add up: players give up on it. Empty NAL units are left out.
func (n lengthSize) copyUnit(dst, payload []byte) ([]byte, error) {
	out := dst
	for rest := payload; len(rest) > 0; {
		if len(rest) < int(n) {
			return dst, errUnit(payload, len(payload)-len(rest), "ends in a length")
		}
		var size uint32
		for _, c := range rest[:n] {
			size = size<<8 | uint32(c)
		}
		if uint64(size) > uint64(len(rest)-int(n)) {
			return dst, errUnit(payload, len(payload)-len(rest), fmt.Sprintf("has a NAL unit of %d bytes", size))
		}
		end := int(n) + int(size)
		if size > 0 {
			out = append(out, rest[:end]...)
		}
		rest = rest[end:]
	}
	return out, nil
}

func errUnit(payload []byte, at int, what string) error {
	return fmt.Errorf("%w: access unit of %d bytes %s at %d: % x",
		ErrMalformed, len(payload), what, at, payload[at:min(len(payload), at+16)])
}

// copyAV1 appends a temporal unit, without its delimiter.
func copyAV1(dst, payload []byte) ([]byte, error) { return av1.StripDelimiters(dst, payload) }

// copyWhole appends a payload as it is.
func copyWhole(dst, payload []byte) ([]byte, error) { return append(dst, payload...), nil }
