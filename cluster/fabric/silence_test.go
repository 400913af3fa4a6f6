package fabric

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"tmms/cluster/pki"
)

// TestVanishedPeer: a peer that is gone without a word is given up long before
// QUIC's idle timeout, by who dialed and by who was dialed, and dialed anew.
func TestVanishedPeer(t *testing.T) {
	ca := newCA(t, time.Now())
	serve := func(f *Fabric) { f.Handle(ALPNControl, echo) }
	id := issue(t, ca, "b")
	a := startWith(t, issue(t, ca, "a"), "127.0.0.1:0", fast(), serve)
	b := startWith(t, id, "127.0.0.1:0", fast(), serve)
	out, in := connect(t, a, b.target(), ALPNControl), connect(t, b, a.target(), ALPNControl)
	ask(t, out, "x")
	ask(t, in, "x")
	addr := b.Addr()
	b.kill(t)
	select {
	case <-out.Context().Done():
	case <-within(t).Done():
		t.Fatal("the session stays")
	}
	var e *quic.ApplicationError
	if err := context.Cause(out.Context()); !errors.As(err, &e) || uint64(e.ErrorCode) != CodeSilent || e.Remote {
		t.Errorf("the session ended with %v", err)
	}
	waitFor(t, "end of what it dialed", func() bool { return a.value(t, "tmms_fabric_sessions", string(ALPNControl), "in") == 0 })
	if got := a.value(t, "tmms_fabric_silent_sessions_total"); got != 2 {
		t.Errorf("tmms_fabric_silent_sessions_total = %v", got)
	}
	var d *DialError
	if _, err := a.Session(within(t), b.target(), ALPNControl); !errors.As(err, &d) {
		t.Errorf("a new dial: %v", err)
	}
	again := startWith(t, id, addr.String(), fast(), serve)
	waitFor(t, "new session", func() bool {
		s, err := a.Session(within(t), again.target(), ALPNControl)
		return err == nil && ask(t, s, "y") == "y"
	})
}

// TestQuietSessionsStay: a session on which nobody says anything is not silent.
func TestQuietSessionsStay(t *testing.T) {
	ca := newCA(t, time.Now())
	serve := func(f *Fabric) { f.Handle(ALPNControl, echo) }
	a := startWith(t, issue(t, ca, "a"), "127.0.0.1:0", fast(), serve)
	b := startWith(t, issue(t, ca, "b"), "127.0.0.1:0", fast(), serve)
	s := connect(t, a, b.target(), ALPNControl)
	select {
	case <-s.Context().Done():
		t.Fatalf("it ended: %v", context.Cause(s.Context()))
	case <-time.After(2 * defaultTiming().silence):
	}
	ask(t, s, "still there")
}

// TestEdgesAreQuiet: on the session on which an edge follows the state nearly nothing
// is sent for its own sake, and its end is found out all the same.
func TestEdgesAreQuiet(t *testing.T) {
	ca := newCA(t, time.Now())
	serve := func(f *Fabric) { f.Handle(ALPNControl, echo) }
	tm := fast()
	tm.keepAlive = 20 * time.Millisecond
	tm.quietAlive, tm.quietSilence = 500*time.Millisecond, 3*time.Second
	o := startWith(t, issue(t, ca, "o", pki.RoleOrigin), "127.0.0.1:0", tm, serve)
	e := startWith(t, issue(t, ca, "e", pki.RoleEdge), "127.0.0.1:0", tm, serve)
	p := startWith(t, issue(t, ca, "p", pki.RoleOrigin), "127.0.0.1:0", tm, serve)
	quiet, strict := connect(t, e, o.target(), ALPNControl), connect(t, p, o.target(), ALPNControl)
	ask(t, quiet, "x")
	ask(t, strict, "x")
	sent := func(s *Session) uint64 { return s.conn.ConnectionStats().PacketsSent }
	quietBefore, strictBefore := sent(quiet), sent(strict)
	waitFor(t, "keep-alives of the origin", func() bool { return sent(strict) >= strictBefore+40 })
	if n := sent(quiet) - quietBefore; n > 20 {
		t.Errorf("the edge has sent %d packets, the origin %d", n, sent(strict)-strictBefore)
	}
	o.kill(t)
	select {
	case <-quiet.Context().Done():
	case <-within(t).Done():
		t.Fatal("the session stays")
	}
	if end, ok := errors.AsType[*quic.ApplicationError](context.Cause(quiet.Context())); !ok || uint64(end.ErrorCode) != CodeSilent {
		t.Errorf("it ended with %v", context.Cause(quiet.Context()))
	}
}

func TestPulse(t *testing.T) {
	now := time.Unix(1000, 0)
	var p pulse
	for i, c := range []struct {
		after   time.Duration
		packets uint64
		want    time.Duration
	}{
		{0, 0, 0}, // a new session gets the whole time
		{time.Second, 0, time.Second},
		{time.Second, 1, 0},
		{time.Second, 1, time.Second},
		{time.Second, 1, 2 * time.Second},
		{time.Second, 2, 0},
	} {
		now = now.Add(c.after)
		if got := p.beat(c.packets, now); got != c.want {
			t.Errorf("look %d: silent for %s, want %s", i, got, c.want)
		}
	}
}

// TestStoodStill: a process that did not run for long gives up nobody for it.
func TestStoodStill(t *testing.T) {
	ca := newCA(t, time.Now())
	tm := fast()
	tm.silence = time.Hour // the watch of its own does nothing
	b := startWith(t, issue(t, ca, "b"), "127.0.0.1:0", tm, func(f *Fabric) { f.Handle(ALPNControl, echo) })
	a := startWith(t, issue(t, ca, "a"), "127.0.0.1:0", tm, nil)
	s := connect(t, a, b.target(), ALPNControl)
	b.kill(t) // nothing more comes
	now := time.Now()
	look := func(stood time.Duration) (ended bool) {
		p := &pulse{packets: s.conn.ConnectionStats().PacketsReceived, at: now}
		a.listen(map[*Session]*pulse{s: p}, now.Add(2*time.Hour), stood)
		return s.Context().Err() != nil
	}
	if look(2 * time.Hour) {
		t.Error("it ended for the time in which nothing was read")
	}
	waitFor(t, "the end", func() bool { return look(0) }) // a last packet may have been on its way
}
