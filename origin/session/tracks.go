package session

import (
	"tmms/media"
	"tmms/media/flv"
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

	seen  bool // by a configuration or a frame, not only in metadata
	sized bool // a configuration tells the size: metadata has no say
	timed bool // the same of FPS
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
	if rate, channels := frameSound(p.Codec, info.Payload); rate > 0 { // the FLV flags are often wrong
		t.Audio.Rate, t.Audio.Channels = rate, channels
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
	v.Width, v.Height, v.sized = shape.width, shape.height, true
	if shape.fps > 0 {
		v.FPS, v.timed = shape.fps, true
	}
}

// config takes a configuration, if it is what tells of the codec's sound.
func (a *AudioTrack) config(codec media.Codec, id uint32, record []byte) {
	if soundInFrames(codec) {
		return
	}
	*a = AudioTrack{Codec: codec, ID: id, seen: true}
	a.Rate, a.Channels = soundOf(codec, record)
}

// metadata takes the picture's size and rate where no configuration tells them.
func (t *Tracks) metadata(md *flv.Metadata) {
	v := &t.Video
	if !v.sized {
		v.Width, v.Height = pixels(md.Width), pixels(md.Height)
	}
	if fps := md.FrameRate; !v.timed && fps > 0 && fps < maxClaim {
		v.FPS = fps
	}
}

// maxClaim bounds what metadata, and a configuration's timing, may claim of a picture.
const maxClaim = 1 << 16

// pixels is 0 for what is no sensible number of pixels.
func pixels(f float64) int {
	if f > 0 && f < maxClaim {
		return int(f)
	}
	return 0
}
