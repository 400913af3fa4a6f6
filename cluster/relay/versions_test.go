package relay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"tmms/cluster/fabric"
	"tmms/media"
	"tmms/media/relaywire"
	"tmms/media/rtmp"
)

// speaking starts a node of a version: one of version 1 reads and writes what the
// releases before version 2 did, and nothing else.
func (w *world) speaking(name string, v relaywire.Version) *member {
	w.t.Helper()
	cfg := quick()
	cfg.version = v
	w.tune = func(s *Server) { s.version = v }
	defer func() { w.tune = nil }()
	return w.join(name, cfg)
}

// mixes runs a test with each pair of versions.
func mixes(t *testing.T, test func(t *testing.T, old, now relaywire.Version)) {
	t.Helper()
	for _, source := range []relaywire.Version{relaywire.V1, relaywire.V2} {
		for _, sink := range []relaywire.Version{relaywire.V1, relaywire.V2} {
			t.Run(fmt.Sprintf("from %d to %d", source, sink), func(t *testing.T) { test(t, source, sink) })
		}
	}
}

// Requirement: C6
// TestMixOfVersions: streams, segments and low-latency segments come whole between
// nodes of different versions, whichever owns the stream.
func TestMixOfVersions(t *testing.T) {
	mixes(t, func(t *testing.T, from, to relaywire.Version) {
		t.Helper()
		w := newWorld(t)
		owner, edge := w.speaking("a", from), w.speaking("b", to)
		f := owner.publish(key("a"), 7)
		f.config(media.TypeVideo, "sps")
		f.frames(60)
		feed := edge.open(key("a"))
		defer feed.Close()
		live := f.caughtUp(feed)
		f.size = 100_000
		f.frames(60)
		f.caughtUp(feed)
		same(t, live, f.w.Live())
		for i, l := range []*lister{newLister(f.w, 7, 100), newLowLister(f.w, 7, 200)} {
			l.version = uint64(1000 * i)
			feed.WantHLS(true)
			for range 5 {
				if l.low {
					l.part(30_000)
				}
				x := l.add(60_000)
				sameHLS(t, shows(t, feed, x), x)
			}
			feed.WantHLS(false)
			eventually(t, "segments are gone", func() bool { return live.Index() == nil })
		}
		edge.cut("a")
		f.frames(60)
		f.caughtUp(feed)
		f.w.End()
		eventually(t, "the end", func() bool { return live.State() == StateEnded && feed.Live() == nil })
		same(t, live, f.w.Live())
	})
}

// TestMixOfVersionsAgrees: what both speak is the lower version, and the times of
// groups come where both speak the higher.
func TestMixOfVersionsAgrees(t *testing.T) {
	mixes(t, func(t *testing.T, from, to relaywire.Version) {
		t.Helper()
		w := newWorld(t)
		owner, edge := w.speaking("a", from), w.speaking("b", to)
		f := owner.publish(key("a"), 7)
		f.frames(10)
		feed := edge.open(key("a"))
		defer feed.Close()
		var info LagInfo
		eventually(t, "a measured lag", func() bool {
			f.frames(25)
			f.caughtUp(feed)
			info, _ = edge.puller.Lag(key("a"))
			newer := from.Agree(to) == relaywire.V2
			return !info.Lag.At.IsZero() && info.Version != 0 && info.Lag.Corrected == newer && (!newer || !info.Way.At.IsZero())
		})
		want := LagInfo{Source: owner.id, Peer: "a", Version: int(from.Agree(to)), Hop: 1, Way: info.Way, Lag: info.Lag}
		if info != want {
			t.Errorf("%+v, want %+v", info, want)
		}
		if known := !info.Way.At.IsZero(); known != (want.Version == 2) {
			t.Errorf("the way of version %d is measured: %v", want.Version, known)
		}
	})
}

// TestMixOfVersionsPushes: a publisher's way over nodes of different versions.
func TestMixOfVersionsPushes(t *testing.T) {
	mixes(t, func(t *testing.T, from, to relaywire.Version) {
		t.Helper()
		w := newWorld(t)
		owner, other := w.speaking("owner", to), w.speaking("other", from)
		sink := &pushedSink{ended: make(chan struct{})}
		owner.server.OnPush(func(context.Context, PushRequest) (PushSink, error) { return sink, nil })
		r := &pushRig{owner: owner, other: other, sink: sink, closed: make(chan error, 8)}
		r.pusher = NewPusher(other.fabric, other, time.Now)
		// A pull in the same session first, which has agreed on a version.
		f := owner.publish(key("a"), 7)
		f.frames(10)
		feed := other.open(key("a"))
		defer feed.Close()
		f.caughtUp(feed)
		p := r.push(t)
		want := []rtmp.Message{
			{Type: media.TypeVideo, Timestamp: 1 << 31, Body: bytes.Repeat([]byte("v"), 300_000)},
			{Type: media.TypeAudio, Timestamp: 1<<32 - 1, Body: []byte("a")},
		}
		for _, m := range want {
			if err := errors.Join(p.Write(m, time.Now()), p.Flush(time.Now())); err != nil {
				t.Fatal(err)
			}
		}
		p.Detach(nil)
		if err := sink.end(t); err == nil {
			t.Error("a push ends without a reason")
		}
		if !slices.EqualFunc(sink.messages, want, func(a, b rtmp.Message) bool {
			return a.Type == b.Type && a.Timestamp == b.Timestamp && bytes.Equal(a.Body, b.Body)
		}) {
			t.Errorf("%d messages came, want %d", len(sink.messages), len(want))
		}
	})
}

// openStream opens a stream of a kind in a session.
func (m *member) openStream(to *member, first []byte) *fabric.Stream {
	m.t.Helper()
	n, _ := m.Node(to.id)
	session, err := m.fabric.Session(m.t.Context(), fabric.Target{Name: n.Name, Addr: n.Addresses["fabric"]}, fabric.ALPNRelay)
	if err != nil {
		m.t.Fatal(err)
	}
	s, err := session.Open(m.t.Context())
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { reset(s, relaywire.CodeDone) })
	if _, err := s.Write(first); err != nil {
		m.t.Fatal(err)
	}
	return s
}

// resetBy waits until the other end resets the stream, and gives the code.
func resetBy(t *testing.T, s *fabric.Stream) relaywire.Code {
	t.Helper()
	_ = s.SetReadDeadline(time.Now().Add(30 * time.Second))
	b := make([]byte, 512)
	for {
		if _, err := s.Read(b); err != nil {
			e, ok := errors.AsType[*fabric.StreamError](err)
			if !ok || !e.Remote {
				t.Fatalf("%v, want a reset", err)
			}
			return relaywire.Code(e.ErrorCode)
		}
	}
}

// TestUnknownStreams: what a node does not know it refuses by a code that says so,
// and goes on.
func TestUnknownStreams(t *testing.T) {
	w := newWorld(t)
	old, now := w.speaking("old", relaywire.V1), w.speaking("now", relaywire.V2)
	hello := relaywire.AppendMessage(relaywire.AppendHello(nil, relaywire.StreamSession), relaywire.Hello{Version: 2})
	for name, c := range map[string]struct {
		to    *member
		first []byte
		want  relaywire.Code
	}{
		"a session's stream at version 1": {old, hello, relaywire.CodeUnknownStream},
		"a kind to come":                  {now, []byte{0x7f, 1}, relaywire.CodeUnknownStream},
		"a version to come":               {now, []byte{byte(relaywire.StreamSubscribe), 3}, relaywire.CodeUnknownStream},
		"no hello": {now, relaywire.AppendMessage(
			relaywire.AppendHello(nil, relaywire.StreamSession), relaywire.Ping{}), relaywire.CodeMalformed},
		"version 0": {now, []byte{byte(relaywire.StreamSession), 1, byte(relaywire.TypeHello), 1, 0}, relaywire.CodeMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			if got := resetBy(t, w.start(fmt.Sprintf("b%d-%x", c.want, c.first)).openStream(c.to, c.first)); got != c.want {
				t.Errorf("code %d, want %d", got, c.want)
			}
		})
	}
}

// TestClockFlood: a peer that asks for the clock without end loses the stream, as
// does one that says hello twice.
func TestClockFlood(t *testing.T) {
	w := newWorld(t)
	a, b := w.start("a"), w.start("b")
	hello := relaywire.AppendMessage(relaywire.AppendHello(nil, relaywire.StreamSession), relaywire.Hello{Version: 2})
	first := b.openStream(a, hello)
	in := &inbox{r: first}
	if m, err := parse(in, relaywire.ParseMessage); err != nil || m != (relaywire.Hello{Version: relaywire.Newest}) {
		t.Fatalf("%+v, %v", m, err)
	}
	if code := resetBy(t, b.openStream(a, hello)); code != relaywire.CodeOverflow {
		t.Errorf("a second hello: code %d", code)
	}
	var flood []byte
	for range 200 {
		flood = relaywire.AppendMessage(flood, relaywire.Ping{Sent: 1})
	}
	_, _ = first.Write(flood)
	if code := resetBy(t, first); code != relaywire.CodeOverflow {
		t.Errorf("a flood: code %d", code)
	}
}

// TestTimesOnlyWhereAgreed: a source puts nothing into a header that the
// subscriber has not said to understand.
func TestTimesOnlyWhereAgreed(t *testing.T) {
	w := newWorld(t)
	a, b := w.start("a"), w.start("b")
	f := a.publish(key("a"), 7)
	f.frames(3)
	s := b.subscribe(a, relaywire.Subscribe{ID: 1, Key: key("a"), Epoch: 7})
	if ok, _ := s.hear().(relaywire.Ok); ok.Epoch != 7 {
		t.Fatalf("%+v", ok)
	}
	stream, err := s.session.AcceptUni(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	in := &inbox{r: stream}
	if _, err = parse(in, parseKind); err != nil {
		t.Fatal(err)
	}
	if h, err := parse(in, relaywire.V1.ParseGroupHeader); err != nil || h.Subscription != 1 || h.Times != nil {
		t.Errorf("%+v, %v", h, err)
	}
}
