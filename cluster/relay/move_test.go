package relay

import (
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"tmms/cluster/placement"
	"tmms/media"
	"tmms/media/hls"
	"tmms/media/relaywire"
)

// firstFor gives a name for an edge that makes it the first for the stream, in front
// of others.
func firstFor(k media.StreamKey, others ...*member) string {
	for i := 0; ; i++ {
		name := fmt.Sprint("n", i)
		ids := []string{"id-" + name}
		for _, m := range others {
			ids = append(ids, m.id)
		}
		if placement.Order("r", k, ids)[0] == ids[0] {
			return name
		}
	}
}

// TestNewFirstShield: when an edge joins that is the first for a stream, the pulls of
// the region move to it, make before break, without a gap and without a repeat.
func TestNewFirstShield(t *testing.T) {
	t.Parallel()
	w, owner, edges, f := newWorld(t).regions().patient().threeEdges(t)
	var lives []*Live
	from := owner
	for _, e := range edges {
		_, live := f.watch(e, from)
		lives, from = append(lives, live), edges[0]
	}
	newest := w.edge(firstFor(key("a"), edges...), "r")
	f.live("the moves", func() bool {
		for _, e := range edges {
			if e.sourceOf(key("a")) != newest.id {
				return false
			}
		}
		return true
	})
	for i, e := range edges {
		feed := e.open(key("a"))
		if f.caughtUp(feed) != lives[i] {
			t.Errorf("edge %d: another life", i)
		}
		feed.Close()
		same(t, lives[i], f.w.Live())
		if info := why(t, e, key("a")); info.Moves != 1 || info.Resets != 0 || info.Hedges != 0 {
			t.Errorf("edge %d: %+v", i, info)
		}
	}
	newest.from(key("a"), owner)
	eventually(t, "the owner has one subscription", func() bool { return subscriptions(owner) == 1 })
}

// TestFlappingMember: an edge that comes and goes makes nothing move, nor one that
// is away for a moment.
func TestFlappingMember(t *testing.T) {
	t.Parallel()
	w := newWorld(t).regions().patient()
	s := survey{steady: time.Second, known: map[string]*neighbour{}}
	now := time.Now()
	s.began = now.Add(-time.Hour)
	look := func(after time.Duration, edges ...string) *region {
		now = now.Add(after)
		v := seen{self: "a", region: "r", edges: map[string]bool{}}
		for _, e := range edges {
			v.edges[e] = true
		}
		r, _ := s.look(v, now)
		return r
	}
	look(0, "a")
	fit := func(r *region) bool { return r.verdict("b", "owner") == placement.Fit }
	for i := range 50 { // b is there for half of the time
		if r := look(900*time.Millisecond, "a", "b"); !slices.Contains(r.ids, "b") || fit(r) {
			t.Fatalf("%v, %v in round %d", r.ids, r.fresh, i)
		}
		if r := look(900*time.Millisecond, "a"); slices.Contains(r.ids, "b") {
			t.Fatalf("%v in round %d", r.ids, i)
		}
	}
	look(0, "a", "b")
	if fit(look(30*time.Second, "a", "b")) {
		t.Error("30 s are enough for a member that has come 50 times")
	}
	if !fit(look(maxProbation, "a", "b")) {
		t.Errorf("not fit after %v", maxProbation)
	}

	owner := w.start("owner", "origin")
	edges := order(key("a"), "r", w.edge("e0", "r"), w.edge("e1", "r"))
	f := owner.publish(key("a"), 7)
	f.frames(30)
	feed, live := f.watch(edges[1], edges[0])
	for range 3 {
		w.heard(edges[0], "r", false)
		f.frames(1)
		w.heard(edges[0], "r", true)
	}
	f.live("nothing", func() bool { return true })
	if info := why(t, edges[1], key("a")); info.Source != edges[0].id || info.Moves != 0 || info.Hedges != 0 {
		t.Errorf("%+v", info)
	}
	f.caughtUp(feed)
	same(t, live, f.w.Live())
}

// TestEdgesThatDisagree: two edges that each take the other one for the shield have
// the stream from the owner both.
func TestEdgesThatDisagree(t *testing.T) {
	t.Parallel()
	_, owner, edges, f := threeEdges(t)
	feed, live := f.watch(edges[1], edges[0])
	// The first one has not heard of itself, and takes the second one for the shield.
	s := edges[0].subscribe(edges[1], relaywire.Subscribe{
		ID: 1 << 40, Key: key("a"), Epoch: 7, Shield: true, Hops: []string{edges[0].id},
	})
	if ok, _ := answer(t, s).(relaywire.Ok); ok.Epoch != 7 {
		t.Fatalf("%+v", ok)
	}
	edges[1].from(key("a"), owner)
	edges[0].from(key("a"), owner)
	f.frames(30)
	f.caughtUp(feed)
	same(t, live, f.w.Live())
	if info := why(t, edges[1], key("a")); info.Subscriptions != 1 || info.Hops != 1 {
		t.Errorf("%+v", info)
	}
	reset(s.control, relaywire.CodeDone)
	eventually(t, "what it was asked for is over", func() bool { return edges[1].sourceOf(key("a")) == edges[0].id })
	f.frames(30)
	f.caughtUp(feed)
	same(t, live, f.w.Live())
}

// answer gives the first message that is no Pending.
func answer(t *testing.T, s *subscriber) relaywire.Message {
	t.Helper()
	for {
		if m := s.hear(); m != (relaywire.Pending{}) {
			return m
		}
	}
}

// TestBusyShieldIsPassedOver: by new pulls at once, by running ones after a while.
func TestBusyShieldIsPassedOver(t *testing.T) {
	t.Parallel()
	w, owner, edges, f := threeEdges(t)
	feed, live := f.watch(edges[2], edges[0])
	w.roster.set(placement.Member{ID: edges[0].id, Region: "r", Edge: true, Healthy: true, Load: 255})
	f.live("the move", func() bool { return edges[2].sourceOf(key("a")) == edges[1].id })
	f.caughtUp(feed)
	same(t, live, f.w.Live())
	info := why(t, edges[2], key("a"))
	want := Candidate{Node: edges[0].id, Load: 255, Verdict: "overloaded", RTT: info.Candidates[0].RTT, Loss: info.Candidates[0].Loss}
	if info.Candidates[0] != want || !info.Candidates[3].Owner || info.Candidates[3].Node != owner.id || !info.Candidates[2].Self {
		t.Errorf("%+v", info.Candidates)
	}
	if info.Candidates[1].RTT == 0 {
		t.Error("the way to the shield was not measured")
	}
	if want := "the region's shield for the stream, after " + edges[0].id + " (overloaded)"; info.Reason != want {
		t.Errorf("because %s", info.Reason)
	}
}

// TestFarShieldIsPassedOver: the way over it is much longer than the one to the owner.
func TestFarShieldIsPassedOver(t *testing.T) {
	t.Parallel()
	w, owner, edges, f := newWorld(t).regions().patient().threeEdges(t)
	w.roster.set(placement.Member{ID: owner.id, Region: "elsewhere", Healthy: true, RTT: 10 * time.Millisecond})
	edges[0].cable.lengthen(100 * time.Millisecond)
	feed, live := f.watch(edges[1], edges[0])
	f.live("the move", func() bool { return edges[1].sourceOf(key("a")) == owner.id })
	f.caughtUp(feed)
	same(t, live, f.w.Live())
	info := why(t, edges[1], key("a"))
	if c := info.Candidates[0]; c.Verdict != "far" || c.RTT < 200*time.Millisecond {
		t.Errorf("%+v", c)
	}
	if info.Reason != "this node is the region's shield for the stream, after "+edges[0].id+" (far)" {
		t.Errorf("because %s", info.Reason)
	}
}

// TestSmallRegions: who needs no shield has none.
func TestSmallRegions(t *testing.T) {
	for _, c := range []struct {
		name  string
		setUp func(w *world, owner *member) *member // the edge that is looked at
	}{
		{"an edge that is alone in its region", func(w *world, _ *member) *member {
			w.edge("other", "elsewhere")
			return w.edge("e", "r")
		}},
		{"the only other edge is the owner", func(w *world, owner *member) *member {
			w.heard(owner, "r", true)
			return w.edge("e", "r")
		}},
		{"a region without a name, alone", func(w *world, _ *member) *member { return w.edge("e", "") }},
		{"not a member yet", func(w *world, _ *member) *member {
			w.edge("other", "r")
			return w.join("e", quick(), "edge")
		}},
		{"the other edge is not in the cluster's state", func(w *world, _ *member) *member {
			w.roster.set(placement.Member{ID: "id-stranger", Region: "r", Edge: true, Healthy: true})
			return w.edge("e", "r")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t).regions()
			owner := w.start("owner", "origin", "edge")
			f := owner.publish(key("a"), 7)
			f.frames(3)
			e := c.setUp(w, owner)
			_, live := f.watch(e, owner)
			same(t, live, f.w.Live())
			if info := why(t, e, key("a")); info.Shield || info.Hops != 1 {
				t.Errorf("%+v", info)
			}
		})
	}
	t.Run("edges that name no region are one", func(t *testing.T) {
		w := newWorld(t).regions()
		owner := w.start("owner", "origin")
		f := owner.publish(key("a"), 7)
		f.frames(3)
		list := order(key("a"), "", w.edge("e0", ""), w.edge("e1", ""))
		f.watch(list[1], list[0])
		list[0].from(key("a"), owner)
	})
}

// TestMissingStreamAsksNobody: what is placed nowhere costs nothing upstream, at a
// shield neither (CASES: missing-stream).
func TestMissingStreamAsksNobody(t *testing.T) {
	w := newWorld(t).regions()
	owner := w.start("owner", "origin")
	edges := []*member{w.edge("e0", "r"), w.edge("e1", "r")}
	for i := range 2000 {
		for _, e := range edges {
			e.open(key(strconv.Itoa(i))).Close()
		}
	}
	stays := edges[0].open(key("nobody"))
	defer stays.Close()
	edges[1].server.times.pending = 300 * time.Millisecond
	s := edges[0].subscribe(edges[1], relaywire.Subscribe{Key: key("nobody"), Epoch: 7, Shield: true, Hops: []string{"id-e0"}})
	if m := answer(t, s); m != (relaywire.Refuse{Reason: relaywire.ReasonNotLive}) {
		t.Errorf("%+v", m)
	}
	for _, e := range edges {
		e.puller.mu.Lock()
		if n := len(e.puller.links) + e.puller.pulls.Len(); n != 0 {
			t.Errorf("%s has %d pulls and sessions", e.id, n)
		}
		e.puller.mu.Unlock()
	}
	eventually(t, "no subscriptions", func() bool { return subscriptions(owner)+subscriptions(edges[1]) == 0 })
	eventually(t, "nothing is left", func() bool { return edges[1].hub.Len() == 0 })
}

// TestShieldForwardsPositions: the owner hears how far those have got who are behind
// a shield that has nothing of the stream itself.
func TestShieldForwardsPositions(t *testing.T) {
	w := newWorld(t).regions()
	owner := w.start("owner", "origin")
	edges := order(key("a"), "r", w.edge("e0", "r"), w.edge("e1", "r"), w.edge("e2", "r"))
	f := owner.publish(key("a"), 7)
	position := func(dts media.Timestamp, msn uint64) relaywire.Position {
		return relaywire.Position{
			ID: media.PacketID{Epoch: 6, Group: 3}, DTS: dts, SegmentEpoch: 6, MSN: msn, Open: true, Discontinuities: 5,
		}
	}
	reported := func(dts media.Timestamp, msn uint64) {
		t.Helper()
		eventually(t, "the report", func() bool {
			d, m, discontinuities := f.w.Live().Reported()
			return d == dts && m == msn && discontinuities == 5
		})
	}
	for i, e := range edges[1:] { // the owner has no packet yet: what comes later counts too
		s := e.subscribe(edges[0], relaywire.Subscribe{
			ID: 1, Key: key("a"), Epoch: 7, Shield: true, Hops: []string{e.id}, Resume: true,
			Seen: position(media.Timestamp(1000+i), uint64(70+i)),
		})
		if ok, _ := answer(t, s).(relaywire.Ok); ok.Epoch != 7 {
			t.Fatalf("%+v", ok)
		}
		reported(media.Timestamp(1000+i), uint64(72+i))
	}
}

// TestPublisherComesToTheShield: the life that its readers have goes on, those at
// other nodes too.
func TestPublisherComesToTheShield(t *testing.T) {
	_, owner, edges, f := threeEdges(t)
	feed, live := f.watch(edges[1], edges[0])
	_, at := f.watch(edges[0], owner)
	next := edges[0].publish(key("a"), 8)
	next.frame = f.frame
	next.frames(30)
	if next.caughtUp(feed) != live {
		t.Error("another life")
	}
	if next.w.Live() != at {
		t.Error("another life at the shield")
	}
	sameEntries(t, since(live, 8), since(at, 8))
}

// TestHLSOverAShield: every index and every piece of it is the owner's, nothing is
// asked for, and nothing comes while nobody wants it.
func TestHLSOverAShield(t *testing.T) {
	_, _, edges, f := threeEdges(t)
	l := newLowLister(f.w, 7, 100)
	for range 8 {
		l.part(30_000)
		l.add(30_000)
	}
	newest := func() *hls.Index { return l.history[len(l.history)-1] }
	feed, live := f.watch(edges[1], edges[0])
	if live.Index() != nil || gauge(t, edges[0].registry, "tmms_edge_segment_bytes") != 0 {
		t.Error("segments that nobody wants")
	}
	feed.WantHLS(true)
	sameHLS(t, shows(t, feed, newest()), newest())
	r := record(live)
	defer r.stop()
	for i := range 30 {
		if i%6 == 5 {
			l.add(100_000)
		} else {
			l.part(20_000)
		}
		if i == 10 {
			l.codec()
		}
		sameHLS(t, shows(t, feed, newest()), newest())
	}
	for _, x := range r.list() {
		want := *l.history[x.Version-1]
		want.Segments = want.Segments[len(want.Segments)-len(x.Segments):]
		sameHLS(t, x, &want)
	}
	feed.WantHLS(false)
	eventually(t, "nothing is held", func() bool {
		return gauge(t, edges[0].registry, "tmms_edge_segment_bytes")+gauge(t, edges[1].registry, "tmms_edge_segment_bytes") == 0
	})
}

// TestPartsComeUnasked: over two hops a part is at the edge after half a round trip of
// each: nobody asks for it, and nothing waits for a tick.
func TestPartsComeUnasked(t *testing.T) {
	_, _, edges, f := threeEdges(t)
	l := newLowLister(f.w, 7, 100)
	l.add(1000)
	feed, _ := f.watch(edges[1], edges[0])
	feed.WantHLS(true)
	defer feed.WantHLS(false)
	shows(t, feed, l.part(1000))
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
	if best > sendTick/2 {
		t.Errorf("a part takes %v at best to be shown", best)
	}
	// One who has only subscribed, at the shield, and never says a word again.
	s := edges[2].subscribe(edges[0], relaywire.Subscribe{
		ID: 1 << 40, Key: key("a"), Epoch: 7, Shield: true, HLS: true, Hops: []string{edges[2].id},
	})
	name := hls.Name{Kind: hls.NamePart, Epoch: 7, MSN: 101, Number: 101}
	l.part(1000)
	for {
		stream, err := s.session.AcceptUni(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_ = stream.SetReadDeadline(time.Now().Add(30 * time.Second))
		in := &inbox{r: stream}
		if kind, err := parse(in, parseKind); err != nil || kind != relaywire.StreamPiece {
			continue
		}
		if h, err := parse(in, relaywire.ParsePieceHeader); err != nil {
			t.Fatal(err)
		} else if h.Name == name {
			break
		}
	}
}

// TestHedgesAreWithinTheBudget: a dead shield with many streams costs no more
// subscriptions than the node may make, and in the end all have moved.
func TestHedgesAreWithinTheBudget(t *testing.T) {
	t.Parallel()
	w := newWorld(t).regions()
	owner := w.start("owner", "origin")
	edges := []*member{w.edge("e0", "r"), w.edge("e1", "r")}
	const burst, streams = 5, 12
	edges[1].puller.budget = newRetryBudget(10, burst)
	var feeders []*feeder
	var feeds []*Feed
	for i := 0; len(feeders) < streams; i++ {
		k := key(strconv.Itoa(i))
		if order(k, "r", edges...)[0] != edges[0] {
			continue
		}
		f := owner.publish(k, uint64(7+i))
		f.frames(3)
		feed := edges[1].open(k)
		defer feed.Close()
		edges[1].from(k, edges[0])
		f.caughtUp(feed)
		feeders, feeds = append(feeders, f), append(feeds, feed)
	}
	edges[0].cable.sever(nil)
	start := time.Now()
	hedges := func() float64 { return gauge(t, edges[1].registry, "tmms_relay_hedges_total") }
	most := 0.0
	eventually(t, "all moves", func() bool {
		most = max(most, hedges()-burst-10*time.Since(start).Seconds())
		for _, f := range feeders {
			if edges[1].sourceOf(f.w.Live().Key()) != owner.id {
				return false
			}
		}
		return true
	})
	if most > 1 {
		t.Errorf("%.0f hedges too many", most)
	}
	for i, f := range feeders {
		f.frames(3)
		f.caughtUp(feeds[i])
		same(t, feeds[i].Live(), f.w.Live())
	}
}
