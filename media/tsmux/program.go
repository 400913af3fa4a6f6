package tsmux

import (
	"bytes"

	"tmms/media"
	"tmms/media/mpegts"
)

// Program is a muxer that knows what it has been configured with. The zero value
// is one without tracks. It has one owner.
type Program struct {
	mux          *mpegts.Muxer // nil before the first Apply
	video, audio mpegts.Track
	metadata     bool  // there is a track of it
	held         []tag // until there is
}

// tag is an ID3 tag that waits for its track.
type tag struct {
	dts media.Timestamp
	id3 []byte
}

// Apply gives the program its tracks; CodecUnknown: there is none. changed says
// that it had others, or none. Call it after [Program.Flush] and before
// [Program.Tables]. The error is that of mpegts.NewMuxer; nothing has changed
// then.
func (p *Program) Apply(video, audio mpegts.Track) (changed bool, err error) {
	if p.mux != nil && Same(p.video, video) && Same(p.audio, audio) {
		return false, nil
	}
	cfg := mpegts.Config{Video: video, Audio: audio, Metadata: p.metadata}
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

// State is what another program needs to go on where one is, after Flush: see
// mpegts.State. Tags that wait for their track are no part of it.
type State struct {
	mpegts.State

	Metadata bool // there is a track of it
}

// State gives what Continue takes; only after Apply.
func (p *Program) State() State { return State{State: p.mux.State(), Metadata: p.metadata} }

// Continue gives a program without tracks those of the one that gave s, and its
// state. The error is that of mpegts.NewMuxer.
func (p *Program) Continue(s State, video, audio mpegts.Track) error {
	mux, err := mpegts.NewMuxer(mpegts.Config{Video: video, Audio: audio, Metadata: s.Metadata, Continue: &s.State})
	if err != nil {
		return err
	}
	p.mux, p.video, p.audio, p.metadata = mux, video, audio, s.Metadata
	return nil
}

// Open says that the program has had tracks; nothing but Apply and WriteMetadata
// may be called before.
func (p *Program) Open() bool { return p.mux != nil }

// Track is the track of a type as it was given to Apply.
func (p *Program) Track(typ media.Type) mpegts.Track {
	if typ == media.TypeVideo {
		return p.video
	}
	return p.audio
}

// Tables appends PAT and PMT. From the first tag on there is a track for it, and
// the tags that waited follow at once.
func (p *Program) Tables(dst []byte) []byte {
	if len(p.held) == 0 {
		return p.mux.WriteTables(dst)
	}
	p.metadata = true
	p.mux.SetMetadata(true)
	dst = p.mux.WriteTables(dst)
	for _, t := range p.held {
		dst = p.WriteMetadata(dst, t.dts, t.id3)
	}
	p.held = nil
	return dst
}

// WriteMetadata appends an ID3 tag of at most [media.MaxTimedMetadata] bytes,
// which is shown at dts. The first ones of a stream, up to
// [media.MaxHeldMetadata], are kept until the next Tables, where their track is
// announced; more, and one that is too long, are left out. It may be called
// before Apply too.
func (p *Program) WriteMetadata(dst []byte, dts media.Timestamp, id3 []byte) []byte {
	switch {
	case len(id3) == 0 || len(id3) > media.MaxTimedMetadata:
	case p.metadata:
		dst, _ = p.mux.WriteMetadata(dst, int64(dts)*mpegts.TicksPerMS, id3) // the track is there, the size is right
	case len(p.held) < media.MaxHeldMetadata:
		p.held = append(p.held, tag{dts: dts, id3: bytes.Clone(id3)})
	}
	return dst
}

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
