package relay

import (
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tmms/media"
	"tmms/media/hls"
	"tmms/media/relaywire"
)

// gateTest is a life with a standby, without a network.
type gateTest struct {
	t     *testing.T
	w     *Writer
	sub   *subscription
	id    media.PacketID
	dts   media.Timestamp
	index *hls.Index // the last one made
	made  map[uint64]time.Time

	mu     sync.Mutex
	events []StandbyEvent // guarded by mu
}

const standbyNode = "id-b"

func newGateTest(t *testing.T) *gateTest {
	t.Helper()
	w, err := NewHub().Publish(key("a"), 7, LiveOptions{})
	if err != nil {
		t.Fatal(err)
	}
	g := &gateTest{t: t, w: w, id: media.PacketID{Epoch: 7}, made: map[uint64]time.Time{}}
	g.frame(media.KindKey)
	return g
}

func (g *gateTest) note(e StandbyEvent) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.events = append(g.events, e)
}

// last is the newest event.
func (g *gateTest) last() (e StandbyEvent, n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if n = len(g.events); n > 0 {
		e = g.events[n-1]
	}
	return e, n
}

func (g *gateTest) frame(kind media.Kind) {
	if kind == media.KindKey {
		g.id.Group, g.id.Index = g.id.Group+1, 0
	}
	if err := g.w.Append(&media.Packet{ID: g.id, Type: media.TypeVideo, Kind: kind, DTS: g.dts, Body: []byte{1}}); err != nil {
		g.t.Fatal(err)
	}
	g.id.Index++
	g.dts += 40
}

func (g *gateTest) publish() {
	version := uint64(1)
	if g.index != nil {
		version = g.index.Version + 1
	}
	g.index = &hls.Index{Version: version, Epoch: 7}
	g.made[version] = time.Now()
	g.w.PublishIndex(g.index)
}

// subscribe is a standby that begins to follow.
func (g *gateTest) subscribe() {
	hub := NewHub()
	g.sub = &subscription{
		server: &Server{hub: hub, metrics: &serverMetrics{standby: newStandbyMetrics(hub)}}, began: time.Now(),
	}
	g.w.live.gate.Load().attach(g.sub, standbyNode)
}

// ack acknowledges all packets, and the index of a version.
func (g *gateTest) ack(version uint64) error {
	a := relaywire.Ack{ID: g.id, DTS: g.dts - 40, IndexVersion: version}
	a.ID.Index--
	if version > 0 {
		a.IndexEpoch = 7
	}
	return g.w.live.gate.Load().ack(g.sub, &a)
}

// shown is the version that readers see, 0 for none.
func (g *gateTest) shown() uint64 {
	if x := g.w.live.Index(); x != nil {
		return x.Version
	}
	return 0
}

// want checks what readers see and the standby's state.
func (g *gateTest) want(what string, version uint64, inSync bool) {
	g.t.Helper()
	node, is, _ := g.w.live.StandbyState()
	if g.shown() != version || is != inSync || node != standbyNode {
		g.t.Errorf("%s: index %d is shown, in sync: %t of %q; want %d, %t", what, g.shown(), is, node, version, inSync)
	}
}

// inSync brings the standby there.
func (g *gateTest) inSync() {
	g.t.Helper()
	g.publish()
	g.w.SetStandby(standbyNode, g.note)
	g.subscribe()
	g.want("before it has acknowledged", 1, false)
	if err := g.ack(0); err != nil {
		g.t.Fatal(err)
	}
	g.want("without the index", 1, false)
	if err := g.ack(1); err != nil {
		g.t.Fatal(err)
	}
	g.want("with the index", 1, true)
	if e, n := g.last(); n != 1 || !e.InSync || e.Node != standbyNode {
		g.t.Errorf("%d events, the last is %+v", n, e)
	}
}

func TestIndexWaitsForTheStandby(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateTest(t)
		g.inSync()
		g.publish()
		g.publish()
		g.want("not acknowledged", 1, true)
		if x := g.w.live.Made(); x.Version != 3 {
			t.Errorf("the standby would get index %d, want 3", x.Version)
		}
		time.Sleep(media.StandbyHold - time.Millisecond)
		g.want("just before the bound", 1, true)
		if err := g.ack(2); err != nil {
			t.Fatal(err)
		}
		g.want("one is acknowledged", 2, true)
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		g.want("the other is not, in time", 3, false)
		if e, n := g.last(); n != 2 || e.InSync || e.Reason == "" {
			t.Errorf("%d events, the last is %+v", n, e)
		}
		g.publish()
		g.want("without a standby in sync", 4, false)
	})
}

// TestStandbyComesBack: one that was lost is in sync again a while later at the
// earliest, and only with everything.
func TestStandbyComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateTest(t)
		g.inSync()
		g.publish()
		time.Sleep(media.StandbyHold)
		synctest.Wait()
		g.want("lost", 2, false)
		if err := g.ack(2); err != nil {
			t.Fatal(err)
		}
		g.want("too early", 2, false)
		time.Sleep(media.StandbyPause)
		g.frame(media.KindDelta)
		if err := g.ack(2); err != nil {
			t.Fatal(err)
		}
		g.want("again", 2, true)
	})
}

// TestStandbyGoesAway: what was made when its subscription ends still waits as long as
// it would have, so that an owner that was replaced hears of it first; what comes
// later does not.
func TestStandbyGoesAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateTest(t)
		g.inSync()
		g.publish()
		time.Sleep(media.StandbyHold / 2)
		g.w.live.gate.Load().detach(g.sub, "cut")
		g.want("cut", 1, false)
		if e, n := g.last(); n != 2 || e.InSync {
			t.Errorf("%d events, the last is %+v", n, e)
		}
		g.publish()
		g.want("made behind the cut", 1, false)
		time.Sleep(media.StandbyHold / 2)
		synctest.Wait()
		g.want("the first is due", 2, false)
		time.Sleep(media.StandbyHold / 2)
		synctest.Wait()
		g.want("the second is due", 3, false)
		g.publish()
		g.want("at once", 4, false)
	})
}

// TestSupersededOwnerShowsNothing: an index that waits when another node, or another
// session, goes on with the life is never seen.
func TestSupersededOwnerShowsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateTest(t)
		f, err := g.w.feed.hub.Open(key("a"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		g.w.feed.hub.startDemand(func(media.StreamKey) bool { return true }, true)
		g.inSync()
		g.publish()
		g.w.Leave()
		time.Sleep(2 * media.StandbyHold)
		synctest.Wait()
		if live := f.Live(); live == nil || live.Index().Version != 1 || live.Made().Version != 1 {
			t.Error("the life is gone, or shows what its standby may not have")
		}
	})
}

// TestTheEndDoesNotWait: the last index goes before the end.
func TestTheEndDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateTest(t)
		g.inSync()
		g.publish()
		g.w.End()
		if g.shown() != 2 {
			t.Errorf("the life ends with index %d", g.shown())
		}
	})
}

func TestStandbyIsTakenOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateTest(t)
		g.inSync()
		g.publish()
		g.w.SetStandby("id-c", g.note)
		if node, inSync, _ := g.w.live.StandbyState(); node != "id-c" || inSync || g.shown() != 2 {
			t.Errorf("the standby is %q, in sync: %t, shown %d", node, inSync, g.shown())
		}
		if err := g.ack(2); err != nil {
			t.Fatal(err)
		}
		if _, inSync, _ := g.w.live.StandbyState(); inSync {
			t.Error("the old one acknowledges for the new one")
		}
		g.w.SetStandby("", nil)
		g.publish()
		if node, _, behind := g.w.live.StandbyState(); node != "" || behind != 0 || g.shown() != 3 {
			t.Errorf("the standby is %q, behind %d, shown %d", node, behind, g.shown())
		}
	})
}

// TestStandbyIsSlow: packets that are not acknowledged.
func TestStandbyIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateTest(t)
		g.inSync()
		gate := g.w.live.gate.Load()
		for range 50 {
			g.frame(media.KindDelta)
		}
		gate.check(g.sub, time.Now())
		time.Sleep(media.StandbyHold + time.Millisecond)
		gate.check(g.sub, time.Now())
		g.want("two seconds behind", 1, true)
		g.frame(media.KindDelta)
		gate.check(g.sub, time.Now())
		g.want("more, for a moment", 1, true)
		time.Sleep(media.StandbyHold + time.Millisecond)
		gate.check(g.sub, time.Now())
		g.want("more, for long", 1, false)
	})
}

func TestPacketsLeftOutForTheStandby(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateTest(t)
		g.inSync()
		g.publish()
		g.w.live.gate.Load().gap(&subscription{})
		g.want("of another subscription", 1, true)
		g.w.live.gate.Load().gap(g.sub)
		g.want("of its own", 2, false)
	})
}

// TestAcksOfTheFuture: who acknowledges what there is not is not believed any more.
func TestAcksOfTheFuture(t *testing.T) {
	for name, a := range map[string]relaywire.Ack{
		"index": {IndexEpoch: 7, IndexVersion: 3}, "epoch of an index": {IndexEpoch: 8, IndexVersion: 1},
		"time": {DTS: 1 << 40}, "epoch": {ID: media.PacketID{Epoch: 8}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGateTest(t)
				g.inSync()
				g.publish()
				if err := g.w.live.gate.Load().ack(g.sub, &a); err == nil {
					t.Error("it is believed")
				}
				g.want("afterwards", 2, false)
			})
		})
	}
}

// TestUnackedIsBounded: a standby that is silent costs no memory.
func TestUnackedIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateTest(t)
		g.inSync()
		for range 10 * media.MaxStandbyUnacked {
			g.publish()
		}
		gate := g.w.live.gate.Load()
		if n := len(gate.unacked); n != media.MaxStandbyUnacked {
			t.Errorf("%d indexes are noted, the limit is %d", n, media.MaxStandbyUnacked)
		}
		if err := g.ack(g.index.Version); err != nil {
			t.Fatal(err)
		}
		g.want("all are acknowledged", g.index.Version, true)
	})
}

// TestNoIndexIsSeenBeforeTheStandbyHasIt: whatever happens, in any order, an index is
// seen only if the standby has it, or after the bound, or if there is none in sync;
// versions never go back; and nothing waits for longer than the bound.
func TestNoIndexIsSeenBeforeTheStandbyHasIt(t *testing.T) {
	for seed := range uint64(300) {
		synctest.Test(t, func(t *testing.T) { randomGate(t, rand.New(rand.NewPCG(seed, 7))) })
	}
}

func randomGate(t *testing.T, rng *rand.Rand) {
	t.Helper()
	g := newGateTest(t)
	g.inSync()
	gate := g.w.live.gate.Load()
	acked, seen := uint64(1), uint64(1)
	for range 200 {
		_, wasInSync, _ := g.w.live.StandbyState()
		switch n := rng.IntN(12); {
		case n < 4:
			g.publish()
		case n < 7 && gate.sub != nil:
			acked = max(acked, g.index.Version-min(rng.Uint64N(3), g.index.Version-1))
			if err := g.ack(acked); err != nil {
				t.Fatal(err)
			}
		case n == 7 && gate.sub != nil && rng.IntN(4) == 0:
			gate.detach(g.sub, "cut")
		case n == 8 && gate.sub == nil:
			g.subscribe()
		case n == 9:
			g.frame(media.KindDelta)
		default:
			time.Sleep(time.Duration(rng.IntN(300)) * time.Millisecond)
		}
		synctest.Wait()
		shown := g.shown()
		if shown < seen {
			t.Fatalf("index %d after %d", shown, seen)
		}
		now := time.Now()
		if _, is, _ := g.w.live.StandbyState(); wasInSync && is && shown > max(acked, seen) {
			t.Fatalf("index %d is seen, %d was acknowledged", shown, acked)
		}
		for v := shown + 1; v <= g.index.Version; v++ {
			if now.Sub(g.made[v]) > media.StandbyHold {
				t.Fatalf("index %d waits for %v", v, now.Sub(g.made[v]))
			}
		}
		seen = shown
	}
}
