package relaywire

import (
	"encoding/binary"
	"math"
	"time"

	"tmms/media"
	"tmms/media/hls"
)

// IndexesHeader begins the stream of segment indexes, behind the kind byte:
//
//	subscription
//
// The indexes follow, each as [AppendIndex] writes it.
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

// SegmentHeader begins the stream of one segment, behind the kind byte; the
// segment's bytes follow to the end of the stream:
//
//	subscription | epoch | MSN | size
type SegmentHeader struct {
	Subscription uint64
	Epoch, MSN   uint64
	Size         int // bytes that follow
}

// AppendSegmentHeader appends the kind byte and h.
func AppendSegmentHeader(b []byte, h SegmentHeader) []byte {
	b = binary.AppendUvarint(append(b, byte(StreamSegment)), h.Subscription)
	b = binary.AppendUvarint(b, h.Epoch)
	b = binary.AppendUvarint(b, h.MSN)
	return binary.AppendUvarint(b, uint64(h.Size))
}

// ParseSegmentHeader reads what follows the kind byte.
func ParseSegmentHeader(b []byte) (h SegmentHeader, n int, err error) {
	c := cursor{b: b}
	h = SegmentHeader{Subscription: c.uvarint(), Epoch: c.uvarint(), MSN: c.uvarint(), Size: c.segmentSize()}
	if c.err != nil {
		return SegmentHeader{}, 0, c.err
	}
	return h, c.off, nil
}

// segmentSize may exceed the size at which a cut is forced by one frame.
func (c *cursor) segmentSize() int {
	return int(c.upTo("segment size", media.MaxHLSSegmentBytes+2*media.MaxMessageVideo))
}

const (
	flagIndependent = 1 << iota
	flagEnded
	flagDiscontinuity
)

// maxDurationUS bounds a segment's duration and the target: a day.
const maxDurationUS = 24 * 3600 * 1e6

// AppendIndex appends x without the segments' bytes:
//
//	length | version | epoch | target, us | discontinuity sequence | flags (1) | video codec | audio codec |
//	width | height | frame rate (8) | peak bit/s | average bit/s | listed | count | segments
//	segment: epoch | MSN | duration, ns | program time, unix ns | flags (1) | size
//
// The flags are 1: independent, 2: ended, 4: discontinuity. The frame rate is an
// IEEE 754 double, big endian.
func AppendIndex(b []byte, x *hls.Index) []byte { return appendBytes(b, appendIndex(nil, x)) }

func appendIndex(b []byte, x *hls.Index) []byte {
	b = binary.AppendUvarint(b, x.Version)
	b = binary.AppendUvarint(b, x.Epoch)
	b = binary.AppendUvarint(b, uint64(x.Target.Microseconds()))
	b = binary.AppendUvarint(b, x.DiscontinuitySequence)
	b = append(b, bit(x.Independent, flagIndependent)|bit(x.Ended, flagEnded))
	v := x.Variant
	b = appendString(appendString(b, v.VideoCodec), v.AudioCodec)
	b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(v.Width)), uint64(v.Height))
	b = binary.BigEndian.AppendUint64(b, math.Float64bits(v.FrameRate))
	b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(v.PeakBPS)), uint64(v.AverageBPS))
	b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(x.Listed)), uint64(len(x.Segments)))
	for _, s := range x.Segments {
		b = binary.AppendUvarint(binary.AppendUvarint(b, s.Epoch), s.MSN)
		b = binary.AppendUvarint(b, uint64(s.Duration.Nanoseconds()))
		b = binary.AppendVarint(b, s.ProgramTime.UnixNano())
		b = append(b, bit(s.Independent, flagIndependent)|bit(s.Discontinuity, flagDiscontinuity))
		var size int
		if s.TS != nil {
			size = s.TS.Size
		}
		b = binary.AppendUvarint(b, uint64(size))
	}
	return b
}

// ParseIndex reads an index whose segments have no bytes yet: Chunks is nil.
func ParseIndex(b []byte) (x *hls.Index, n int, err error) {
	c := cursor{b: b}
	body := c.bytes("index", media.MaxRelayIndex)
	if c.err != nil {
		return nil, 0, c.err
	}
	in := cursor{b: body}
	x = in.segmentIndex()
	if in.err == nil && in.off < len(body) {
		in.badf("index has %d bytes too many", len(body)-in.off)
	}
	if in.err == ErrShort { //nolint:errorlint // the cursor's own value
		in.err = nil
		in.badf("index ends within a field")
	}
	if in.err != nil {
		return nil, 0, in.err
	}
	return x, c.off, nil
}

func (c *cursor) segmentIndex() *hls.Index {
	x := &hls.Index{
		Version: c.uvarint(), Epoch: c.uvarint(),
		Target:                time.Duration(c.upTo("target", maxDurationUS)) * time.Microsecond,
		DiscontinuitySequence: c.uvarint(),
	}
	x.Listing = x.Version
	flags := c.byte()
	x.Independent, x.Ended = flags&flagIndependent != 0, flags&flagEnded != 0
	x.Variant = c.variant()
	x.Listed = int(c.upTo("listed segments", media.MaxRelaySegments))
	count := int(c.upTo("segments", media.MaxRelaySegments))
	if x.Listed > count {
		c.badf("%d segments listed of %d", x.Listed, count)
	}
	for range count {
		s := c.segment()
		if c.err != nil {
			return nil
		}
		if n := len(x.Segments); n > 0 && s.MSN != x.Segments[n-1].MSN+1 {
			c.badf("segment %d follows %d", s.MSN, x.Segments[n-1].MSN)
			return nil
		}
		x.Segments = append(x.Segments, s)
	}
	return x
}

func (c *cursor) variant() hls.Variant {
	v := hls.Variant{
		VideoCodec: c.codec(), AudioCodec: c.codec(),
		Width: int(c.upTo("width", math.MaxUint16)), Height: int(c.upTo("height", math.MaxUint16)),
	}
	var bits uint64
	for range 8 {
		bits = bits<<8 | uint64(c.byte())
	}
	v.FrameRate = math.Float64frombits(bits)
	if !(v.FrameRate >= 0 && v.FrameRate <= 1e6) { // not a number is refused too
		c.badf("frame rate %v", v.FrameRate)
	}
	v.PeakBPS = int(c.upTo("peak bit rate", math.MaxInt64>>8))
	v.AverageBPS = int(c.upTo("average bit rate", math.MaxInt64>>8))
	return v
}

// codec reads an RFC 6381 codec name, which goes into playlists in quotes.
func (c *cursor) codec() string {
	s := c.string("codec name", media.MaxRelayCodecName)
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' || s[i] == '"' {
			c.badf("codec name %q", s)
			return ""
		}
	}
	return s
}

func (c *cursor) segment() *hls.Segment {
	s := &hls.Segment{Epoch: c.uvarint(), MSN: c.uvarint()}
	s.Duration = time.Duration(c.upTo("duration", maxDurationUS*1000))
	s.ProgramTime = time.Unix(0, c.varint()).UTC()
	flags := c.byte()
	s.Independent, s.Discontinuity = flags&flagIndependent != 0, flags&flagDiscontinuity != 0
	s.TS = &hls.Media{Size: c.segmentSize()}
	if s.MSN == math.MaxUint64 {
		c.badf("segment number %d", s.MSN)
	}
	return s
}
