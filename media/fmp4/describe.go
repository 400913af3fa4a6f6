package fmp4

import "tmms/media"

// Info is what a multivariant playlist says of a file.
type Info struct {
	// VideoCodec and AudioCodec are RFC 6381 names; empty: no such track.
	VideoCodec, AudioCodec string
	Width, Height          int     // pixels; 0: not known
	FrameRate              float64 // frames per second; 0: not known
}

// Describe reads the tracks' configurations. What cannot be read, or carried, is
// left out.
func Describe(cfg Config) Info {
	info := Info{}
	if v, err := open(media.TypeVideo, cfg.Video); err == nil && v != nil {
		if v.width == 0 || v.height == 0 {
			v.picture(cfg.Width, cfg.Height, 0, 0)
		}
		info.VideoCodec, info.Width, info.Height, info.FrameRate = v.name, v.width, v.height, v.frameRate
	}
	if a, err := open(media.TypeAudio, cfg.Audio); err == nil && a != nil {
		info.AudioCodec = a.name
	}
	return info
}
