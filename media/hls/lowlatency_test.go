package hls

import (
	"bytes"
	"errors"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/grafov/m3u8"
)

// lowIndex is testIndex with parts of 500 ms, two of them in the open segment,
// and a change of the initialization section.
func lowIndex() *Index {
	x := testIndex()
	x.PartTarget = 500 * time.Millisecond
	part := func(d time.Duration, independent bool) Part {
		return Part{Duration: d, Independent: independent, Size: 3}
	}
	half := 500 * time.Millisecond
	for i, s := range x.Segments {
		s.Init = 1
		if i > 1 {
			s.Init = 2
		}
		s.TS = &Media{Chunks: [][]byte{[]byte("ts")}, Size: 2}
		s.MP4 = &Media{Chunks: [][]byte{[]byte("one"), []byte("two"), []byte("3ee"), []byte("4ou")}, Size: 12}
		s.Parts = []Part{part(half, true), part(half, false), part(half, true), part(s.Duration-3*half, false)}
	}
	x.Open = &Segment{
		Epoch: 1700, MSN: 1_700_000_004, Duration: 2 * half, Independent: true, Init: 2,
		ProgramTime: x.Segments[3].ProgramTime.Add(x.Segments[3].Duration),
		MP4:         &Media{Chunks: [][]byte{[]byte("abc"), []byte("def")}, Size: 6},
		Parts:       []Part{part(half, true), part(half, false)},
	}
	x.Inits = []*Init{{1700, 1, []byte("first")}, {1700, 2, []byte("second")}}
	return x
}

const lowGolden = `#EXTM3U
#EXT-X-VERSION:9
#EXT-X-TARGETDURATION:3
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=18.000,HOLD-BACK=9.000,PART-HOLD-BACK=1.500
#EXT-X-PART-INF:PART-TARGET=0.500
#EXT-X-MEDIA-SEQUENCE:1700000001
#EXT-X-DISCONTINUITY-SEQUENCE:4
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MAP:URI="init-1700-1.mp4"
#EXT-X-PROGRAM-DATE-TIME:2026-03-01T23:00:00.123Z
#EXTINF:2.000,
1700-1700000001.m4s
#EXT-X-DISCONTINUITY
#EXT-X-MAP:URI="init-1700-2.mp4"
#EXT-X-PROGRAM-DATE-TIME:2026-03-01T23:00:02.123Z
#EXT-X-PART:DURATION=0.500,URI="1700-1700000002.0.m4s",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.500,URI="1700-1700000002.1.m4s"
#EXT-X-PART:DURATION=0.500,URI="1700-1700000002.2.m4s",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.500,URI="1700-1700000002.3.m4s"
#EXTINF:2.000,
1700-1700000002.m4s
#EXT-X-PROGRAM-DATE-TIME:2026-03-01T23:00:04.123Z
#EXT-X-PART:DURATION=0.500,URI="1700-1700000003.0.m4s",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.500,URI="1700-1700000003.1.m4s"
#EXT-X-PART:DURATION=0.500,URI="1700-1700000003.2.m4s",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.460500,URI="1700-1700000003.3.m4s"
#EXTINF:1.960500,
1700-1700000003.m4s
`

const lowEdge = `#EXT-X-PROGRAM-DATE-TIME:2026-03-01T23:00:06.083Z
#EXT-X-PART:DURATION=0.500,URI="1700-1700000004.0.m4s",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.500,URI="1700-1700000004.1.m4s"
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="1700-1700000004.2.m4s"
`

const lowReport = "#EXT-X-RENDITION-REPORT:URI=\"live.m3u8\",LAST-MSN=1700000003\n"

// Cases of LL-HLS: PART-HOLD-BACK, the preload hint is exactly the next part,
// ENDLIST.
func TestAppendLowLatency(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Index)
		suffix string
		want   string
	}{
		{"preload hint is the next part", func(*Index) {}, "", lowGolden + lowEdge + lowReport},
		{"suffix", func(*Index) {}, "?a=b", strings.NewReplacer(
			".m4s", ".m4s?a=b", ".mp4", ".mp4?a=b", "live.m3u8", "live.m3u8?a=b",
		).Replace(lowGolden + lowEdge + lowReport)},
		{
			"preload hint across the segment's end", func(x *Index) { x.Open = nil }, "",
			lowGolden + "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"1700-1700000004.0.m4s\"\n" + lowReport,
		},
		{"the open segment is another program", func(x *Index) {
			x.Open.Discontinuity, x.Open.Init, x.Open.Independent = true, 3, false
			x.Open.Parts[0].Independent = false
		}, "", lowGolden + "#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"init-1700-3.mp4\"\n" +
			strings.ReplaceAll(lowEdge, ",INDEPENDENT=YES", "") + lowReport},
		{"ENDLIST", func(x *Index) { x.Ended, x.Open = true, nil }, "", lowGolden + "#EXT-X-ENDLIST\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := lowIndex()
			c.change(x)
			if got := string(x.AppendLowLatency([]byte("kept"), c.suffix, false)); got != "kept"+c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

// long has n listed segments of 2 s in front of the open one.
func long(n int) *Index {
	x := lowIndex()
	s := *x.Segments[0]
	x.Segments = nil
	for i := range uint64(n) {
		next := s
		next.MSN += i
		next.ProgramTime = s.ProgramTime.Add(time.Duration(i) * s.Duration)
		x.Segments = append(x.Segments, &next)
	}
	x.Listed = n
	x.Open.MSN = s.MSN + uint64(n)
	return x
}

// Case: delta updates only where allowed. A segment is skipped if it ends six
// target durations, 18 s, before the end of the playlist.
func TestDeltaUpdate(t *testing.T) {
	for _, c := range []struct {
		name   string
		x      *Index
		change func(*Index)
		want   int
	}{
		{"nothing is old enough", long(9), func(*Index) {}, 0},
		{"no part yet: the tenth ends 18 s before the end", long(10), func(x *Index) { x.Open = nil }, 1},
		{"the open parts count", long(10), func(*Index) {}, 1},
		{"long playlist", long(60), func(*Index) {}, 51},
		{"ended", long(60), func(x *Index) { x.Ended, x.Open = true, nil }, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.change(c.x)
			full := string(c.x.AppendLowLatency(nil, "", false))
			got := string(c.x.AppendLowLatency(nil, "", true))
			if c.want == 0 {
				if got != full {
					t.Errorf("got\n%s\nwant the full playlist", got)
				}
				return
			}
			tag := "#EXT-X-SKIP:SKIPPED-SEGMENTS=" + strconv.Itoa(c.want) + "\n"
			head, rest, ok := strings.Cut(got, tag)
			if !ok || !strings.HasPrefix(full, head) {
				t.Fatalf("got\n%s\nwant %s behind the head of the full one", got, tag)
			}
			if n := strings.Count(rest, "#EXTINF"); n != c.x.Listed-c.want {
				t.Errorf("%d segments left, want %d", n, c.x.Listed-c.want)
			}
			// The initialization section comes again, the rest is the end of the full one.
			if !strings.HasPrefix(rest, "#EXT-X-MAP:") || !strings.HasSuffix(full, rest[strings.IndexByte(rest, '\n')+1:]) {
				t.Errorf("behind the skipped ones comes\n%s", rest)
			}
		})
	}
}

// Parts are listed of the segments within three target durations of the end.
func TestPartsAreListedNearTheEnd(t *testing.T) {
	for _, c := range []struct {
		target time.Duration
		want   int // parts of whole segments
	}{
		{3 * time.Second, 8},            // two segments
		{time.Second, 4 + 4},            // the second last ends 2.9605 s before the end of the open parts
		{980 * time.Millisecond, 4},     // and that is now more than three target durations
		{300 * time.Millisecond, 0 * 4}, // the open segment alone is longer
	} {
		x := lowIndex()
		x.Target = c.target
		got := strings.Count(string(x.AppendLowLatency(nil, "", false)), "#EXT-X-PART:") - len(x.Open.Parts)
		if got != c.want {
			t.Errorf("target %v: %d parts of whole segments, want %d", c.target, got, c.want)
		}
	}
}

// Cases of LL-HLS: blocking reload, msn > last + 2, a part past the end.
func TestReached(t *testing.T) {
	const last = 1_700_000_003 // with parts 0 to 3; the next has 0 and 1
	for _, c := range []struct {
		name   string
		msn    uint64
		part   int
		change func(*Index)
		want   bool
		far    bool
	}{
		{"the last segment", last, -1, nil, true, false},
		{"one that left the playlist", last - 100, -1, nil, true, false},
		{"a part of it", last - 100, 7, nil, true, false},
		{"a part of the last segment", last, 3, nil, true, false},
		{"a part past the end means the first of the next", last, 4, nil, true, false},
		{"which is not there yet", last, 4, func(x *Index) { x.Open = nil }, false, false},
		{"a part past the end of the one before", last - 1, 4, func(x *Index) { x.Open = nil }, true, false},
		{"the open segment", last + 1, -1, nil, false, false},
		{"its last part", last + 1, 1, nil, true, false},
		{"its next part", last + 1, 2, nil, false, false},
		{"its first part, which is not there yet", last + 1, 0, func(x *Index) { x.Open = nil }, false, false},
		{"the one after", last + 2, 0, nil, false, false},
		{"the one after, whole", last + 2, -1, nil, false, false},
		{"msn > last + 2", last + 3, -1, nil, false, true},
		{"msn > last + 2, without an open segment", last + 3, 0, func(x *Index) { x.Open = nil }, false, true},
		{"the largest number", math.MaxUint64, math.MaxInt, nil, false, true},
		{"ended", last + 1, 0, func(x *Index) { x.Ended, x.Open = true, nil }, true, false},
		{"ended, far", math.MaxUint64, 0, func(x *Index) { x.Ended, x.Open = true, nil }, true, false},
		{"no segment", 5, 0, func(x *Index) { x.Segments, x.Listed, x.Open = nil, 0, nil }, false, false},
		{"no whole segment", last + 1, 1, func(x *Index) { x.Segments, x.Listed = nil, 0 }, true, false},
		{"without parts", last, 9, func(x *Index) { x.Segments[3].Parts, x.Open = nil, nil }, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := lowIndex()
			if c.change != nil {
				c.change(x)
			}
			got, err := x.Reached(c.msn, c.part)
			if got != c.want || errors.Is(err, ErrTooFar) != c.far || !c.far && err != nil {
				t.Errorf("got %t, %v; want %t, too far %t", got, err, c.want, c.far)
			}
		})
	}
}

// live.m3u8 has fragmented MP4 where a segment has nothing else.
func TestAppendMediaMP4(t *testing.T) {
	x := lowIndex()
	x.PartTarget, x.Open = 0, nil
	x.Segments[2].TS, x.Segments[3].TS = nil, nil
	want := strings.NewReplacer(
		"VERSION:3", "VERSION:6", "2.ts", "2.m4s", "3.ts", "3.m4s",
		"#EXT-X-DISCONTINUITY\n", "#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"init-1700-2.mp4\"\n",
	).Replace(golden)
	if got := string(x.AppendMedia(nil, "")); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	x.Segments[3].Init = 3
	if got := string(x.AppendMedia(nil, "?k=v")); strings.Count(got, `#EXT-X-MAP:URI="init-1700-`) != 2 ||
		!strings.Contains(got, `init-1700-3.mp4?k=v"`) {
		t.Errorf("a change of the initialization section:\n%s", got)
	}
}

func TestMultivariantLowLatency(t *testing.T) {
	got := string(lowIndex().AppendMultivariant(nil, "s", "?q=1"))
	if !strings.HasSuffix(got, "\ns/ll.m3u8?q=1\n") {
		t.Errorf("got\n%s", got)
	}
}

// Whatever a low-latency playlist names can be fetched, or is what comes next.
func TestFind(t *testing.T) {
	x := lowIndex()
	for _, c := range []struct {
		name string
		want string // joined by "|"; "": not found
	}{
		{"1700-1700000003.ts", "ts"},
		{"1700-1700000003.m4s", "one|two|3ee|4ou"},
		{"1700-1700000003.1.m4s", "two"},
		{"1700-1700000003.4.m4s", ""},
		{"1700-1700000004.1.m4s", "def"},
		{"1700-1700000004.2.m4s", ""},
		{"1700-1700000004.m4s", ""},
		{"1701-1700000003.1.m4s", ""},
		{"init-1700-2.mp4", "second"},
		{"init-1700-3.mp4", ""},
		{"init-1701-2.mp4", ""},
	} {
		n, ok := ParseName(c.name)
		if !ok {
			t.Fatalf("%s is no name", c.name)
		}
		got := ""
		if m := x.Find(n); m != nil {
			got = string(bytes.Join(m.Chunks, []byte("|")))
			if want := len(bytes.Join(m.Chunks, nil)); m.Size != want {
				t.Errorf("%s: size %d, want %d", c.name, m.Size, want)
			}
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// An independent parser that knows no parts takes the playlist for a valid one.
func TestIndependentParserLowLatency(t *testing.T) {
	x := lowIndex()
	p, kind, err := m3u8.DecodeFrom(bytes.NewReader(x.AppendLowLatency(nil, "", false)), false)
	if err != nil || kind != m3u8.MEDIA {
		t.Fatalf("kind %v: %v", kind, err)
	}
	pl := p.(*m3u8.MediaPlaylist)
	if pl.SeqNo != x.Segments[1].MSN || pl.Count() != 3 || pl.Map == nil && pl.Segments[0].Map == nil {
		t.Errorf("got %+v", pl)
	}
	for i, s := range x.Playlist() {
		got := pl.Segments[i]
		want := Name{Kind: NameMP4, Epoch: s.Epoch, MSN: s.MSN}.String()
		if got.URI != want || got.Discontinuity != s.Discontinuity || !got.ProgramDateTime.Equal(s.ProgramTime) {
			t.Errorf("segment %d: got %+v, want %s", i, got, want)
		}
	}
}
