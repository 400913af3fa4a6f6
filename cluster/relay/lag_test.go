package relay

import (
	"testing"
	"time"

	"tmms/media"
	"tmms/media/relaywire"
)

// wrong makes the node's clock wrong by d, for what it says of times.
func wrong(d time.Duration) func() time.Time {
	return func() time.Time { return time.Now().Add(d) }
}

// stamped writes packets that came to the owner now, by its clock: the rest of
// the group and another.
func (f *feeder) stamped(now time.Time) {
	for range 2*f.gop - f.frame%f.gop {
		kind := media.KindDelta
		if f.frame%f.gop == 0 && f.frame > 0 {
			kind = media.KindKey
			f.id.Group, f.id.Index = f.id.Group+1, 0
		}
		f.put(media.Packet{
			Type: media.TypeVideo, Kind: kind, DTS: f.dts(), Ingested: now.UnixMicro(), Body: []byte{1},
		})
		f.frame++
	}
}

// measured waits for a corrected lag of packets that were 500 ms old when the owner
// wrote them: it must be near that.
func measured(t *testing.T, f *feeder, clock func() time.Time, feed *Feed, at *member, hop int) LagInfo {
	t.Helper()
	const age = 500 * time.Millisecond
	var info LagInfo
	eventually(t, "a lag by the owner's clock", func() bool {
		before := info.Lag.At
		f.stamped(clock().Add(-age))
		f.caughtUp(feed)
		info, _ = at.puller.Lag(key("a"))
		return info.Lag.Corrected && info.Lag.At != before && !before.IsZero() &&
			info.Lag.Last >= age-20*time.Millisecond && info.Lag.Last < age+3*time.Second
	})
	if info.Hop != hop || info.Way.Last > 3*time.Second || !info.Way.Corrected {
		t.Errorf("%+v", info)
	}
	if info.Lag.Bound > time.Second || info.Lag.Bound < 0 {
		t.Errorf("the bound is %v", info.Lag.Bound)
	}
	return info
}

// TestLagByWrongClocks: the lag is what it is though the nodes' clocks are hours
// apart, and follows one that is set.
func TestLagByWrongClocks(t *testing.T) {
	for _, d := range []time.Duration{3 * time.Hour, -26 * time.Hour} {
		w := newWorld(t)
		clock := wrong(d)
		w.tune = func(s *Server) { s.now = clock }
		owner, edge := w.join("a", quick()), w.join("b", quick())
		f := owner.publish(key("a"), 7)
		feed := edge.open(key("a"))
		measured(t, f, clock, feed, edge, 1)
		if n := histogram(t, edge.registry, "tmms_hop_latency_seconds", "1"); n == 0 {
			t.Error("the hop is not counted")
		}
		feed.Close()
	}
}

// TestLagOverTwoHops: a node between passes on what it knows of the owner's clock.
func TestLagOverTwoHops(t *testing.T) {
	w := newWorld(t)
	cfg := quick()
	cfg.now = wrong(-5 * time.Hour)
	w.tune = func(s *Server) { s.now = wrong(2 * time.Hour) }
	middle, edge := w.join("middle", quick()), w.join("edge", cfg)
	f := middle.publish(key("a"), 7)
	// The middle has it from an owner whose clock is 2.5 h behind its own, in two
	// steps: from a node that is 1 h behind, to which the owner is 1.5 h behind.
	up := &upstream{hop: 1, skew: -5400 * 1e6, bound: 1000, known: true, clock: &clock{}}
	up.clock.add(clockSample{at: middle.server.now(), offset: -3600 * 1e6, rtt: 2000})
	f.w.Live().upstream.Store(up)
	owner := wrong(2*time.Hour - 150*time.Minute)
	feed := edge.open(key("a"))
	defer feed.Close()
	info := measured(t, f, owner, feed, edge, 2)
	if info.Lag.Bound < 2*time.Millisecond {
		t.Errorf("the bound %v is less than that of the first hop", info.Lag.Bound)
	}
	unknown := *up // from here on
	unknown.known = false
	f.w.Live().upstream.Store(&unknown)
	before := info.Lag.At
	f.stamped(owner())
	f.caughtUp(feed)
	if info, _ = edge.puller.Lag(key("a")); info.Lag.At != before {
		t.Errorf("a lag by a clock that is not known: %+v", info)
	}
}

// TestTimesOfALife: what a node says of a stream that is its own, of one that it
// pulls, and of one that it takes over.
func TestTimesOfALife(t *testing.T) {
	f := publish(t, NewHub(), LiveOptions{})
	now := time.Unix(1_700_000_000, 0)
	l := f.w.Live()
	want := relaywire.Times{Hop: 1, Sent: now.UnixMicro(), SkewKnown: true}
	if got := l.times(now); *got != want {
		t.Errorf("the owner says %v, want %v", got, &want)
	}
	l.upstream.Store(newUpstream(nil, nil))
	want.Hop, want.SkewKnown = 2, false
	if got := l.times(now); *got != want {
		t.Errorf("behind an owner of version 1: %v, want %v", got, &want)
	}
	up := newUpstream(&relaywire.Times{Hop: 255, SkewKnown: true, Bound: relaywire.MaxBound}, &clock{})
	up.clock.add(clockSample{at: now, rtt: 4})
	l.upstream.Store(up)
	if got := l.times(now); got.Hop != 255 || got.SkewKnown {
		t.Errorf("beyond the limits: %v", got)
	}
	f.w.handOver(8, LiveOptions{})
	want.Hop, want.SkewKnown = 1, true
	if got := l.times(now); *got != want {
		t.Errorf("a new owner says %v, want %v", got, &want)
	}
}

// TestLagBehindAShield: over a real shield too, with three clocks that are wrong.
func TestLagBehindAShield(t *testing.T) {
	w := newWorld(t).regions()
	clocks := map[string]func() time.Time{"owner": wrong(3 * time.Hour), "e0": wrong(-2 * time.Hour), "e1": wrong(40 * time.Minute)}
	start := func(name string) *member {
		cfg := quick()
		cfg.now = clocks[name]
		w.tune = func(s *Server) { s.now = clocks[name] }
		m := w.join(name, cfg, "edge")
		w.heard(m, "r", true)
		return m
	}
	w.tune = func(s *Server) { s.now = clocks["owner"] }
	owner := w.start("owner", "origin")
	k := key("a")
	list := order(k, "r", start("e0"), start("e1"))
	f := owner.publish(k, 7)
	feed := list[1].open(k)
	defer feed.Close()
	list[1].from(k, list[0])
	f.frames(1)
	f.caughtUp(feed)
	if info := measured(t, f, clocks["owner"], feed, list[1], 2); info.Source != list[0].id || info.Version != 2 {
		t.Errorf("%+v", info)
	}
	if info, ok := list[0].puller.Lag(k); !ok || info.Hop != 1 || info.Source != owner.id {
		t.Errorf("the shield says %+v, %v", info, ok)
	}
	for _, m := range list {
		name := m.id[len("id-"):]
		hop := map[bool]string{true: "1", false: "2"}[m == list[0]]
		if n := histogram(t, m.registry, "tmms_hop_latency_seconds", hop); n == 0 {
			t.Errorf("hop %s is not counted at %s", hop, name)
		}
	}
}
