package fabric

import (
	"context"
	"testing"
	"time"

	"tmms/cluster/pki"
	"tmms/media"
)

// TestHearing: a silence is the time in which this process listened and nothing came.
func TestHearing(t *testing.T) {
	h := &hearing{at: map[string]time.Time{}, quiet: map[string]bool{}}
	f := &Fabric{}
	now := time.Unix(1000, 0)
	silence := func(name string) time.Duration {
		f.hearing.at, f.hearing.quiet, f.hearing.looked = h.at, h.quiet, h.looked
		_, silent, ok := f.Heard(name)
		if !ok {
			return -1
		}
		return silent
	}
	look := func(after time.Duration, heard ...string) {
		now = now.Add(after)
		names := map[string]bool{}
		for _, name := range heard {
			names[name] = false
		}
		h.note(names, now)
	}
	look(0, "a", "b")
	for range 20 {
		look(hearingLook, "b")
	}
	if a, b := silence("a"), silence("b"); a != 20*hearingLook || b != 0 || silence("c") != -1 {
		t.Errorf("a is silent for %s, b for %s", a, b)
	}
	// Case: sigstop-15s. Nobody is more silent for it, and who speaks then is heard.
	look(15 * time.Second)
	if a, b := silence("a"), silence("b"); a != 21*hearingLook || b != hearingLook {
		t.Errorf("after a stop a is silent for %s, b for %s", a, b)
	}
	look(hearingLook, "a")
	if a := silence("a"); a != 0 {
		t.Errorf("a has spoken, and is silent for %s", a)
	}
	// A quiet session says nothing for so long when all is well.
	now = now.Add(hearingLook)
	h.note(map[string]bool{"a": true}, now)
	for range int((media.FabricQuietKeepAlive + time.Second) / hearingLook) {
		look(hearingLook, "b")
	}
	if a := silence("a"); a <= time.Second-2*hearingLook || a > time.Second {
		t.Errorf("behind a quiet session a is silent for %s", a)
	}
	look(hearingLook, "a")
	for range 2 * int(peerForget/(2*hearingLook)) {
		look(2*hearingLook, "a")
	}
	if silence("b") != -1 || silence("a") != 0 {
		t.Errorf("b was not forgotten, or a was")
	}
}

// TestKeep: origins that have nothing to say to each other hear each other, and do
// not hear who has vanished.
func TestKeep(t *testing.T) {
	ca := newCA(t, time.Now())
	serve := func(f *Fabric) { f.Handle(ALPNControl, echo) }
	id := issue(t, ca, "b", pki.RoleOrigin)
	a := startWith(t, issue(t, ca, "a", pki.RoleOrigin), "127.0.0.1:0", fast(), serve)
	b := startWith(t, id, "127.0.0.1:0", fast(), serve)
	c := startWith(t, issue(t, ca, "c", pki.RoleOrigin), "127.0.0.1:0", fast(), serve)
	edge := startWith(t, issue(t, ca, "e", pki.RoleEdge), "127.0.0.1:0", fast(), serve)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- a.Keep(ctx, func() []Target { return []Target{a.target(), b.target(), b.target(), c.target()} })
	}()
	connect(t, edge, a.target(), ALPNControl)
	last := map[string]time.Time{}
	later := func(on *node, name string) bool {
		at, _, ok := on.Heard(name)
		before := last[on.Name()+name]
		last[on.Name()+name] = at
		return ok && !before.IsZero() && at.After(before)
	}
	for range 3 { // keep-alives alone, both ways
		waitFor(t, "word of b", func() bool { return later(a, "b") })
		waitFor(t, "word of c", func() bool { return later(a, "c") })
		waitFor(t, "word of a", func() bool { return later(b, "a") })
	}
	if _, _, ok := a.Heard("e"); ok {
		t.Error("an edge is listened to, which owns nothing")
	}
	if _, _, ok := b.Heard("c"); ok {
		t.Error("b has heard c, with which it has no session")
	}
	addr := b.Addr().String()
	b.kill(t)
	waitFor(t, "silence of b, session or not", func() bool {
		_, silent, ok := a.Heard("b")
		return ok && silent > defaultTiming().silence+time.Second
	})
	fromB, _, _ := a.Heard("b")
	if fromC, _, _ := a.Heard("c"); !fromC.After(fromB) {
		t.Error("c is as silent as b")
	}
	startWith(t, id, addr, fast(), serve)
	waitFor(t, "word of b again", func() bool { return later(a, "b") })
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
