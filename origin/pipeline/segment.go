package pipeline

import (
	"bytes"
	"time"

	"tmms/media"
	"tmms/media/hls"
)

// chunkSize is that of a full chunk in bytes: whole TS packets, about 64 KiB.
const chunkSize = 348 * 188

// segment is the open one.
type segment struct {
	start         media.Timestamp // DTS of its first frame
	end           media.Timestamp // of the last frame, its expected duration included
	program       time.Time
	discontinuity bool

	audioFrames, videoFrames int
	startsWithKey            bool // the first video frame is a keyframe

	chunks [][]byte
	size   int
}

func (s *segment) frames() int { return s.audioFrames + s.videoFrames }

// append adds TS packets; b is copied.
func (s *segment) append(b []byte) {
	s.size += len(b)
	for len(b) > 0 {
		if n := len(s.chunks); n == 0 || len(s.chunks[n-1]) == chunkSize {
			s.chunks = append(s.chunks, make([]byte, 0, chunkSize))
		}
		tail := &s.chunks[len(s.chunks)-1]
		n := min(chunkSize-len(*tail), len(b))
		*tail = append(*tail, b[:n]...)
		b = b[n:]
	}
}

// seal gives the finished segment, of the duration d. independent says that
// its track needs no keyframe: there is no video.
func (s *segment) seal(epoch, msn uint64, d media.Timestamp, independent bool) *hls.Segment {
	if n := len(s.chunks); n > 0 { // a part-filled chunk keeps no more than it needs
		s.chunks[n-1] = bytes.Clone(s.chunks[n-1])
	}
	return &hls.Segment{
		Epoch: epoch, MSN: msn, Duration: d.Duration(), ProgramTime: s.program,
		Discontinuity: s.discontinuity, Independent: independent || s.startsWithKey,
		TS: &hls.Media{Chunks: s.chunks, Size: s.size},
	}
}
