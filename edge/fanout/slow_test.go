package fanout

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"tmms/cluster/relay"
	"tmms/media"
)

// Viewers that can take it get all of a burst, however far behind it finds them,
// and even if their sockets take it in pieces.
//
// Requirement: S7
func TestABurstMakesNobodyLate(t *testing.T) {
	for _, f := range []Format{FLV, RTMP, WebSocket} {
		t.Run(f.String(), func(t *testing.T) {
			hub := relay.NewHub()
			p := publishKeeping(t, hub, time.Minute).headers()
			p.group()
			r := newRig(t, hub)
			healthy, pieces := r.attach(f), &fakeSink{conn: fakeConn{room: 20_000}}
			r.attachSink(pieces, f)
			for range 3 {
				r.run(time.Second)
				for range 10 {
					p.group()
				}
				for range 100 {
					r.run(Tick)
					pieces.open(20_000)
				}
			}
			want := expect(p, f, keyIndex(p, 0), true)
			for name, s := range map[string]*fakeSink{"healthy": healthy, "in pieces": pieces} {
				if !bytes.Equal(s.conn.got, want) {
					t.Errorf("%s: got %d bytes, want %d", name, len(s.conn.got), len(want))
				}
			}
			if n := r.e.Stats().Skips(); n != 0 {
				t.Errorf("%d skips", n)
			}
		})
	}
}

// Requirement: S7
func TestARareFlushMakesNobodyLate(t *testing.T) {
	hub := relay.NewHub()
	p := publish(t, hub).headers()
	p.group()
	r := newRig(t, hub)
	s := &fakeSink{conn: fakeConn{room: -1}}
	r.attachWith(s, Options{Key: testKey, Latency: 100 * time.Millisecond, Flush: 350 * time.Millisecond})
	r.show(p, 20*time.Second)
	r.run(350 * time.Millisecond)
	if want := expect(p, FLV, keyIndex(p, 0), true); !bytes.Equal(s.conn.got, want) || r.e.Stats().Skips() != 0 {
		t.Errorf("got %d bytes, want %d, after %d skips", len(s.conn.got), len(want), r.e.Stats().Skips())
	}
}

// A burst that is longer than the log costs even who keeps up a part of it, but
// not the clock.
//
// Requirement: S7
func TestABurstLongerThanTheLogKeepsTheClock(t *testing.T) {
	hub := relay.NewHub()
	p := publish(t, hub).headers()
	p.size = 20_000 // the log drops whole blocks
	p.group()
	r := newRig(t, hub)
	s := r.attach(FLV)
	r.show(p, time.Second)
	for range 20 {
		p.group()
	}
	r.show(p, time.Second)
	r.run(100 * time.Millisecond)
	if s.left != nil {
		t.Fatal(s.left)
	}
	if got := checkClock(t, p, parse(t, FLV, s.conn.got)); got.skips != 1 || p.dts-got.last > 100 {
		t.Errorf("%+v at %d, want one skip", got, p.dts)
	}
}

// A viewer that skips, gets no byte of what it skipped to, and skips again, goes
// on where its clock was. The pause in front of each keyframe is where a guess by
// the log would be wrong.
//
// Requirement: S7
func TestTwoSkipsWithNothingBetween(t *testing.T) {
	for _, f := range []Format{FLV, RTMP, WebSocket} {
		t.Run(f.String(), func(t *testing.T) {
			hub := relay.NewHub()
			p := publish(t, hub).headers()
			r := newRig(t, hub)
			show := func(seconds int) {
				for i := range seconds * 25 {
					kind, first := media.KindDelta, byte(0x27)
					if i%25 == 0 {
						kind, first = media.KindKey, 0x17
					}
					p.push(media.TypeVideo, kind, numbered(first, 5, 900, len(p.all)))
					switch { // the last pictures of a group come fast, then there is a pause
					case i%25 == 24:
						p.dts += 90
					case i%25 > 20:
						p.dts += 10
					default:
						p.dts += 42
					}
					r.run(40 * time.Millisecond)
				}
			}
			show(1)
			s := &fakeSink{conn: fakeConn{room: -1}}
			opt := options(f)
			opt.Latency = time.Second
			r.attachWith(s, opt)
			show(2)
			s.conn.room = 0
			for range 2 {
				show(4)
				s.v.OnWritable() // but there is no room after all
				r.run(Tick)
			}
			if n := r.e.Stats().Skips(); n != 2 {
				t.Fatalf("%d skips while it stalled, want 2", n)
			}
			s.open(-1)
			show(2)
			if got := checkClock(t, p, parse(t, f, s.conn.got)); got.skips != 1 || p.dts-got.last > 200 {
				t.Errorf("%+v at %d, want one step of the shift", got, p.dts)
			}
		})
	}
}

// A viewer that stalls for longer than the log is, between two messages or in one,
// even in a header, gets the rest of that and skips to where its clock was, with
// sound that lies before or behind its picture; no configs come again.
//
// Requirement: S7
func TestSkipAfterAllThatWasSentIsGone(t *testing.T) {
	for _, f := range []Format{FLV, RTMP, WebSocket} {
		for _, c := range []struct {
			offset media.Timestamp
			room   int
		}{{-80, 0}, {80, 0}, {-20, 7}, {0, 1000}, {80, 70_000}} {
			t.Run(fmt.Sprint(f, " sound at ", c.offset, " room ", c.room), func(t *testing.T) {
				longStalls(t, f, c.offset, c.room)
			})
		}
	}
}

func longStalls(t *testing.T, f Format, offset media.Timestamp, room int) {
	t.Helper()
	hub := relay.NewHub()
	p := publish(t, hub)
	p.dts = 1 << 24 // RTMP has the time on each chunk
	p.headers()
	r := newRig(t, hub)
	show := func(seconds int) {
		for i := range seconds * 25 {
			kind, first := media.KindDelta, byte(0x27)
			if i%25 == 0 {
				kind, first = media.KindKey, 0x17
			}
			p.push(media.TypeVideo, kind, numbered(first, 5, 80_000, len(p.all)))
			p.dts += offset
			p.push(media.TypeAudio, media.KindAudio, numbered(0xAF, 2, 200, len(p.all)))
			p.dts += 40 - offset
			r.run(40 * time.Millisecond)
		}
	}
	show(1)
	s := r.attach(f)
	for range 4 {
		show(2)
		s.conn.room = room
		show(9)
		s.open(-1)
	}
	show(1)
	list := parse(t, f, s.conn.got)
	if got := checkClock(t, p, list); got.skips != 4 || p.dts-got.last > 200 || s.left != nil {
		t.Errorf("%+v at %d, want 4 skips; left: %v", got, p.dts, s.left)
	}
	configs := 0
	for _, m := range list {
		if m.typ == media.TypeVideo && m.body[1] == 0 {
			configs++
		}
	}
	if configs != 1 {
		t.Errorf("%d video configs, want 1", configs)
	}
}

// A message in hand is not held for ever for who takes it byte by byte.
func TestTricklingViewerIsClosed(t *testing.T) {
	hub := relay.NewHub()
	p := publish(t, hub).headers()
	p.size = 20_000
	r := newRig(t, hub)
	r.show(p, time.Second)
	s := &fakeSink{conn: fakeConn{room: 1000}}
	r.attachSink(s, FLV)
	for range 25 {
		r.show(p, time.Second)
		if s.left == nil {
			s.open(1)
		}
	}
	if !errors.Is(s.left, ErrOvertaken) {
		t.Errorf("left with %v, want %v", s.left, ErrOvertaken)
	}
}

// A viewer that stalls in its prefix gets nothing old behind it.
//
// Requirement: S7
func TestStallInThePrefix(t *testing.T) {
	for _, f := range []Format{FLV, RTMP, WebSocket} {
		for name, part := range map[string]int{"in the middle": 2, "at its end": 1} {
			t.Run(f.String()+" "+name, func(t *testing.T) {
				hub := relay.NewHub()
				p := publishKeeping(t, hub, time.Minute).headers()
				p.group()
				r := newRig(t, hub)
				s := &fakeSink{conn: fakeConn{room: 0}}
				r.attachSink(s, f)
				s.conn.room = len(s.v.prefix.bytes) / part
				r.show(p, 8*time.Second)
				s.open(-1)
				r.show(p, 2*time.Second)
				list := parse(t, f, s.conn.got)
				first := p.original(list[3])
				if first == nil || first.Kind != media.KindKey || first.DTS < 7000 {
					t.Fatalf("behind the prefix comes a message at %d", list[3].time)
				}
				if n := r.e.Stats().Skips(); n != 1 {
					t.Errorf("%d skips, want 1", n)
				}
				if got, want := list[3].time, list[2].time; got != want {
					t.Errorf("the first picture is at %d, its config at %d", got, want)
				}
				checkClock(t, p, list)
			})
		}
	}
}

// The size of a flush is known to those who join at the head too.
func TestFlushSize(t *testing.T) {
	for _, f := range []Format{FLV, RTMP, WebSocket} {
		hub := relay.NewHub()
		p := publish(t, hub).headers()
		p.size = 9000
		r := newRig(t, hub)
		old := r.attach(f)
		r.show(p, 5*time.Second)
		p.frame(true)
		s := &fakeSink{conn: fakeConn{room: -1}}
		opt := options(f)
		opt.Latency = 0
		r.attachWith(s, opt)
		size := 0
		for i := range p.all {
			size += len(p.all[i].Body) + 15
		}
		want := size / 50
		for _, v := range []*Viewer{&old.v, &s.v} {
			if got := v.FlushSize(); got < want*9/10 || got > want*11/10 {
				t.Errorf("%v: a flush has %d bytes, want about %d", f, got, want)
			}
		}
	}
}

func TestLag(t *testing.T) {
	hub := relay.NewHub()
	r := newRig(t, hub)
	s := r.attach(FLV)
	if d := s.v.Lag(); d != 0 {
		t.Errorf("who waits lags by %v", d)
	}
	p := publish(t, hub).headers()
	r.show(p, 2*time.Second)
	r.run(100 * time.Millisecond)
	if d := s.v.Lag(); d != 0 {
		t.Errorf("who has everything lags by %v", d)
	}
	s.conn.room = 0
	r.show(p, 4*time.Second)
	if d := s.v.Lag(); d != 3980*time.Millisecond {
		t.Errorf("who stalled 4 s ago lags by %v", d)
	}
	p.size = 100_000
	r.show(p, 5*time.Second+900*time.Millisecond)
	if d := s.v.Lag(); d < 5*time.Second || d > 10*time.Second {
		t.Errorf("whose place is gone lags by %v", d)
	}
}

// What a viewer costs while its socket is full is given back when it has
// everything again, but not what it needs after a skip.
//
// Requirement: S7
func TestSlowPartIsGivenBack(t *testing.T) {
	for _, f := range []Format{FLV, RTMP, WebSocket} {
		t.Run(f.String(), func(t *testing.T) {
			hub := relay.NewHub()
			p := publish(t, hub).headers()
			p.group()
			r := newRig(t, hub)
			s := r.attach(f)
			r.show(p, time.Second)
			start := s.v.start()
			for range 3 * maxSpareSlow {
				s.conn.room = 100
				r.show(p, 400*time.Millisecond)
				if s.v.slow == nil {
					t.Fatal("a viewer with a full socket has no slow part")
				}
				s.open(-1)
				r.run(200 * time.Millisecond)
				if s.v.slow != nil || s.v.start() != start {
					t.Fatalf("slow part %v, start %d, want none and %d", s.v.slow, s.v.start(), start)
				}
			}
			if n := len(r.e.spare); n != 1 {
				t.Errorf("%d spare parts of one viewer", n)
			}
			for range 500 {
				r.show(p, 40*time.Millisecond)
				s.open(500)
			}
			s.open(-1)
			r.show(p, time.Second)
			if r.e.Stats().Skips() == 0 || s.v.slow == nil {
				t.Errorf("%d skips, slow part %v, left %v: want it kept after a skip", r.e.Stats().Skips(), s.v.slow, s.left)
			}
		})
	}
}
