package relay

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tmms/cluster/state"
	"tmms/media"
	"tmms/media/hls"
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
			if x.Cut != want.Cut || string(x.Resume) != string(want.Resume) {
				t.Errorf("the open segment begins at %d ms, with %q, want %d, %q", x.Cut, x.Resume, want.Cut, want.Resume)
			}
			f.w.End()
		})
	}
	if n := gauge(t, owner.registry, "tmms_relay_standby_lost_total"); n != 0 {
		t.Errorf("the standby was lost %.0f times", n)
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

// TestStandbySurvivesTheOwner: what a standby holds stays while the owner is silent and
// gone, until the placement names another owner or none; and a session of the
// standby's node goes on with it.
func TestStandbySurvivesTheOwner(t *testing.T) {
	for name, c := range map[string]struct {
		next *state.Placement
		here bool
	}{
		"it becomes the owner":        {next: &state.Placement{Epoch: 8, Owner: "id-b"}, here: true},
		"another one does":            {next: &state.Placement{Epoch: 8, Owner: "id-x"}},
		"the stream is dropped":       {},
		"an orphan, then it is owner": {next: &state.Placement{Epoch: 9, Owner: "id-b"}, here: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			owner, standby := w.join("a", quick()), w.join("b", quick()).keep()
			f := owner.publish(key("a"), 7)
			f.frames(60)
			l := newLister(f.w, 7, 100)
			l.add(1000)
			f.standbyOf(owner, standby, &hearing{})
			f.inSync()
			live := f.heldBy(standby)
			owner.stop()
			eventually(t, "the silence is noticed", func() bool { return standby.sourceOf(key("a")) == "" })
			if strings.HasPrefix(name, "an orphan") {
				w.place(key("a"), &state.Placement{Epoch: 7, Standby: standby.id, LostBy: owner.id})
				eventually(t, "the grace", func() bool { return live.State() == StateGrace })
			}
			if state := live.State(); state == StateEnded || live.Index() == nil {
				t.Fatalf("it is %v", state)
			}
			w.place(key("a"), c.next)
			if !c.here {
				eventually(t, "it lets go", func() bool { return live.State() == StateEnded && standby.hub.Len() == 0 })
				return
			}
			cfg := quick()
			linger := time.NewTimer(cfg.Linger + cfg.Settle)
			defer linger.Stop()
			<-linger.C // longer than a pull without a reader would
			next, err := standby.hub.Publish(key("a"), c.next.Epoch, LiveOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if next.Live() != live || live.State() == StateEnded || lastOf(live).Epoch != 7 {
				t.Errorf("the life does not go on: %v, the last packet is %v", live.State(), lastOf(live))
			}
			eventually(t, "the keeper lets go", func() bool { return standby.hub.kept() == 0 })
			next.End()
			if live.lost.Load() {
				t.Error("readers would not be told the end")
			}
		})
	}
}

// TestTakeover: the owner dies, its standby goes on with the life, and an edge sees one
// log and one list of segments, without a number that has changed its meaning.
//
// Case: kill-origin.
func TestTakeover(t *testing.T) {
	w := newWorld(t)
	owner, standby, edge := w.join("a", quick()), w.join("b", quick()).keep(), w.join("c", quick())
	f := owner.publish(key("a"), 7)
	f.frames(60)
	l := newLowLister(f.w, 7, 100)
	f.standbyOf(owner, standby, &hearing{})
	for range 4 {
		l.part(10_000)
		l.add(10_000)
	}
	last := l.part(10_000) // of 104
	f.inSync()
	feed := edge.open(key("a"))
	defer feed.Close()
	feed.WantHLS(true)
	defer feed.WantHLS(false)
	old := shows(t, feed, last)
	live := f.caughtUp(feed)
	seen := record(live)
	defer seen.stop()
	f.caughtUp(feed)
	f.heldBy(standby)
	owner.stop()
	w.place(key("a"), &state.Placement{Epoch: 8, Owner: standby.id})
	next, err := standby.hub.Publish(key("a"), 8, LiveOptions{})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "no cache keeps what the old owner said", func() bool {
		x := live.Index()
		return x.Held && x.Version == old.Version
	})
	// The new owner closes the open segment under its name, with what it has of it.
	n := *l
	n.w, n.version, n.listing = next, 0, 0
	n.open = next.Live().Index().Open
	n.segments = slices.Clone(next.Live().Index().Segments)
	n.grow(5000)
	closing := *n.open
	closing.TS = n.media(3000)
	n.segments, n.open, n.msn = append(n.segments, &closing), nil, n.msn+1
	n.epoch = 8
	x := n.show(false)
	got := shows(t, feed, x)
	sameHLS(t, got, x)
	if got.Held || got.Lookup(7, 104) == nil || len(got.Lookup(7, 104).Parts) != 2 {
		t.Errorf("the closing segment: %+v", got.Lookup(7, 104))
	}
	g := &feeder{t: t, w: next, gop: 25, size: 1000, frame: f.frame, id: media.PacketID{Epoch: 8}}
	g.frames(50)
	g.caughtUp(feed)
	if edge.open(key("a")).Live() != live {
		t.Error("another life for the edge's viewers")
	}
	same(t, live, next.Live())
	sameHLS(t, shows(t, feed, n.add(8000)), n.history[len(n.history)-1])
	numbersKeep(t, seen.list())
}

// numbersKeep checks that no number, and no part, has changed its meaning over what was shown.
func numbersKeep(t *testing.T, shown []*hls.Index) {
	t.Helper()
	epochs := map[uint64]uint64{}
	parts := map[string]int{}
	for _, x := range shown {
		for seg := range allOf(x) {
			if epoch, ok := epochs[seg.MSN]; ok && epoch != seg.Epoch {
				t.Fatalf("number %d was of epoch %d, now of %d", seg.MSN, epoch, seg.Epoch)
			}
			epochs[seg.MSN] = seg.Epoch
			for i, p := range seg.Parts {
				name := fmt.Sprintf("%d-%d.%d", seg.Epoch, seg.MSN, i)
				if size, ok := parts[name]; ok && size != p.Size {
					t.Fatalf("part %s had %d bytes, now %d", name, size, p.Size)
				}
				parts[name] = p.Size
			}
		}
	}
}

// Requirement: C5
// TestNothingIsSeenThatTheStandbyLacks: the owner is killed at any moment: whatever an
// edge has shown by then, or shows later, the standby has, byte for byte.
func TestNothingIsSeenThatTheStandbyLacks(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) { killedAtAnyMoment(t, rand.New(rand.NewPCG(seed, 9))) })
	}
}

func killedAtAnyMoment(t *testing.T, rng *rand.Rand) {
	t.Helper()
	w := newWorld(t).regions()
	owner, standby, edge := w.join("a", quick()), w.join("b", quick()).keep(), w.join("c", quick())
	f := owner.publish(key("a"), 7)
	f.frames(30)
	l := newLowLister(f.w, 7, 100)
	l.early = rng.IntN(2) == 0
	l.add(1000)
	f.standbyOf(owner, standby, &hearing{})
	f.inSync()
	feed := edge.open(key("a"))
	defer feed.Close()
	feed.WantHLS(true)
	defer feed.WantHLS(false)
	eventually(t, "the edge shows an index", func() bool { return feed.Live() != nil && feed.Live().Index() != nil })
	local, remote := record(f.w.Live()), record(feed.Live())
	defer local.stop()
	defer remote.stop()
	owner.cable.lengthen(time.Duration(rng.IntN(8)) * time.Millisecond)
	pause := time.NewTicker(3 * time.Millisecond)
	defer pause.Stop()
	for range 20 + rng.IntN(60) {
		<-pause.C
		f.frames(1)
		switch rng.IntN(6) {
		case 0, 1:
			l.part(1 + rng.IntN(40_000))
		case 2:
			l.add(1 + rng.IntN(120_000))
		}
	}
	if _, inSync, _ := f.w.Live().StandbyState(); !inSync {
		return // this machine was too slow: then nothing is promised
	}
	owner.cable.sever(nil)
	seen := map[uint64]*hls.Index{}
	for _, x := range slices.Concat(local.list(), remote.list()) {
		seen[x.Version] = x
	}
	held := standby.open(key("a"))
	defer held.Close()
	has := held.Live().Index()
	newest := slices.Max(slices.Collect(maps.Keys(seen)))
	if has == nil || has.Version < newest {
		t.Fatalf("index %d was seen, the standby has %v", newest, has)
	}
	for _, x := range seen {
		for seg := range allOf(x) {
			if mine := has.Lookup(seg.Epoch, seg.MSN); mine != nil && x.Open != seg && !sameMedia(mine.MP4, seg.MP4) {
				t.Fatalf("segment %d of the standby is another one", seg.MSN)
			}
		}
		for _, seg := range x.Playlist() {
			if first := has.Segments[0].MSN; seg.MSN >= first && has.Lookup(seg.Epoch, seg.MSN) == nil {
				t.Fatalf("segment %d was seen, the standby lacks it", seg.MSN)
			}
		}
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
