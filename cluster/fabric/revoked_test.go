package fabric

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"tmms/cluster/pki"
	replicated "tmms/cluster/state"
)

// revoked is a list that a test adds to.
type revoked struct {
	mu    sync.Mutex
	state *replicated.State
	next  chan struct{}
}

func (r *revoked) WatchRevocations() (*replicated.Revocations, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state.Revocations(), r.next
}

func (r *revoked) add(t *testing.T, v replicated.Revocation) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	b, err := replicated.Encode(replicated.Revoke{Revocation: v})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = r.state.Apply(r.state.Index()+1, b); err != nil {
		t.Fatal(err)
	}
	close(r.next)
	r.next = make(chan struct{})
}

// TestRevoked: the sessions with a node end as soon as its certificate is
// revoked, whoever dialed, and there are no new ones, in either direction; other
// nodes notice nothing, and a later certificate is good.
func TestRevoked(t *testing.T) {
	ca := newCA(t, time.Now())
	setup := func(f *Fabric) { f.Handle(ALPNControl, echo) }
	a := startWith(t, issue(t, ca, "a"), "127.0.0.1:0", fast(), setup)
	stays := startWith(t, issue(t, ca, "stays"), "127.0.0.1:0", fast(), setup)
	gone := startWith(t, issue(t, ca, "gone"), "127.0.0.1:0", fast(), setup)
	list := &revoked{state: replicated.New(), next: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	following := make(chan struct{})
	go func() {
		defer close(following)
		a.FollowRevocations(ctx, list, nil)
	}()
	defer func() {
		cancel()
		<-following
	}()
	stay := []*Session{connect(t, a, stays.target(), ALPNControl), connect(t, stays, a.target(), ALPNControl)}
	end := []*Session{connect(t, a, gone.target(), ALPNControl), connect(t, gone, a.target(), ALPNControl)}
	ask(t, end[0], "x")
	ask(t, end[1], "x")
	list.add(t, replicated.Revocation{Node: "gone", AtUnixMS: time.Now().UnixMilli()})
	for i, s := range end {
		select {
		case <-s.Context().Done():
		case <-within(t).Done():
			t.Errorf("session %d has not ended", i)
		}
	}
	for _, s := range stay {
		ask(t, s, "undisturbed")
	}
	var d *DialError
	waitFor(t, "a refusal", func() bool {
		_, err := a.Session(within(t), gone.target(), ALPNControl)
		return errors.As(err, &d) && d.Failure == Untrusted && errors.Is(err, pki.ErrRevoked)
	})
	waitFor(t, "a refusal", func() bool {
		_, err := gone.Session(within(t), a.target(), ALPNControl)
		return errors.As(err, &d) && d.Failure == Refused
	})
	waitFor(t, "log line", func() bool { return strings.Contains(a.log.String(), "revoked") })

	again := startWith(t, issueAt(t, ca, time.Now().Add(2*time.Second), "gone"), "127.0.0.1:0", fast(), setup)
	ask(t, connect(t, again, a.target(), ALPNControl), "readmitted")
	waitFor(t, "a dial", func() bool {
		s, err := a.Session(within(t), again.target(), ALPNControl)
		return err == nil && ask(t, s, "x") == "x"
	})
}

// TestRevokedMeanwhile: a revocation that comes while a session begins is not
// missed: it either refuses the handshake or ends the session.
func TestRevokedMeanwhile(t *testing.T) {
	ca := newCA(t, time.Now())
	b := startWith(t, issue(t, ca, "b"), "127.0.0.1:0", fast(), func(f *Fabric) { f.Handle(ALPNControl, echo) })
	for range 30 {
		id := issue(t, ca, "a")
		s, err := func() (*Session, error) {
			a := start(t, id)
			list := replicated.New()
			raw, err := replicated.Encode(replicated.Revoke{Revocation: replicated.Revocation{Serial: id.Serial()}})
			if err != nil {
				return nil, err
			}
			if _, err = list.Apply(1, raw); err != nil {
				return nil, err
			}
			go func() {
				b.id.Revoke(list.Revocations())
				b.Recheck()
			}()
			return a.Session(within(t), b.target(), ALPNControl)
		}()
		if err != nil {
			continue
		}
		select {
		case <-s.Context().Done():
		case <-within(t).Done():
			t.Fatal("a session with a revoked certificate stays")
		}
	}
}
