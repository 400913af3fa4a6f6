package tsmux

import (
	"tmms/media"
	"tmms/media/mpegts"
)

// Program is a muxer that knows what it has been configured with. The zero value
// is one without tracks. It has one owner.
type Program struct {
	mux          *mpegts.Muxer // nil before the first Apply
	video, audio mpegts.Track
}

// Apply gives the program its tracks; CodecUnknown: there is none. changed says
// that it had others, or none. Call it after [Program.Flush] and before
// [Program.Tables]. The error is that of mpegts.NewMuxer; nothing has changed
// then.
func (p *Program) Apply(video, audio mpegts.Track) (changed bool, err error) {
	if p.mux != nil && Same(p.video, video) && Same(p.audio, audio) {
		return false, nil
	}
	cfg := mpegts.Config{Video: video, Audio: audio}
	if p.mux != nil {
		err = p.mux.Reconfigure(cfg)
	} else if mux, fault := mpegts.NewMuxer(cfg); fault != nil {
		err = fault
	} else {
		p.mux = mux
	}
	if err != nil {
		return false, err
	}
	p.video, p.audio = video, audio
	return true, nil
}

// Open says that the program has had tracks; nothing but Apply may be called
// before.
func (p *Program) Open() bool { return p.mux != nil }

// Track is the track of a type as it was given to Apply.
func (p *Program) Track(typ media.Type) mpegts.Track {
	if typ == media.TypeVideo {
		return p.video
	}
	return p.audio
}

// Tables appends PAT and PMT.
func (p *Program) Tables(dst []byte) []byte { return p.mux.WriteTables(dst) }

// Flush appends the audio that is still gathered.
func (p *Program) Flush(dst []byte) []byte { return p.mux.Flush(dst) }

// Write appends what a frame makes due, maybe nothing: audio is gathered. On
// error dst is returned as it was and the frame is lost.
func (p *Program) Write(dst []byte, f *Frame) ([]byte, error) {
	at := int64(f.DTS) * mpegts.TicksPerMS
	if f.Type == media.TypeVideo {
		return p.mux.WriteVideo(dst, at+int64(f.CTO)*mpegts.TicksPerMS, at, f.Payload, f.Key)
	}
	return p.mux.WriteAudio(dst, at, f.Payload)
}
