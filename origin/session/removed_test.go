package session

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tmms/cluster/state"
	"tmms/media"
)

// configs is a config that changes.
type configs struct {
	now atomic.Pointer[version]
}

type version struct {
	cfg  *state.Config
	next chan struct{}
}

func (c *configs) Watch() (*state.Config, <-chan struct{}) {
	v := c.now.Load()
	return v.cfg, v.next
}

// set puts domains with those apps in force.
func (c *configs) set(t *testing.T, domains map[string][]string) {
	t.Helper()
	doc := &state.Document{}
	for name, apps := range domains {
		d := state.DomainDoc{Name: name}
		for _, app := range apps {
			d.Apps = append(d.Apps, state.AppDoc{Name: app})
		}
		doc.Domains = append(doc.Domains, d)
	}
	cfg, err := state.NewConfig(1, doc)
	if err != nil {
		t.Fatal(err)
	}
	if old := c.now.Swap(&version{cfg, make(chan struct{})}); old != nil {
		close(old.next)
	}
}

// An app that is taken out of the config ends its own streams, in the grace and being
// claimed too, and no others.
func TestRemovedAppsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		var c configs
		c.set(t, map[string][]string{"default": {"live", "gone"}, "other": {"gone"}})
		done := make(chan struct{})
		go func() {
			defer close(done)
			g.FollowApps(t.Context(), &c)
		}()
		key := func(domain, app, stream string) media.StreamKey {
			return media.StreamKey{Domain: domain, App: app, Stream: stream}
		}
		publish := func(k media.StreamKey) (*Publisher, *closer) {
			t.Helper()
			at := &closer{}
			p, err := g.Attach(t.Context(), k, testApp(), PublisherInfo{Remote: "192.0.2.1:1", Close: at.close})
			if err != nil {
				t.Error(err)
			}
			return p, at
		}
		stays, staysAt := publish(key("default", "live", "a"))
		_, otherAt := publish(key("other", "gone", "a"))
		_, goneAt := publish(key("default", "gone", "a"))
		inGrace, _ := publish(key("default", "gone", "b"))
		inGrace.publish(t, 0, 1000)
		inGrace.Detach(errGone)
		if g.Len() != 4 {
			t.Fatalf("%d streams", g.Len())
		}

		c.set(t, map[string][]string{"default": {"live"}, "other": {"gone", "more"}})
		synctest.Wait()
		if g.Len() != 2 || staysAt.err() != nil || otherAt.err() != nil {
			t.Errorf("%d streams are left, want 2; %v, %v", g.Len(), staysAt.err(), otherAt.err())
		}
		if err := goneAt.err(); !errors.Is(err, ErrRemoved) || !errors.Is(err, state.ErrUnknownApp) {
			t.Errorf("the publisher was closed with %v", err)
		}
		stays.publish(t, 0, 1000)

		// One that was let in before the change and is being claimed after it.
		_, lateAt := publish(key("default", "gone", "late"))
		time.Sleep(lookAgain)
		synctest.Wait()
		if !errors.Is(lateAt.err(), ErrRemoved) || g.Len() != 2 {
			t.Errorf("a late publisher: %v; %d streams", lateAt.err(), g.Len())
		}

		c.set(t, map[string][]string{})
		synctest.Wait()
		if err := staysAt.err(); !errors.Is(err, state.ErrUnknownDomain) || g.Len() != 0 {
			t.Errorf("without any domain: %v; %d streams", err, g.Len())
		}
		g.Close(t.Context())
		g.empty()
	})
}
