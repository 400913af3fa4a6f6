package session

import (
	"tmms/media"
	"tmms/media/aac"
	"tmms/media/flv"
	"tmms/media/h264"
	"tmms/media/mp3"
)

// Tracks describes what a stream carries, by its codec configurations and
// metadata; zero values are not known. With several tracks of a type it is the
// first that counts.
type Tracks struct {
	Video VideoTrack
	Audio AudioTrack
}

// VideoTrack describes the video.
type VideoTrack struct {
	Codec         media.Codec
	Width, Height int // pixels
	FPS           float64
}

// AudioTrack describes the audio.
type AudioTrack struct {
	Codec    media.Codec
	Rate     int // Hz
	Channels int
}

// note takes what a codec configuration or metadata tells.
func (t *Tracks) note(p *media.Packet, info flv.Info) {
	switch {
	case p.Type == media.TypeData:
		t.metadata(p.Body)
	case p.Track != 0:
	case p.Type == media.TypeVideo:
		t.Video.config(p.Codec, info.Payload)
	default:
		t.Audio.config(p.Codec, info.Payload)
	}
}

// frame takes what the first frame of a codec tells.
func (t *Tracks) frame(p *media.Packet, info flv.Info) {
	switch {
	case p.Track != 0:
	case p.Type == media.TypeVideo && t.Video.Codec != p.Codec:
		t.Video.Codec = p.Codec
	case p.Type == media.TypeAudio && t.Audio.Codec != p.Codec:
		t.Audio = AudioTrack{Codec: p.Codec, Rate: info.Rate, Channels: info.Channels}
		if p.Codec != media.CodecMP3 {
			return
		}
		if h, err := mp3.ParseHeader(info.Payload); err == nil { // the FLV flags are often wrong
			t.Audio.Rate, t.Audio.Channels = h.SampleRate, h.Channels
		}
	}
}

func (v *VideoTrack) config(codec media.Codec, record []byte) {
	if v.Codec != codec {
		*v = VideoTrack{Codec: codec, Width: v.Width, Height: v.Height, FPS: v.FPS}
	}
	if codec != media.CodecH264 {
		return
	}
	c, err := h264.ParseConfig(record)
	if err != nil {
		return // HLS says so; RTMP and FLV pass it on
	}
	sps, err := h264.ParseSPS(c.SPS[0])
	if err != nil {
		return
	}
	v.Width, v.Height = sps.Width, sps.Height
	if sps.FrameRateDen != 0 {
		v.FPS = float64(sps.FrameRateNum) / float64(sps.FrameRateDen)
	}
}

func (a *AudioTrack) config(codec media.Codec, record []byte) {
	*a = AudioTrack{Codec: codec}
	if codec != media.CodecAAC {
		return
	}
	if c, err := aac.ParseConfig(record); err == nil {
		a.Rate, a.Channels = max(c.SampleRate, c.ExtensionRate), c.Channels
	}
}

// metadata takes the picture's size and rate where no configuration tells them.
func (t *Tracks) metadata(body []byte) {
	md, ok, err := flv.ParseMetadata(body)
	if err != nil || !ok {
		return // RTMP and FLV pass it on as it is
	}
	v := &t.Video
	known := v.Codec == media.CodecH264
	if !known || v.Width == 0 {
		v.Width, v.Height = pixels(md.Width), pixels(md.Height)
	}
	if fps := md.FrameRate; (!known || v.FPS == 0) && fps > 0 && fps < maxClaim {
		v.FPS = fps
	}
}

// maxClaim bounds what metadata may claim of a picture.
const maxClaim = 1 << 16

// pixels is 0 for what is no sensible number of pixels.
func pixels(f float64) int {
	if f > 0 && f < maxClaim {
		return int(f)
	}
	return 0
}
