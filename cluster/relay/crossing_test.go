package relay

import (
	"bytes"
	"math/rand/v2"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"tmms/cluster/state"
	"tmms/media"
	"tmms/media/flv"
)

// neverBack checks that no time in the log is before an earlier one of its track, and
// that viewers get those times.
func neverBack(t *testing.T, all []logged) {
	t.Helper()
	last := map[media.Type]media.Timestamp{}
	for i, e := range all {
		if e.DTS < last[e.Type] {
			t.Fatalf("packet %d, %+v, is at %d, the one before of its kind at %d", i, e.ID, e.DTS, last[e.Type])
		}
		last[e.Type] = e.DTS
		if tag, _, err := flv.ParseTag(e.raw); err != nil || tag.Timestamp != uint32(e.DTS) {
			t.Fatalf("packet %d at %d has the tag %+v, %v", i, e.DTS, tag, err)
		}
	}
}

// TestHealOfAPartition: an edge has been with the old owner while a new one went on
// elsewhere, both for 10 s. When it hears of the new one, its readers' clock goes on.
//
// Case: partition-minority.
//
// Requirement: S6
func TestHealOfAPartition(t *testing.T) {
	const shown = 250 // frames of the old owner at the edge
	for name, c := range map[string]healing{
		"the new owner is as far":                {from: 55, to: 260, lag: time.Minute, begins: 250},
		"a keyframe is about to come":            {from: 55, to: 245, more: 15, lag: time.Minute, begins: 250},
		"a little behind, and no keyframe comes": {from: 55, to: 240, more: 1 << 20, lag: 700 * time.Millisecond, begins: 225},
		"the stream has begun anew":              {from: 0, to: 80, more: 1 << 20, lag: 4 * time.Second, begins: 75},
	} {
		t.Run(name, func(t *testing.T) { c.run(t, shown) })
	}
}

// healing is a new owner at the heal: it has the frames from one to another, more
// come then, and the epoch begins with one of them at the edge.
type healing struct {
	from, to, more, begins int
	lag                    time.Duration
}

func (c healing) run(t *testing.T, shown int) {
	t.Helper()
	w := newWorld(t)
	a, b, edge := w.join("a", quick()), w.join("b", quick()), w.join("c", quick())
	keep := LiveOptions{StartedAt: time.Now(), Keep: time.Minute, MaxLag: c.lag}
	old := a.publishWith(key("a"), 7, keep)
	was := state.Placement{Epoch: 7, Owner: a.id}
	w.hold(a, &was)
	w.hold(edge, &was)
	feed := edge.open(key("a"))
	defer feed.Close()
	old.frames(1)
	live := old.caughtUp(feed)
	old.frames(shown - 1)
	old.caughtUp(feed)
	next := b.publishWith(key("a"), 8, keep)
	next.frame = c.from
	next.frames(c.to - c.from)
	if c.more > shown {
		next.gop = 1 << 30
	}
	w.hold(a, nil)
	w.hold(edge, nil)
	at := time.Now()
	eventually(t, "the epoch begins", func() bool {
		if c.more > 0 && time.Since(at) > 40*time.Millisecond {
			at = time.Now()
			c.more--
			next.frames(1)
		}
		return lastOf(live).Epoch == 8
	})
	next.frames(5)
	if next.caughtUp(feed) != live {
		t.Error("another life")
	}
	neverBack(t, entries(live))
	of, want := since(live, 8), since(next.w.Live(), 8)
	ahead := media.Timestamp(max(shown-c.begins, 0) * 40)
	if got := live.Ahead(8); got != ahead || live.Ahead(7) != 0 {
		t.Errorf("the log is %d ms ahead, want %d; %d in the epoch before", got, ahead, live.Ahead(7))
	}
	if at := of[0].DTS - ahead; of[0].Kind != media.KindKey || at != media.Timestamp(c.begins*40) {
		t.Errorf("the epoch begins with frame %d, %v, want %d", at/40, of[0].Kind, c.begins)
	}
	for i := range of {
		of[i].DTS -= ahead
		of[i].raw = nil // it has the log's time
	}
	for i := range want {
		want[i].raw = nil
	}
	sameEntries(t, of, want)
}

// publishWith begins a stream at the node, which keeps it as opt says.
func (m *member) publishWith(k media.StreamKey, epoch uint64, opt LiveOptions) *feeder {
	m.t.Helper()
	m.place(k, &state.Placement{Epoch: epoch, Owner: m.id})
	w, err := m.hub.Publish(k, epoch, opt)
	if err != nil {
		m.t.Fatal(err)
	}
	return &feeder{t: m.t, w: w, gop: 25, size: 1000, id: media.PacketID{Epoch: epoch}}
}

// TestShiftedShield: a shield whose clock is ahead hands on the stream's times, so
// that those who come to it later have them, those who were with it go on as it does,
// and the next owner does not hear of it.
func TestShiftedShield(t *testing.T) {
	w, owner, edges, f := threeEdges(t)
	child, below := f.watch(edges[1], edges[0])
	feed, live := f.watch(edges[0], owner)
	f.frames(250)
	f.caughtUp(feed)
	shown := f.caughtUp(child).LastDTS()
	again := w.join("again", quick())
	next := again.publish(key("a"), 8) // which knows nothing of it
	next.frames(80)
	next.caughtUp(feed)
	next.caughtUp(child)
	late, fresh := next.watch(edges[2], edges[0])
	next.frames(50)
	next.caughtUp(late)
	next.caughtUp(feed)
	next.caughtUp(child)
	for _, l := range []*Live{live, below} {
		if l.Ahead(8) < shown-80*40 || l.Ahead(7) != 0 {
			t.Errorf("ahead by %d ms and %d", l.Ahead(8), l.Ahead(7))
		}
		if at := l.Reached(); at != next.dts()-40 {
			t.Errorf("it has reached %d, its owner %d", at, next.dts()-40)
		}
	}
	if fresh.Ahead(8) != 0 || fresh.LastDTS() != next.dts()-40 {
		t.Errorf("an edge that came later is %d ms ahead, at %d", fresh.Ahead(8), fresh.LastDTS())
	}
	third := w.join("third", quick()).publish(key("a"), 9)
	eventually(t, "the edges report", func() bool { dts, _, _ := third.w.Live().Reported(); return dts == next.dts()-40 })
	third.frame = next.frame
	third.frames(50)
	third.caughtUp(feed)
	third.caughtUp(child)
	if live.Ahead(9) != live.Ahead(8) || below.Ahead(9) != below.Ahead(8) {
		t.Errorf("the next owner goes on, but the clocks are ahead by %d and %d", live.Ahead(9), below.Ahead(9))
	}
	neverBack(t, entries(live))
	neverBack(t, entries(below))
}

// TestOwnersOfAnyClock: whatever owners follow one another, with whatever clocks and
// backlogs, and whichever subscription brings what, no time in the log is before an
// earlier one, an epoch begins with a keyframe, and is whole from there on.
//
// Requirement: S6
func TestOwnersOfAnyClock(t *testing.T) {
	for seed := range uint64(200) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { owners(t, rand.New(rand.NewPCG(seed, 6))) })
		})
	}
}

// rivals is an owner's packets as they are made, 25 pictures and 50 sounds a second.
type rivals struct {
	id    media.PacketID
	clock media.Timestamp
	gop   media.Timestamp
	key   media.Timestamp // of the next keyframe
	sound media.Timestamp // of the next sound
	lead  media.Timestamp // of sound over pictures
	first bool
}

// next makes all that lies in the next 40 ms.
func (r *rivals) next() (list []media.Packet) {
	kind := media.KindDelta
	if r.clock >= r.key {
		kind, r.key = media.KindKey, r.clock+r.gop
		if !r.first {
			r.id.Group, r.id.Index = r.id.Group+1, 0
		}
		if r.first || r.id.Group%3 == 0 {
			list = append(list, media.Packet{Type: media.TypeVideo, Kind: media.KindConfig, DTS: r.clock, Body: []byte{byte(r.id.Group)}})
		}
		r.first = false
	}
	list = append(list, media.Packet{Type: media.TypeVideo, Kind: kind, DTS: r.clock, Body: []byte("picture")})
	for ; r.sound < r.clock+40-r.lead; r.sound += 20 {
		list = append(list, media.Packet{Type: media.TypeAudio, Kind: media.KindAudio, DTS: max(r.sound, 0), Body: []byte("sound")})
	}
	r.clock += 40
	for i := range list {
		list[i].ID = r.id
		r.id.Index++
	}
	return list
}

func owners(t *testing.T, rng *rand.Rand) {
	t.Helper()
	h := NewHub()
	w, err := h.publish(key("a"), 1, LiveOptions{MaxLag: time.Duration(500+rng.IntN(4000)) * time.Millisecond, Keep: time.Hour}, true)
	if err != nil {
		t.Fatal(err)
	}
	p := &pull{writer: w}
	var old []*rivals
	for epoch := range uint64(4) {
		clock := media.Timestamp(rng.IntN(20)*1000 + rng.IntN(1000))
		if epoch > 0 && rng.IntN(2) == 0 {
			clock = max(0, w.live.Reached()+media.Timestamp(rng.IntN(4000)-3000))
		}
		o := &rivals{
			id: media.PacketID{Epoch: epoch + 1}, clock: clock, key: clock, sound: clock, first: true,
			gop: media.Timestamp(200 + rng.IntN(4000)), lead: media.Timestamp(rng.IntN(80)),
		}
		var backlog []media.Packet
		for range rng.IntN(300) {
			backlog = append(backlog, o.next()...)
		}
		give := func(list []media.Packet) {
			for i := range list {
				pkt := list[i]
				for range 1 + rng.IntN(2) { // a second subscription may bring it too
					if err := p.append(&pkt, nil); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		give(backlog)
		for range 300 {
			time.Sleep(40 * time.Millisecond) // of the bubble's clock
			for _, r := range old {
				for _, pkt := range r.next() {
					if rng.IntN(3) == 0 { // it is cut off from time to time
						continue
					}
					if err := p.append(&pkt, nil); err != nil {
						t.Fatal(err)
					}
				}
			}
			give(o.next())
		}
		if p.seen.ID.Epoch != o.id.Epoch {
			t.Fatalf("epoch %d has not begun", o.id.Epoch)
		}
		old = []*rivals{o}
		checkOwner(t, w.live, o)
	}
	neverBack(t, entries(w.live))
}

// checkOwner looks at what the log has of the last owner.
func checkOwner(t *testing.T, live *Live, o *rivals) {
	t.Helper()
	of := since(live, o.id.Epoch)
	keyed := false
	for i, e := range of {
		if e.ID.Epoch != o.id.Epoch {
			t.Fatalf("%+v behind %+v", e.ID, of[0].ID)
		}
		switch e.Kind {
		case media.KindKey:
			keyed = true
		case media.KindDelta:
			if !keyed {
				t.Fatal("a picture before the keyframe")
			}
		case media.KindConfig:
			if got := e.Body(e.raw); !bytes.Equal(got, []byte{byte(e.ID.Group - e.ID.Group%3)}) {
				t.Fatalf("the configuration %v in group %d", got, e.ID.Group)
			}
		default:
		}
		if i > 0 && keyed && e.ID.Group == of[i-1].ID.Group && e.ID.Index != of[i-1].ID.Index+1 &&
			live.log.Tail() == 0 && e.DTS > of[0].DTS+200 {
			t.Fatalf("a gap between %+v and %+v", of[i-1].ID, e.ID)
		}
	}
	if at := live.Reached(); at < o.clock-80 || at > o.clock {
		t.Fatalf("it has reached %d, the owner %d", at, o.clock)
	}
	c := live.Configs()
	if c == nil || len(c.Headers) != 1 || c.Headers[0].Body[0] != byte(o.id.Group-o.id.Group%3) {
		t.Fatalf("the configs in group %d: %+v", o.id.Group, c)
	}
}
