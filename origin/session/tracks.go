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
	ID            uint32 // of the codec, as [flv.CodecID] has it
	Width, Height int    // pixels
	FPS           float64

	seen bool // by a configuration or a frame, not only in metadata
}

// AudioTrack describes the audio.
type AudioTrack struct {
	Codec    media.Codec
	ID       uint32 // of the codec, as [flv.CodecID] has it
	Rate     int    // Hz
	Channels int

	seen bool // as in VideoTrack
}

// note takes what a codec configuration tells; changed says that it tells something new.
func (t *Tracks) note(p *media.Packet, info flv.Info) (changed bool) {
	if p.Track != 0 {
		return false
	}
	old, id := *t, flv.CodecID(p.Type, p.Body, &info)
	if p.Type == media.TypeVideo {
		t.Video.config(p.Codec, id, info.Payload)
	} else {
		t.Audio.config(p.Codec, id, info.Payload)
	}
	return *t != old
}

// frame takes what the first frame of a codec tells.
func (t *Tracks) frame(p *media.Packet, info *flv.Info) (changed bool) {
	if p.Track != 0 {
		return false
	}
	if v := &t.Video; p.Type == media.TypeVideo {
		if v.seen && v.Codec == p.Codec {
			return false
		}
		v.begin(p.Codec, flv.CodecID(p.Type, p.Body, info))
		return true
	}
	if t.Audio.seen && t.Audio.Codec == p.Codec {
		return false
	}
	t.Audio = AudioTrack{
		Codec: p.Codec, ID: flv.CodecID(p.Type, p.Body, info), Rate: info.Rate, Channels: info.Channels, seen: true,
	}
	if p.Codec != media.CodecMP3 {
		return true
	}
	if h, err := mp3.ParseHeader(info.Payload); err == nil { // the FLV flags are often wrong
		t.Audio.Rate, t.Audio.Channels = h.SampleRate, h.Channels
	}
	return true
}

// begin notes which codec the video has; its size is what metadata says until a
// configuration tells another.
func (v *VideoTrack) begin(codec media.Codec, id uint32) {
	*v = VideoTrack{Codec: codec, ID: id, Width: v.Width, Height: v.Height, FPS: v.FPS, seen: true}
}

func (v *VideoTrack) config(codec media.Codec, id uint32, record []byte) {
	v.begin(codec, id)
	shape, ok := shapeOf(codec, record)
	if !ok {
		return // HLS says so; RTMP and FLV pass it on
	}
	v.Width, v.Height = shape.width, shape.height
	if shape.fps > 0 {
		v.FPS = shape.fps
	}
}

// shape is what a video configuration tells of the picture.
type shape struct {
	width, height int
	fps           float64 // 0: it does not say
}

// shapeOf reads the configuration of a codec that says how large the picture is.
// That of VP9 does not.
func shapeOf(codec media.Codec, record []byte) (shape, bool) {
	switch codec {
	case media.CodecH264:
		return h264Shape(record)
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
	s := shape{width: sps.Width, height: sps.Height}
	if sps.FrameRateDen != 0 {
		s.fps = float64(sps.FrameRateNum) / float64(sps.FrameRateDen)
	}
	return s, true
}

func (a *AudioTrack) config(codec media.Codec, id uint32, record []byte) {
	*a = AudioTrack{Codec: codec, ID: id, seen: true}
	a.Rate, a.Channels = soundOf(codec, record)
}

// soundOf reads rate in Hz and channels from an audio configuration; 0 is what it
// does not say.
func soundOf(codec media.Codec, record []byte) (rate, channels int) {
	switch codec {
	case media.CodecAAC:
		if c, err := aac.ParseConfig(record); err == nil {
			return max(c.SampleRate, c.ExtensionRate), c.Channels
		}
	case media.CodecOpus:
		return opusSound(record)
	case media.CodecFLAC:
		return flacSound(record)
	default:
	}
	return 0, 0
}

// opusSound reads an OpusHead (RFC 7845 section 5.1); Opus is decoded at 48 kHz.
func opusSound(head []byte) (rate, channels int) {
	const magic, channelCount = "OpusHead", 9
	if len(head) <= channelCount || string(head[:len(magic)]) != magic {
		return 0, 0
	}
	return 48000, int(head[channelCount])
}

// flacSound reads a STREAMINFO block behind the stream marker, or alone (RFC 9639
// section 8.2).
func flacSound(b []byte) (rate, channels int) {
	const marker, blockHeader, info = "fLaC", 4, 34
	if len(b) > len(marker) && string(b[:len(marker)]) == marker {
		b = b[len(marker):]
	}
	if len(b) >= blockHeader+info {
		b = b[blockHeader:]
	}
	if len(b) < info {
		return 0, 0
	}
	return int(b[10])<<12 | int(b[11])<<4 | int(b[12])>>4, int(b[12]>>1&7) + 1
}

// metadata takes the picture's size and rate where no configuration tells them.
func (t *Tracks) metadata(md *flv.Metadata) {
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
