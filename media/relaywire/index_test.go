package relaywire

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"slices"
	"testing"
	"time"

	"tmms/media"
	"tmms/media/hls"
)

// testSegment is one in MPEG-TS.
func testSegment(msn uint64) *hls.Segment {
	return &hls.Segment{
		Epoch: 5, MSN: msn, Duration: 2_002_000_000, ProgramTime: time.Unix(1_700_000_000, 123_456_789).UTC(),
		Discontinuity: msn%2 == 0, Independent: msn%3 == 0, TS: &hls.Media{Size: media.MaxHLSSegmentBytes},
	}
}

// testParts is a segment in both formats, with parts.
func testParts(msn uint64, parts int) *hls.Segment {
	s := testSegment(msn)
	s.TS, s.MP4, s.Init = &hls.Media{Size: 500_000}, &hls.Media{}, 1
	for i := range parts {
		p := hls.Part{Duration: 200_200_000, Independent: i%3 == 0, Size: 50_000 + i}
		s.Parts, s.MP4.Size = append(s.Parts, p), s.MP4.Size+p.Size
	}
	return s
}

// testOpen is a segment that is being made.
func testOpen(msn uint64, parts int) *hls.Segment {
	s := testParts(msn, parts)
	s.TS = nil
	return s
}

// lowLatency has segments segments behind the playlist and as many in it, with ten
// parts each.
func lowLatency(segments int) *hls.Index {
	x := &hls.Index{
		Version: 1000, Listing: 990, Epoch: 5, Target: 3 * time.Second, PartTarget: 200 * time.Millisecond,
		Listed: segments, Independent: true, Inits: []*hls.Init{{Epoch: 5, Version: 1, Data: make([]byte, 1300)}},
		Variant: hls.Variant{
			VideoCodec: "avc1.64001f", AudioCodec: "mp4a.40.2", Width: 1920, Height: 1080, FrameRate: 29.97,
			PeakBPS: 2_100_000, AverageBPS: 2_000_000,
		},
	}
	for i := range uint64(2 * segments) {
		x.Segments = append(x.Segments, testParts(1_700_000_000+i, 10))
	}
	x.Open = testOpen(x.NextMSN(), 4)
	return x
}

func indexCases() map[string]*hls.Index {
	full := &hls.Index{
		Version: 1 << 40, Listing: 1 << 39, Epoch: 6, Target: 3 * time.Second, DiscontinuitySequence: 7, Independent: true, Ended: true,
		Segments: []*hls.Segment{testSegment(100), testSegment(101), testSegment(102)}, Listed: 2,
		Variant: hls.Variant{
			VideoCodec: "avc1.64001f", AudioCodec: "mp4a.40.2", Width: 1920, Height: 1080, FrameRate: 29.97,
			PeakBPS: 1 << 40, AverageBPS: 2,
		},
	}
	mp4 := &hls.Index{
		Version: 2, Listing: 2, Epoch: 6, Target: 3 * time.Second, Listed: 2, Segments: []*hls.Segment{testSegment(100), testSegment(101)},
		Inits: []*hls.Init{{Epoch: 5, Version: 1, Data: []byte{1}}, {Epoch: 6, Version: math.MaxUint32, Data: make([]byte, media.MaxHLSInit)}},
	}
	mp4.Segments[0].MP4, mp4.Segments[0].Init = &hls.Media{Size: 12}, 1
	mp4.Segments[1].TS, mp4.Segments[1].MP4, mp4.Segments[1].Init = nil, &hls.Media{Size: 13}, math.MaxUint32
	first := &hls.Index{Version: 1, Listing: 1, Epoch: 5, PartTarget: time.Second, Open: testOpen(100, 1)}
	largest := &hls.Index{Version: 1, Listing: 1}
	for i := range uint64(media.MaxRelaySegments) {
		largest.Segments = append(largest.Segments, testSegment(1<<62+i))
	}
	return map[string]*hls.Index{
		"full": full, "empty": {}, "fragmented MP4": mp4, "low latency": lowLatency(6), "first part": first,
		"most parts": {
			Version: 1, Epoch: 5, PartTarget: time.Second, Open: testOpen(7, media.MaxHLSParts),
			Segments: []*hls.Segment{testParts(6, media.MaxHLSParts)},
		},
		"largest": largest,
	}
}

// appendIndex appends the first index of a stream.
func appendIndex(x *hls.Index) []byte {
	var r Indexes
	return appendBytes(nil, r.appendWhole([]byte{recordWhole}, x)) // as a source that does not look what fits
}

func parseIndex(b []byte) (*hls.Index, int, error) { return new(Indexes).Parse(b) }

func TestIndex(t *testing.T) {
	for name, x := range indexCases() {
		t.Run(name, func(t *testing.T) {
			b := appendIndex(x)
			got, n, err := parseIndex(append(bytes.Clone(b), 1))
			if err != nil || n != len(b) || !reflect.DeepEqual(got, x) {
				t.Fatalf("%+v, %d of %d bytes, %v", got, n, len(b), err)
			}
			for i := range b {
				if _, _, err := parseIndex(b[:i]); !errors.Is(err, ErrShort) {
					t.Fatalf("%d of %d bytes: %v", i, len(b), err)
				}
			}
			if _, _, err := parseIndex(longer(b)); !errors.Is(err, ErrMalformed) {
				t.Errorf("a byte too many: %v", err)
			}
		})
	}
	change := func(f func(x *hls.Index)) []byte {
		x := *indexCases()["low latency"]
		f(&x)
		return appendIndex(&x)
	}
	one := func(f func(s *hls.Segment)) []byte {
		s := testParts(1, 2)
		f(s)
		return appendIndex(&hls.Index{Segments: []*hls.Segment{s}})
	}
	open := func(f func(s *hls.Segment)) []byte {
		return change(func(x *hls.Index) {
			x.Open = testOpen(x.Open.MSN, 2)
			f(x.Open)
		})
	}
	inits := make([]*hls.Init, media.MaxRelayInits+1)
	for i := range inits {
		inits[i] = &hls.Init{Version: uint32(i), Data: []byte{1}}
	}
	parts, err := (&Indexes{last: lowLatency(6)}).Append(nil, lowLatency(6))
	if err != nil {
		t.Fatal(err)
	}
	parts[2] = recordParts
	for name, b := range map[string][]byte{
		"too long":             {0xff, 0xff, 0xff, 0x7f},
		"short":                {1, 0},
		"of no kind":           {1, 2},
		"parts of nothing":     parts,
		"listed":               change(func(x *hls.Index) { x.Listed = 13 }),
		"a hole":               change(func(x *hls.Index) { x.Segments = []*hls.Segment{testParts(1, 2), testParts(3, 2)} }),
		"a quote":              change(func(x *hls.Index) { x.Variant.VideoCodec = `avc1",BANDWIDTH=1` }),
		"a line":               change(func(x *hls.Index) { x.Variant.AudioCodec = "a\n#EXT" }),
		"a number":             change(func(x *hls.Index) { x.Variant.FrameRate = -1 }),
		"too many segments":    change(func(x *hls.Index) { x.Segments = make([]*hls.Segment, 0); x.Listed = media.MaxRelaySegments + 1 }),
		"too many inits":       change(func(x *hls.Index) { x.Inits = inits }),
		"an init":              change(func(x *hls.Index) { x.Inits = []*hls.Init{{Data: make([]byte, media.MaxHLSInit+1)}} }),
		"an init of nothing":   change(func(x *hls.Index) { x.Inits = []*hls.Init{{}} }),
		"a size":               one(func(s *hls.Segment) { s.TS.Size = 1 << 40 }),
		"a size of MP4":        one(func(s *hls.Segment) { s.Parts, s.MP4 = nil, &hls.Media{Size: 1 << 40} }),
		"a part":               one(func(s *hls.Segment) { s.Parts[0].Size = 1 << 40 }),
		"an empty part":        one(func(s *hls.Segment) { s.Parts[1].Size = 0 }),
		"large parts":          one(func(s *hls.Segment) { s.Parts[0].Size, s.Parts[1].Size = maxSegmentSize, 1 }),
		"too many parts":       one(func(s *hls.Segment) { s.Parts = testParts(1, media.MaxHLSParts+1).Parts }),
		"a part's time":        one(func(s *hls.Segment) { s.Parts[0].Duration = 1000 * time.Hour }),
		"a duration":           one(func(s *hls.Segment) { s.Duration = 1000 * time.Hour }),
		"last number":          one(func(s *hls.Segment) { s.MSN = 1<<64 - 1 }),
		"no format":            one(func(s *hls.Segment) { s.TS, s.MP4 = nil, nil }),
		"open, without parts":  open(func(s *hls.Segment) { s.Parts = nil }),
		"open, of another":     open(func(s *hls.Segment) { s.Epoch++ }),
		"open, behind a hole":  open(func(s *hls.Segment) { s.MSN++ }),
		"open, no low latency": change(func(x *hls.Index) { x.PartTarget = 0 }),
		"a part target":        change(func(x *hls.Index) { x.PartTarget = 1000 * time.Hour }),
		"a flag of the segment": bytes.Replace(one(func(s *hls.Segment) {
			s.Duration, s.ProgramTime = 1, time.Unix(0, 0)
		}), []byte{5, 1, 1, 0, flagTS | flagMP4}, []byte{5, 1, 1, 0, flagTS | flagMP4 | 64}, 1),
	} {
		if x, _, err := parseIndex(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %+v, %v", name, x, err)
		}
	}
}

// TestIndexesOfAStream: what does not change is not sent again.
func TestIndexesOfAStream(t *testing.T) {
	base := lowLatency(12)
	var versions []*hls.Index
	for v := range uint64(30) {
		next := *base
		next.Version = 1000 + v
		switch v {
		case 12: // the segment is whole
			next.Listing, next.Open = next.Version, nil
			next.Segments = slices.Concat(next.Segments[1:], []*hls.Segment{testParts(1_700_000_024, 10)})
		case 20: // another codec
			next.Inits = append(slices.Clone(next.Inits), &hls.Init{Epoch: 5, Version: 2, Data: make([]byte, 1000)})
			next.Open = testOpen(1_700_000_025, 1)
		default:
			last, _ := next.LastMSN()
			next.Open = testOpen(last+1, int(v%10)+1)
		}
		versions = append(versions, &next)
		base = &next
	}
	var in, out Indexes
	var parsed []*hls.Index
	for i, x := range versions {
		b, err := in.Append(nil, x)
		if err != nil {
			t.Fatal(err)
		}
		got, n, err := out.Parse(b)
		if err != nil || n != len(b) || !reflect.DeepEqual(got, x) {
			t.Fatalf("version %d: %+v, %d of %d bytes, %v", x.Version, got, n, len(b), err)
		}
		parsed = append(parsed, got)
		if i < 13 {
			t.Logf("record %d has %d bytes", i, len(b))
		}
		switch i {
		case 0:
			if len(b) > 4000 {
				t.Errorf("the first has %d bytes", len(b))
			}
		case 12:
			if len(b) > 3000 {
				t.Errorf("a segment more takes %d bytes", len(b))
			}
		case 20:
			if len(b) < 1000 || len(b) > 4000 {
				t.Errorf("a codec more takes %d bytes", len(b))
			}
		default:
			if len(b) > 150 {
				t.Errorf("a part more takes %d bytes", len(b))
			}
		}
	}
	parsed[3].Segments[0] = nil // the caller's
	if parsed[4].Segments[0] == nil || out.last.Segments[0] == nil {
		t.Error("indexes share the list")
	}
	if parsed[4].Segments[1] != parsed[5].Segments[1] || parsed[4].Inits[0] != parsed[29].Inits[0] {
		t.Error("indexes do not share what is in them")
	}
}

// TestIndexCut: only a standby is told where the open segment begins, and then it
// stays known while only parts come.
func TestIndexCut(t *testing.T) {
	x := lowLatency(3)
	x.Cut, x.Resume = 123_456, make([]byte, media.MaxHLSResume)
	more := *x
	more.Version++
	more.Open = testOpen(x.Open.MSN, 5)
	for _, standby := range []bool{false, true} {
		in, out := Indexes{Standby: standby}, Indexes{}
		for _, x := range []*hls.Index{x, &more} {
			want := *x
			if !standby {
				want.Cut, want.Resume = 0, nil
			}
			b, err := in.Append(nil, x)
			if err != nil {
				t.Fatal(err)
			}
			got, n, err := out.Parse(b)
			if err != nil || n != len(b) || !reflect.DeepEqual(got, &want) {
				t.Errorf("standby %t: cut %d, want %d, %d of %d bytes, %v", standby, got.Cut, want.Cut, n, len(b), err)
			}
		}
	}
	in := Indexes{Standby: true}
	x.Resume = append(x.Resume, 1)
	if _, err := in.Append(nil, x); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too much to resume with: %v", err)
	}
	x.Cut, x.Resume = maxDTS+1, nil
	b, err := in.Append(nil, x)
	if err != nil {
		t.Fatal(err)
	}
	if x, _, err := parseIndex(b); !errors.Is(err, ErrMalformed) {
		t.Errorf("a cut over the limit: %+v, %v", x, err)
	}
}

// TestAnIndexTooLarge: what can't be parsed is not sent.
func TestAnIndexTooLarge(t *testing.T) {
	inits := func(n, size int) (list []*hls.Init) {
		for i := range n {
			list = append(list, &hls.Init{Version: uint32(i), Data: make([]byte, size)})
		}
		return list
	}
	segments := make([]*hls.Segment, media.MaxRelaySegments+1)
	long := make([]*hls.Segment, media.MaxRelaySegments)
	for i := range segments {
		segments[i] = testSegment(uint64(i))
		if i < len(long) {
			long[i] = testParts(uint64(i), media.MaxHLSParts)
		}
	}
	for name, x := range map[string]*hls.Index{
		"segments":       {Segments: segments},
		"parts":          {Segments: []*hls.Segment{testParts(1, media.MaxHLSParts+1)}},
		"open parts":     {Open: testOpen(1, media.MaxHLSParts+1)},
		"inits":          {Inits: inits(media.MaxRelayInits+1, 1)},
		"an init":        {Inits: inits(1, media.MaxHLSInit+1)},
		"bytes of inits": {Inits: inits(4, media.MaxHLSInit)},
		"bytes":          {Segments: long},
	} {
		var r Indexes
		if b, err := r.Append([]byte{1}, x); !errors.Is(err, ErrTooLarge) || len(b) != 1 || r.last != nil {
			t.Errorf("%s: %d bytes, %v", name, len(b), err)
		}
	}
	// Record by record an index could have more than one may have.
	var r, in Indexes
	x := &hls.Index{Inits: inits(3, media.MaxHLSInit)}
	b, err := r.Append(nil, x)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err = in.Parse(b); err != nil {
		t.Fatal(err)
	}
	next := &hls.Index{Inits: append(inits(1, media.MaxHLSInit), x.Inits...)}
	if _, _, err = in.Parse(appendBytes(nil, r.appendWhole([]byte{recordWhole}, next))); !errors.Is(err, ErrMalformed) {
		t.Error(err)
	}
}

func TestPieceHeaders(t *testing.T) {
	for _, h := range pieceCases() {
		b := AppendPieceHeader(nil, h)
		if got, n, err := ParsePieceHeader(b[1:]); err != nil || got != h || n != len(b)-1 || StreamKind(b[0]) != StreamPiece {
			t.Errorf("%+v, %d, %v", got, n, err)
		}
		for i := range len(b) - 1 {
			if _, _, err := ParsePieceHeader(b[1 : 1+i]); !errors.Is(err, ErrShort) {
				t.Errorf("%d bytes: %v", i, err)
			}
		}
	}
	for _, b := range [][]byte{
		AppendPieceHeader(nil, PieceHeader{Size: 1 << 30}),
		AppendPieceHeader(nil, PieceHeader{Name: hls.Name{Kind: hls.NamePart, Number: media.MaxHLSParts}}),
		{0, 1, 2, 3, 3, 0},
	} {
		if h, _, err := ParsePieceHeader(b[1:]); !errors.Is(err, ErrMalformed) {
			t.Errorf("%+v, %v", h, err)
		}
	}
	x := IndexesHeader{Subscription: 300}
	b := AppendIndexesHeader(nil, x)
	if got, n, err := ParseIndexesHeader(b[1:]); err != nil || got != x || n != 2 || StreamKind(b[0]) != StreamIndexes {
		t.Errorf("%+v, %d, %v", got, n, err)
	}
	if _, _, err := ParseIndexesHeader(nil); !errors.Is(err, ErrShort) {
		t.Error(err)
	}
}

func pieceCases() []PieceHeader {
	return []PieceHeader{
		{Subscription: 3, Name: hls.Name{Epoch: 1 << 60, MSN: 1_700_000_000}, Size: 1 << 20},
		{Subscription: 3, Name: hls.Name{Kind: hls.NameMP4, Epoch: 1, MSN: 1}, Size: maxSegmentSize},
		{Name: hls.Name{Kind: hls.NamePart, MSN: 2}},
		{Subscription: 1 << 40, Name: hls.Name{Kind: hls.NamePart, Epoch: 3, MSN: 4, Number: media.MaxHLSParts - 1}, Size: 5},
	}
}
