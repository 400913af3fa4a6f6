package relay

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tmms/cluster/state"
	"tmms/media"
	"tmms/media/relaywire"
)

// StandbyOf implements KeeperView.
func (m *member) StandbyOf(node string) (list []state.PlacedStream) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for k, p := range m.placements {
		if p.Standby == node {
			list = append(list, state.PlacedStream{Key: k, Placement: p})
		}
	}
	return list
}

// keep starts the node's keeper.
func (m *member) keep() *member {
	m.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	k := NewKeeper(m.hub, m, m.id, Deps{Log: slog.New(slog.DiscardHandler)})
	go func() { done <- k.Run(ctx) }()
	rest := m.stop
	m.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			m.t.Error(err)
		}
		rest()
	})
	m.t.Cleanup(m.stop)
	return m
}

// hearing collects what a session hears of its standby.
type hearing struct {
	mu     sync.Mutex
	events []StandbyEvent
}

func (h *hearing) tell(e StandbyEvent) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, e)
}

func (h *hearing) last() (e StandbyEvent, n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n = len(h.events); n > 0 {
		e = h.events[n-1]
	}
	return e, n
}

// standbyOf makes m the stream's standby, as the leader and the owner's session do.
func (f *feeder) standbyOf(owner, m *member, h *hearing) {
	f.t.Helper()
	k := f.w.live.Key()
	owner.place(k, &state.Placement{Epoch: f.w.live.Epoch(), Owner: owner.id, Standby: m.id})
	f.w.SetStandby(m.id, h.tell)
}

// inSync waits until the standby is.
func (f *feeder) inSync() {
	f.t.Helper()
	eventually(f.t, "the standby is in sync", func() bool {
		_, inSync, _ := f.w.live.StandbyState()
		return inSync
	})
}

// heldBy is the life that a node holds as the standby.
func (f *feeder) heldBy(m *member) *Live {
	f.t.Helper()
	feed := m.open(f.w.live.Key())
	defer feed.Close()
	return f.caughtUp(feed)
}

// Requirement: C5
// TestStandbyHoldsAll: a standby has the packets, the index and all its segments
// without a reader, in each format, and says so.
func TestStandbyHoldsAll(t *testing.T) {
	w := newWorld(t)
	owner, standby := w.join("a", quick()), w.join("b", quick()).keep()
	for name, low := range map[string]bool{"whole segments": false, "parts": true} {
		t.Run(name, func(t *testing.T) {
			k := key(strings.ReplaceAll(name, " ", "-"))
			f := owner.publish(k, 7)
			f.t = t
			f.config(media.TypeVideo, "sps")
			f.frames(60)
			l := newLister(f.w, 7, 100)
			if low {
				l = newLowLister(f.w, 7, 100)
				l.early = true
			}
			l.cut = 1000
			h := &hearing{}
			f.standbyOf(owner, standby, h)
			for range 5 {
				l.cut, l.resume = f.dts(), []byte(fmt.Sprint("at ", f.dts()))
				f.frames(25)
				if low {
					l.part(20_000)
				}
				l.add(80_000)
			}
			f.inSync()
			if e, n := h.last(); n != 1 || !e.InSync || e.Node != standby.id {
				t.Errorf("%d events, the last is %+v", n, e)
			}
			live := f.heldBy(standby)
			same(t, live, f.w.Live())
			want := l.history[len(l.history)-1]
			eventually(t, "the last index is seen", func() bool { return f.w.Live().Index() == want })
			feed := standby.open(k)
			defer feed.Close()
			x := shows(t, feed, want)
			sameHLS(t, x, want)
			eventually(t, "where the open segment begins", func() bool { // an index comes anew with that
				x = feed.Live().Index()
				return x.Cut == want.Cut && string(x.Resume) == string(want.Resume)
			})
			f.w.End()
		})
	}
	if n := gauge(t, owner.registry, "tmms_relay_standby_lost_total"); n != 0 {
		t.Errorf("the standby was lost %.0f times", n)
	}
}

// TestStandbyGetsTheOpenSegment: a standby that comes in the middle of a segment gets
// the packets from its beginning on.
func TestStandbyGetsTheOpenSegment(t *testing.T) {
	w := newWorld(t)
	owner, standby := w.join("a", quick()), w.join("b", quick()).keep()
	f := owner.publish(key("a"), 7)
	f.config(media.TypeVideo, "sps")
	f.frames(60)
	l := newLister(f.w, 7, 100)
	l.cut = 1000
	l.add(80_000)
	f.frames(140) // the newest group begins at 7 s
	f.standbyOf(owner, standby, &hearing{})
	f.inSync()
	live := f.heldBy(standby)
	if j, ok := live.Join(time.Hour); !ok || j.DTS != l.cut {
		t.Errorf("the first group is at %d ms, the open segment begins at %d", j.DTS, l.cut)
	}
	same(t, live, f.w.Live())
}

// TestStandbyLacksTheOpenSegment: a node that had viewers when it became the standby
// can't go on with the open segment, of which it has the end only: it is in sync from
// the next one on.
func TestStandbyLacksTheOpenSegment(t *testing.T) {
	w := newWorld(t)
	owner, standby := w.join("a", quick()), w.join("b", quick()).keep()
	f := owner.publish(key("a"), 7)
	f.frames(60)
	l := newLister(f.w, 7, 100)
	l.cut = 1000
	l.add(80_000)
	f.frames(20)
	feed := standby.open(key("a"))
	defer feed.Close()
	feed.WantHLS(true)
	defer feed.WantHLS(false)
	live := f.caughtUp(feed)
	shows(t, feed, l.history[0])
	h := &hearing{}
	f.standbyOf(owner, standby, h)
	eventually(t, "it has the index with the cut", func() bool { return live.Index().Cut == l.cut })
	last := f.id
	last.Index--
	g := f.w.live.gate.Load()
	eventually(t, "it has acknowledged all packets", func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.acked.ID == last
	})
	if e, n := h.last(); n != 0 {
		t.Errorf("it is said to be %+v", e)
	}
	f.frames(20) // a keyframe at 4 s
	l.cut = 4000
	l.add(80_000)
	f.inSync()
}

// TestAwaitStandby: the owner learns when the standby has all that was written, and that
// it will not.
func TestAwaitStandby(t *testing.T) {
	w := newWorld(t).regions()
	owner, standby := w.join("a", quick()), w.join("b", quick()).keep()
	f := owner.publish(key("a"), 7)
	f.frames(30)
	if !f.w.AwaitStandby(t.Context()) {
		t.Error("without a standby there is nothing to wait for")
	}
	f.standbyOf(owner, standby, &hearing{})
	f.inSync()
	owner.cable.lengthen(20 * time.Millisecond)
	f.frames(10)
	last := f.id
	last.Index--
	if !f.w.AwaitStandby(t.Context()) {
		t.Fatal("it was lost")
	}
	if _, has := f.w.live.gate.Load().has(last); !has {
		t.Errorf("it has not got %v", last)
	}
	owner.cable.sever(nil)
	f.frames(1)
	if f.w.AwaitStandby(t.Context()) {
		t.Error("it has what can't have come")
	}
}

// TestStandbyGetsIndexesAhead: over a long way the owner's readers see an index a round
// trip later than the standby.
func TestStandbyGetsIndexesAhead(t *testing.T) {
	w := newWorld(t).regions()
	owner, standby := w.join("a", quick()), w.join("b", quick()).keep()
	f := owner.publish(key("a"), 7)
	f.frames(30)
	l := newLowLister(f.w, 7, 100)
	l.add(1000)
	f.standbyOf(owner, standby, &hearing{})
	f.inSync()
	owner.cable.lengthen(40 * time.Millisecond)
	began := time.Now()
	x := l.part(10_000)
	if f.w.Live().Index() == x {
		t.Error("it is seen before anybody can have acknowledged it")
	}
	eventually(t, "the index is seen", func() bool { return f.w.Live().Index() == x })
	if d := time.Since(began); d < 80*time.Millisecond {
		t.Errorf("seen after %v, the round trip is 80 ms", d)
	}
	sameHLS(t, f.heldBy(standby).Index(), x)
}

// TestAcksOfOthers: what a node acknowledges that is not the standby counts for
// nothing, whatever it says to be, and it gets nothing early.
func TestAcksOfOthers(t *testing.T) {
	w := newWorld(t)
	owner := w.join("a", quick())
	b, c, edge := w.start("b"), w.start("c"), w.start("d", "edge")
	f := owner.publish(key("a"), 7)
	f.frames(30)
	l := newLister(f.w, 7, 100)
	l.add(1000)
	h := &hearing{}
	f.standbyOf(owner, b, h)
	ask := relaywire.Subscribe{ID: 1, Key: key("a"), Epoch: 7, HLS: true, Standby: true}
	last := f.id
	last.Index--
	all := relaywire.Ack{ID: last, DTS: f.dts() - 40, IndexEpoch: 7, IndexVersion: 1}
	others := []*subscriber{c.subscribe(owner, ask), edge.subscribe(owner, ask)}
	for _, s := range others {
		s.hear()
		s.say(all, nil)
	}
	s := b.subscribe(owner, ask)
	s.hear()
	s.say(all, nil)
	f.inSync()
	x := l.add(1000)
	all.IndexVersion = 2
	for _, s := range others {
		s.say(all, nil)
		s.say(relaywire.Update{HLS: true, Standby: true}, nil)
		s.say(all, nil)
	}
	eventually(t, "the standby is lost", func() bool { e, n := h.last(); return n == 2 && !e.InSync })
	if f.w.Live().Index() != x {
		t.Error("what waited is not seen")
	}
	if n := gauge(t, owner.registry, "tmms_relay_standby_lost_total"); n != 1 {
		t.Errorf("lost %.0f times, want once", n)
	}
}

// TestStandbyLies: the subscription of a standby that acknowledges what there is not
// ends, and nobody waits for it any more.
func TestStandbyLies(t *testing.T) {
	w := newWorld(t)
	owner, b := w.join("a", quick()), w.start("b")
	f := owner.publish(key("a"), 7)
	f.frames(30)
	l := newLister(f.w, 7, 100)
	l.add(1000)
	h := &hearing{}
	f.standbyOf(owner, b, h)
	s := b.subscribe(owner, relaywire.Subscribe{ID: 1, Key: key("a"), Epoch: 7, HLS: true, Standby: true})
	s.hear()
	last := f.id
	last.Index--
	s.say(relaywire.Ack{ID: last, DTS: f.dts() - 40, IndexEpoch: 7, IndexVersion: 1}, nil)
	f.inSync()
	s.say(relaywire.Ack{ID: last, DTS: f.dts() - 40, IndexEpoch: 7, IndexVersion: 99}, nil)
	eventually(t, "it is not believed", func() bool { e, n := h.last(); return n == 2 && !e.InSync })
	if x := l.add(1000); f.w.Live().Index() != x {
		t.Error("the next index waits")
	}
	eventually(t, "its subscription has ended", func() bool { return subscriptions(owner) == 0 })
}

// TestStandbyIsLost: an owner whose standby is gone goes on without.
func TestStandbyIsLost(t *testing.T) {
	w := newWorld(t)
	owner, standby := w.join("a", quick()), w.join("b", quick()).keep()
	f := owner.publish(key("a"), 7)
	f.frames(30)
	l := newLister(f.w, 7, 100)
	l.add(1000)
	h := &hearing{}
	f.standbyOf(owner, standby, h)
	f.inSync()
	standby.stop()
	eventually(t, "it is lost", func() bool { e, n := h.last(); return n == 2 && !e.InSync })
	x := l.add(1000)
	eventually(t, "the next index", func() bool { return f.w.Live().Index() == x })
	f.w.SetStandby("", nil)
	if x := l.add(1000); f.w.Live().Index() != x {
		t.Error("an index waits without a standby")
	}
}

// TestStandbySharesThePull: the readers of the standby's node have the stream by the
// same subscription, and one that came over a shield moves to the owner.
func TestStandbySharesThePull(t *testing.T) {
	k := key("a")
	w := newWorld(t).regions().patient()
	owner, standby := w.start("owner", "origin"), w.edge("b", "r", "origin", "edge")
	shield := w.edge(firstFor(k, standby), "r")
	f := owner.publish(k, 7)
	f.frames(30)
	feed, live := f.watch(standby, shield)
	standby.keep()
	f.standbyOf(owner, standby, &hearing{})
	f.live("in sync", func() bool {
		_, inSync, _ := f.w.live.StandbyState()
		return inSync
	})
	standby.from(k, owner)
	if f.caughtUp(feed) != live {
		t.Error("another life for the node's viewers")
	}
	same(t, live, f.w.Live())
	var subs []string
	for _, s := range owner.server.Subscriptions(k) {
		if s.Standby {
			subs = append(subs, s.Node)
		}
	}
	if len(subs) != 1 {
		t.Errorf("standbys %q", subs)
	}
}

// TestStandbyKeepsTheOpenSegment: a standby has the packets that the open segment is
// made of, however long that is, within the log's bound.
func TestStandbyKeepsTheOpenSegment(t *testing.T) {
	f := publish(t, NewHub(), LiveOptions{Keep: time.Second})
	f.frames(200) // 8 s
	if first := entries(f.w.Live())[0].DTS; first < 3000 {
		t.Fatalf("the log begins at %d ms although no more than a second is kept", first)
	}
	f.w.keepFrom(7000)
	f.frames(200)
	if first := entries(f.w.Live())[0].DTS; first > 7000 {
		t.Errorf("the log begins at %d ms, what comes from 7000 on was to stay", first)
	}
	f.w.keepFrom(0)
	f.frames(100)
	if first := entries(f.w.Live())[0].DTS; first < 15_000 {
		t.Errorf("the log begins at %d ms", first)
	}
	bounded := publish(t, NewHub(), LiveOptions{Keep: time.Second, MaxBytes: 100_000})
	bounded.frames(50)
	bounded.w.keepFrom(1)
	bounded.frames(1000)
	if log := bounded.w.Live().Log(); log.Head()-log.Tail() > 300_000 {
		t.Errorf("the log has %d bytes, the limit is 100000", log.Head()-log.Tail())
	}
}

// TestKeeperIsBounded: a node holds no more streams than it has room for.
func TestKeeperIsBounded(t *testing.T) {
	w := newWorld(t)
	m := w.start("b")
	m.hub.limit = 8
	k := NewKeeper(m.hub, m, m.id, Deps{Log: slog.New(slog.DiscardHandler)})
	for i := range 20 {
		w.place(name(i), &state.Placement{Epoch: 7, Owner: "id-a", Standby: m.id})
	}
	k.look(time.Now())
	if n := m.hub.kept(); n != 4 { // half of the limit are feeds without a writer
		t.Errorf("%d streams are held, of a limit of 8", n)
	}
	for i := range 20 {
		w.place(name(i), nil)
	}
	k.look(time.Now())
	if n := m.hub.Len(); n != 0 {
		t.Errorf("%d feeds are left", n)
	}
}

// TestStandbyOfVersion1: nodes of version 1 are told nothing of standbys, and go on.
func TestStandbyOfVersion1(t *testing.T) {
	mixes(t, func(t *testing.T, from, to relaywire.Version) {
		t.Helper()
		w := newWorld(t)
		owner, standby := w.speaking("a", from), w.speaking("b", to).keep()
		f := owner.publish(key("a"), 7)
		f.frames(30)
		l := newLister(f.w, 7, 100)
		l.add(1000)
		f.standbyOf(owner, standby, &hearing{})
		x := l.add(1000)
		if from.Agree(to) == relaywire.V2 {
			f.inSync()
		}
		live := f.heldBy(standby)
		eventually(t, "the index", func() bool { return live.Index() != nil && live.Index().Version == x.Version })
		sameHLS(t, live.Index(), x)
		_, inSync, _ := f.w.Live().StandbyState()
		if inSync != (from.Agree(to) == relaywire.V2) {
			t.Errorf("in sync: %t", inSync)
		}
	})
}

// TestAnOriginIsNoShield: a node that only holds streams as a standby gets none for
// other nodes.
func TestAnOriginIsNoShield(t *testing.T) {
	w := newWorld(t)
	owner := w.join("a", quick())
	cfg := quick()
	cfg.OwnOnly = true
	origin, other := w.join("b", cfg, "origin"), w.start("c")
	f := owner.publish(key("a"), 7)
	f.frames(30)
	s := other.subscribe(origin, relaywire.Subscribe{ID: 1, Key: key("a"), Epoch: 7, Shield: true, Hops: []string{other.id}})
	if m, ok := s.hear().(relaywire.Refuse); !ok || m.Reason != relaywire.ReasonNotOwner {
		t.Errorf("%+v", m)
	}
}

// BenchmarkPartWithStandby is the time that a part waits for the standby before the
// owner's readers see it.
func BenchmarkPartWithStandby(b *testing.B) {
	w := newWorld(b)
	owner, standby := w.join("a", PullConfig{}), w.join("b", PullConfig{}).keep()
	f := owner.publish(key("a"), 7)
	f.frames(10)
	l := newLowLister(f.w, 7, 100)
	l.add(1000)
	f.standbyOf(owner, standby, &hearing{})
	f.inSync()
	shown := make(chan struct{}, 1)
	live := f.w.Live()
	defer live.watch(func() {
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
		for live.Index() != x {
			<-shown
		}
		times = append(times, time.Since(start))
	}
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Microseconds()), "p50-us")
	b.ReportMetric(float64(times[len(times)*99/100].Microseconds()), "p99-us")
	if _, inSync, _ := live.StandbyState(); !inSync {
		b.Error("the standby was lost")
	}
}
