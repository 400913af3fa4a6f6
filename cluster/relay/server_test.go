package relay

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"tmms/cluster/fabric"
	"tmms/cluster/state"
	"tmms/media"
	"tmms/media/relaywire"
)

// subscriber speaks the protocol by hand.
type subscriber struct {
	t       testing.TB
	session *fabric.Session
	control *fabric.Stream
	in      *inbox
}

func (m *member) subscribe(to *member, r relaywire.Subscribe) *subscriber {
	m.t.Helper()
	n, _ := m.Node(to.id)
	session, err := m.fabric.Session(m.t.Context(), fabric.Target{Name: n.Name, Addr: n.Addresses["fabric"]}, fabric.ALPNRelay)
	if err != nil {
		m.t.Fatal(err)
	}
	control, err := session.Open(m.t.Context())
	if err != nil {
		m.t.Fatal(err)
	}
	s := &subscriber{t: m.t, session: session, control: control, in: &inbox{r: control}}
	m.t.Cleanup(func() { reset(control, relaywire.CodeDone) })
	s.say(r, relaywire.AppendHello(nil, relaywire.StreamSubscribe))
	return s
}

func (s *subscriber) say(m relaywire.Message, before []byte) {
	s.t.Helper()
	if _, err := s.control.Write(relaywire.AppendMessage(before, m)); err != nil {
		s.t.Fatal(err)
	}
}

// hear gives the next message that is no idle mark.
func (s *subscriber) hear() relaywire.Message {
	s.t.Helper()
	_ = s.control.SetReadDeadline(time.Now().Add(10 * time.Second))
	for {
		m, err := parse(s.in, relaywire.ParseMessage)
		if err != nil {
			s.t.Fatal(err)
		}
		if _, idle := m.(relaywire.Idle); !idle {
			return m
		}
	}
}

func TestServerRefuses(t *testing.T) {
	w := newWorld(t)
	a, b := w.start("a"), w.start("b")
	a.server.times.pending = 300 * time.Millisecond
	k := key("a")
	for _, c := range []struct {
		name      string
		placement *state.Placement
		request   relaywire.Subscribe
		pending   bool
		want      relaywire.Refuse
	}{
		{
			"another node owns it", &state.Placement{Epoch: 5, Owner: "id-b"},
			relaywire.Subscribe{Key: k, Epoch: 5},
			false,
			relaywire.Refuse{Reason: relaywire.ReasonNotOwner, Owner: "id-b"},
		},
		{
			"a copy behind the subscriber's", &state.Placement{Epoch: 5, Owner: "id-b"},
			relaywire.Subscribe{Key: k, Epoch: 6},
			true,
			relaywire.Refuse{Reason: relaywire.ReasonNotOwner, Owner: "id-b"},
		},
		{"nobody has it", nil, relaywire.Subscribe{Key: k}, true, relaywire.Refuse{Reason: relaywire.ReasonNotLive}},
		{
			"owned but not begun", &state.Placement{Epoch: 5, Owner: "id-a"},
			relaywire.Subscribe{Key: k, Epoch: 5},
			true,
			relaywire.Refuse{Reason: relaywire.ReasonNotLive},
		},
		{
			"a loop", nil,
			relaywire.Subscribe{Key: k, Hops: []string{"id-b", "id-a"}},
			false,
			relaywire.Refuse{Reason: relaywire.ReasonLoop},
		},
		{
			"a shield asks a shield", &state.Placement{Epoch: 5, Owner: "id-c"},
			relaywire.Subscribe{Key: k, Epoch: 5, Shield: true, Hops: []string{"id-c", "id-b"}},
			false,
			relaywire.Refuse{Reason: relaywire.ReasonLoop},
		},
		{
			"asked as a shield, and no edge", &state.Placement{Epoch: 5, Owner: "id-c"},
			relaywire.Subscribe{Key: k, Epoch: 5, Shield: true, Hops: []string{"id-b"}},
			false,
			relaywire.Refuse{Reason: relaywire.ReasonNotOwner, Owner: "id-c"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.place(k, c.placement)
			s := b.subscribe(a, c.request)
			m := s.hear()
			if _, pending := m.(relaywire.Pending); pending != c.pending {
				t.Errorf("pending = %v: %+v", pending, m)
			} else if pending {
				m = s.hear()
			}
			if m != c.want {
				t.Errorf("%+v, want %+v", m, c.want)
			}
		})
	}
}

// TestSuperseded: who has lost the stream to a higher epoch says so; the feed
// goes on with a subscription at the new owner.
func TestSuperseded(t *testing.T) {
	w := newWorld(t)
	a, b := w.start("a"), w.start("b")
	f := a.publish(key("a"), 7)
	f.frames(3)
	s := b.subscribe(a, relaywire.Subscribe{ID: 1, Key: key("a"), Epoch: 7})
	if ok, _ := s.hear().(relaywire.Ok); ok.Epoch != 7 {
		t.Fatalf("%+v", ok)
	}
	w.place(key("a"), &state.Placement{Epoch: 8, Owner: b.id})
	if m := s.hear(); m != (relaywire.Superseded{Epoch: 8}) {
		t.Errorf("%+v", m)
	}
}

// TestPendingBecomesOk: a subscription waits for a stream that is about to start.
func TestPendingBecomesOk(t *testing.T) {
	w := newWorld(t)
	a, b := w.start("a"), w.start("b")
	w.place(key("a"), &state.Placement{Epoch: 7, Owner: a.id})
	s := b.subscribe(a, relaywire.Subscribe{ID: 1, Key: key("a"), Epoch: 7})
	if m := s.hear(); m != (relaywire.Pending{}) {
		t.Fatalf("%+v", m)
	}
	a.publish(key("a"), 7)
	if ok, _ := s.hear().(relaywire.Ok); ok.Epoch != 7 {
		t.Fatalf("%+v", ok)
	}
}

// TestGroupIsAbandoned: a subscriber that takes nothing costs a group, not the
// owner's time; it goes on at a newer keyframe, with the configs in force there.
func TestGroupIsAbandoned(t *testing.T) {
	w := newWorld(t)
	a, b := w.start("a"), w.start("b")
	a.server.times.maxLag = 300 * time.Millisecond
	f := a.publish(key("a"), 7)
	f.size = 100_000
	f.config(media.TypeVideo, "sps 1")
	f.frames(1)
	s := b.subscribe(a, relaywire.Subscribe{ID: 9, Key: key("a"), Epoch: 7})
	if ok, _ := s.hear().(relaywire.Ok); ok.Start != (media.PacketID{Epoch: 7, Index: 1}) {
		t.Fatalf("%+v", ok)
	}
	// 25 frames are 2.5 MB, more than the window of a stream that nobody reads.
	f.frames(24)
	f.config(media.TypeVideo, "sps 2")
	f.frames(26) // the next group, and the one after
	if m := s.hear(); m != (relaywire.Skip{Seq: 0}) {
		t.Fatalf("%+v", m)
	}
	for {
		stream, err := s.session.AcceptUni(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		in := &inbox{r: stream}
		if _, err = parse(in, parseKind); err != nil {
			continue // the abandoned one
		}
		h, err := parse(in, relaywire.ParseGroupHeader)
		if err != nil {
			t.Fatal(err)
		}
		h.Configs = h.Configs.Clone()
		if h.Seq == 0 {
			continue
		}
		p := h.Packets()
		first, err := parse(in, p.Parse)
		if err != nil {
			t.Fatal(err)
		}
		if first.Kind != media.KindKey || first.ID.Group < 1 || h.Subscription != 9 || h.Configs == nil ||
			string(h.Configs.Headers[0].Body) != "sps 2" {
			t.Errorf("%+v begins with %+v", h, first.ID)
		}
		break
	}
	if n := gauge(t, a.registry, "tmms_relay_abandoned_groups_total"); n < 1 {
		t.Errorf("%v groups are counted", n)
	}
	if p, ok := a.fabric.Peer("b"); !ok || p.ResetsSent < 1 || p.SentBytes < 1000 {
		t.Errorf("the peer has %+v", p)
	}
}

// TestWriterConfigures: after a gap the configs are in line in front of the frame.
func TestWriterConfigures(t *testing.T) {
	f := publish(t, NewHub(), LiveOptions{})
	f.config(media.TypeVideo, "sps 1")
	f.frames(10)
	next := media.Packet{
		ID: media.PacketID{Epoch: 7, Group: 5, Index: 2}, Type: media.TypeVideo, Kind: media.KindKey, DTS: 9000, Body: []byte("key"),
	}
	f.w.configure(&relaywire.Configs{Metadata: []byte("\x02\x00\x0aonMetaData\x08"), Headers: []relaywire.Header{
		{Type: media.TypeAudio, Codec: media.CodecAAC, Body: []byte("asc")},
		{Type: media.TypeVideo, Codec: media.CodecH264, Body: []byte("sps 1")},
	}}, &next)
	if err := f.w.Append(&next); err != nil {
		t.Fatal(err)
	}
	all := entries(f.w.Live())
	tail := all[len(all)-3:]
	if tail[0].Kind != media.KindData || tail[1].Kind != media.KindConfig || tail[2].ID != next.ID {
		t.Fatalf("the log ends with %+v", tail)
	}
	if !slices.IsSortedFunc(all, func(a, b logged) int { return a.ID.Compare(b.ID) }) {
		t.Error("identities are out of order")
	}
	j, _ := f.w.Live().NewestGroup()
	if j.Offset != tail[2].Off || len(j.Configs.Headers) != 2 {
		t.Errorf("join point %+v", j)
	}
}

// A pull that stalls is noticed within 2 s, and its session, should the owner be
// gone altogether.
func TestStallsAreNoticedInTime(t *testing.T) {
	stall := PullConfig{}.withDefaults().Stall
	if in := stall + stall/watchdogLooks; in > 2*time.Second {
		t.Errorf("a stall is noticed after %s", in)
	}
	if in := media.FabricSilence + media.FabricSilence/7; in > 2*time.Second || media.FabricSilence < 2*media.FabricKeepAlive {
		t.Errorf("silence is noticed after %s, a keep-alive is sent after %s", in, media.FabricKeepAlive)
	}
}

// TestStallWatchdog: an owner that accepts and then says nothing is asked anew.
func TestStallWatchdog(t *testing.T) {
	w := newWorld(t)
	var asked atomic.Int32
	silent := make(chan struct{})
	owner := w.startWith("a", func(m *member, ctx context.Context, s *fabric.Session) {
		if asked.Add(1) > 1 {
			m.server.Serve(ctx, s)
			return
		}
		control, err := s.Accept(ctx)
		if err != nil {
			return
		}
		_, _ = control.Write(relaywire.AppendMessage(nil, relaywire.Ok{Epoch: 7}))
		<-silent
		s.Close(0x100, "done")
	})
	cfg := quick()
	cfg.Stall, cfg.version = 300*time.Millisecond, relaywire.V1 // its first stream is the subscription
	edge := w.join("b", cfg)
	f := owner.publish(key("a"), 7)
	f.frames(10)
	feed := edge.open(key("a"))
	defer feed.Close()
	eventually(t, "the Ok", func() bool { return feed.Live() != nil })
	live := feed.Live()
	start := time.Now()
	eventually(t, "the watchdog", func() bool {
		edge.puller.mu.Lock()
		defer edge.puller.mu.Unlock()
		return edge.puller.pulls.Get(key("a")).phase.Load() == pullWaiting
	})
	if d := time.Since(start); d < 100*time.Millisecond {
		t.Errorf("after %v", d)
	}
	close(silent)
	if f.caughtUp(feed) != live {
		t.Error("the life has changed")
	}
}
