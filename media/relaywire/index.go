package relaywire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"tmms/media"
	"tmms/media/hls"
)

// Indexes codes the segment indexes of one stream, one after another; the zero
// value is at its beginning. An index that differs from the one before by its
// version and the open segment only is sent as that difference. It belongs to one
// goroutine.
type Indexes struct {
	last *hls.Index

	// Standby makes [Indexes.Append] say how the open segment begins, for a
	// subscriber that has said to be the stream's standby: no other may understand it.
	Standby bool
}

// ErrTooLarge refuses an index that has more of something than [Indexes.Parse] takes.
var ErrTooLarge = errors.New("relaywire: index too large")

// The kinds of index records.
const (
	recordWhole byte = iota
	recordParts
	recordCut // recordWhole, and how the open segment begins
)

const (
	flagIndependent = 1 << iota
	flagEnded
	flagDiscontinuity
	flagOpen
	flagTS
	flagMP4
)

// maxDurationUS bounds a segment's duration and the target: a day.
const maxDurationUS = 24 * 3600 * 1e6

// Append appends x without the segments' bytes, one of:
//
//	length | 0 | version | listing | epoch | target, us | part target, us | discontinuity sequence | flags (1) |
//	video codec | audio codec | width | height | frame rate (8) | peak bit/s | average bit/s |
//	listed | count | segments | count | inits | [open segment]
//	length | 1 | version | flags (1) | [open segment]
//	length | 2 | cut | resume | as 0, from the version on
//
//	segment: epoch | MSN | duration, ns | program time, unix ns | flags (1) | [TS size] |
//	         [init | part count | size, if there are none | parts]
//	part:    duration, ns | flags (1) | size
//	init:    epoch | version | length | bytes; no length: those that the index before has
//
// The flags are 1: independent, 2: ended, 4: discontinuity, 8: an open segment
// follows, 16: MPEG-TS, 32: fragmented MP4. The frame rate is an IEEE 754 double,
// big endian. x must not be changed from here on. The error wraps [ErrTooLarge].
func (r *Indexes) Append(b []byte, x *hls.Index) ([]byte, error) {
	if err := fits(x); err != nil {
		return b, err
	}
	var record []byte
	switch {
	case r.last != nil && sameListing(r.last, x):
		record = appendParts(nil, x)
	case r.Standby && (x.Cut > 0 || len(x.Resume) > 0):
		record = binary.AppendUvarint([]byte{recordCut}, uint64(x.Cut))
		record = r.appendWhole(appendBytes(record, x.Resume), x)
	default:
		record = r.appendWhole([]byte{recordWhole}, x)
	}
	if len(record) > media.MaxRelayIndex {
		return b, fmt.Errorf("%w: %d bytes, the limit is %d", ErrTooLarge, len(record), media.MaxRelayIndex)
	}
	r.last = x
	return appendBytes(b, record), nil
}

// fits checks what is counted in x against its limits: a source that sends more
// would lose the subscription, of which segments are only a part.
func fits(x *hls.Index) error {
	parts, largest, total := 0, 0, 0
	for _, s := range x.Segments {
		parts = max(parts, len(s.Parts))
	}
	if x.Open != nil {
		parts = max(parts, len(x.Open.Parts))
	}
	for _, i := range x.Inits {
		largest = max(largest, len(i.Data))
		total += len(i.Data)
	}
	for _, c := range []struct {
		what     string
		n, limit int
	}{
		{"segments", len(x.Segments), media.MaxRelaySegments},
		{"parts of a segment", parts, media.MaxHLSParts},
		{"initialization sections", len(x.Inits), media.MaxRelayInits},
		{"bytes to resume with", len(x.Resume), media.MaxHLSResume},
		{"bytes of an initialization section", largest, media.MaxHLSInit},
		{"bytes of initialization sections", total, media.MaxRelayIndex},
	} {
		if c.n > c.limit {
			return fmt.Errorf("%w: %d %s, the limit is %d", ErrTooLarge, c.n, c.what, c.limit)
		}
	}
	return nil
}

// sameListing tells that b differs from a by its version and the open segment only.
func sameListing(a, b *hls.Index) bool {
	return a.Listing == b.Listing && a.Epoch == b.Epoch && a.Target == b.Target && a.PartTarget == b.PartTarget &&
		a.DiscontinuitySequence == b.DiscontinuitySequence && a.Independent == b.Independent && a.Ended == b.Ended &&
		a.Variant == b.Variant && a.Listed == b.Listed && slices.Equal(a.Segments, b.Segments) &&
		slices.Equal(a.Inits, b.Inits) && a.Cut == b.Cut && bytes.Equal(a.Resume, b.Resume)
}

func appendParts(b []byte, x *hls.Index) []byte {
	b = binary.AppendUvarint(append(b, recordParts), x.Version)
	b = append(b, bit(x.Open != nil, flagOpen))
	return appendOpen(b, x)
}

func appendOpen(b []byte, x *hls.Index) []byte {
	if x.Open == nil {
		return b
	}
	return appendSegment(b, x.Open)
}

func (r *Indexes) appendWhole(b []byte, x *hls.Index) []byte {
	b = binary.AppendUvarint(b, x.Version)
	b = binary.AppendUvarint(binary.AppendUvarint(b, x.Listing), x.Epoch)
	b = binary.AppendUvarint(b, uint64(x.Target.Microseconds()))
	b = binary.AppendUvarint(b, uint64(x.PartTarget.Microseconds()))
	b = binary.AppendUvarint(b, x.DiscontinuitySequence)
	b = append(b, bit(x.Independent, flagIndependent)|bit(x.Ended, flagEnded)|bit(x.Open != nil, flagOpen))
	v := x.Variant
	b = appendString(appendString(b, v.VideoCodec), v.AudioCodec)
	b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(v.Width)), uint64(v.Height))
	b = binary.BigEndian.AppendUint64(b, math.Float64bits(v.FrameRate))
	b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(v.PeakBPS)), uint64(v.AverageBPS))
	b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(x.Listed)), uint64(len(x.Segments)))
	for _, s := range x.Segments {
		b = appendSegment(b, s)
	}
	b = binary.AppendUvarint(b, uint64(len(x.Inits)))
	for _, i := range x.Inits {
		b = binary.AppendUvarint(binary.AppendUvarint(b, i.Epoch), uint64(i.Version))
		if r.last != nil && slices.Contains(r.last.Inits, i) {
			b = appendBytes(b, nil)
		} else {
			b = appendBytes(b, i.Data)
		}
	}
	return appendOpen(b, x)
}

func appendSegment(b []byte, s *hls.Segment) []byte {
	b = binary.AppendUvarint(binary.AppendUvarint(b, s.Epoch), s.MSN)
	b = binary.AppendUvarint(b, uint64(s.Duration.Nanoseconds()))
	b = binary.AppendVarint(b, s.ProgramTime.UnixNano())
	b = append(b, bit(s.Independent, flagIndependent)|bit(s.Discontinuity, flagDiscontinuity)|
		bit(s.TS != nil, flagTS)|bit(s.MP4 != nil, flagMP4))
	if s.TS != nil {
		b = binary.AppendUvarint(b, uint64(s.TS.Size))
	}
	if s.MP4 == nil {
		return b
	}
	b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(s.Init)), uint64(len(s.Parts)))
	if len(s.Parts) == 0 {
		b = binary.AppendUvarint(b, uint64(s.MP4.Size))
	}
	for _, p := range s.Parts {
		b = binary.AppendUvarint(b, uint64(p.Duration.Nanoseconds()))
		b = append(b, bit(p.Independent, flagIndependent))
		b = binary.AppendUvarint(b, uint64(p.Size))
	}
	return b
}

// Parse reads an index whose segments have no bytes yet: Chunks is nil. The index
// is the caller's; its segments and initialization sections are shared with those
// of the indexes before and must not be changed.
func (r *Indexes) Parse(b []byte) (x *hls.Index, n int, err error) {
	c := cursor{b: b}
	body := c.bytes("index", media.MaxRelayIndex)
	if c.err != nil {
		return nil, 0, c.err
	}
	in := cursor{b: body}
	x = r.parse(&in)
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
	r.last = x
	own := *x
	own.Segments = slices.Clone(x.Segments)
	return &own, c.off, nil
}

func (r *Indexes) parse(c *cursor) *hls.Index {
	switch kind := c.byte(); {
	case c.err != nil:
	case kind == recordWhole:
		return r.whole(c)
	case kind == recordCut:
		return r.beginning(c)
	case kind == recordParts && r.last != nil:
		x := *r.last
		x.Version = c.uvarint()
		c.open(&x, c.flags(flagOpen))
		return &x
	default:
		c.badf("index record of the kind %d", kind)
	}
	return nil
}

// beginning reads how the open segment begins, then the index.
func (r *Indexes) beginning(c *cursor) *hls.Index {
	cut := media.Timestamp(c.upTo("cut", maxDTS))
	resume := c.bytes("resume", media.MaxHLSResume)
	x := r.whole(c)
	if x.Cut = cut; len(resume) > 0 {
		x.Resume = bytes.Clone(resume)
	}
	return x
}

func (r *Indexes) whole(c *cursor) *hls.Index {
	x := &hls.Index{
		Version: c.uvarint(), Listing: c.uvarint(), Epoch: c.uvarint(),
		Target:                time.Duration(c.upTo("target", maxDurationUS)) * time.Microsecond,
		PartTarget:            time.Duration(c.upTo("part target", maxDurationUS)) * time.Microsecond,
		DiscontinuitySequence: c.uvarint(),
	}
	flags := c.flags(flagIndependent | flagEnded | flagOpen)
	x.Independent, x.Ended = flags&flagIndependent != 0, flags&flagEnded != 0
	x.Variant = c.variant()
	c.segments(x)
	r.inits(c, x)
	c.open(x, flags)
	return x
}

// flags reads a byte that has none but the given bits.
func (c *cursor) flags(known byte) byte {
	v := c.byte()
	if v&^known != 0 {
		c.badf("flags 0x%02x, known are 0x%02x", v, known)
	}
	return v
}

func (c *cursor) segments(x *hls.Index) {
	x.Listed = int(c.upTo("listed segments", media.MaxRelaySegments))
	count := int(c.upTo("segments", media.MaxRelaySegments))
	if x.Listed > count {
		c.badf("%d segments listed of %d", x.Listed, count)
	}
	for range count {
		s := c.segment()
		if c.err != nil {
			return
		}
		if last, ok := x.LastMSN(); ok && s.MSN != last+1 {
			c.badf("segment %d follows %d", s.MSN, last)
			return
		}
		x.Segments = append(x.Segments, s)
	}
}

// inits reads the initialization sections.
func (r *Indexes) inits(c *cursor, x *hls.Index) {
	total := 0
	for range c.upTo("initialization sections", media.MaxRelayInits) {
		i := &hls.Init{Epoch: c.uvarint(), Version: uint32(c.upTo("init version", math.MaxUint32))}
		if data := c.bytes("initialization section", media.MaxHLSInit); len(data) > 0 {
			i.Data = slices.Clone(data)
		} else {
			i = r.known(c, i)
		}
		if total += len(i.Data); total > media.MaxRelayIndex {
			c.badf("initialization sections of %d bytes, the limit is %d", total, media.MaxRelayIndex)
		}
		if c.err != nil {
			return
		}
		x.Inits = append(x.Inits, i)
	}
}

// known finds an initialization section that the index before has.
func (r *Indexes) known(c *cursor, i *hls.Init) *hls.Init {
	if r.last != nil {
		for _, known := range r.last.Inits {
			if known.Epoch == i.Epoch && known.Version == i.Version {
				return known
			}
		}
	}
	c.badf("initialization section %d-%d has no bytes", i.Epoch, i.Version)
	return i
}

// open reads the open segment, if there is one.
func (c *cursor) open(x *hls.Index, flags byte) {
	x.Open = nil
	if flags&flagOpen == 0 || c.err != nil {
		return
	}
	s := c.segment()
	last, ok := x.LastMSN()
	switch {
	case c.err != nil:
		return
	case len(s.Parts) == 0, s.TS != nil, s.Epoch != x.Epoch, ok && s.MSN != last+1, x.PartTarget == 0:
		c.badf("open segment %d-%d with %d parts behind %d", s.Epoch, s.MSN, len(s.Parts), last)
		return
	}
	x.Open = s
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
	s.Duration = c.duration()
	s.ProgramTime = time.Unix(0, c.varint()).UTC()
	flags := c.flags(flagIndependent | flagDiscontinuity | flagTS | flagMP4)
	s.Independent, s.Discontinuity = flags&flagIndependent != 0, flags&flagDiscontinuity != 0
	if flags&flagTS != 0 {
		s.TS = &hls.Media{Size: c.segmentSize()}
	}
	if flags&flagMP4 != 0 {
		c.fragments(s)
	}
	switch {
	case c.err != nil:
	case s.MSN == math.MaxUint64:
		c.badf("segment number %d", s.MSN)
	case flags&(flagTS|flagMP4) == 0:
		c.badf("segment %d has no format", s.MSN)
	}
	return s
}

// duration reads one in nanoseconds.
func (c *cursor) duration() time.Duration {
	return time.Duration(c.upTo("duration", maxDurationUS*1000))
}

// fragments reads what a segment in fragmented MP4 is made of.
func (c *cursor) fragments(s *hls.Segment) {
	s.Init = uint32(c.upTo("init version", math.MaxUint32))
	s.MP4 = &hls.Media{}
	parts := c.upTo("parts", media.MaxHLSParts)
	if parts == 0 {
		s.MP4.Size = c.segmentSize()
	}
	for range parts {
		p := hls.Part{
			Duration: c.duration(), Independent: c.flags(flagIndependent) != 0, Size: c.segmentSize(),
		}
		s.MP4.Size += p.Size
		if c.err == nil && (p.Size == 0 || s.MP4.Size > maxSegmentSize) {
			c.badf("part of %d bytes, of a segment of %d, the limit is %d", p.Size, s.MP4.Size, maxSegmentSize)
		}
		if c.err != nil {
			return
		}
		s.Parts = append(s.Parts, p)
	}
}
