package relay

import (
	"bytes"
	"errors"
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
	msn      uint64
	segments []*hls.Segment
	history  []*hls.Index // what was published
}

func newLister(w *Writer, epoch, msn uint64) *lister {
	return &lister{w: w, rng: rand.New(rand.NewPCG(epoch, msn)), epoch: epoch, msn: msn}
}

// add publishes an index with one segment more: 3 listed and up to 4 behind.
func (l *lister) add(size int) *hls.Index {
	s := &hls.Segment{
		Epoch: l.epoch, MSN: l.msn, Duration: time.Duration(2000+l.rng.IntN(40)) * time.Millisecond,
		ProgramTime: time.UnixMilli(1_700_000_000_000 + 2000*int64(l.msn)).UTC(),
		Independent: l.rng.IntN(2) == 0, Discontinuity: l.rng.IntN(4) == 0, TS: &hls.Media{Size: size},
	}
	for n := size; n > 0; {
		chunk := make([]byte, min(n, 348*188))
		for i := range chunk {
			chunk[i] = byte(l.rng.Uint32())
		}
		s.TS.Chunks = append(s.TS.Chunks, chunk)
		n -= len(chunk)
	}
	l.msn++
	l.segments = append(l.segments, s)
	if len(l.segments) > 7 {
		l.segments = l.segments[1:]
	}
	return l.show(false)
}

func (l *lister) show(ended bool) *hls.Index {
	l.version++
	x := &hls.Index{
		Version: l.version, Epoch: l.epoch, Target: 3 * time.Second, DiscontinuitySequence: l.version / 2,
		Segments: slices.Clone(l.segments), Listed: min(3, len(l.segments)), Ended: ended, Independent: true,
		Variant: hls.Variant{
			VideoCodec: "avc1.64001f", AudioCodec: "mp4a.40.2", Width: 1280, Height: 720, FrameRate: 30000.0 / 1001,
			PeakBPS: 2_000_000, AverageBPS: 1_900_000,
		},
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
	}
	if got.ETag() != want.ETag() {
		t.Errorf("ETag %s, want %s", got.ETag(), want.ETag())
	}
	for _, s := range want.Segments {
		g := got.Lookup(s.Epoch, s.MSN)
		if g == nil {
			t.Fatalf("segment %d-%d is not there", s.Epoch, s.MSN)
		}
		if g.TS.Size != s.TS.Size || !bytes.Equal(bytes.Join(g.TS.Chunks, nil), bytes.Join(s.TS.Chunks, nil)) {
			t.Errorf("segment %d-%d differs", s.Epoch, s.MSN)
		}
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
	next.frames(10)
	next.caughtUp(feed)
	n := newLister(next.w, 8, 103) // 103 and 104 have been served with another content
	for range 4 {
		n.add(1000)
		next.frames(1)
		next.caughtUp(feed)
		if x := feed.Live().Index(); x != old {
			t.Fatalf("index %d of epoch %d contradicts what was served", x.Version, x.Epoch)
		}
	}
	x := n.add(1000) // lists 105 to 107
	sameHLS(t, shows(t, feed, x), x)
}

// TestShelf: whatever the order in which indexes and segments come, what is
// shown is whole, and in the end everything is.
func TestShelf(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 1))
		w, err := NewHub().Publish(key("a"), 7, LiveOptions{})
		if err != nil {
			t.Fatal(err)
		}
		l := newLister(w, 7, 100)
		s := shelf{budget: &segmentBudget{limit: media.MaxHLSNodeBytes}}
		type event struct {
			x   *hls.Index
			seg *hls.Segment
		}
		var events []event
		sent := map[segmentID]bool{}
		for range 12 {
			x := l.add(1 + rng.IntN(1000))
			events = append(events, event{x: x})
			for _, seg := range x.Segments {
				if !sent[idOf(seg)] {
					sent[idOf(seg)] = true
					events = append(events, event{seg: seg})
				}
			}
		}
		// Segments may be late or early by some places, indexes keep their order.
		for i := range events {
			j := min(i+rng.IntN(4), len(events)-1)
			if events[i].x == nil && events[j].x == nil || rng.IntN(2) == 0 && (events[i].x == nil) != (events[j].x == nil) {
				events[i], events[j] = events[j], events[i]
			}
		}
		slices.SortStableFunc(events, func(a, b event) int {
			if a.x != nil && b.x != nil {
				return int(a.x.Version) - int(b.x.Version)
			}
			return 0
		})
		var shown *hls.Index
		show := func(x *hls.Index) {
			if x == nil {
				return
			}
			if shown != nil && x.Version < shown.Version {
				t.Fatalf("seed %d: version %d after %d", seed, x.Version, shown.Version)
			}
			shown = x
			if all := len(l.history[x.Version-1].Segments); len(x.Segments)+x.Behind != all {
				t.Fatalf("seed %d: %d segments are shown and %d behind, of %d", seed, len(x.Segments), x.Behind, all)
			}
			for _, seg := range x.Segments {
				if size(seg.TS.Chunks) != seg.TS.Size {
					t.Fatalf("seed %d: segment %d is shown without its bytes", seed, seg.MSN)
				}
			}
		}
		for _, e := range events {
			if e.seg != nil {
				if err := s.reserve(idOf(e.seg), e.seg.TS.Size); err != nil {
					t.Fatal(err)
				}
				show(s.segment(idOf(e.seg), e.seg.TS.Chunks))
				continue
			}
			bare := *e.x
			bare.Segments = nil
			for _, seg := range e.x.Segments {
				c := *seg
				c.TS = &hls.Media{Size: seg.TS.Size}
				bare.Segments = append(bare.Segments, &c)
			}
			show(s.index(&bare))
		}
		if shown == nil || shown.Version != 12 {
			t.Fatalf("seed %d: shown %+v", seed, shown)
		}
		held := 0
		for _, seg := range s.segments {
			held += seg.TS.Size
		}
		for _, c := range s.loose {
			held += size(c)
		}
		if held != s.bytes {
			t.Fatalf("seed %d: %d bytes are counted, %d held", seed, s.bytes, held)
		}
		if s.clear(); s.bytes != 0 || s.budget.held.Load() != 0 {
			t.Fatalf("seed %d: %d bytes are left, %d of the node's", seed, s.bytes, s.budget.held.Load())
		}
	}
}

func TestShelfIsBounded(t *testing.T) {
	s := shelf{budget: &segmentBudget{limit: media.MaxHLSNodeBytes}}
	if err := s.reserve(segmentID{}, media.MaxHLSStreamBytes+1); !errors.Is(err, errNoRoom) {
		t.Errorf("more than a stream may have: %v", err)
	}
	if err := s.reserve(segmentID{}, media.MaxHLSStreamBytes); err != nil {
		t.Error(err)
	}
	s.segment(segmentID{1, 5}, [][]byte{make([]byte, 10)})
	for v := range uint64(100) {
		s.index(&hls.Index{Epoch: 1, Version: v + 1, Listed: 1, Segments: []*hls.Segment{{Epoch: 1, MSN: v + 6, TS: &hls.Media{Size: 3}}}})
	}
	if len(s.records) > maxRecords {
		t.Errorf("%d indexes wait", len(s.records))
	}
}
