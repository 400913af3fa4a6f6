package relay

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"tmms/cluster/placement"
	"tmms/media"
)

// regions makes the world's nodes hear of each other.
func (w *world) regions() *world {
	w.roster = &roster{members: map[string]placement.Member{}, changed: make(chan struct{})}
	return w
}

// edge starts an edge of a region that all others hear of.
func (w *world) edge(name, region string, roles ...string) *member {
	w.t.Helper()
	if len(roles) == 0 {
		roles = []string{"edge"}
	}
	m := w.join(name, quick(), roles...)
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
		if n := subscriptions(list[0]); n != 3 {
			t.Errorf("the shield of region %d has %v subscriptions, want 3", r, n)
		}
	}
	if n := subscriptions(owner); n != 3 {
		t.Errorf("the owner has %v subscriptions, want 3", n)
	}
	f.size = 100_000
	f.frames(30)
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
		t.Run(fmt.Sprint(i), func(t *testing.T) { best = min(best, killShield(t)) })
		if best <= time.Second {
			return
		}
	}
	t.Errorf("the viewers waited %v, want 1s at most", best)
}

// killShield gives how long the viewers of its streams have to wait at most.
func killShield(t *testing.T) (pause time.Duration) {
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
