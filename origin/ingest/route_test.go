package ingest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tmms/cluster/state"
	"tmms/media"
	"tmms/origin/session"
)

// What a refused peer is told names what it can mend, and nobody else.
func TestReason(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("session: d/a/s: %w from 192.0.2.1:5", session.ErrBusy), session.ErrBusy.Error()},
		{fmt.Errorf("%w: d/a/s", session.ErrClosed), session.ErrClosed.Error()},
		{ErrBadKey, ErrBadKey.Error()},
		{ErrNoKey, ErrNoKey.Error()},
		{fmt.Errorf("%w %q", state.ErrUnknownDomain, "x"), `unknown domain "x"`},
		{fmt.Errorf("%w %q", state.ErrUnknownApp, "x"), `unknown app "x"`},
		{media.CheckName("stream", "../x"), `bad name: stream "../x" starts with a dot`},
		{errors.New("raft: node 10.0.0.7 lost leadership"), "the node can't take the stream now, try again"},
	} {
		if got := reason(tt.err); got != tt.want {
			t.Errorf("%v: the peer is told %q, want %q", tt.err, got, tt.want)
		}
	}
}

// A flood of keys to check takes the CPU of Config.KeyChecks checks and no more;
// who waits too long is refused.
func TestKeyChecksAreBounded(t *testing.T) {
	c, err := state.NewConfig(1, &state.Document{Domains: []state.DomainDoc{{Name: "d", Apps: []state.AppDoc{
		{Name: "open"},
		{Name: "keyed", Auth: &state.AuthDoc{Publish: &state.PublishAuthDoc{
			Keys: []string{state.HashKey("k", []byte(strings.Repeat("s", state.KeySaltSize)))},
		}}},
	}}}})
	if err != nil {
		t.Fatal(err)
	}
	apps := map[string]*state.App{}
	for _, a := range c.Domains()[0].Apps() {
		apps[a.Name] = a
	}
	synctest.Test(t, func(t *testing.T) {
		s, err := New(DefaultConfig(), Deps{})
		if err != nil {
			t.Fatal(err)
		}
		for range cap(s.keyChecks) { // all slots are taken
			s.keyChecks <- struct{}{}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		for _, tt := range []struct {
			app, token string
			want       error
			after      time.Duration
		}{
			{"open", "", nil, 0},
			{"open", "k", nil, 0},
			{"keyed", "", ErrNoKey, 0},
			{"keyed", "k", context.DeadlineExceeded, 5 * time.Second},
		} {
			began := time.Now()
			if err := s.authorize(ctx, apps[tt.app], tt.token); !errors.Is(err, tt.want) || time.Since(began) != tt.after {
				t.Errorf("%s with %q: %v after %v, want %v after %v", tt.app, tt.token, err, time.Since(began), tt.want, tt.after)
			}
		}
		<-s.keyChecks
		for token, want := range map[string]error{"k": nil, "K": ErrBadKey} {
			if err := s.authorize(t.Context(), apps["keyed"], token); !errors.Is(err, want) {
				t.Errorf("key %q: %v, want %v", token, err, want)
			}
		}
		if len(s.keyChecks) != cap(s.keyChecks)-1 {
			t.Error("a check did not give its slot back")
		}
	})
}

func TestConfigValidate(t *testing.T) {
	if err := DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
	err := Config{MaxConns: media.MaxPublisherConns + 1}.Validate()
	if n := strings.Count(fmt.Sprint(err), "ingest: "); n != 4 {
		t.Errorf("error %v, want four faults", err)
	}
}
