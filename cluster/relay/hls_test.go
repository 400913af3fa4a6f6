package relay

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"tmms/media"
	"tmms/media/hls"
)

// lister publishes segment indexes as a pipeline does.
type lister struct {
	w        *Writer
	rng      *rand.Rand
	epoch    uint64
	version  uint64
	listing  uint64
	msn      uint64
	segments []*hls.Segment
	history  []*hls.Index // what was published
	formats  string       // "ts", "mp4" or "both"
	low      bool         // with parts
	early    bool         // a part tells of as much of the open segment's MPEG-TS
	open     *hls.Segment // nil: it has no part yet
	growing  *hls.Media   // the first chunks of it in the other format
	inits    []*hls.Init
	cut      media.Timestamp // where the open segment begins; 0: none has begun
	resume   []byte
}

func newLister(w *Writer, epoch, msn uint64) *lister {
	return &lister{
		w: w, rng: rand.New(rand.NewPCG(epoch, msn)), epoch: epoch, msn: msn, formats: "ts", resume: []byte("goes on"),
	}
}

// newLowLister has parts, and both formats.
func newLowLister(w *Writer, epoch, msn uint64) *lister {
	l := newLister(w, epoch, msn)
	l.formats, l.low = "both", true
	l.inits = []*hls.Init{{Epoch: epoch, Version: 1, Data: l.bytes(700)}}
	return l
}

func (l *lister) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(l.rng.Uint32())
	}
	return b
}

// media makes the bytes of a segment in one format.
func (l *lister) media(size int) *hls.Media {
	m := &hls.Media{Size: size}
	for n := size; n > 0; n -= len(m.Chunks[len(m.Chunks)-1]) {
		m.Chunks = append(m.Chunks, l.bytes(min(n, 348*188)))
	}
	return m
}

// more makes m longer, by bytes in its last chunk first; nil is empty.
func (l *lister) more(m *hls.Media, size int) *hls.Media {
	if m == nil {
		return l.media(size)
	}
	next := &hls.Media{Chunks: slices.Clone(m.Chunks), Size: m.Size + size}
	if last := len(next.Chunks) - 1; last >= 0 {
		n := min(size, 348*188-len(next.Chunks[last]))
		next.Chunks[last] = append(next.Chunks[last], l.bytes(n)...) // in the same memory, if there is room
		size -= n
	}
	next.Chunks = append(next.Chunks, l.media(size).Chunks...)
	return next
}

// ahead tells of so many bytes more of the open segment, which no index has yet.
func (l *lister) ahead(size int) {
	l.growing = l.more(l.growing, size)
	n := hls.Name{Kind: hls.NameTS, Epoch: l.epoch, MSN: l.msn}
	if l.formats == "mp4" {
		n.Kind = hls.NameMP4
	}
	l.w.Grow(n, l.growing.Chunks)
}

// again begins the open segment anew, as a pipeline may.
func (l *lister) again() { l.growing = nil }

// describe makes a segment without bytes.
func (l *lister) describe() *hls.Segment {
	return &hls.Segment{
		Epoch: l.epoch, MSN: l.msn, Duration: time.Duration(2000+l.rng.IntN(40)) * time.Millisecond,
		ProgramTime: time.UnixMilli(1_700_000_000_000 + 2000*int64(l.msn)).UTC(),
		Independent: l.rng.IntN(2) == 0, Discontinuity: l.rng.IntN(4) == 0, Init: uint32(len(l.inits)),
	}
}

// grow adds a part to the open segment, which is a new one.
func (l *lister) grow(size int) {
	next := *l.describe()
	next.MP4 = &hls.Media{}
	if o := l.open; o != nil {
		next = *o
		next.MP4 = &hls.Media{Chunks: slices.Clone(o.MP4.Chunks), Size: o.MP4.Size}
		next.Parts = slices.Clone(o.Parts)
	}
	if l.early {
		l.ahead(size)
	}
	p := hls.Part{Duration: 200 * time.Millisecond, Independent: len(next.Parts) == 0, Size: size}
	next.MP4.Chunks, next.MP4.Size = append(next.MP4.Chunks, l.bytes(size)), next.MP4.Size+size
	next.Parts = append(next.Parts, p)
	next.Duration = time.Duration(len(next.Parts)) * p.Duration
	l.open = &next
}

// part publishes an index with one part more.
func (l *lister) part(size int) *hls.Index {
	l.grow(size)
	return l.show(false)
}

// codec makes the segments from the next on need another initialization section.
func (l *lister) codec() {
	l.inits = append(slices.Clone(l.inits), &hls.Init{Epoch: l.epoch, Version: uint32(len(l.inits) + 1), Data: l.bytes(900)})
}

// add publishes an index with one segment more: 3 listed and up to 4 behind.
func (l *lister) add(size int) *hls.Index {
	var s *hls.Segment
	if l.low {
		l.grow(size)
		s, l.open = l.open, nil
	} else {
		s = l.describe()
		if l.formats == "mp4" {
			s.MP4 = l.more(l.growing, size)
		} else if l.formats != "ts" {
			s.MP4 = l.media(size)
		}
	}
	if l.formats != "mp4" {
		s.TS = l.more(l.growing, size)
	}
	l.growing = nil
	l.msn++
	l.segments = append(l.segments, s)
	if len(l.segments) > 7 {
		l.segments = l.segments[1:]
	}
	l.listing = l.version + 1
	return l.show(false)
}

func (l *lister) show(ended bool) *hls.Index {
	l.version++
	if ended {
		l.listing = l.version
	}
	x := &hls.Index{
		Version: l.version, Listing: l.listing, Epoch: l.epoch, Target: 3 * time.Second, DiscontinuitySequence: l.listing / 2,
		Segments: slices.Clone(l.segments), Listed: min(3, len(l.segments)), Ended: ended, Independent: true,
		Variant: hls.Variant{
			VideoCodec: "avc1.64001f", AudioCodec: "mp4a.40.2", Width: 1280, Height: 720, FrameRate: 30000.0 / 1001,
			PeakBPS: 2_000_000, AverageBPS: 1_900_000,
		},
		Open: l.open, Inits: l.inits, Cut: l.cut, Resume: l.resume,
	}
	if l.low {
		x.PartTarget = 200 * time.Millisecond
	}
	l.history = append(l.history, x)
	l.w.PublishIndex(x)
	return x
}

// shows waits until the feed's index is version v, with all its segments.
func shows(t *testing.T, f *Feed, want *hls.Index) *hls.Index {
	t.Helper()
	var x *hls.Index
	eventually(t, fmt.Sprintf("index %d", want.Version), func() bool {
		live := f.Live()
		if live == nil {
			return false
		}
		x = live.Index()
		return x != nil && x.Epoch == want.Epoch && x.Version == want.Version && len(x.Segments) == len(want.Segments)
	})
	return x
}

// sameHLS compares playlists and segments, byte for byte.
func sameHLS(t *testing.T, got, want *hls.Index) {
	t.Helper()
	for _, suffix := range []string{"", "?token=x"} {
		if g, w := got.AppendMedia(nil, suffix), want.AppendMedia(nil, suffix); !bytes.Equal(g, w) {
			t.Errorf("media playlist\n%s\nwant\n%s", g, w)
		}
		if g, w := got.AppendMultivariant(nil, "a", suffix), want.AppendMultivariant(nil, "a", suffix); !bytes.Equal(g, w) {
			t.Errorf("multivariant playlist\n%s\nwant\n%s", g, w)
		}
		if want.PartTarget == 0 {
			continue
		}
		for _, skip := range []bool{false, true} {
			if g, w := got.AppendLowLatency(nil, suffix, skip), want.AppendLowLatency(nil, suffix, skip); !bytes.Equal(g, w) {
				t.Errorf("low-latency playlist\n%s\nwant\n%s", g, w)
			}
		}
	}
	if got.ETag() != want.ETag() || got.ListingETag() != want.ListingETag() {
		t.Errorf("ETags %s and %s, want %s and %s", got.ETag(), got.ListingETag(), want.ETag(), want.ListingETag())
	}
	all := want.Segments
	if want.Open != nil {
		all = append(slices.Clone(all), want.Open)
	}
	for _, s := range all {
		sameFile(t, got, want, hls.Name{Kind: hls.NameTS, Epoch: s.Epoch, MSN: s.MSN})
		sameFile(t, got, want, hls.Name{Kind: hls.NameMP4, Epoch: s.Epoch, MSN: s.MSN})
		for i := range len(s.Parts) + 1 {
			sameFile(t, got, want, hls.Name{Kind: hls.NamePart, Epoch: s.Epoch, MSN: s.MSN, Number: uint64(i)})
		}
	}
	for _, i := range want.Inits {
		sameFile(t, got, want, hls.Name{Kind: hls.NameInit, Epoch: i.Epoch, Number: uint64(i.Version)})
	}
}

// sameFile compares what is under a name.
func sameFile(t *testing.T, got, want *hls.Index, n hls.Name) {
	t.Helper()
	g, w := got.Find(n), want.Find(n)
	if (g == nil) != (w == nil) {
		t.Errorf("%s: there %t, want %t", n, g != nil, w != nil)
		return
	}
	if g != nil && (g.Size != w.Size || !bytes.Equal(bytes.Join(g.Chunks, nil), bytes.Join(w.Chunks, nil))) {
		t.Errorf("%s differs", n)
	}
}

// Requirement: C6
// TestLocationFreeHLS: playlists and segments are the same bytes on every edge.
func TestLocationFreeHLS(t *testing.T) {
	w := newWorld(t)
	owner := w.join("a", quick())
	f := owner.publish(key("a"), 7)
	f.frames(10)
	l := newLister(f.w, 7, 100)
	for range 9 {
		l.add(200_000)
	}
	var feeds []*Feed
	for i := range 3 {
		feed := w.join(fmt.Sprintf("e%d", i), quick(), "edge").open(key("a"))
		defer feed.Close()
		feed.WantHLS(true)
		feeds = append(feeds, feed)
	}
	for i := range 6 {
		x := l.history[len(l.history)-1]
		for _, feed := range feeds {
			sameHLS(t, shows(t, feed, x), x)
		}
		l.add(1 + i*300_000)
	}
	t.Run("segments are shared by versions", func(t *testing.T) {
		before := shows(t, feeds[0], l.history[len(l.history)-1])
		after := shows(t, feeds[0], l.add(1000))
		if before.Segments[6] != after.Segments[5] {
			t.Error("a segment was copied")
		}
	})
	t.Run("nobody wants HLS any more", func(t *testing.T) {
		feeds[0].WantHLS(false)
		eventually(t, "the index is gone", func() bool { return feeds[0].Live().Index() == nil })
		l.add(1000)
		feeds[0].WantHLS(true)
		x := l.history[len(l.history)-1]
		sameHLS(t, shows(t, feeds[0], x), x)
	})
	t.Run("the end", func(t *testing.T) {
		live := feeds[1].Live()
		l.add(300_000)
		x := l.show(true)
		f.w.End()
		eventually(t, "the end", func() bool { return feeds[1].Live() == nil })
		sameHLS(t, live.Index(), x)
	})
	for _, feed := range feeds {
		feed.WantHLS(false)
	}
}

// TestHLSResumes: after a cut only what is missing is sent, and nothing is lost.
func TestHLSResumes(t *testing.T) {
	w := newWorld(t)
	owner, edge := w.join("a", quick()), w.join("b", quick())
	f := owner.publish(key("a"), 7)
	f.frames(10)
	l := newLister(f.w, 7, 100)
	for range 7 {
		l.add(500_000)
	}
	feed := edge.open(key("a"))
	defer feed.Close()
	feed.WantHLS(true)
	defer feed.WantHLS(false)
	shows(t, feed, l.history[len(l.history)-1])
	before := gauge(t, edge.registry, "tmms_relay_bytes_total")
	for range 3 {
		edge.cut("a")
		x := l.add(1000)
		sameHLS(t, shows(t, feed, x), x)
	}
	if n := gauge(t, edge.registry, "tmms_relay_bytes_total") - before; n > 100_000 {
		t.Errorf("%.0f bytes were sent anew", n)
	}
}

// TestHLSContinuesWithANewOwner: an index of a new epoch comes in force when its
// numbers are above those that were served.
func TestHLSContinuesWithANewOwner(t *testing.T) {
	w := newWorld(t)
	a, b, edge := w.join("a", quick()), w.join("b", quick()), w.join("c", quick())
	f := a.publish(key("a"), 7)
	f.frames(10)
	l := newLister(f.w, 7, 100)
	for range 5 {
		l.add(1000)
	}
	feed := edge.open(key("a"))
	defer feed.Close()
	feed.WantHLS(true)
	defer feed.WantHLS(false)
	old := shows(t, feed, l.history[4])
	next := b.publish(key("a"), 8)
	next.frame = next.gop // it goes on behind what was shown
	next.frames(10)
	next.caughtUp(feed)
	n := newLister(next.w, 8, 103) // 103 and 104 have been served with another content
	for range 4 {
		n.add(1000)
		next.frames(1)
		next.caughtUp(feed)
		x := feed.Live().Index()
		if x.Epoch != old.Epoch || x.Version != old.Version {
			t.Fatalf("index %d of epoch %d contradicts what was served", x.Version, x.Epoch)
		}
		if !x.Held {
			t.Fatal("caches may keep a playlist that is another owner's by now")
		}
	}
	x := n.add(1000) // lists 105 to 107
	sameHLS(t, shows(t, feed, x), x)
}
