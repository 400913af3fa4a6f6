package origin_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"tmms/cluster/relay"
	"tmms/cluster/state"
	"tmms/media"
	"tmms/media/amf0"
	"tmms/media/rtmp"
	"tmms/origin/session"
)

// state of the only stream of a node, "" without one.
func (c *clusterNode) state() string {
	if s := c.Streams(); len(s) == 1 {
		return s[0].State
	}
	return ""
}

// keepSending goes on with the stream until stop is called.
func (c *client) keepSending(from uint32) (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for at := from; ; at += 20 {
			select {
			case <-quit:
				return
			case <-tick.C:
				c.send(media.TypeAudio, at, audioFrame)
			}
		}
	}()
	return func() {
		close(quit)
		<-done
	}
}

// oneClock fails the test unless no track of the log ever goes back.
func oneClock(t *testing.T, l *relay.Live) {
	t.Helper()
	last := map[media.Type]media.Timestamp{}
	for _, e := range entries(l) {
		if e.DTS < last[e.Type] {
			t.Errorf("%v: %v packet at %d after %d", e.ID, e.Type, e.DTS, last[e.Type])
		}
		last[e.Type] = e.DTS
	}
}

// A push to a node that does not own the stream plays from the owner's hub: in
// the grace it continues the stream.
//
// Requirement: S6 (across origins: the encoder comes back to another origin
// while the owner lives; same epoch, next run, one clock).
func TestPushElsewhere(t *testing.T) {
	g := newGroup(t)
	a, b := g.start("a"), g.start("b")
	first := a.publish("test")
	a.waitPackets("test", 78)
	before, _ := g.placement("test")
	first.quit()
	waitFor(t, "grace", func() bool { return a.state() == "grace" })

	second := dial(t, b.rtmp, "rtmp://h/live/test", rtmp.OrderFFmpeg).ready()
	sent := second.publish(5_000_000, 3000)
	live := a.waitPackets("test", 78+sent-3) // headers that are in force are not repeated
	oneClock(t, live)
	list := entries(live)
	last := list[len(list)-1]
	if last.Run != 1 || last.ID.Epoch != before.Epoch {
		t.Errorf("the last packet has run %d and epoch %d, want 1 and %d", last.Run, last.ID.Epoch, before.Epoch)
	}
	if last.DTS < 3900 || last.DTS > 4200 {
		t.Errorf("the stream is at %d ms after 1 s and 3 s of media", last.DTS)
	}
	if after, _ := g.placement("test"); after != before {
		t.Errorf("the placement is %+v, was %+v", after, before)
	}
	if n := b.hub.Len(); n != 0 {
		t.Errorf("the forwarder has %d feeds", n)
	}
	info := a.Streams()[0]
	if info.Publisher == nil || !strings.HasSuffix(info.Publisher.Remote, " via b") {
		t.Errorf("publisher %+v, want one via b", info.Publisher)
	}
	for name, want := range map[string]float64{"tmms_origin_publishers": 1, "tmms_origin_forwarded_publishers": 1} {
		if v := b.metric(name); v != want {
			t.Errorf("%s of the forwarder is %v, want %v", name, v, want)
		}
	}

	second.quit()
	waitFor(t, "grace", func() bool { return a.state() == "grace" })
	waitFor(t, "log", func() bool { return strings.Contains(b.log.String(), "publisher closed") })
	if log := b.log.String(); strings.Count(log, "publisher closed") != 1 || !strings.Contains(log, "owner=id-a") ||
		!strings.Contains(log, "run=1") || !strings.Contains(log, "closed by the peer") {
		t.Errorf("log of the forwarder:\n%s", log)
	}
	if log := a.log.String(); !strings.Contains(log, "publisher is gone: closed by the peer, at node b") {
		t.Errorf("log of the owner:\n%s", log)
	}
}

// Unpublish and publish again on one connection, over another node.
// CASES: fc-order.
func TestPushElsewhereAgain(t *testing.T) {
	g := newGroup(t)
	a, b := g.start("a"), g.start("b")
	a.own("test")
	c := dial(t, b.rtmp, "rtmp://h/live/test", rtmp.OrderFFmpeg).ready()
	for range 3 { // without waiting for any answer
		c.publish(0, 1000)
		c.command(1, "closeStream", 0, amf0.Null())
		c.command(1, "publish", 11, amf0.Null(), amf0.String("test"), amf0.String("live"))
	}
	list := entries(a.waitPackets("test", 4*75+3))
	if e := list[len(list)-1]; e.Run != 3 || len(list) != 4*75+3 {
		t.Errorf("%d packets, the last of run %d; want 303 and run 3", len(list), e.Run)
	}
	oneClock(t, a.live("test"))
}

// CASES: takeover, busy; across nodes.
func TestTakeoverElsewhere(t *testing.T) {
	const at, other = "owner", "forwarder"
	for _, tt := range []struct {
		name, app      string
		oldKey, newKey string
		old, new       string // nodes
		replaced       bool
	}{
		{"reject", "first", "k", "k", at, other, false},
		{"same token", "live", "k", "k", at, other, true},
		{"same token, the old one forwarded", "live", "k", "k", other, at, true},
		{"same token, both forwarded", "live", "k", "k", other, other, true},
		{"other token", "live", "k", "l", at, other, false},
		{"other token, the old one forwarded", "live", "k", "l", other, at, false},
		{"no token", "live", "", "", other, other, false},
	} {
		t.Run("takeover "+tt.name, func(t *testing.T) {
			g := newGroup(t)
			a, b := g.start("a"), g.start("b")
			addr := map[string]string{at: a.rtmp, other: b.rtmp}
			url := func(key string) string {
				return "rtmp://h/" + tt.app + "/test" + map[bool]string{true: "?key=" + key}[key != ""]
			}
			first := dial(t, a.rtmp, url("x"), rtmp.OrderFFmpeg).ready() // makes a the owner
			first.publish(0, 1000)
			a.waitPackets("test", 78)
			first.quit()
			waitFor(t, "grace", func() bool { return a.state() == "grace" })

			old := dial(t, addr[tt.old], url(tt.oldKey), rtmp.OrderFFmpeg).ready()
			old.publish(0, 1000)
			a.waitPackets("test", 78+75)
			next := dial(t, addr[tt.new], url(tt.newKey), rtmp.OrderFFmpeg)
			if !tt.replaced {
				if s := next.refused(); s.Code != "NetStream.Publish.BadName" || s.Description != session.ErrBusy.Error() {
					t.Errorf("refused with %+v", s)
				}
				old.publish(1000, 1000)
				a.waitPackets("test", 78+150)
				return
			}
			next.ready()
			old.closed()
			next.publish(0, 1000)
			oneClock(t, a.waitPackets("test", 78+150))
			log := map[string]*clusterNode{at: a, other: b}[tt.old].log
			waitFor(t, "log", func() bool { return strings.Contains(log.String(), session.ErrReplaced.Error()) })
		})
	}
}

// A token and its digest are in no log, whatever happens to the publisher.
func TestTokenIsNotLogged(t *testing.T) {
	g := newGroup(t)
	a, b := g.start("a"), g.start("b")
	const key = "s3cret"
	url := "rtmp://tv.example.com/live/test?key=" + key
	old := dial(t, a.rtmp, url, rtmp.OrderFFmpeg).ready()
	old.publish(0, 1000)
	a.waitPackets("test", 78)
	next := dial(t, b.rtmp, url, rtmp.OrderFFmpeg).ready()
	old.closed()
	dial(t, b.rtmp, "rtmp://tv.example.com/live/test?key=wrong", rtmp.OrderFFmpeg).refused()
	next.quit()
	waitFor(t, "grace", func() bool { return a.state() == "grace" })
	sum := sha256.Sum256([]byte(key))
	for _, c := range []*clusterNode{a, b} {
		log := strings.ToLower(c.log.String())
		for _, secret := range []string{
			key, hex.EncodeToString(sum[:4]), strings.ToLower(base64.StdEncoding.EncodeToString(sum[:6])),
			fmt.Sprintf("%d %d %d %d", sum[0], sum[1], sum[2], sum[3]),
		} {
			if strings.Contains(log, secret) {
				t.Errorf("%s is in the log of %s:\n%s", secret, c.id, log)
			}
		}
	}
}

// The owner ends: the publishers that others forward to it are told.
func TestOwnerStops(t *testing.T) {
	g := newGroup(t)
	a, b := g.start("a"), g.start("b")
	a.own("test")
	c := b.publish("test")
	a.waitPackets("test", 78+75)
	a.stop()
	c.closed()
	waitFor(t, "log", func() bool { return strings.Contains(b.log.String(), "closed by the owner (ended)") })
	b.publish("test") // it is nobody's by now
	if p, _ := g.placement("test"); p.Owner != b.id {
		t.Errorf("the stream is %+v", p)
	}
}

// A node that is being drained closes the publishers of others, and its streams
// go on at the nodes where those come to.
func TestOwnerDrains(t *testing.T) {
	g := newGroup(t)
	a, b := g.start("a"), g.start("b")
	a.own("test")
	c := b.publish("test")
	a.waitPackets("test", 78+75)
	if err := a.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.closed()
	b.publish("test")
	if p, _ := g.placement("test"); p.Owner != b.id {
		t.Errorf("the stream is %+v, want it at %s", p, b.id)
	}
}

// The owner dies under a forwarded publisher, which is closed; the encoder
// comes back and waits until the cluster has given the stream up. Then the
// stream goes on at the node where it came to.
//
// Requirement: S6 (across origins, after the owner's death: the clock goes on
// from the stream's time 0, in one later epoch, and so do the segments' numbers
// with one discontinuity).
func TestOwnerDies(t *testing.T) {
	g := newGroup(t)
	a, b := g.start("a"), g.start("b")
	hls := func(c *clusterNode) *client {
		return dial(t, c.rtmp, "rtmp://h/hls/test", rtmp.OrderFFmpeg)
	}
	first := hls(a).ready()
	first.publish(0, 1000)
	a.waitPackets("test", 78)
	first.quit()
	waitFor(t, "grace", func() bool { return a.state() == "grace" })
	c := hls(b).ready()
	sent := c.publish(0, 3000)
	old := a.waitPackets("test", 78+sent-3)
	waitFor(t, "segments", func() bool { return old.Index() != nil })
	lastDTS, lastMSN := old.LastDTS(), old.Index().NextMSN()-1
	placed, _ := member{group: g}.Placement(old.Key())

	a.wire.setCut(true)
	stop := c.keepSending(3000)
	c.closed()
	stop()
	waitFor(t, "log", func() bool { return strings.Contains(b.log.String(), "the stream's owner") })

	refusals := g.refusals()
	c = hls(b)
	t0 := time.UnixMilli(placed.T0MS)
	waitFor(t, "hold", func() bool {
		return g.refusals() > refusals && time.Since(t0) > lastDTS.Duration() // which was sent at once
	})
	g.expire(a.id)
	c.ready()
	sent = c.publish(77_000, 5000)
	live := b.waitPackets("test", sent)
	oneClock(t, live)
	list := entries(live)
	if e := list[0]; e.ID.Epoch <= placed.Epoch || e.Run != 0 {
		t.Errorf("the first packet is %v of run %d, the epoch before was %d", e.ID, e.Run, placed.Epoch)
	}
	clock := media.Timestamp(list[0].Ingested/1000 - placed.T0MS)
	if at := list[0].DTS; at <= lastDTS || at < clock || at > clock+1000 {
		t.Errorf("the stream goes on at %d ms, it was at %d, and is %d old", at, lastDTS, clock)
	}
	waitFor(t, "segments", func() bool { x := live.Index(); return x != nil && x.Listed >= 2 })
	marks := 0
	for _, s := range live.Index().Playlist() {
		if s.Discontinuity {
			marks++
		}
	}
	if s := live.Index().Playlist()[0]; s.MSN <= lastMSN || !s.Discontinuity || marks != 1 || live.Index().DiscontinuitySequence != 0 {
		t.Errorf("the first segment is %d (before: %d), discontinuity %v of %d", s.MSN, lastMSN, s.Discontinuity, marks)
	}
	waitFor(t, "the old owner's end", func() bool { return a.state() == "" })
	if now, _ := (member{group: g}).Placement(live.Key()); now.Owner != b.id || now.T0MS != placed.T0MS {
		t.Errorf("the placement is %+v, was %+v", now, placed)
	}
}

// The owner dies under viewers of another node, to which its publisher comes:
// their life of the stream goes on, wherever the wall clock is.
//
// Requirement: S6 (across origins: the same viewers, one clock).
func TestOwnerDiesUnderViewers(t *testing.T) {
	for name, ahead := range map[string]time.Duration{"ahead of the wall clock": 0, "an hour behind it": -time.Hour} {
		t.Run(name, func(t *testing.T) { ownerDiesUnderViewers(t, ahead) })
	}
}

// ownerDiesUnderViewers has the claims, and so time 0, at a wall clock that is ahead.
func ownerDiesUnderViewers(t *testing.T, ahead time.Duration) {
	t.Helper()
	g := newGroup(t)
	g.ahead = ahead
	a, b := g.start("a"), g.start("b")
	feed, err := b.hub.Open(media.StreamKey{Domain: "default", App: "live", Stream: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer feed.Close()
	c := a.publish("test")
	a.waitPackets("test", 78)
	c.publish(1000, 9000) // at once
	a.waitPackets("test", 78+9*75)
	waitFor(t, "the viewers' life", func() bool {
		l := feed.Live()
		return l != nil && l.LastDTS() == a.live("test").LastDTS()
	})
	life, lastDTS, epoch := feed.Live(), feed.Live().LastDTS(), feed.Live().Epoch()
	before := life.Packets()

	a.wire.setCut(true)
	g.expire(a.id)
	c = dial(t, b.rtmp, "rtmp://h/live/test", rtmp.OrderFFmpeg).ready()
	sent := c.publish(0, 1000)
	waitFor(t, "packets", func() bool { return life.Packets() >= before+sent })
	if feed.Live() != life || life.State() != relay.StateLive || life.Epoch() <= epoch {
		t.Errorf("the life is %v in epoch %d (before: %d), another one: %v", life.State(), life.Epoch(), epoch, feed.Live() != life)
	}
	oneClock(t, life)
	for _, e := range entries(life) {
		if e.ID.Epoch > epoch {
			if e.DTS <= lastDTS || e.DTS > lastDTS+100 || e.Run != 0 {
				t.Errorf("the new epoch begins at %d ms in run %d, the old one ended at %d", e.DTS, e.Run, lastDTS)
			}
			break
		}
	}
}

// Two owners die one after another under viewers of another node, an hour behind the
// wall clock: each new owner hears from that node how far the viewers are, and goes on
// there.
//
// Requirement: S6 (across origins: the same viewers of RTMP, FLV and HLS, one
// clock, a rising MSN, one discontinuity at each seam).
func TestOwnerDiesUnderDistantViewers(t *testing.T) {
	g := newGroup(t)
	g.ahead = -time.Hour
	owners := []*clusterNode{g.start("a"), g.start("b"), g.start("d")}
	edge := g.start("c")
	key := media.StreamKey{Domain: "default", App: "hls", Stream: "test"}
	feed, err := edge.hub.Open(key)
	if err != nil {
		t.Fatal(err)
	}
	defer feed.Close()
	feed.WantHLS(true)
	defer feed.WantHLS(false)
	var life *relay.Live
	last := struct {
		dts     media.Timestamp
		nextMSN uint64
	}{dts: -1}
	for i, now := range owners {
		sent := dial(t, now.rtmp, "rtmp://h/hls/test", rtmp.OrderFFmpeg).ready().publish(0, 20_000)
		owner := now.waitPackets("test", sent)
		waitFor(t, "the viewers' life", func() bool {
			l := feed.Live()
			return l != nil && l.LastDTS() == owner.LastDTS() && l.Index() != nil &&
				l.Index().Epoch == owner.Epoch() && l.Index().NextMSN() == owner.Index().NextMSN()
		})
		if life != nil && (feed.Live() != life || life.State() != relay.StateLive) {
			t.Errorf("owner %d: the life is %v, another one: %v", i, life.State(), feed.Live() != life)
		}
		life = feed.Live()
		oneClock(t, life)
		index := life.Index()
		if n := index.Discontinuities(); n != uint64(i) {
			t.Errorf("owner %d: %d discontinuities\n%s", i, n, index.AppendMedia(nil, ""))
		}
		for _, e := range entries(life) {
			if e.ID.Epoch == owner.Epoch() && (e.DTS <= last.dts || e.DTS > last.dts+20_100) {
				t.Errorf("%v of owner %d is at %d, the one before ended at %d", e.ID, i, e.DTS, last.dts)
			}
		}
		for _, s := range index.Segments {
			if s.Epoch == owner.Epoch() && s.MSN < last.nextMSN {
				t.Errorf("segment %d of owner %d after %d", s.MSN, i, last.nextMSN-1)
			}
		}
		last.dts, last.nextMSN = life.LastDTS(), index.NextMSN()
		now.wire.setCut(true)
		g.expire(now.id)
	}
}

// A placement that was dropped ends the stream too.
func TestDropped(t *testing.T) {
	g := newGroup(t)
	a := g.start("a")
	c := a.publish("test")
	a.waitPackets("test", 78)
	began := time.Now()
	p, _ := g.placement("test")
	waitFor(t, "a look at the placements", func() bool { return time.Since(began) > time.Second })
	g.expire(a.id)
	c.publish(1000, 1000)
	a.waitPackets("test", 78+75)
	g.apply(state.DropOrphans{Orphans: []state.Orphan{
		{Key: state.Key{Domain: "default", App: "live", Stream: "test"}, Epoch: p.Epoch},
	}})
	c.closed()
	waitFor(t, "end", func() bool { return a.state() == "" })
	a.publish("test")
	if p, _ := g.placement("test"); p.Owner != a.id {
		t.Errorf("the placement is %+v", p)
	}
}

// An owner that can't be reached and is not given up: the publisher waits, then
// it is asked to come back.
func TestOwnerUnreachable(t *testing.T) {
	g := newGroup(t)
	a, b := g.start("a"), g.start("b")
	a.publish("test")
	a.waitPackets("test", 78)
	a.wire.setCut(true)
	began := time.Now()
	c := dial(t, b.rtmp, "rtmp://h/live/test", rtmp.OrderFFmpeg)
	if s := c.refused(); !strings.Contains(s.Description, "try again") {
		t.Errorf("refused with %+v", s)
	}
	if d := time.Since(began); d < media.ClaimHold/2 || d > 2*media.ClaimHold {
		t.Errorf("refused after %v, want about %v", d, media.ClaimHold)
	}
}

// The owner ends under viewers of another node: they keep their life of the
// stream, and the publisher goes on with it where it comes back to.
//
// Requirement: S6 (across origins: the owner is shut down).
func TestOwnerStopsUnderViewers(t *testing.T) {
	g := newGroup(t)
	a, b, edge := g.start("a"), g.start("b"), g.start("c")
	feed, err := edge.hub.Open(media.StreamKey{Domain: "default", App: "live", Stream: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer feed.Close()
	c := a.publish("test")
	owned := a.waitPackets("test", 78)
	waitFor(t, "the viewers' life", func() bool { l := feed.Live(); return l != nil && l.LastDTS() == owned.LastDTS() })
	life, epoch := feed.Live(), feed.Live().Epoch()
	before := life.Packets()
	a.stop()
	c.closed()
	if p, ok := g.placement("test"); !ok || !p.Orphan() || p.Epoch != epoch {
		t.Errorf("the placement is %+v, want an orphan of epoch %d", p, epoch)
	}
	c = dial(t, b.rtmp, "rtmp://h/live/test", rtmp.OrderFFmpeg).ready()
	sent := c.publish(0, 1000)
	waitFor(t, "packets", func() bool { return life.Packets() >= before+sent })
	if feed.Live() != life || life.State() != relay.StateLive || life.Epoch() <= epoch {
		t.Errorf("the life is %v in epoch %d (before: %d)", life.State(), life.Epoch(), epoch)
	}
	oneClock(t, life)
}

// A stream that has lost its owner, because the cluster did not hear of it for a
// while, goes on and is taken back, in its epoch.
func TestTakenBack(t *testing.T) {
	g := newGroup(t)
	a := g.start("a")
	c := a.publish("test")
	live := a.waitPackets("test", 78)
	before, _ := g.placement("test")
	g.lapse(a.id)
	waitFor(t, "the placement", func() bool { p, _ := g.placement("test"); return p == before })
	c.publish(1000, 1000)
	a.waitPackets("test", 78+75)
	oneClock(t, live)
	waitFor(t, "log", func() bool { return strings.Contains(a.log.String(), "stream taken back") })
}

// Viewers at a node that has lost a stream to another one go on with what that
// one has.
func TestSupersededUnderViewers(t *testing.T) {
	g := newGroup(t)
	a, b := g.start("a"), g.start("b")
	feed, err := a.hub.Open(media.StreamKey{Domain: "default", App: "hls", Stream: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer feed.Close()
	feed.WantHLS(true)
	defer feed.WantHLS(false)
	c := dial(t, a.rtmp, "rtmp://h/hls/test", rtmp.OrderFFmpeg).ready()
	c.publish(0, 6000)
	life := a.waitPackets("test", 3+6*75)
	waitFor(t, "segments", func() bool { x := life.Index(); return x != nil && x.Listed > 0 })
	epoch, lastMSN := life.Epoch(), life.Index().NextMSN()-1
	before := life.Packets()

	g.expire(a.id)
	next := dial(t, b.rtmp, "rtmp://h/hls/test", rtmp.OrderFFmpeg).ready()
	c.closed()
	sent := next.publish(0, 6000)
	waitFor(t, "packets", func() bool { return life.Packets() >= before+sent })
	if feed.Live() != life || life.State() != relay.StateLive || life.Epoch() <= epoch {
		t.Errorf("the life is %v in epoch %d (before: %d)", life.State(), life.Epoch(), epoch)
	}
	oneClock(t, life)
	waitFor(t, "segments of the new owner", func() bool { return life.Index().Epoch > epoch })
	if s := life.Index().Playlist()[0]; s.MSN <= lastMSN {
		t.Errorf("the first segment is %d, the last was %d", s.MSN, lastMSN)
	}
	next.quit()
	waitFor(t, "grace", func() bool { return life.State() == relay.StateGrace })
	b.stop()
	g.apply(state.DropOrphans{Orphans: []state.Orphan{{Key: state.Key(life.Key()), Epoch: life.Epoch()}}})
	waitFor(t, "the end", func() bool { return life.State() == relay.StateEnded && feed.Live() == nil })
}

// A stream that another node has been given is ended here, and its publisher goes on
// there; the placement is left alone. One that has merely lost its owner goes on.
func TestSuperseded(t *testing.T) {
	g := newGroup(t)
	a, b := g.start("a"), g.start("b")
	c := a.publish("test")
	live := a.waitPackets("test", 78)
	g.expire(a.id)
	c.publish(1000, 1000)
	a.waitPackets("test", 78+75)
	now, err := member{g, b.id}.Claim(t.Context(), live.Key())
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, "end", func() bool { return a.state() == "" && a.hub.Len() == 0 })
	waitFor(t, "the relay", func() bool { return b.state() == "live" })
	c.publish(2000, 1000)
	oneClock(t, b.waitPackets("test", 78))
	if p, _ := g.placement("test"); p != now {
		t.Errorf("the placement is %+v, want %+v", p, now)
	}
	waitFor(t, "log", func() bool { return strings.Contains(a.log.String(), session.ErrSuperseded.Error()) })
}

// A player that comes to a node without an edge is told where to go.
func TestPlayElsewhere(t *testing.T) {
	g := newGroup(t)
	a := g.start("a")
	c := dial(t, a.rtmp, "rtmp://h/live/test", rtmp.OrderFFmpeg).ready()
	c.command(1, "closeStream", 0, amf0.Null())
	c.command(1, "play", 5, amf0.Null(), amf0.String("test"))
	if s := c.refused(); s.Code != "NetStream.Play.Failed" || !strings.Contains(s.Description, "rtmp://edge.example.com:1935") {
		t.Errorf("refused with %+v", s)
	}
	resp, err := http.Get("http://" + a.rtmp + "/live/test.m3u8")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusBadRequest || !strings.Contains(string(text), "http://edge.example.com:8080") {
		t.Errorf("by HTTP: %s %q, %v", resp.Status, text, err)
	}
}
