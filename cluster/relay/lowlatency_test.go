package relay

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"tmms/media/hls"
	"tmms/media/relaywire"
)

// recorder keeps every index that a life shows.
type recorder struct {
	stop func()

	mu    sync.Mutex
	shown []*hls.Index // guarded by mu
}

func record(l *Live) *recorder {
	r := &recorder{}
	r.stop = l.watch(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if x := l.Index(); x != nil {
			r.shown = append(r.shown, x)
		}
	})
	return r
}

func (r *recorder) list() []*hls.Index {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.shown)
}

// Requirement: C6
// TestLocationFreeLowLatency: every index that an edge shows is the owner's, with
// the same bytes under each name, parts of the open segment included.
func TestLocationFreeLowLatency(t *testing.T) {
	for _, early := range []bool{false, true} {
		t.Run(fmt.Sprintf("MPEG-TS ahead: %t", early), func(t *testing.T) { locationFree(t, early) })
	}
}

func locationFree(t *testing.T, early bool) {
	t.Helper()
	w := newWorld(t)
	owner := w.join("a", quick())
	f := owner.publish(key("a"), 7)
	f.frames(10)
	l := newLowLister(f.w, 7, 100)
	l.early = early
	rng := rand.New(rand.NewPCG(3, 3))
	for range 8 {
		l.part(30_000)
		l.add(30_000)
	}
	l.part(1)
	var feeds []*Feed
	var recorders []*recorder
	newest := func() *hls.Index { return l.history[len(l.history)-1] }
	join := func(name string) {
		feed := w.join(name, quick(), "edge").open(key("a"))
		t.Cleanup(feed.Close)
		feed.WantHLS(true)
		shows(t, feed, newest())
		r := record(feed.Live())
		t.Cleanup(r.stop)
		feeds, recorders = append(feeds, feed), append(recorders, r)
	}
	join("e0")
	join("e1")
	for i := range 40 {
		switch {
		case i == 20:
			join("late")
		case i%8 == 7:
			l.add(1 + rng.IntN(200_000))
		default:
			l.part(1 + rng.IntN(200_000))
		}
		if i == 11 {
			l.codec()
		}
		if i%3 == 0 {
			for _, feed := range feeds {
				sameHLS(t, shows(t, feed, newest()), newest())
			}
		}
	}
	for _, feed := range feeds {
		sameHLS(t, shows(t, feed, newest()), newest())
		feed.WantHLS(false)
	}
	for i, r := range recorders {
		var last uint64
		list := r.list()
		for _, x := range list {
			if x.Version < last {
				t.Errorf("edge %d shows version %d after %d", i, x.Version, last)
			}
			last = x.Version
			want := *l.history[x.Version-1]
			want.Segments = want.Segments[len(want.Segments)-len(x.Segments):]
			sameHLS(t, x, &want)
		}
		if len(list) < 5 {
			t.Errorf("edge %d has shown %d versions", i, len(list))
		}
	}
}

// TestPartsAreNotSentTwice: a segment that becomes whole takes its MPEG-TS and its
// last part.
func TestPartsAreNotSentTwice(t *testing.T) {
	w := newWorld(t)
	owner, edge := w.join("a", quick()), w.join("b", quick(), "edge")
	f := owner.publish(key("a"), 7)
	f.frames(10)
	l := newLowLister(f.w, 7, 100)
	feed := edge.open(key("a"))
	defer feed.Close()
	feed.WantHLS(true)
	defer feed.WantHLS(false)
	l.add(10)
	shows(t, feed, l.history[0])
	before := gauge(t, edge.registry, "tmms_relay_bytes_total")
	for range 10 {
		shows(t, feed, l.part(100_000))
	}
	l.formats = "mp4"
	x := l.add(1000)
	sameHLS(t, shows(t, feed, x), x)
	if n := gauge(t, edge.registry, "tmms_relay_bytes_total") - before; n > 1_050_000 {
		t.Errorf("%.0f bytes were sent for 1001000", n)
	}
}

// TestLowLatencyResumes: after a cut in the middle of a segment only that segment's
// parts come again.
func TestLowLatencyResumes(t *testing.T) {
	w := newWorld(t)
	owner, edge := w.join("a", quick()), w.join("b", quick())
	f := owner.publish(key("a"), 7)
	f.frames(10)
	l := newLowLister(f.w, 7, 100)
	for range 7 {
		l.add(300_000)
	}
	feed := edge.open(key("a"))
	defer feed.Close()
	feed.WantHLS(true)
	defer feed.WantHLS(false)
	x := l.part(1000)
	shows(t, feed, x)
	before := gauge(t, edge.registry, "tmms_relay_bytes_total")
	for range 3 {
		edge.cut("a")
		x = l.part(1000)
		sameHLS(t, shows(t, feed, x), x)
	}
	x = l.add(1000)
	sameHLS(t, shows(t, feed, x), x)
	if n := gauge(t, edge.registry, "tmms_relay_bytes_total") - before; n > 150_000 {
		t.Errorf("%.0f bytes were sent anew", n)
	}
}

// TestAnOwnersEpochChangesInThePart: the open segment of the old owner is the last
// that is seen of it, and no number that was served gets another meaning.
func TestAnOwnersEpochChangesInThePart(t *testing.T) {
	w := newWorld(t)
	a, b, edge := w.join("a", quick()), w.join("b", quick()), w.join("c", quick())
	f := a.publish(key("a"), 7)
	f.frames(10)
	l := newLowLister(f.w, 7, 100)
	for range 3 {
		l.add(1000)
	}
	l.part(1000)
	feed := edge.open(key("a"))
	defer feed.Close()
	feed.WantHLS(true)
	defer feed.WantHLS(false)
	x := l.part(1000) // of 103
	old := shows(t, feed, x)
	sameHLS(t, old, x)
	next := b.publish(key("a"), 8)
	next.frame = next.gop // it goes on behind what was shown
	next.frames(10)
	live := next.caughtUp(feed)
	eventually(t, "the edge's position is reported", func() bool {
		_, msn, _ := next.w.Live().Reported()
		return msn == 104
	})
	n := newLowLister(next.w, 8, 103) // which has been served with another content
	for range 3 {
		n.part(1000)
		n.add(1000)
		next.frames(1)
		next.caughtUp(feed)
		if got := live.Index(); got.Epoch != old.Epoch || got.Version != old.Version {
			t.Fatalf("index %d of epoch %d contradicts what was served", got.Version, got.Epoch)
		}
	}
	n.add(1000) // lists 104 to 106
	x = n.part(1000)
	now := shows(t, feed, x)
	sameHLS(t, now, x)
	if now.Find(hls.Name{Kind: hls.NamePart, Epoch: 7, MSN: 103}) != nil {
		t.Error("a part of the old owner's open segment is there")
	}
}

// TestOrderOfPieces: what a subscriber that joins has to have before it can show
// anything comes first: an index, what it lists, the open segment's parts; then
// what has left the playlist, newest first. A newer index goes ahead of that.
func TestOrderOfPieces(t *testing.T) {
	w := newWorld(t)
	a, b := w.start("a"), w.start("b")
	f := a.publish(key("a"), 7)
	f.frames(3)
	l := newLowLister(f.w, 7, 100)
	for range 5 {
		l.part(1000)
		l.add(1000)
	}
	l.part(1000)
	l.part(1000)
	s := b.subscribe(a, relaywire.Subscribe{ID: 1, Key: key("a"), Epoch: 7, HLS: true})
	var got []string
	for len(got) < 18 {
		stream, err := s.session.AcceptUni(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_ = stream.SetReadDeadline(time.Now().Add(30 * time.Second))
		in := &inbox{r: stream}
		switch kind, err := parse(in, parseKind); {
		case err != nil:
			t.Fatal(err)
		case kind == relaywire.StreamIndexes:
			got = append(got, "indexes")
		case kind == relaywire.StreamPiece:
			h, err := parse(in, relaywire.ParsePieceHeader)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, h.Name.String())
		}
	}
	want := []string{"indexes"}
	for _, msn := range []int{102, 103, 104, 105, 101, 100} {
		want = append(want, fmt.Sprintf("7-%d.0.m4s", msn), fmt.Sprintf("7-%d.1.m4s", msn))
		if msn != 105 {
			want = append(want, fmt.Sprintf("7-%d.ts", msn))
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%v\nwant\n%v", got, want)
	}
}

// TestMPEGTSOfTheOpenSegmentGoesAhead: when the segment is whole, little is left.
func TestMPEGTSOfTheOpenSegmentGoesAhead(t *testing.T) {
	w := newWorld(t)
	owner, edge := w.join("a", quick()), w.join("b", quick(), "edge")
	f := owner.publish(key("a"), 7)
	f.frames(10)
	l := newLowLister(f.w, 7, 100)
	l.early = true
	feed := edge.open(key("a"))
	defer feed.Close()
	feed.WantHLS(true)
	defer feed.WantHLS(false)
	l.add(10)
	shows(t, feed, l.history[0])
	start := gauge(t, edge.registry, "tmms_relay_bytes_total")
	for range 10 {
		shows(t, feed, l.part(100_000))
	}
	eventually(t, "all that is there has come", func() bool {
		return gauge(t, edge.registry, "tmms_relay_bytes_total")-start >= 2_000_000
	})
	before := gauge(t, edge.registry, "tmms_relay_bytes_total")
	x := l.add(1000)
	sameHLS(t, shows(t, feed, x), x)
	if n := gauge(t, edge.registry, "tmms_relay_bytes_total") - before; n > 10_000 {
		t.Errorf("%.0f bytes are sent at the end", n)
	}
	// A segment that is never whole is given up, and the next one is not held up.
	l.part(100_000)
	l.open, l.growing, l.msn = nil, nil, l.msn+1
	l.segments = l.segments[:0]
	x = l.add(200_000)
	sameHLS(t, shows(t, feed, x), x)
	// One who comes late gets all of it.
	x = l.part(300_000)
	late := w.join("c", quick(), "edge").open(key("a"))
	defer late.Close()
	late.WantHLS(true)
	defer late.WantHLS(false)
	sameHLS(t, shows(t, late, x), x)
	x = l.add(300_000)
	sameHLS(t, shows(t, late, x), x)
	eventually(t, "nothing is held but what the index has", func() bool {
		held := 0
		for _, s := range x.Segments {
			held += s.TS.Size + s.MP4.Size
		}
		return gauge(t, edge.registry, "tmms_edge_segment_bytes") == float64(held)
	})
}

// TestIndexesWakeTheSender: an index does not wait for the pacer.
func TestIndexesWakeTheSender(t *testing.T) {
	w := newWorld(t)
	owner, edge := w.join("a", quick()), w.join("b", quick(), "edge")
	f := owner.publish(key("a"), 7)
	f.frames(10)
	l := newLowLister(f.w, 7, 100)
	feed := edge.open(key("a"))
	defer feed.Close()
	feed.WantHLS(true)
	defer feed.WantHLS(false)
	shows(t, feed, l.add(1000))
	shown := make(chan struct{}, 1)
	defer feed.Live().watch(func() {
		select {
		case shown <- struct{}{}:
		default:
		}
	})()
	// The best of many is not a matter of the machine's load.
	best := time.Hour
	for range 100 {
		start := time.Now()
		x := l.part(20_000)
		for got := feed.Live().Index(); got == nil || got.Version < x.Version; got = feed.Live().Index() {
			<-shown
		}
		best = min(best, time.Since(start))
	}
	if best > sendTick/3 {
		t.Errorf("a part takes %v at best to be shown", best)
	}
}

// BenchmarkPartToEdge is how long a part takes from its owner to an edge.
func BenchmarkPartToEdge(b *testing.B) {
	w := newWorld(b)
	owner, edge := w.join("a", PullConfig{}), w.join("b", PullConfig{}, "edge")
	f := owner.publish(key("a"), 7)
	f.frames(10)
	l := newLowLister(f.w, 7, 100)
	feed := edge.open(key("a"))
	defer feed.Close()
	feed.WantHLS(true)
	defer feed.WantHLS(false)
	l.add(1000)
	eventually(b, "the first index", func() bool { return feed.Live() != nil && feed.Live().Index() != nil })
	shown := make(chan struct{}, 1)
	defer feed.Live().watch(func() {
		select {
		case shown <- struct{}{}:
		default:
		}
	})()
	var times []time.Duration
	for i := 0; b.Loop(); i++ {
		l.grow(50_000)
		start := time.Now()
		x := l.show(false)
		if i%10 == 9 {
			x = l.add(1000)
		}
		for got := feed.Live().Index(); got == nil || got.Version < x.Version; got = feed.Live().Index() {
			<-shown
		}
		times = append(times, time.Since(start))
	}
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Microseconds()), "p50-us")
	b.ReportMetric(float64(times[len(times)*99/100].Microseconds()), "p99-us")
}
