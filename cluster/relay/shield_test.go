package relay

import (
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"tmms/cluster/placement"
	"tmms/cluster/state"
	"tmms/media"
)

// regions makes the world's nodes hear of each other.
func (w *world) regions() *world {
	w.roster = &roster{members: map[string]placement.Member{}, changed: make(chan struct{})}
	w.pulls = quick()
	return w
}

// edge starts an edge of a region that all others hear of.
func (w *world) edge(name, region string, roles ...string) *member {
	w.t.Helper()
	if len(roles) == 0 {
		roles = []string{"edge"}
	}
	m := w.join(name, w.pulls, roles...)
	w.heard(m, region, true)
	return m
}

// heard tells all of an edge.
func (w *world) heard(m *member, region string, healthy bool) {
	w.roster.set(placement.Member{ID: m.id, Region: region, Edge: true, Healthy: healthy})
}

// order gives the edges in the order in which they are the shield of the stream.
func order(k media.StreamKey, region string, edges ...*member) (list []*member) {
	ids := make([]string, len(edges))
	for i, e := range edges {
		ids[i] = e.id
	}
	for _, id := range placement.Order(region, k, ids) {
		list = append(list, edges[slices.IndexFunc(edges, func(m *member) bool { return m.id == id })])
	}
	return list
}

// sourceOf is where a node has the stream from; "" from nowhere, or it changes.
func (m *member) sourceOf(k media.StreamKey) string {
	info, ok := m.puller.Why(k)
	if !ok || info.State != "live" && info.State != "grace" || info.Next != "" {
		return ""
	}
	return info.Source
}

// from waits until a node has the stream from another one.
func (m *member) from(k media.StreamKey, want *member) {
	m.t.Helper()
	eventually(m.t, fmt.Sprintf("%s has the stream from %s", m.id, want.id), func() bool { return m.sourceOf(k) == want.id })
}

func subscriptions(m *member) float64 { return gauge(m.t, m.registry, "tmms_relay_subscriptions") }

// Requirement: C7
// TestOnePullPerRegion: with viewers on 12 edges in 3 regions the owner sends a
// stream 3 times, and what comes over two hops is the same, byte for byte (CASES:
// flash-crowd).
func TestOnePullPerRegion(t *testing.T) {
	w := newWorld(t).regions()
	owner := w.start("owner", "origin")
	var edges []*member
	for r := range 3 {
		for e := range 4 {
			edges = append(edges, w.edge(fmt.Sprintf("e%d-%d", r, e), fmt.Sprintf("r%d", r)))
		}
	}
	k := key("a")
	var feeds []*Feed
	for _, e := range edges { // before there is anything
		feed := e.open(k)
		defer feed.Close()
		feeds = append(feeds, feed)
	}
	f := owner.publish(k, 7)
	f.config(media.TypeVideo, "sps")
	f.config(media.TypeAudio, "asc")
	f.frames(60)
	for r := range 3 {
		list := order(k, fmt.Sprintf("r%d", r), edges[4*r:4*r+4]...)
		list[0].from(k, owner)
		for _, e := range list[1:] {
			e.from(k, list[0])
		}
		eventually(t, "3 subscriptions at each shield", func() bool { return subscriptions(list[0]) == 3 })
	}
	eventually(t, "3 subscriptions at the owner", func() bool { return subscriptions(owner) == 3 })
	f.size = 40_000 // larger than any buffer
	f.frames(10)
	f.config(media.TypeVideo, "sps 2")
	f.size = 1000
	f.frames(30)
	for _, feed := range feeds {
		live := f.caughtUp(feed)
		same(t, live, f.w.Live())
		if c := live.Configs(); len(c.Headers) != 2 || string(c.Header(media.TypeVideo, 0).Body) != "sps 2" {
			t.Errorf("configs %+v", c)
		}
	}
	t.Run("the end", func(t *testing.T) {
		f.frames(5)
		f.w.End()
		w.place(k, nil)
		for _, feed := range feeds {
			eventually(t, "the end", func() bool { return feed.Live() == nil })
		}
	})
}

// TestShieldIsKilled: its streams move within a second, without a gap and without a
// repeat.
func TestShieldIsKilled(t *testing.T) {
	// The best of some is not a matter of the machine's load.
	best := time.Hour
	for i := range 5 {
		t.Run(strconv.Itoa(i), func(t *testing.T) { best = min(best, killShield(t)) })
		if best <= time.Second {
			return
		}
	}
	t.Errorf("the viewers waited %v, want 1s at most", best)
}

// killShield gives how long the viewers of its streams have to wait at most.
func killShield(t *testing.T) (pause time.Duration) {
	t.Helper()
	w := newWorld(t).regions()
	owner := w.start("owner", "origin")
	k := key("a")
	list := order(k, "r", w.edge("e0", "r"), w.edge("e1", "r"), w.edge("e2", "r"))
	f := owner.publish(k, 7)
	f.config(media.TypeVideo, "sps")
	f.frames(30)
	var feeds []*Feed
	for _, e := range list[1:] {
		feed := e.open(k)
		defer feed.Close()
		feeds = append(feeds, feed)
		e.from(k, list[0])
		f.caughtUp(feed)
	}
	lives := []*Live{feeds[0].Live(), feeds[1].Live()}
	list[0].cable.sever(nil)
	cut, start := f.id, time.Now()
	for n := range 40 * 25 {
		f.frames(1)
		wait := time.NewTimer(40 * time.Millisecond)
		<-wait.C
		if pause == 0 && lastOf(lives[0]).Compare(cut) > 0 && lastOf(lives[1]).Compare(cut) > 0 {
			pause = time.Since(start)
		}
		if pause > 0 && n > 50 {
			break
		}
	}
	list[1].from(k, owner)
	list[2].from(k, list[1])
	for i, feed := range feeds {
		if f.caughtUp(feed) != lives[i] {
			t.Error("another life")
		}
		same(t, lives[i], f.w.Live())
	}
	return pause
}

func why(t *testing.T, m *member, k media.StreamKey) PullInfo {
	t.Helper()
	info, ok := m.puller.Why(k)
	if !ok {
		t.Fatalf("%s does not pull", m.id)
	}
	return info
}

// live writes frames in real time until ok says yes, and a second's more.
func (f *feeder) live(what string, ok func() bool) {
	f.t.Helper()
	tick := time.NewTicker(40 * time.Millisecond)
	defer tick.Stop()
	for n, more := 0, 25; more > 0; n++ {
		if n > 30*25 {
			f.t.Fatalf("not in time: %s", what)
		}
		<-tick.C
		f.frames(1)
		if more < 25 || ok() {
			more--
		}
	}
}

// threeEdges is an owner elsewhere and three edges of a region, in the order in which
// they are the shield of the stream, which has begun.
func threeEdges(t *testing.T) (w *world, owner *member, edges []*member, f *feeder) {
	t.Helper()
	return newWorld(t).regions().threeEdges(t)
}

// patient makes the world's edges take a silence for none, whatever the load of the
// machine that the test runs on.
func (w *world) patient() *world {
	w.pulls.Hedge, w.pulls.Stall = time.Minute, time.Minute
	return w
}

func (w *world) threeEdges(t *testing.T) (_ *world, owner *member, edges []*member, f *feeder) {
	t.Helper()
	owner = w.start("owner", "origin")
	edges = order(key("a"), "r", w.edge("e0", "r"), w.edge("e1", "r"), w.edge("e2", "r"))
	f = owner.publish(key("a"), 7)
	f.config(media.TypeVideo, "sps")
	f.frames(30)
	return w, owner, edges, f
}

// watch opens the stream at a node and waits for it from another one.
func (f *feeder) watch(m, from *member) (*Feed, *Live) {
	f.t.Helper()
	feed := m.open(key("a"))
	f.t.Cleanup(feed.Close)
	m.from(key("a"), from)
	return feed, f.caughtUp(feed)
}

// TestColdShield: a node without viewers that is asked because the shield has died
// begins where those are who ask it, although the stream is in a later group.
func TestColdShield(t *testing.T) {
	t.Parallel()
	_, owner, edges, f := threeEdges(t)
	feed, live := f.watch(edges[2], edges[0])
	edges[0].cable.sever(nil)
	f.frames(30) // the next group has begun when the node is asked
	f.live("the move", func() bool { return edges[2].sourceOf(key("a")) == edges[1].id })
	if f.caughtUp(feed) != live {
		t.Error("another life")
	}
	same(t, live, f.w.Live())
	eventually(t, "the shield has it from the owner", func() bool {
		info := why(t, edges[1], key("a"))
		return info.Source == owner.id && info.Hops == 1 && info.Subscriptions == 1
	})
	cold := edges[1].open(key("a"))
	defer cold.Close()
	if c := f.caughtUp(cold).Configs(); c == nil || len(c.Headers) != 1 || string(c.Headers[0].Body) != "sps" {
		t.Errorf("the shield's configs are %+v", c)
	}
	if first := entries(cold.Live())[0]; first.Kind != media.KindKey {
		t.Errorf("its log begins with %+v", first.Entry)
	}
	if info := why(t, edges[2], key("a")); info.Hedges == 0 || info.Error == "" {
		t.Errorf("%+v", info)
	}
}

// TestShieldLosesTheOwner: a shield that does not hear of the owner does not say that
// it lives, so that those behind it look for another way.
func TestShieldLosesTheOwner(t *testing.T) {
	t.Parallel()
	_, owner, edges, f := threeEdges(t)
	feed, live := f.watch(edges[1], edges[0])
	owner.cable.sever(edges[0])
	f.live("the move", func() bool { return edges[1].sourceOf(key("a")) == owner.id })
	if f.caughtUp(feed) != live {
		t.Error("another life")
	}
	same(t, live, f.w.Live())
}

// TestShieldIsSilentForAMoment: the first one speaks again before another one
// delivers, and stays.
func TestShieldIsSilentForAMoment(t *testing.T) {
	t.Parallel()
	w := newWorld(t).regions()
	w.pulls.Stall = time.Minute
	_, owner, edges, f := w.threeEdges(t)
	feed, live := f.watch(edges[1], edges[0])
	owner.cable.sever(edges[1])
	edges[0].cable.sever(edges[1])
	f.live("the hedge", func() bool { return why(t, edges[1], key("a")).Next == owner.id })
	edges[0].cable.mend()
	f.live("the shield", func() bool { return edges[1].sourceOf(key("a")) == edges[0].id })
	if f.caughtUp(feed) != live {
		t.Error("another life")
	}
	same(t, live, f.w.Live())
	if info := why(t, edges[1], key("a")); info.Moves != 0 || info.Hedges == 0 {
		t.Errorf("%+v", info)
	}
}

// TestShieldEnds: a shield that stops in peace does not say that the stream ends.
func TestShieldEnds(t *testing.T) {
	t.Parallel()
	w, owner, edges, f := threeEdges(t)
	feed, live := f.watch(edges[2], edges[0])
	edges[0].stop()
	w.heard(edges[0], "r", false)
	f.live("the move", func() bool { return edges[2].sourceOf(key("a")) == edges[1].id })
	if f.caughtUp(feed) != live {
		t.Error("another life")
	}
	same(t, live, f.w.Live())
	edges[1].from(key("a"), owner)
}

// TestShieldIsBehind: a shield that knows the old placement is asked in the new
// epoch, waits for its copy, and goes on; nobody hears of an epoch that the
// placement does not confirm.
func TestShieldIsBehind(t *testing.T) {
	t.Parallel()
	w, owner, edges, f := threeEdges(t)
	feed, live := f.watch(edges[1], edges[0])
	w.hold(edges[0], &state.Placement{Epoch: 7, Owner: owner.id})
	next := w.start("next", "origin")
	g := next.publish(key("a"), 8)
	g.frame = f.frame + 5
	g.config(media.TypeVideo, "sps of 8")
	g.frames(30)
	f.frames(5)
	// It says that it waits, and is not asked for longer than for anything else.
	g.live("the hedge", func() bool { return live.Epoch() == 8 })
	w.hold(edges[0], nil)
	eventually(t, "the shield goes on", func() bool { return edges[1].sourceOf(key("a")) == edges[0].id })
	g.frames(30)
	if g.caughtUp(feed) != live {
		t.Error("another life")
	}
	sameEntries(t, since(live, 8), entries(g.w.Live()))
	edges[0].from(key("a"), next)
}

// since gives the packets of an epoch and of those behind it.
func since(l *Live, epoch uint64) []logged {
	return slices.DeleteFunc(entries(l), func(e logged) bool { return e.ID.Epoch < epoch })
}

// TestOwnerChangesBehindShields: all nodes of a region go over to the new owner, one
// of them by a pull.
func TestOwnerChangesBehindShields(t *testing.T) {
	t.Parallel()
	w, old, edges, f := threeEdges(t)
	var feeds []*Feed
	var lives []*Live
	for i, e := range edges {
		from := edges[0]
		if i == 0 {
			from = old
		}
		feed, live := f.watch(e, from)
		feeds, lives = append(feeds, feed), append(lives, live)
	}
	next := w.start("next", "origin")
	g := next.publish(key("a"), 8)
	g.frame = f.frame
	g.config(media.TypeVideo, "sps of 8")
	f.frames(3) // late ones
	g.live("the new owner", func() bool { return edges[2].sourceOf(key("a")) == edges[0].id })
	for i, feed := range feeds {
		if g.caughtUp(feed) != lives[i] || lives[i].Epoch() != 8 {
			t.Errorf("node %d: another life, or epoch %d", i, lives[i].Epoch())
		}
		sameEntries(t, since(lives[i], 8), entries(g.w.Live()))
	}
	edges[0].from(key("a"), next)
	edges[1].from(key("a"), edges[0])
	eventually(t, "one subscription at the new owner", func() bool { return subscriptions(next) == 1 })
}

// TestOwnerBeginsLate: a stream that is placed and has no life for a while makes the
// edges ask around; when it begins, all but the shield stay behind the shield.
func TestOwnerBeginsLate(t *testing.T) {
	t.Parallel()
	w := newWorld(t).regions()
	w.pulls.Stall = 500 * time.Millisecond
	owner := w.start("owner", "origin")
	edges := order(key("a"), "r", w.edge("e0", "r"), w.edge("e1", "r"), w.edge("e2", "r"))
	w.place(key("a"), &state.Placement{Epoch: 7, Owner: owner.id})
	for _, e := range edges {
		feed := e.open(key("a"))
		defer feed.Close()
	}
	for _, e := range edges[1:] {
		eventually(t, "a hedge at the owner", func() bool {
			info, ok := e.puller.Why(key("a"))
			return ok && info.Next == owner.id
		})
	}
	f := owner.publish(key("a"), 7)
	f.live("the pictures", func() bool {
		return edges[0].sourceOf(key("a")) == owner.id && edges[1].sourceOf(key("a")) == edges[0].id &&
			edges[2].sourceOf(key("a")) == edges[0].id
	})
	eventually(t, "one subscription at the owner", func() bool { return subscriptions(owner) == 1 })
}
