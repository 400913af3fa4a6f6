package relay

import (
	"bytes"
	"cmp"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"tmms/media"
	"tmms/media/hls"
	"tmms/media/relaywire"
)

// shelfEvent is an index, or a piece.
type shelfEvent struct {
	x *hls.Index
	piece
}

// shelfEvents lists what a source sends of the indexes, in its order.
func shelfEvents(history []*hls.Index) (events []shelfEvent) {
	sent := map[hls.Name]bool{}
	for _, x := range history {
		events = append(events, shelfEvent{x: x})
		all := x.Segments
		if x.Open != nil {
			all = append(slices.Clip(all), x.Open)
		}
		for _, seg := range all {
			for p := range pieces(seg) {
				if !sent[p.name] {
					sent[p.name] = true
					events = append(events, shelfEvent{piece: p})
				}
			}
		}
	}
	return events
}

// shuffle lets pieces be late or early by some places; indexes keep their order.
func shuffle(rng *rand.Rand, events []shelfEvent, places int) []shelfEvent {
	type placed struct {
		shelfEvent
		at int
	}
	list := make([]placed, len(events))
	for i, e := range events {
		list[i] = placed{e, i}
		if e.x == nil {
			list[i].at += rng.IntN(2*places+1) - places
		}
	}
	slices.SortStableFunc(list, func(a, b placed) int { return cmp.Compare(a.at, b.at) })
	mixed := make([]shelfEvent, len(list))
	for i, e := range list {
		mixed[i] = e.shelfEvent
	}
	return mixed
}

// shelfTest puts what comes on a shelf, and looks at what it shows.
type shelfTest struct {
	t       *testing.T
	seed    uint64
	history []*hls.Index
	shelf   shelf
	shown   *hls.Index

	wireIn, wireOut relaywire.Indexes
}

func (s *shelfTest) take(e shelfEvent) {
	s.t.Helper()
	if e.x != nil {
		b, err := s.wireIn.Append(nil, e.x)
		if err != nil {
			s.t.Fatal(err)
		}
		x, _, err := s.wireOut.Parse(b)
		if err != nil {
			s.t.Fatal(err)
		}
		s.look(s.shelf.index(x))
		return
	}
	if err := s.shelf.reserve(of(e.name), e.size); err != nil {
		s.t.Fatal(err)
	}
	s.look(s.shelf.piece(e.name, e.chunks))
}

// look checks what readers see from now on.
func (s *shelfTest) look(x *hls.Index) {
	s.t.Helper()
	if x == nil {
		return
	}
	if s.shown != nil && x.Version < s.shown.Version {
		s.t.Fatalf("seed %d: version %d after %d", s.seed, x.Version, s.shown.Version)
	}
	s.shown = x
	want := s.history[x.Version-1]
	if all := len(want.Segments); len(x.Segments)+x.Behind != all || x.Listed != want.Listed {
		s.t.Fatalf("seed %d: %d segments are shown and %d behind, of %d", s.seed, len(x.Segments), x.Behind, all)
	}
	if (x.Open == nil) != (want.Open == nil) {
		s.t.Fatalf("seed %d: the open segment is %+v, want %+v", s.seed, x.Open, want.Open)
	}
	s.same(x.Segments, want.Segments[x.Behind:])
	if x.Open != nil {
		s.same([]*hls.Segment{x.Open}, []*hls.Segment{want.Open})
	}
}

// same compares segments with all their bytes.
func (s *shelfTest) same(got, want []*hls.Segment) {
	s.t.Helper()
	for i, g := range got {
		w := want[i]
		if idOf(g) != idOf(w) || len(g.Parts) != len(w.Parts) || !sameMedia(g.TS, w.TS) || !sameMedia(g.MP4, w.MP4) {
			s.t.Fatalf("seed %d: segment %d is shown as %+v, want %+v", s.seed, g.MSN, g, w)
		}
		if len(g.Parts) > 0 && len(g.Parts) != len(g.MP4.Chunks) {
			s.t.Fatalf("seed %d: segment %d has %d chunks for %d parts", s.seed, g.MSN, len(g.MP4.Chunks), len(g.Parts))
		}
	}
}

func sameMedia(a, b *hls.Media) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Size == b.Size && bytes.Equal(bytes.Join(a.Chunks, nil), bytes.Join(b.Chunks, nil))
}

// end checks that all bytes are counted.
func (s *shelfTest) end() {
	s.t.Helper()
	held := 0
	for _, c := range s.shelf.pieces {
		held += size(c)
	}
	if held != s.shelf.bytes || int64(held) != s.shelf.budget.held.Load() {
		s.t.Fatalf("seed %d: %d bytes are counted, %d held", s.seed, s.shelf.bytes, held)
	}
	if s.shelf.clear(); s.shelf.bytes != 0 || s.shelf.budget.held.Load() != 0 {
		s.t.Fatalf("seed %d: %d bytes are left, %d of the node's", s.seed, s.shelf.bytes, s.shelf.budget.held.Load())
	}
}

// scriptedHistory is some indexes of one of four kinds of streams.
func scriptedHistory(t *testing.T, rng *rand.Rand, seed uint64) []*hls.Index {
	t.Helper()
	w, err := NewHub().Publish(key("a"), 7, LiveOptions{})
	if err != nil {
		t.Fatal(err)
	}
	l := newLister(w, 7, 100)
	switch seed % 4 {
	case 1:
		l.formats = "mp4"
	case 2:
		l.formats = "both"
	case 3:
		l = newLowLister(w, 7, 100)
	}
	for range 12 {
		for l.low && rng.IntN(3) > 0 {
			l.part(1 + rng.IntN(1000))
		}
		if l.low && rng.IntN(4) == 0 {
			l.codec()
		}
		l.add(1 + rng.IntN(1000))
	}
	if l.low {
		l.part(10)
	}
	return l.history
}

// TestShelf: whatever the order in which indexes and pieces come, what is shown is
// whole, and in the end everything is.
func TestShelf(t *testing.T) {
	for seed := range uint64(400) {
		rng := rand.New(rand.NewPCG(seed, 1))
		s := shelfTest{t: t, seed: seed, history: scriptedHistory(t, rng, seed)}
		s.shelf.budget = &segmentBudget{limit: media.MaxHLSNodeBytes}
		for _, e := range shuffle(rng, shelfEvents(s.history), 8) {
			s.take(e)
			if rng.IntN(10) == 0 && e.x == nil { // twice: after a cut, say
				s.take(e)
			}
		}
		if last := uint64(len(s.history)); s.shown == nil || s.shown.Version != last || s.shown.Behind != 0 {
			t.Fatalf("seed %d: shown %+v of %d", seed, s.shown, last)
		}
		s.end()
	}
}

// TestShelfOfAnotherSubscription: after a cut all comes again, from the index that
// is the newest then, and what was shown stays.
func TestShelfOfAnotherSubscription(t *testing.T) {
	for seed := range uint64(100) {
		rng := rand.New(rand.NewPCG(seed, 2))
		s := shelfTest{t: t, seed: seed, history: scriptedHistory(t, rng, seed)}
		s.shelf.budget = &segmentBudget{limit: media.MaxHLSNodeBytes}
		cut := 1 + rng.IntN(len(s.history)-2)
		before := shelfEvents(s.history[:cut])
		for _, e := range before[:rng.IntN(len(before))+1] {
			s.take(e)
		}
		s.wireIn, s.wireOut = relaywire.Indexes{}, relaywire.Indexes{}
		for _, e := range shelfEvents(s.history[cut:]) {
			s.take(e)
		}
		if last := uint64(len(s.history)); s.shown == nil || s.shown.Version != last {
			t.Fatalf("seed %d: shown %+v of %d", seed, s.shown, last)
		}
		s.end()
	}
}

// TestShelfWithoutAPiece: an index of which something is missing is not shown.
func TestShelfWithoutAPiece(t *testing.T) {
	w, err := NewHub().Publish(key("a"), 7, LiveOptions{})
	if err != nil {
		t.Fatal(err)
	}
	l := newLowLister(w, 7, 100)
	l.part(10)
	l.add(20)
	x := l.part(30)
	events := shelfEvents([]*hls.Index{x})
	for missing, e := range events {
		s := shelfTest{t: t, history: l.history}
		s.shelf.budget = &segmentBudget{limit: media.MaxHLSNodeBytes}
		for i, e := range events {
			if i != missing {
				s.take(e)
			}
		}
		if s.shown != nil {
			t.Errorf("shown without %+v", e.name)
		}
		if e.x == nil {
			wrong := e
			wrong.chunks, wrong.size = [][]byte{make([]byte, e.size+1)}, e.size+1
			s.take(wrong)
		}
		if s.shown != nil {
			t.Errorf("shown with other bytes of %+v than the index says", e.name)
		}
		s.end()
	}
}

// TestNewEpochAboveTheOpenSegment: the number of a segment that was shown open is
// one that was served.
func TestNewEpochAboveTheOpenSegment(t *testing.T) {
	w, err := NewHub().Publish(key("a"), 7, LiveOptions{})
	if err != nil {
		t.Fatal(err)
	}
	l := newLowLister(w, 7, 100)
	l.add(20)
	l.part(10) // of 101
	s := shelfTest{t: t, history: l.history}
	s.shelf.budget = &segmentBudget{limit: media.MaxHLSNodeBytes}
	for _, e := range shelfEvents(l.history) {
		s.take(e)
	}
	if s.shelf.have() != (segmentID{7, 100}) || !s.shelf.opened() {
		t.Errorf("it has %+v, %t", s.shelf.have(), s.shelf.opened())
	}
	n := newLowLister(w, 8, 101)
	for range 4 {
		n.add(20)
	}
	n.part(10)
	s.history, s.shown = n.history, nil
	for _, e := range shelfEvents(n.history) {
		s.take(e)
		if s.shown != nil && s.shown.Playlist()[0].MSN < 102 {
			t.Fatalf("%d has another meaning now", s.shown.Playlist()[0].MSN)
		}
	}
	old := hls.Name{Kind: hls.NamePart, Epoch: 7, MSN: 101}
	if s.shown == nil || s.shown.Version != 5 || s.shown.Open == nil || s.shown.Find(old) != nil {
		t.Errorf("shown %+v", s.shown)
	}
	s.end()
}

func TestShelfIsBounded(t *testing.T) {
	s := shelf{budget: &segmentBudget{limit: media.MaxHLSNodeBytes}}
	if err := s.reserve(segmentID{}, media.MaxHLSStreamBytes+1); !errors.Is(err, errNoRoom) {
		t.Errorf("more than a stream may have: %v", err)
	}
	if err := s.reserve(segmentID{}, media.MaxHLSStreamBytes); err != nil {
		t.Error(err)
	}
	s.piece(hls.Name{Epoch: 1, MSN: 5}, [][]byte{make([]byte, 10)})
	for v := range uint64(100) {
		s.index(&hls.Index{Epoch: 1, Version: v + 1, Listed: 1, Segments: []*hls.Segment{{Epoch: 1, MSN: v + 6, TS: &hls.Media{Size: 3}}}})
	}
	if len(s.records) > maxRecords {
		t.Errorf("%d indexes wait", len(s.records))
	}
}
