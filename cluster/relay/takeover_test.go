package relay

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tmms/cluster/state"
	"tmms/media"
	"tmms/media/hls"
)

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
	l.ahead(200_000)
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
	n.w, n.version, n.listing, n.growing = next, 0, 0, nil
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
	l := newLister(f.w, 7, 100)
	if rng.IntN(2) == 0 {
		l = newLowLister(f.w, 7, 100)
		l.early = rng.IntN(2) == 0
	}
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
			if l.low {
				l.part(1 + rng.IntN(40_000))
			} else {
				l.ahead(1 + rng.IntN(40_000))
			}
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
			if mine := has.Lookup(seg.Epoch, seg.MSN); mine != nil && x.Open != seg && (!sameMedia(mine.MP4, seg.MP4) || !sameMedia(mine.TS, seg.TS)) {
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
