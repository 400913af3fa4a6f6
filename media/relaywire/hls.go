package relaywire

import (
	"encoding/binary"

	"tmms/media"
	"tmms/media/hls"
)

// IndexesHeader begins the stream of segment indexes, behind the kind byte:
//
//	subscription
//
// The indexes follow, each as [Indexes] writes it.
type IndexesHeader struct{ Subscription uint64 }

// AppendIndexesHeader appends the kind byte and h.
func AppendIndexesHeader(b []byte, h IndexesHeader) []byte {
	return binary.AppendUvarint(append(b, byte(StreamIndexes)), h.Subscription)
}

// ParseIndexesHeader reads what follows the kind byte.
func ParseIndexesHeader(b []byte) (h IndexesHeader, n int, err error) {
	c := cursor{b: b}
	h.Subscription = c.uvarint()
	return h, c.off, c.err
}

// PieceHeader begins the stream of one piece of a segment, behind the kind byte;
// the piece's bytes follow to the end of the stream:
//
//	subscription | epoch | MSN | format (1) | [part] | size
//
// The formats are 0: the segment in MPEG-TS, 1: the segment in fragmented MP4,
// 2: a part of that. A segment with parts has no piece of format 1: it is what
// its parts are one after another. A size of 0 is one that is not known yet: that
// of the open segment, which is sent while it is made.
type PieceHeader struct {
	Subscription uint64
	Name         hls.Name // of kind NameTS, NameMP4 or NamePart
	Size         int      // bytes that follow
}

// The formats of pieces.
const (
	formatTS byte = iota
	formatMP4
	formatPart
)

// AppendPieceHeader appends the kind byte and h.
func AppendPieceHeader(b []byte, h PieceHeader) []byte {
	b = binary.AppendUvarint(append(b, byte(StreamPiece)), h.Subscription)
	b = binary.AppendUvarint(b, h.Name.Epoch)
	b = binary.AppendUvarint(b, h.Name.MSN)
	switch h.Name.Kind {
	case hls.NamePart:
		b = binary.AppendUvarint(append(b, formatPart), h.Name.Number)
	case hls.NameMP4:
		b = append(b, formatMP4)
	default:
		b = append(b, formatTS)
	}
	return binary.AppendUvarint(b, uint64(h.Size))
}

// ParsePieceHeader reads what follows the kind byte.
func ParsePieceHeader(b []byte) (h PieceHeader, n int, err error) {
	c := cursor{b: b}
	h.Subscription = c.uvarint()
	h.Name = hls.Name{Epoch: c.uvarint(), MSN: c.uvarint()}
	switch format := c.byte(); format {
	case formatTS:
		h.Name.Kind = hls.NameTS
	case formatMP4:
		h.Name.Kind = hls.NameMP4
	case formatPart:
		h.Name.Kind, h.Name.Number = hls.NamePart, c.upTo("part", media.MaxHLSParts-1)
	default:
		c.badf("piece of the format %d", format)
	}
	h.Size = c.segmentSize()
	if c.err != nil {
		return PieceHeader{}, 0, c.err
	}
	return h, c.off, nil
}

// segmentSize may exceed the size at which a cut is forced by one frame.
func (c *cursor) segmentSize() int { return int(c.upTo("segment size", maxSegmentSize)) }

const maxSegmentSize = media.MaxHLSSegmentBytes + 2*media.MaxMessageVideo
