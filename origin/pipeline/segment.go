package pipeline

import (
	"bytes"
	"slices"
	"time"

	"tmms/media"
	"tmms/media/hls"
)

// chunkSize is that of a full chunk of MPEG-TS in bytes: whole TS packets, about
// 64 KiB.
const chunkSize = 348 * 188

// segment is the open one.
type segment struct {
	start         media.Timestamp // DTS of its first frame
	end           media.Timestamp // of the last frame, its expected duration included
	program       time.Time
	discontinuity bool

	audioFrames, videoFrames int
	startsWithKey            bool // the first video frame is a keyframe

	ts, mp4 content
	events  int // timed metadata, in bytes

	told   int             // bytes that Growing has given, and
	toldAt media.Timestamp // the end of the segment then

	// Of fragmented MP4. A chunk is a part, or a fragment.
	init            uint32
	parts           []hls.Part
	partStart       media.Timestamp // of the open part
	partVideo       bool            // it has a video frame
	partIndependent bool            // and that is a keyframe
	shown           int             // parts that are published
}

// content is the bytes of a segment in one format.
type content struct {
	chunks [][]byte
	size   int
}

func (s *segment) frames() int { return s.audioFrames + s.videoFrames }

// empty says that it has no media: none came, or the muxers refused it.
func (s *segment) empty() bool { return s.frames() == 0 && len(s.parts) == 0 }

// note counts a frame that was muxed.
func (s *segment) note(f *frame) {
	if f.Type != media.TypeVideo {
		s.audioFrames++
		return
	}
	if s.videoFrames == 0 {
		s.startsWithKey = f.Key
	}
	s.videoFrames++
	if !s.partVideo {
		s.partVideo, s.partIndependent = true, f.Key
	}
}

// append adds TS packets; b is copied.
func (c *content) append(b []byte) {
	c.size += len(b)
	for len(b) > 0 {
		if n := len(c.chunks); n == 0 || len(c.chunks[n-1]) == chunkSize {
			c.chunks = append(c.chunks, make([]byte, 0, chunkSize))
		}
		tail := &c.chunks[len(c.chunks)-1]
		n := min(chunkSize-len(*tail), len(b))
		*tail = append(*tail, b[:n]...)
		b = b[n:]
	}
}

// media gives the bytes so far; nil if there are none. More may be appended.
func (c *content) media() *hls.Media {
	n := len(c.chunks)
	if n == 0 {
		return nil
	}
	return &hls.Media{Chunks: c.chunks[:n:n], Size: c.size}
}

// snapshot gives the parts so far as a segment. independent says that its track
// needs no keyframe: there is no video.
func (s *segment) snapshot(epoch, msn uint64, independent bool) *hls.Segment {
	o := &hls.Segment{
		Epoch: epoch, MSN: msn, ProgramTime: s.program, Discontinuity: s.discontinuity,
		Independent: independent || s.startsWithKey, MP4: s.mp4.media(), Init: s.init,
		Parts: slices.Clip(s.parts),
	}
	for _, p := range o.Parts {
		o.Duration += p.Duration
	}
	return o
}

// seal gives the finished segment, of the duration d, with or without parts.
func (s *segment) seal(epoch, msn uint64, d media.Timestamp, independent, parts bool) *hls.Segment {
	if n := len(s.ts.chunks); n > 0 { // a part-filled chunk keeps no more than it needs
		s.ts.chunks[n-1] = bytes.Clone(s.ts.chunks[n-1])
	}
	whole := s.snapshot(epoch, msn, independent)
	whole.Duration, whole.TS = d.Duration(), s.ts.media()
	if !parts {
		whole.Parts = nil
	}
	return whole
}
