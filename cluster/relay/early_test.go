package relay

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"

	"tmms/media/hls"
	"tmms/media/relaywire"
)

// received is what a node has got from others.
func (m *member) received() int {
	m.t.Helper()
	return int(gauge(m.t, m.registry, "tmms_relay_bytes_total"))
}

// gets waits until a node has got so many bytes more than before.
func (m *member) gets(before, n int) {
	m.t.Helper()
	eventually(m.t, fmt.Sprintf("%s has %d bytes more than %d", m.id, n, before), func() bool {
		return m.received()-before >= n
	})
}

// holds waits until a node holds an index with all its bytes, and none besides.
func (m *member) holds(x *hls.Index) {
	m.t.Helper()
	held := 0
	for _, s := range x.Segments {
		for p := range pieces(s) {
			held += p.size
		}
	}
	eventually(m.t, fmt.Sprintf("%s holds %d bytes", m.id, held), func() bool {
		return int(gauge(m.t, m.registry, "tmms_edge_segment_bytes")) == held
	})
}

// standsBy opens the feed of a standby, for a look at what it holds.
func (m *member) standsBy(t *testing.T) *Feed {
	t.Helper()
	feed := m.open(key("a"))
	t.Cleanup(feed.Close)
	return feed
}

// watches opens a feed with HLS viewers.
func (m *member) watches(t *testing.T) *Feed {
	t.Helper()
	feed := m.standsBy(t)
	feed.WantHLS(true)
	t.Cleanup(func() { feed.WantHLS(false) })
	return feed
}

// Requirement: C5
// TestStandbyHasTheOpenSegment: of a segment of 10 MB the standby has all that is made
// while it is made, and only the rest of it and the index are sent at its end. Other
// nodes get nothing before that.
func TestStandbyHasTheOpenSegment(t *testing.T) {
	for _, format := range []string{"ts", "mp4"} {
		t.Run(format, func(t *testing.T) {
			w := newWorld(t)
			owner, standby, edge := w.join("a", quick()), w.join("b", quick()).keep(), w.join("c", quick(), "edge")
			f := owner.publish(key("a"), 7)
			f.frames(30)
			l := newLister(f.w, 7, 100)
			l.formats = format
			l.add(1000)
			f.standbyOf(owner, standby, &hearing{})
			f.inSync()
			held, feed := standby.standsBy(t), edge.watches(t)
			shows(t, feed, l.history[0])
			before, plain := standby.received(), edge.received()
			for range 100 {
				l.ahead(100_000)
			}
			standby.gets(before, 10_000_000)
			before = standby.received()
			if n := edge.received() - plain; n > 100_000 {
				t.Errorf("an edge has got %d bytes before the segment's end", n)
			}
			x := l.add(50_000)
			for _, feed := range []*Feed{held, feed} {
				sameHLS(t, shows(t, feed, x), x)
			}
			eventually(t, "the owner's readers see it", func() bool { return f.w.Live().Index() == x })
			if n := standby.received() - before; n > 100_000 {
				t.Errorf("%d bytes were sent at the end", n)
			}
			edge.gets(plain, 10_050_000)
			standby.holds(x)
			edge.holds(x)
		})
	}
}

// TestOpenSegmentOnAThinPath: a segment that takes two seconds on its way is
// acknowledged in time, since it was on its way before its end.
func TestOpenSegmentOnAThinPath(t *testing.T) {
	for name, early := range map[string]bool{"at its end": false, "as it is made": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t).regions()
			owner, standby := w.join("a", quick()), w.join("b", quick()).keep()
			f := owner.publish(key("a"), 7)
			f.frames(30)
			l := newLister(f.w, 7, 100)
			l.add(1000)
			h := &hearing{}
			f.standbyOf(owner, standby, h)
			f.inSync()
			owner.cable.narrow(2_500_000)
			before := standby.received()
			for range 100 {
				if early {
					l.ahead(50_000)
				}
			}
			want := 50_000
			if early {
				standby.gets(before, 5_000_000)
			} else {
				want += 5_000_000
			}
			x := l.add(want)
			eventually(t, "readers see it", func() bool { return f.w.Live().Index() == x })
			e, _ := h.last()
			if e.InSync != early {
				t.Errorf("the standby: %+v", e)
			}
			sameHLS(t, shows(t, standby.standsBy(t), x), x)
		})
	}
}

// TestStandbyComesInTheMiddle: a standby that comes while a segment is made, one that
// comes in its place, and one whose session is cut, get it from its beginning, and
// nothing is left of it where it was not to be finished.
func TestStandbyComesInTheMiddle(t *testing.T) {
	w := newWorld(t)
	owner, b, c := w.join("a", quick()), w.join("b", quick()).keep(), w.join("c", quick()).keep()
	f := owner.publish(key("a"), 7)
	f.frames(30)
	l := newLister(f.w, 7, 100)
	x := l.add(1000)
	l.ahead(1_000_000)
	f.standbyOf(owner, b, &hearing{})
	b.gets(0, 1_000_000)
	f.inSync()
	before := b.received()
	b.cut("a")
	b.gets(before, 1_000_000)
	f.standbyOf(owner, c, &hearing{})
	c.gets(0, 1_000_000)
	eventually(t, "the first one has let it go", func() bool { return b.hub.Len() == 0 })
	if n := gauge(t, b.registry, "tmms_edge_segment_bytes"); n != 0 {
		t.Errorf("it holds %.0f bytes", n)
	}
	f.inSync()
	held := c.standsBy(t)
	sameHLS(t, shows(t, held, x), x)
	before = c.received()
	x = l.add(1000)
	sameHLS(t, shows(t, held, x), x)
	if n := c.received() - before; n > 50_000 {
		t.Errorf("%d bytes were sent at the end", n)
	}
	c.holds(x)
	// A node that is the standby no more gets no next one ahead.
	f.w.SetStandby("", nil)
	before = c.received()
	for range 20 {
		l.ahead(100_000)
	}
	f.frames(1)
	f.caughtUp(held)
	if n := c.received() - before; n > 100_000 {
		t.Errorf("%d bytes have come ahead", n)
	}
}

// TestOpenSegmentBegunAnew: a pipeline may give up what a segment has and make
// something else under its name: what was sent counts for nothing then.
func TestOpenSegmentBegunAnew(t *testing.T) {
	w := newWorld(t)
	owner, standby := w.join("a", quick()), w.join("b", quick()).keep()
	f := owner.publish(key("a"), 7)
	f.frames(30)
	l := newLister(f.w, 7, 100)
	f.standbyOf(owner, standby, &hearing{}) // in front of the first index
	f.inSync()
	held := standby.standsBy(t)
	for _, again := range [][2]int{{500_000, 700_000}, {700_000, 1000}, {300_000, 0}} {
		before := standby.received()
		l.ahead(again[0])
		standby.gets(before, again[0])
		l.again()
		if again[1] > 0 {
			l.ahead(again[1])
		}
		x := l.add(10)
		sameHLS(t, shows(t, held, x), x)
		standby.holds(x)
	}
}

// TestOpenSegmentHasNoRoom: a standby without room for the open segment is not sent it
// again and again, and has the next one that fits.
func TestOpenSegmentHasNoRoom(t *testing.T) {
	w := newWorld(t)
	cfg := quick()
	cfg.SegmentBytes = 1_000_000
	owner, standby := w.join("a", quick()), w.join("b", cfg).keep()
	f := owner.publish(key("a"), 7)
	f.frames(30)
	l := newLister(f.w, 7, 100)
	f.standbyOf(owner, standby, &hearing{})
	f.inSync()
	before := standby.received()
	l.ahead(2_000_000)
	eventually(t, "it is refused", func() bool { return gauge(t, standby.registry, "tmms_edge_segments_shed_total") > 0 })
	for range 100 {
		l.ahead(20_000)
	}
	x := l.add(10)
	eventually(t, "readers see it", func() bool { return f.w.Live().Index() == x })
	for range 3 {
		l.ahead(50_000)
		x = l.add(50_000)
	}
	held := standby.standsBy(t)
	eventually(t, "it has those that fit", func() bool {
		got := held.Live().Index()
		return got != nil && got.Version == x.Version
	})
	want := *x
	want.Segments = x.Playlist()
	sameHLS(t, held.Live().Index(), &want)
	if n := standby.received() - before; n > 2_500_000 {
		t.Errorf("%d bytes were sent", n)
	}
}

// TestOpenSegmentOfVersions: a standby of version 2 takes the open segment, whichever
// release it is of; nodes of version 1 are none and get it at its end.
func TestOpenSegmentOfVersions(t *testing.T) {
	mixes(t, func(t *testing.T, from, to relaywire.Version) {
		t.Helper()
		w := newWorld(t)
		owner, standby := w.speaking("a", from), w.speaking("b", to).keep()
		f := owner.publish(key("a"), 7)
		f.frames(30)
		l := newLister(f.w, 7, 100)
		f.standbyOf(owner, standby, &hearing{})
		held := standby.standsBy(t)
		x := l.add(1000)
		shows(t, held, x)
		both := from.Agree(to) == relaywire.V2
		if both {
			f.inSync()
		}
		before := standby.received()
		l.ahead(1_000_000)
		if both {
			standby.gets(before, 1_000_000)
		}
		f.frames(1)
		f.caughtUp(held)
		if n := standby.received() - before; !both && n > 100_000 {
			t.Errorf("%d bytes have come ahead", n)
		}
		x = l.add(1000)
		sameHLS(t, shows(t, held, x), x)
	})
}

// TestOpenSegmentAtRandom: whatever comes between, the standby has each segment as the
// owner has it, and so have the nodes with viewers.
func TestOpenSegmentAtRandom(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) { openSegmentAtRandom(t, rand.New(rand.NewPCG(seed, 7))) })
	}
}

func openSegmentAtRandom(t *testing.T, rng *rand.Rand) {
	t.Helper()
	w := newWorld(t)
	owner, edge := w.join("a", quick()), w.join("d", quick(), "edge")
	standbys := []*member{w.join("b", quick()).keep(), w.join("c", quick()).keep()}
	f := owner.publish(key("a"), 7)
	f.frames(30)
	l := newLister(f.w, 7, 100)
	if rng.IntN(2) == 0 {
		l = newLowLister(f.w, 7, 100)
	}
	l.add(1000)
	at := 0
	f.standbyOf(owner, standbys[at], &hearing{})
	f.inSync()
	feed := edge.watches(t)
	shows(t, feed, l.history[0])
	for range 60 {
		switch n := rng.IntN(20); {
		case n == 0:
			at = 1 - at
			f.standbyOf(owner, standbys[at], &hearing{})
		case n == 1:
			standbys[at].cut("a")
		case n == 2:
			edge.cut("a")
		case n == 3 && l.open == nil: // with parts of it that were seen it is not
			l.again()
		case n < 12:
			l.ahead(1 + rng.IntN(150_000))
		case n < 15 && l.low:
			l.part(1 + rng.IntN(30_000))
		case n < 16:
			x := l.history[len(l.history)-1]
			sameHLS(t, shows(t, feed, x), x)
		default:
			f.frames(1)
			l.add(1 + rng.IntN(100_000))
		}
	}
	x := l.add(1000)
	held := standbys[at].standsBy(t)
	for _, feed := range []*Feed{held, feed} {
		sameHLS(t, shows(t, feed, x), x)
	}
	standbys[at].holds(x)
	edge.holds(x)
}
