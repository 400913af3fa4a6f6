package relay

import (
	"iter"

	"tmms/media/hls"
)

// segmentID names a segment; they are ordered by MSN within an epoch.
type segmentID struct{ epoch, msn uint64 }

func idOf(s *hls.Segment) segmentID { return segmentID{s.Epoch, s.MSN} }

// piece is what is sent as one of a segment's bytes.
type piece struct {
	name   hls.Name
	chunks [][]byte // nil: the segment's bytes are not here
	size   int      // bytes
}

// of is the segment that a piece belongs to.
func of(n hls.Name) segmentID { return segmentID{n.Epoch, n.MSN} }

// pieces lists what a segment is sent as: its parts, or its fragmented MP4 where
// it has no parts; and its MPEG-TS, which is there last.
func pieces(s *hls.Segment) iter.Seq[piece] {
	return func(yield func(piece) bool) {
		if s.MP4 != nil && !fragments(s, yield) || s.TS == nil {
			return
		}
		yield(piece{hls.Name{Kind: hls.NameTS, Epoch: s.Epoch, MSN: s.MSN}, s.TS.Chunks, s.TS.Size})
	}
}

// fragments lists the pieces of a segment's fragmented MP4; more is what yield said.
func fragments(s *hls.Segment, yield func(piece) bool) (more bool) {
	if len(s.Parts) == 0 {
		return yield(piece{hls.Name{Kind: hls.NameMP4, Epoch: s.Epoch, MSN: s.MSN}, s.MP4.Chunks, s.MP4.Size})
	}
	for i, p := range s.Parts {
		next := piece{
			name: hls.Name{Kind: hls.NamePart, Epoch: s.Epoch, MSN: s.MSN, Number: uint64(i)}, size: p.Size,
		}
		if i < len(s.MP4.Chunks) {
			next.chunks = s.MP4.Chunks[i : i+1]
		}
		if !yield(next) {
			return false
		}
	}
	return true
}

// size is of all chunks, in bytes.
func size(chunks [][]byte) (n int) {
	for _, c := range chunks {
		n += len(c)
	}
	return n
}
