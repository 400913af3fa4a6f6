package pipeline

import (
	"bytes"
	"time"

	"tmms/media"
	"tmms/media/tsmux"
)

// frame is one audio or video frame.
type frame struct {
	tsmux.Frame

	wall time.Time // when it came
	id   media.PacketID
}

// clone gives a copy that shares no memory with f.
func (f *frame) clone() frame {
	c := *f
	c.Payload = bytes.Clone(f.Payload)
	return c
}

// probe holds the first frames of a stream until it is known which tracks
// there are, so that the first segment already has them all. It costs no
// delay: nothing is published before a whole segment anyway.
type probe struct {
	done   bool
	frames []frame
	size   int // of the payloads, in bytes
}

// hold keeps a copy of f; full says that it was long enough.
func (p *probe) hold(f frame, span time.Duration) (full bool) {
	p.frames = append(p.frames, f.clone())
	p.size += len(f.Payload)
	return (f.DTS-p.frames[0].DTS).Duration() >= span || p.size > media.MaxHLSSegmentBytes ||
		len(p.frames) >= maxHeld
}

// maxHeld bounds the frames of the start, whatever their time: more than 4 s of
// 60 fps and the shortest audio frames.
const maxHeld = 4096
