package relay

import (
	"bytes"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tmms/cluster/state"
	"tmms/media"
	"tmms/media/bytelog"
)

// logged is an entry with its bytes.
type logged struct {
	bytelog.Entry

	raw []byte
}

// entries reads a whole log.
func entries(l *Live) (all []logged) {
	r := l.Log().Reader(l.Log().Tail())
	for {
		e, raw, ok := r.Next()
		if !ok {
			return all
		}
		all = append(all, logged{e, raw})
	}
}

// same compares what both logs have from got's first packet on: identities,
// times and bytes.
func same(t *testing.T, got, want *Live) {
	t.Helper()
	sameEntries(t, entries(got), entries(want))
}

func sameEntries(t *testing.T, g, w []logged) {
	t.Helper()
	if len(g) == 0 {
		t.Fatal("nothing in the log")
	}
	for len(w) > 0 && w[0].ID != g[0].ID {
		w = w[1:]
	}
	if len(g) != len(w) {
		t.Fatalf("%d packets from %v on, want %d", len(g), g[0].ID, len(w))
	}
	for i := range g {
		a, b := g[i], w[i]
		if a.ID != b.ID || a.DTS != b.DTS || a.CTO != b.CTO || a.Run != b.Run || a.Ingested != b.Ingested ||
			a.Type != b.Type || a.Kind != b.Kind || a.Codec != b.Codec || a.Track != b.Track {
			t.Fatalf("packet %d: %+v, want %+v", i, a.Entry, b.Entry)
		}
		if !bytes.Equal(a.raw, b.raw) {
			t.Fatalf("packet %v has other bytes", a.ID)
		}
	}
}

// Requirement: C6
// TestPull: what an owner has is on another node byte for byte, from a keyframe on.
func TestPull(t *testing.T) {
	w := newWorld(t)
	owner, edge := w.join("a", quick()), w.join("b", quick())
	f := owner.publish(key("a"), 7)
	f.config(media.TypeVideo, "sps")
	f.config(media.TypeAudio, "asc")
	f.frames(60)
	feed := edge.open(key("a"))
	defer feed.Close()
	live := f.caughtUp(feed)
	first := entries(live)[0]
	if first.Kind != media.KindKey || first.ID.Group != 2 {
		t.Errorf("the log begins with %+v, want the newest keyframe", first.Entry)
	}
	if c := live.Configs(); c == nil || len(c.Headers) != 2 || string(c.Header(media.TypeVideo, 0).Body) != "sps" {
		t.Errorf("configs %+v", c)
	}
	f.size = 200_000 // larger than any buffer
	f.frames(30)
	f.config(media.TypeVideo, "sps 2")
	f.size = 100
	f.frames(60)
	f.caughtUp(feed)
	same(t, live, f.w.Live())
	if live.Epoch() != 7 || !live.StartedAt().Equal(f.w.Live().StartedAt().Truncate(time.Microsecond)) {
		t.Errorf("epoch %d, started at %v", live.Epoch(), live.StartedAt())
	}
	f.w.SetState(StateGrace)
	eventually(t, "grace", func() bool { return live.State() == StateGrace })
	f.w.SetState(StateLive)
	eventually(t, "live", func() bool { return live.State() == StateLive })
	f.frames(10)
	f.w.End()
	eventually(t, "the end", func() bool { return live.State() == StateEnded && feed.Live() == nil })
	same(t, live, f.w.Live())
}

func TestPullManyStreams(t *testing.T) {
	const streams = 20
	w := newWorld(t)
	owner, edge := w.join("a", quick()), w.join("b", quick())
	var feeders []*feeder
	var feeds []*Feed
	for i := range streams {
		k := key(fmt.Sprintf("s%d", i))
		feed := edge.open(k) // before there is anything
		defer feed.Close()
		f := owner.publish(k, uint64(10+i))
		f.size = 100 * (i + 1)
		f.config(media.TypeVideo, "sps")
		feeders, feeds = append(feeders, f), append(feeds, feed)
	}
	for range 100 {
		for _, f := range feeders {
			f.frames(1)
		}
	}
	for i, f := range feeders {
		same(t, f.caughtUp(feeds[i]), f.w.Live())
	}
}

func TestPullLingers(t *testing.T) {
	w := newWorld(t)
	owner, edge := w.join("a", quick()), w.join("b", quick())
	f := owner.publish(key("a"), 7)
	f.frames(10)
	feed := edge.open(key("a"))
	live := f.caughtUp(feed)
	feed.Close()
	feed = edge.open(key("a"))
	if feed.Live() != live {
		t.Error("a reader that comes back at once gets another life")
	}
	feed.Close()
	eventually(t, "the end of the pull", func() bool { return live.State() == StateEnded && edge.hub.Len() == 0 })
	eventually(t, "the end at the owner", func() bool { return gauge(t, owner.registry, "tmms_relay_subscriptions") == 0 })
	feed = edge.open(key("a"))
	defer feed.Close()
	f.frames(10)
	same(t, f.caughtUp(feed), f.w.Live())
}

// TestPullResumes: when the session is cut the pull goes on where it was.
func TestPullResumes(t *testing.T) {
	w := newWorld(t)
	owner, edge := w.join("a", quick()), w.join("b", quick())
	f := owner.publish(key("a"), 7)
	f.config(media.TypeVideo, "sps")
	f.frames(3)
	feed := edge.open(key("a"))
	defer feed.Close()
	live := f.caughtUp(feed)
	f.size = 20_000
	for range 3 {
		f.frames(30)
		edge.cut("a")
		f.frames(7)
		if f.caughtUp(feed) != live {
			t.Fatal("the life has changed")
		}
	}
	same(t, live, f.w.Live())
	t.Run("the owner's process is gone for a while", func(t *testing.T) {
		owner.stop()
		next := w.start("a").publish(key("a"), 8)
		next.frame = f.frame + 50
		next.config(media.TypeVideo, "sps")
		next.frames(30)
		if next.caughtUp(feed) != live {
			t.Fatal("the life has changed")
		}
		n := 0
		for _, e := range entries(live) {
			if e.ID.Epoch == 8 {
				n++
			}
		}
		if n != 31 {
			t.Errorf("%d packets of the new epoch, want all 31", n)
		}
	})
}

// cut ends the node's sessions to another one.
func (m *member) cut(name string) {
	m.puller.mu.Lock()
	defer m.puller.mu.Unlock()
	for s := range m.puller.links {
		if s.Peer().Name == name {
			s.Close(0x100, "cut by a test")
		}
	}
}

// TestPullFollowsTheEpoch: a new owner's packets continue the life; the old
// owner's late ones are dropped.
func TestPullFollowsTheEpoch(t *testing.T) {
	w := newWorld(t)
	a, b, edge := w.join("a", quick()), w.join("b", quick()), w.join("c", quick())
	old := a.publish(key("a"), 7)
	old.config(media.TypeVideo, "sps")
	old.frames(30)
	feed := edge.open(key("a"))
	defer feed.Close()
	live := old.caughtUp(feed)

	t.Run("an orphan waits in the grace", func(t *testing.T) {
		w.place(key("a"), &state.Placement{Epoch: 7, LostBy: a.id})
		edge.cut("a")
		eventually(t, "grace", func() bool { return live.State() == StateGrace })
		if feed.Live() != live {
			t.Error("the life has ended")
		}
	})
	next := b.publish(key("a"), 8)
	next.frame = 100
	next.id = media.PacketID{Epoch: 8}
	next.config(media.TypeVideo, "sps of b")
	next.gop = 20
	next.frames(50)
	if next.caughtUp(feed) != live {
		t.Fatal("another life")
	}
	old.frames(40)
	next.frames(10)
	next.caughtUp(feed)
	var epochs []uint64
	for _, e := range entries(live) {
		if n := len(epochs); n == 0 || epochs[n-1] != e.ID.Epoch {
			epochs = append(epochs, e.ID.Epoch)
		}
	}
	if len(epochs) != 2 || epochs[0] != 7 || epochs[1] != 8 || live.Epoch() != 8 {
		t.Errorf("epochs %v, want 7, then 8", epochs)
	}
	if string(live.Configs().Header(media.TypeVideo, 0).Body) != "sps of b" {
		t.Error("the new owner's configs are not in force")
	}
	t.Run("the placement is gone", func(t *testing.T) {
		next.w.End()
		w.place(key("a"), nil)
		eventually(t, "the end", func() bool { return feed.Live() == nil })
	})
}

// TestPullRefusesUnconfirmedEpochs: an owner whose epoch is not the placement's
// is not listened to.
func TestPullRefusesUnconfirmedEpochs(t *testing.T) {
	w := newWorld(t)
	owner, edge := w.join("a", quick()), w.join("b", quick())
	f := owner.publish(key("a"), 7)
	f.frames(10)
	// The owner is ahead of the placement.
	w.place(key("a"), &state.Placement{Epoch: 6, Owner: owner.id})
	feed := edge.open(key("a"))
	defer feed.Close()
	eventually(t, "a fence", func() bool { return gauge(t, edge.registry, "tmms_cluster_epoch_fences_total") > 1 })
	if feed.Live() != nil {
		t.Error("an epoch that the placement does not know was accepted")
	}
	w.place(key("a"), &state.Placement{Epoch: 7, Owner: owner.id})
	same(t, f.caughtUp(feed), f.w.Live())
}

// TestPullEndsAtALocalPublisher: a publisher of this node takes the life over.
func TestPullEndsAtALocalPublisher(t *testing.T) {
	w := newWorld(t)
	a, b := w.join("a", quick()), w.join("b", quick())
	f := a.publish(key("a"), 7)
	f.frames(30)
	feed := b.open(key("a"))
	defer feed.Close()
	live := f.caughtUp(feed)
	next := b.publish(key("a"), 8)
	next.frame = 100
	next.frames(30)
	if feed.Live() != live || next.w.Live() != live || live.Epoch() != 8 {
		t.Error("the local publisher did not continue the life")
	}
	eventually(t, "the end of the pull", func() bool { return gauge(t, b.registry, "tmms_edge_pulls") == 0 })
	f.frames(10)
	if last := lastOf(live); last.Epoch != 8 || feed.Live() != live {
		t.Errorf("the log ends with %v", last)
	}
	next.w.End()
	if feed.Live() != nil {
		t.Error("the life goes on")
	}
}

// gauge sums a metric's values.
func gauge(tb testing.TB, reg prometheus.Gatherer, name string) (sum float64) {
	tb.Helper()
	families, err := reg.Gather()
	if err != nil {
		tb.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			sum += m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return sum
}

// histogram is how often something was observed with a label of that value.
func histogram(t *testing.T, reg prometheus.Gatherer, name, label string) (n uint64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && len(m.GetLabel()) == 1 && m.GetLabel()[0].GetValue() == label {
				n += m.GetHistogram().GetSampleCount()
			}
		}
	}
	return n
}

// TestFlashCrowd: however many readers there are, the owner sends once (CASES:
// flash-crowd).
func TestFlashCrowd(t *testing.T) {
	w := newWorld(t)
	owner, edge := w.join("a", quick()), w.join("b", quick())
	f := owner.publish(key("a"), 7)
	f.frames(30)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				feed, err := edge.hub.Open(key("a"))
				if err != nil {
					t.Error(err)
					return
				}
				t.Cleanup(feed.Close)
			}
		})
	}
	wg.Wait()
	feed := edge.open(key("a"))
	defer feed.Close()
	same(t, f.caughtUp(feed), f.w.Live())
	if n := gauge(t, owner.registry, "tmms_relay_subscriptions"); n != 1 {
		t.Errorf("%v subscriptions", n)
	}
}

// TestMissingStream: names that nobody publishes ask nobody and leave nothing
// (CASES: missing-stream).
func TestMissingStream(t *testing.T) {
	w := newWorld(t)
	owner, edge := w.join("a", quick()), w.join("b", quick())
	for i := range 20_000 {
		feed := edge.open(key(strconv.Itoa(i)))
		if feed.Placed() {
			t.Fatal("placed")
		}
		feed.Close()
	}
	f := owner.publish(key("a"), 7)
	f.frames(3)
	feed := edge.open(key("a"))
	f.caughtUp(feed)
	if !feed.Placed() {
		t.Error("not placed")
	}
	feed.Close()
	eventually(t, "nothing is left", func() bool { return edge.hub.Len() == 0 && gauge(t, edge.registry, "tmms_edge_pulls") == 0 })
	edge.stop()
	if n := edge.puller.wanted.Len(); n != 0 {
		t.Errorf("%d names are remembered", n)
	}
}

// TestPullOnlyFromOrigins: a node without the role is not listened to.
func TestPullOnlyFromOrigins(t *testing.T) {
	w := newWorld(t)
	liar, edge := w.start("a", "edge"), w.join("b", quick(), "edge")
	f := liar.publish(key("a"), 7)
	f.frames(3)
	feed := edge.open(key("a"))
	defer feed.Close()
	origin := w.join("c", quick(), "origin")
	eventually(t, "a session", func() bool {
		edge.puller.mu.Lock()
		defer edge.puller.mu.Unlock()
		pl := edge.puller.pulls.Get(key("a"))
		return pl != nil && pl.phase.Load() == pullWaiting
	})
	if feed.Live() != nil {
		t.Error("a life from a node that is no origin")
	}
	next := origin.publish(key("a"), 8)
	next.frames(3)
	next.caughtUp(feed)
}
