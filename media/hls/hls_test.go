package hls

import (
	"bytes"
	"fmt"
	"math"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/grafov/m3u8"
)

// testIndex has four segments, the last three of them listed.
func testIndex() *Index {
	at := time.Date(2026, 3, 1, 23, 59, 58, 123_000_000, time.FixedZone("east", 3600))
	x := &Index{
		Version: 9, Listing: 9, Epoch: 1700, Target: 3 * time.Second, DiscontinuitySequence: 4, Listed: 3, Independent: true,
		Variant: Variant{
			VideoCodec: "avc1.64001f", AudioCodec: "mp4a.40.2", Width: 1280, Height: 720,
			FrameRate: 29.97, PeakBPS: 2_500_000, AverageBPS: 2_000_000,
		},
	}
	for i := range uint64(4) {
		x.Segments = append(x.Segments, &Segment{
			Epoch: 1700, MSN: 1_700_000_000 + i, Duration: 2 * time.Second, Independent: true,
			ProgramTime: at.Add(time.Duration(i) * 2 * time.Second),
		})
	}
	x.Segments[2].Discontinuity = true
	x.Segments[3].Duration = 1960500 * time.Microsecond
	return x
}

const golden = `#EXTM3U
#EXT-X-VERSION:3
#EXT-X-TARGETDURATION:3
#EXT-X-MEDIA-SEQUENCE:1700000001
#EXT-X-DISCONTINUITY-SEQUENCE:4
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-PROGRAM-DATE-TIME:2026-03-01T23:00:00.123Z
#EXTINF:2.000,
1700-1700000001.ts
#EXT-X-DISCONTINUITY
#EXT-X-PROGRAM-DATE-TIME:2026-03-01T23:00:02.123Z
#EXTINF:2.000,
1700-1700000002.ts
#EXT-X-PROGRAM-DATE-TIME:2026-03-01T23:00:04.123Z
#EXTINF:1.960500,
1700-1700000003.ts
`

func TestAppendMedia(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Index)
		suffix string
		want   string
	}{
		{"live", func(*Index) {}, "", golden},
		{"suffix", func(*Index) {}, "?token=a%26b", strings.ReplaceAll(golden, ".ts\n", ".ts?token=a%26b\n")},
		{
			"huge-gop", func(x *Index) { x.Independent = false }, "",
			strings.Replace(golden, "#EXT-X-INDEPENDENT-SEGMENTS\n", "", 1),
		},
		{"ENDLIST", func(x *Index) { x.Ended = true }, "", golden + "#EXT-X-ENDLIST\n"},
		{"largest numbers", func(x *Index) {
			x.Segments, x.Listed = x.Segments[3:], 1
			x.Segments[0].Epoch, x.Segments[0].MSN = math.MaxUint64, math.MaxUint64
			x.DiscontinuitySequence = math.MaxUint64
		}, "", `#EXTM3U
#EXT-X-VERSION:3
#EXT-X-TARGETDURATION:3
#EXT-X-MEDIA-SEQUENCE:18446744073709551615
#EXT-X-DISCONTINUITY-SEQUENCE:18446744073709551615
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-PROGRAM-DATE-TIME:2026-03-01T23:00:04.123Z
#EXTINF:1.960500,
18446744073709551615-18446744073709551615.ts
`},
		{"empty", func(x *Index) { x.Segments, x.Listed, x.Ended = nil, 0, true }, "", `#EXTM3U
#EXT-X-VERSION:3
#EXT-X-TARGETDURATION:3
#EXT-X-MEDIA-SEQUENCE:0
#EXT-X-DISCONTINUITY-SEQUENCE:4
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-ENDLIST
`},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := testIndex()
			c.change(x)
			if got := string(x.AppendMedia([]byte("kept"), c.suffix)); got != "kept"+c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

func TestSeconds(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0.000", time.Millisecond: "0.001", 2 * time.Second: "2.000", 61_234 * time.Millisecond: "61.234",
		time.Microsecond: "0.000001", 1500 * time.Nanosecond: "0.000002", 2*time.Second + 5*time.Microsecond: "2.000005",
	} {
		if got := string(appendSeconds(nil, d)); got != want {
			t.Errorf("%v: got %s, want %s", d, got, want)
		}
	}
}

func TestAppendMultivariant(t *testing.T) {
	full := testIndex().Variant
	for _, c := range []struct {
		name, stream, suffix string
		v                    Variant
		want                 string
	}{
		{"all known", "test", "?token=x", full, `BANDWIDTH=2500000,AVERAGE-BANDWIDTH=2000000,` +
			`CODECS="avc1.64001f,mp4a.40.2",RESOLUTION=1280x720,FRAME-RATE=29.970` + "\ntest/live.m3u8?token=x\n"},
		{
			"audio-only", "radio", "",
			Variant{AudioCodec: "mp4a.40.34", PeakBPS: 128_000, AverageBPS: 127_000},
			`BANDWIDTH=128000,AVERAGE-BANDWIDTH=127000,CODECS="mp4a.40.34"` + "\nradio/live.m3u8\n",
		},
		{"video-only", "a", "", Variant{VideoCodec: "avc1.42c01e", PeakBPS: 1}, `BANDWIDTH=1,CODECS="avc1.42c01e"` + "\na/live.m3u8\n"},
		{"nothing known", "a", "", Variant{}, "BANDWIDTH=1\na/live.m3u8\n"},
		{"colon is no scheme", "http:x", "", Variant{}, "BANDWIDTH=1\n./http:x/live.m3u8\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := &Index{Variant: c.v}
			want := "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-STREAM-INF:" + c.want
			if got := string(x.AppendMultivariant(nil, c.stream, c.suffix)); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
	t.Run("URIs resolve beside the playlist", func(t *testing.T) {
		base, _ := url.Parse("http://h:8080/live/http:x.m3u8")
		got := string((&Index{}).AppendMultivariant(nil, "http:x", ""))
		lines := strings.Split(strings.TrimSpace(got), "\n")
		ref, err := base.Parse(lines[len(lines)-1])
		if err != nil || ref.Path != "/live/http:x/live.m3u8" {
			t.Errorf("got %v, %v", ref, err)
		}
	})
}

// An independent parser reads the same out of it.
func TestIndependentParser(t *testing.T) {
	x := testIndex()
	p, kind, err := m3u8.DecodeFrom(bytes.NewReader(x.AppendMedia(nil, "?token=t")), true)
	if err != nil || kind != m3u8.MEDIA {
		t.Fatalf("kind %v: %v", kind, err)
	}
	pl := p.(*m3u8.MediaPlaylist)
	if pl.SeqNo != x.Segments[1].MSN || pl.TargetDuration != 3 || pl.DiscontinuitySeq != 4 || pl.Count() != 3 || pl.Closed {
		t.Errorf("got %+v", pl)
	}
	for i, s := range x.Playlist() {
		got := pl.Segments[i]
		if got.URI != fmt.Sprintf("%d-%d.ts?token=t", s.Epoch, s.MSN) || got.Discontinuity != s.Discontinuity ||
			math.Abs(got.Duration-s.Duration.Seconds()) > 1e-9 || !got.ProgramDateTime.Equal(s.ProgramTime) {
			t.Errorf("segment %d: got %+v", i, got)
		}
	}
	p, kind, err = m3u8.DecodeFrom(bytes.NewReader(x.AppendMultivariant(nil, "s", "")), true)
	if err != nil || kind != m3u8.MASTER {
		t.Fatalf("kind %v: %v", kind, err)
	}
	got := p.(*m3u8.MasterPlaylist).Variants
	if len(got) != 1 || got[0].URI != "s/live.m3u8" || got[0].Bandwidth != 2_500_000 || got[0].AverageBandwidth != 2_000_000 ||
		got[0].Codecs != "avc1.64001f,mp4a.40.2" || got[0].Resolution != "1280x720" || got[0].FrameRate != 29.97 {
		t.Errorf("got %+v", got[0])
	}
}

func TestLookup(t *testing.T) {
	x := testIndex()
	for i, s := range x.Segments { // the first has left the playlist
		if got := x.Lookup(s.Epoch, s.MSN); got != s {
			t.Errorf("segment %d: got %+v", i, got)
		}
	}
	for _, id := range [][2]uint64{{1700, 1_699_999_999}, {1700, 1_700_000_004}, {1699, 1_700_000_001}, {0, 0}} {
		if got := x.Lookup(id[0], id[1]); got != nil {
			t.Errorf("%v: got %+v", id, got)
		}
	}
	if got := (&Index{}).Lookup(1, 1); got != nil {
		t.Errorf("empty: got %+v", got)
	}
	if msn, ok := x.LastMSN(); msn != 1_700_000_003 || !ok {
		t.Errorf("got %d %t", msn, ok)
	}
	if _, ok := (&Index{}).LastMSN(); ok {
		t.Error("an empty index has no last segment")
	}
	if n, d := x.NextMSN(), x.Discontinuities(); n != 1_700_000_004 || d != 5 {
		t.Errorf("the next is %d, with %d discontinuities so far", n, d)
	}
	x.Open = &Segment{Epoch: 1700, MSN: 1_700_000_004, Discontinuity: true}
	if n, d := x.NextMSN(), x.Discontinuities(); n != 1_700_000_005 || d != 6 {
		t.Errorf("behind an open one the next is %d, with %d discontinuities so far", n, d)
	}
	if n := (&Index{}).NextMSN(); n != 0 {
		t.Errorf("the first is %d", n)
	}
}

func TestETag(t *testing.T) {
	x := testIndex()
	if got := x.ETag(); got != `"1700-9"` {
		t.Errorf("got %s", got)
	}
	x.Version++
	if got := x.ETag(); got != `"1700-10"` {
		t.Errorf("got %s", got)
	}
}

// names feeds the table test and the fuzz seeds.
var names = []struct {
	s  string
	n  Name
	ok bool
}{
	{"1-2.ts", Name{NameTS, 1, 2, 0}, true},
	{"0-0.ts", Name{}, true},
	{"18446744073709551615-18446744073709551615.ts", Name{NameTS, math.MaxUint64, math.MaxUint64, 0}, true},
	{"18446744073709551616-1.ts", Name{}, false},
	{"1-18446744073709551616.ts", Name{}, false},
	{"000000000000000000000001-2.ts", Name{}, false},
	{"01-2.ts", Name{}, false},
	{"1-02.ts", Name{}, false},
	{"00-2.ts", Name{}, false},
	{"+1-2.ts", Name{}, false},
	{"1--2.ts", Name{}, false},
	{"1-+2.ts", Name{}, false},
	{"1_0-2.ts", Name{}, false},
	{"0x1-2.ts", Name{}, false},
	{"1-2", Name{}, false},
	{"1-2.ts.ts", Name{}, false},
	{"1-2.TS", Name{}, false},
	{"-.ts", Name{}, false},
	{"1-.ts", Name{}, false},
	{"-1.ts", Name{}, false},
	{"1.ts", Name{}, false},
	{".ts", Name{}, false},
	{"", Name{}, false},
	{" 1-2.ts", Name{}, false},
	{"1-2.m4s", Name{NameMP4, 1, 2, 0}, true},
	{"1-2.3.m4s", Name{NamePart, 1, 2, 3}, true},
	{"1-2.0.m4s", Name{NamePart, 1, 2, 0}, true},
	{"init-1-2.mp4", Name{NameInit, 1, 0, 2}, true},
	{"1-2.3.ts", Name{}, false},
	{"1-2..m4s", Name{}, false},
	{"1-2.03.m4s", Name{}, false},
	{"1-2.3.4.m4s", Name{}, false},
	{".m4s", Name{}, false},
	{"init-1.mp4", Name{}, false},
	{"init-1-2.m4s", Name{}, false},
	{"init-1-2.3.mp4", Name{}, false},
	{"1-2.mp4", Name{}, false},
	{"../1-2.ts", Name{}, false},
	{"1-2.ts\x00", Name{}, false},
	{"١-2.ts", Name{}, false},
}

func TestName(t *testing.T) {
	for _, c := range names {
		n, ok := ParseName(c.s)
		if n != c.n || ok != c.ok {
			t.Errorf("%q: got %+v %t", c.s, n, ok)
		}
		if c.ok && n.String() != c.s {
			t.Errorf("%q: becomes %q", c.s, n)
		}
	}
}

func FuzzParseName(f *testing.F) {
	for _, c := range names {
		f.Add(c.s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, ok := ParseName(s)
		if ok && n.String() != s {
			t.Errorf("%q is taken for %+v", s, n)
		}
		if !ok && n != (Name{}) {
			t.Errorf("%q: refused with %+v", s, n)
		}
	})
}
