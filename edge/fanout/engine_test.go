package fanout

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"tmms/cluster/relay"
	"tmms/media"
	"tmms/media/flv"
	"tmms/media/rtmp"
)

// expect is what a viewer of a format gets that joined at the packet with index
// first and has everything.
func expect(p *publisher, f Format, first int, headers bool) []byte {
	var b []byte
	dts := p.all[first].DTS
	configs := []rtmp.Message{
		{Type: media.TypeData, Timestamp: 0, Body: metadataBody},
		{Type: media.TypeAudio, Timestamp: uint32(dts), Body: audioHeader},
		{Type: media.TypeVideo, Timestamp: uint32(dts), Body: videoHeader},
	}
	if !headers {
		configs = nil
	}
	var lead []byte
	if f != RTMP {
		lead = flv.AppendHeader(nil, true, true)
	}
	for _, m := range configs {
		if f == RTMP {
			lead = rtmp.AppendMedia(lead, m)
		} else {
			lead = flv.AppendTag(lead, flv.Tag{Type: m.Type, Timestamp: m.Timestamp, Body: m.Body})
		}
	}
	if f == WebSocket {
		lead = append(appendWSHeader(nil, len(lead)), lead...)
	}
	b = append(b, lead...)
	for i := range p.all[first:] {
		pkt := &p.all[first+i]
		switch f {
		case RTMP:
			b = rtmp.AppendMedia(b, rtmp.Message{Type: pkt.Type, Timestamp: uint32(pkt.DTS), Body: pkt.Body})
		case WebSocket:
			tag := tags(p.all[first+i : first+i+1])
			b = append(appendWSHeader(b, len(tag)), tag...)
		default:
			b = append(b, tags(p.all[first+i:first+i+1])...)
		}
	}
	return b
}

// keyIndex is the index of the n-th keyframe.
func keyIndex(p *publisher, n int) int {
	for i := range p.all {
		if p.all[i].Kind == media.KindKey {
			if n == 0 {
				return i
			}
			n--
		}
	}
	return -1
}

// Requirement: S8
// Requirement: S11
func TestViewerGetsPrefixThenTheLogFromTheOldestKeyframeInsideLatency(t *testing.T) {
	for _, f := range []Format{FLV, RTMP, WebSocket} {
		t.Run(f.String(), func(t *testing.T) {
			hub := relay.NewHub()
			p := publish(t, hub).headers()
			for range 5 {
				p.group()
			}
			r := newRig(t, hub)
			s := r.attach(f)
			r.run(200 * time.Millisecond)
			for range 30 {
				p.frame(false)
				r.run(40 * time.Millisecond)
			}
			r.run(100 * time.Millisecond)
			// 5 s are there: the keyframe of 2 s is 2,980 ms behind the head.
			if want := expect(p, f, keyIndex(p, 2), true); !bytes.Equal(s.conn.got, want) {
				t.Fatalf("got %d bytes, want %d; first difference at %d", len(s.conn.got), len(want), differ(s.conn.got, want))
			}
			if s.joined != 1 || s.leaves != 0 {
				t.Errorf("joined %d times, left %d times", s.joined, s.leaves)
			}
		})
	}
}

func differ(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// Requirement: S11
func TestViewerBeforeThePublisherStartsWhenDataArrives(t *testing.T) {
	for _, f := range []Format{FLV, RTMP, WebSocket} {
		t.Run(f.String(), func(t *testing.T) {
			hub := relay.NewHub()
			r := newRig(t, hub)
			s := r.attach(f)
			r.run(500 * time.Millisecond)
			if s.joined != 0 || len(s.conn.got) != 0 {
				t.Fatalf("joined %d times and got %d bytes before anything was published", s.joined, len(s.conn.got))
			}
			p := publish(t, hub).headers()
			r.run(200 * time.Millisecond)
			if s.joined != 0 {
				t.Fatal("joined without a keyframe")
			}
			p.group()
			r.run(105 * time.Millisecond)
			if want := expect(p, f, keyIndex(p, 0), true); !bytes.Equal(s.conn.got, want) {
				t.Fatalf("got %d bytes, want %d", len(s.conn.got), len(want))
			}
		})
	}
}

func TestHeaderFlagsNameTheTracksThatAreThere(t *testing.T) {
	for _, c := range []struct {
		name         string
		audio, video bool
	}{{"audio-only", true, false}, {"video-only", false, true}, {"both", true, true}} {
		t.Run(c.name, func(t *testing.T) {
			hub := relay.NewHub()
			p := publish(t, hub) // no headers at all, as with MP3 and Sorenson
			for i := range 10 {
				if c.video {
					p.push(media.TypeVideo, []media.Kind{media.KindKey, media.KindDelta}[min(i, 1)], []byte{0x12, 1, 2})
				}
				if c.audio {
					p.push(media.TypeAudio, media.KindAudio, []byte{0x2F, 1, 2})
				}
				p.dts += 40
			}
			r := newRig(t, hub)
			s := r.attach(FLV)
			r.run(10 * time.Millisecond)
			want := flv.AppendHeader(nil, c.audio, c.video)
			if !bytes.HasPrefix(s.conn.got, want) {
				t.Errorf("starts with %x, want %x", s.conn.got[:min(len(want), len(s.conn.got))], want)
			}
		})
	}
}

// Requirement: S9
func TestAFlushIsOneSendPerViewerAndInterval(t *testing.T) {
	hub := relay.NewHub()
	p := publish(t, hub).headers()
	p.group()
	r := newRig(t, hub)
	var sinks []*fakeSink
	for range 60 {
		sinks = append(sinks, r.attach(FLV))
	}
	r.run(100 * time.Millisecond)
	for _, s := range sinks {
		s.conn.sends = 0
	}
	const intervals = 20
	sent := func() (n int) {
		for _, s := range sinks {
			n += s.conn.sends
		}
		return n
	}
	perTick := make([]int, 0, 20*intervals)
	for tick := range 20 * intervals {
		if tick%8 == 0 {
			p.frame(false)
		}
		before := sent()
		r.run(Tick)
		perTick = append(perTick, sent()-before)
	}
	for i, s := range sinks {
		// A block's end may cut a flush in two; that happens a few times a second at most.
		if s.conn.sends < intervals || s.conn.sends > intervals+8 {
			t.Errorf("viewer %d: %d sends in %d intervals", i, s.conn.sends, intervals)
		}
	}
	if m := slices.Max(perTick); m > 2*len(sinks)/20 {
		t.Errorf("%d sends in one tick: %d viewers are not spread over 20 slots", m, len(sinks))
	}
}

func TestALateTickCatchesUpWithoutSendingTwice(t *testing.T) {
	hub := relay.NewHub()
	p := publish(t, hub).headers()
	p.group()
	r := newRig(t, hub)
	var sinks []*fakeSink
	for range 40 {
		sinks = append(sinks, r.attach(FLV))
	}
	r.run(100 * time.Millisecond)
	for _, stall := range []time.Duration{7 * Tick, 20 * Tick, 333 * Tick} {
		p.frame(false)
		for _, s := range sinks {
			s.conn.sends = 0
		}
		r.now += stall
		r.e.OnTick(r.now)
		for i, s := range sinks {
			if s.conn.sends > 2 {
				t.Errorf("stall %v: viewer %d: %d sends", stall, i, s.conn.sends)
			}
		}
		r.run(100 * time.Millisecond)
		want := expect(p, FLV, keyIndex(p, 0), true)
		for i, s := range sinks {
			if !bytes.Equal(s.conn.got, want) {
				t.Fatalf("stall %v: viewer %d has %d bytes, want %d", stall, i, len(s.conn.got), len(want))
			}
		}
	}
}

// Control bytes go in where a message ends, and nowhere else, however the socket
// cuts the stream.
func TestControlOnlyAtMessageBoundaries(t *testing.T) {
	for _, f := range []Format{RTMP, WebSocket} {
		t.Run(f.String(), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, uint64(f)))
			hub := relay.NewHub()
			p := publish(t, hub).headers()
			p.group()
			r := newRig(t, hub)
			s := &fakeSink{conn: fakeConn{room: 10}}
			r.attachSink(s, f)
			const mark = "<control>"
			said := 0
			for range 2000 {
				if rng.IntN(4) == 0 && p.dts < 20000 {
					p.frame(rng.IntN(25) == 0)
				}
				r.run(Tick)
				s.conn.room = rng.IntN(3000)
				s.v.OnWritable()
				if rng.IntN(5) == 0 {
					said++
					s.say(mark)
				}
			}
			s.conn.room = -1
			s.v.OnWritable()
			r.run(2 * time.Second)
			if s.left != nil {
				t.Fatalf("left: %v", s.left)
			}
			got := bytes.ReplaceAll(s.conn.got, []byte(mark), nil)
			if want := expect(p, f, keyIndex(p, 0), true); !bytes.Equal(got, want) {
				t.Fatalf("got %d bytes without control, want %d, differ at %d", len(got), len(want), differ(got, want))
			}
			if n := bytes.Count(s.conn.got, []byte(mark)); n != said {
				t.Errorf("%d control messages arrived, %d were sent", n, said)
			}
			bounds := boundaries(p, f)
			for at, seen := 0, 0; ; seen++ {
				i := bytes.Index(s.conn.got[at:], []byte(mark))
				if i < 0 {
					break
				}
				at += i
				if pos := at - seen*len(mark); !bounds[pos] {
					t.Fatalf("control message %d went in at %d, inside a message", seen, pos)
				}
				at += len(mark)
			}
		})
	}
}

// boundaries is the offsets, in what a viewer gets, at which control may go in.
func boundaries(p *publisher, f Format) map[int]bool {
	whole := len(expect(p, f, keyIndex(p, 0), true))
	m := map[int]bool{0: true, whole: true}
	first := keyIndex(p, 0)
	rest := 0
	for i := len(p.all) - 1; i >= first; i-- {
		pkt := &p.all[i]
		if f == RTMP {
			rest += rtmp.MediaSize(rtmp.Message{Type: pkt.Type, Timestamp: uint32(pkt.DTS), Body: pkt.Body})
		} else {
			n := flv.TagSize(len(pkt.Body))
			rest += wsHeaderSize(n) + n
		}
		m[whole-rest] = true
	}
	return m
}

func TestStopLeavesAtTheEndOfTheMessage(t *testing.T) {
	hub := relay.NewHub()
	p := publish(t, hub).headers()
	p.group()
	r := newRig(t, hub)
	s := &fakeSink{conn: fakeConn{room: 1000}}
	r.attachSink(s, RTMP)
	r.run(Tick)
	if !s.v.InMessage() {
		t.Fatal("not in a message after a short send")
	}
	s.v.Stop()
	if s.leaves != 0 {
		t.Fatal("left in the middle of a message")
	}
	s.conn.room = -1
	s.v.OnWritable()
	r.run(2 * Tick)
	if !errors.Is(s.left, ErrStopped) || s.leaves != 1 {
		t.Fatalf("left %d times: %v", s.leaves, s.left)
	}
	if !boundaries(p, RTMP)[len(s.conn.got)] {
		t.Errorf("stopped after %d bytes, inside a message", len(s.conn.got))
	}
	if r.e.Len() != 0 || hub.Len() != 1 {
		t.Errorf("%d viewers, %d feeds", r.e.Len(), hub.Len())
	}
}

func TestStalledViewerIsClosed(t *testing.T) {
	for _, f := range []Format{FLV, RTMP} {
		t.Run(f.String(), func(t *testing.T) {
			hub := relay.NewHub()
			p := publish(t, hub).headers()
			p.group()
			r := newRig(t, hub)
			healthy, slow := r.attach(f), r.attach(f)
			r.run(200 * time.Millisecond)
			slow.conn.room = 0
			for range 11 * 25 {
				p.frame(p.dts%1000 == 0)
				r.run(40 * time.Millisecond)
			}
			if !errors.Is(slow.left, ErrStalled) {
				t.Fatalf("slow viewer left with %v, want %v", slow.left, ErrStalled)
			}
			r.run(100 * time.Millisecond)
			if want := expect(p, f, keyIndex(p, 0), true); !bytes.Equal(healthy.conn.got, want) {
				t.Error("the healthy viewer has not everything")
			}
		})
	}
}

func TestOvertakenViewerIsClosed(t *testing.T) {
	hub := relay.NewHub()
	p := publish(t, hub).headers()
	p.group()
	r := newRig(t, hub)
	r.attach(FLV) // has the first slot, so that the other's comes too late
	slow := &fakeSink{conn: fakeConn{room: 2000}}
	r.attachSink(slow, FLV)
	r.run(Tick)
	p.size = 100_000
	for range 12 { // the log keeps 6 s
		p.group()
	}
	r.run(100 * time.Millisecond)
	if !errors.Is(slow.left, ErrOvertaken) {
		t.Fatalf("left with %v, want %v", slow.left, ErrOvertaken)
	}
}

func TestEndOfAStreamIsDrainedAndTheNextLifeIsJoined(t *testing.T) {
	for _, f := range []Format{FLV, RTMP, WebSocket} {
		t.Run(f.String(), func(t *testing.T) {
			hub := relay.NewHub()
			p := publish(t, hub).headers()
			p.group()
			r := newRig(t, hub)
			s := r.attach(f)
			slow := &fakeSink{conn: fakeConn{room: 1000}}
			r.attachSink(slow, f)
			r.run(50 * time.Millisecond)
			p.frame(false)
			p.w.SetState(relay.StateGrace)
			r.run(5 * time.Second)
			if s.left != nil {
				t.Fatalf("left in the grace: %v", s.left)
			}
			p.w.End()
			r.run(100 * time.Millisecond)
			want := expect(p, f, keyIndex(p, 0), true)
			if !errors.Is(s.left, ErrEnded) || !bytes.Equal(s.conn.got, want) {
				t.Fatalf("left with %v after %d of %d bytes", s.left, len(s.conn.got), len(want))
			}
			late := r.attach(f)
			r.run(200 * time.Millisecond)
			p2 := publish(t, hub).headers()
			p2.group()
			r.run(200 * time.Millisecond)
			if second := expect(p2, f, keyIndex(p2, 0), true); !bytes.Equal(late.conn.got, second) {
				t.Fatalf("the viewer of the second life got %d of %d bytes", len(late.conn.got), len(second))
			}
			// The slow one is still draining the first life.
			slow.conn.room = -1
			slow.v.OnWritable()
			r.run(200 * time.Millisecond)
			if !errors.Is(slow.left, ErrEnded) || !bytes.Equal(slow.conn.got, want) {
				t.Fatalf("slow viewer left with %v after %d of %d bytes", slow.left, len(slow.conn.got), len(want))
			}
		})
	}
}

func TestViewsAreSharedAndDroppedWithTheLastViewer(t *testing.T) {
	hub := relay.NewHub()
	p := publish(t, hub).headers()
	p.group()
	a, b := newRig(t, hub), newRig(t, hub)
	s1, s2 := a.attach(RTMP), b.attach(RTMP)
	if v1, v2 := s1.v.bucket.channel.view, s2.v.bucket.channel.view; v1 != v2 {
		t.Fatal("two loops have two views of one stream")
	}
	live := p.w.Live()
	first := s1.v.bucket.channel.view
	s1.v.Detach()
	fresh := a.attach(RTMP)
	if fresh.v.bucket.channel.view != first {
		t.Error("a new view although the old one is in use")
	}
	fresh.v.Detach()
	s2.v.Detach()
	again := live.Derive(viewKey{RTMP}, func() any { return nil })
	if again != nil {
		t.Error("the view outlives its last viewer")
	}
	live.Drop(viewKey{RTMP})
	p.w.End()
	if hub.Len() != 0 || a.e.streams.Len() != 0 || b.e.streams.Len() != 0 {
		t.Errorf("%d feeds, %d and %d streams are left", hub.Len(), a.e.streams.Len(), b.e.streams.Len())
	}
	if a.e.OnTick(a.now+Tick) || a.e.Len() != 0 {
		t.Error("busy without viewers")
	}
}

func TestViewIsRetiredInStepWithTheLog(t *testing.T) {
	hub := relay.NewHub()
	p := publish(t, hub).headers()
	p.group()
	r := newRig(t, hub)
	s := r.attach(RTMP)
	p.size = 20_000
	for range 40 {
		p.group()
		r.run(100 * time.Millisecond)
	}
	view, log := s.v.bucket.channel.view.log, p.w.Live().Log()
	if held, flvHeld := view.Head()-view.Tail(), log.Head()-log.Tail(); held > flvHeld+flvHeld/4+256<<10 {
		t.Errorf("the view holds %d bytes, the log %d", held, flvHeld)
	}
	if s.left != nil {
		t.Fatal(s.left)
	}
	late := r.attach(RTMP)
	r.run(200 * time.Millisecond)
	if want := expect(p, RTMP, keyIndex(p, 38), true); !bytes.Equal(late.conn.got, want) {
		t.Errorf("a late viewer got %d bytes, want %d", len(late.conn.got), len(want))
	}
}

func TestViewThatWasOvertakenGoesOnAtAKeyframe(t *testing.T) {
	hub := relay.NewHub()
	p := publish(t, hub).headers()
	p.group()
	r := newRig(t, hub)
	s := r.attach(RTMP)
	r.run(100 * time.Millisecond)
	before := len(s.conn.got)
	p.size = 50_000
	for range 20 { // no tick: the loop hangs, the log keeps 6 s
		p.group()
	}
	r.run(500 * time.Millisecond)
	if s.left != nil {
		t.Fatal(s.left)
	}
	last := keyIndex(p, 20)
	want := expect(p, RTMP, last, true) // configs in line, then the newest group
	if got := s.conn.got[before:]; !bytes.Equal(got, want) {
		t.Fatalf("got %d bytes after the hang, want %d", len(got), len(want))
	}
	if r.e.Stats().Skips() != 1 {
		t.Errorf("%d skips counted, want 1", r.e.Stats().Skips())
	}
}

func TestWaitingViewersAreBounded(t *testing.T) {
	hub := relay.NewHub()
	e := New(Config{Hub: hub, MaxWaiting: 3})
	sinks := make([]fakeSink, 4)
	for i := range sinks {
		err := e.Attach(&sinks[i].v, &sinks[i].conn, &sinks[i], options(FLV), 0)
		if full := errors.Is(err, ErrTooManyWaiting); full != (i == 3) {
			t.Fatalf("viewer %d: %v", i, err)
		}
	}
	for i := range 3 {
		sinks[i].v.Detach()
	}
	if hub.Len() != 0 || e.waiting != 0 {
		t.Errorf("%d feeds held, %d waiting", hub.Len(), e.waiting)
	}
}

func TestSendErrorEndsTheViewer(t *testing.T) {
	hub := relay.NewHub()
	publish(t, hub).headers().group()
	r := newRig(t, hub)
	broken := errors.New("broken")
	s := &fakeSink{conn: fakeConn{room: -1, err: broken}}
	r.attachSink(s, FLV)
	r.run(Tick)
	if !errors.Is(s.left, broken) || r.e.Len() != 0 {
		t.Fatalf("left with %v, %d viewers", s.left, r.e.Len())
	}
}

func TestAJoinIsSpreadOverTicksByItsBudget(t *testing.T) {
	hub := relay.NewHub()
	p := publish(t, hub).headers()
	p.size = 60_000
	p.group()
	r := newRig(t, hub)
	s := r.attach(FLV)
	r.run(Tick)
	if n := len(s.conn.got); n > 2*viewerBudget || n < viewerBudget/2 { // a join's turn, and its slot's
		t.Errorf("%d bytes in the first tick, the budget is %d a turn", n, viewerBudget)
	}
	r.run(20 * Tick)
	if want := expect(p, FLV, keyIndex(p, 0), true); !bytes.Equal(s.conn.got, want) {
		t.Errorf("got %d of %d bytes", len(s.conn.got), len(want))
	}
}

func TestStopAll(t *testing.T) {
	hub := relay.NewHub()
	p := publish(t, hub).headers()
	p.group()
	r := newRig(t, hub)
	var sinks []*fakeSink
	for range leaveBatch {
		sinks = append(sinks, r.attach(FLV), r.attach(RTMP))
	}
	r.run(200 * time.Millisecond)
	r.e.StopAll()
	r.run(Tick)
	if n := 2*leaveBatch - r.e.Len(); n == 0 || n > leaveBatch {
		t.Errorf("%d viewers left in a tick, at most %d are asked to", n, leaveBatch)
	}
	r.run(2 * Tick)
	for i, s := range sinks {
		if !errors.Is(s.left, ErrStopped) {
			t.Errorf("viewer %d left with %v", i, s.left)
		}
	}
	if r.e.Len() != 0 {
		t.Errorf("%d viewers are left", r.e.Len())
	}
}
