package origin_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"tmms/cluster/state"
	"tmms/media"
	"tmms/media/rtmp"
	"tmms/origin"
)

// successors are the origins that a node is to leave new streams to, in order.
type successors struct {
	mu   sync.Mutex
	list []origin.Elsewhere // guarded by mu
	none int                // guarded by mu; so many times there is none yet
}

func (s *successors) set(list ...origin.Elsewhere) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = list
}

// late makes it so many times too early to know any.
func (s *successors) late(times int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.none = times
}

func (s *successors) next(_ media.StreamKey, failed []string) (origin.Elsewhere, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.none > 0 {
		s.none--
		return origin.Elsewhere{}, false
	}
	for _, to := range s.list {
		if !slices.Contains(failed, to.Owner) {
			return to, true
		}
	}
	return origin.Elsewhere{}, false
}

// drain makes a node one that the cluster gives no stream.
func (g *group) drain(c *clusterNode) { g.apply(state.SetDrain{Node: c.id, On: true}) }

// owned waits until a node owns the stream.
func (c *clusterNode) owned(g *group, stream string) {
	c.t.Helper()
	waitFor(c.t, "the owner of "+stream, func() bool {
		p, _ := g.placement(stream)
		return p.Owner == c.id
	})
}

// A node that is drained, or has no room, does not claim a stream that nobody has:
// its publisher is forwarded to another origin, which does. The next is asked if
// that one does not answer.
func TestYield(t *testing.T) {
	g := newGroup(t)
	a, b, c := g.start("a"), g.start("b"), g.start("c")
	a.successors.set(origin.Elsewhere{Owner: "id-nobody"}, origin.Elsewhere{Owner: b.id})

	t.Run("full", func(*testing.T) {
		p := a.publish("full")
		b.owned(g, "full")
		b.waitPackets("full", 78)
		p.quit()
	})
	t.Run("drained", func(*testing.T) {
		g.drain(a)
		p := a.publish("test")
		b.owned(g, "test")
		p.publish(1000, 1000)
		b.waitPackets("test", 78+75)
		p.quit()
	})
	t.Run("drained while it is asked", func(*testing.T) {
		// It does not know yet, and claims: the cluster refuses.
		g.drain(c)
		c.successors.set(origin.Elsewhere{Owner: b.id})
		c.successors.late(1)
		p := c.publish("late")
		b.owned(g, "late")
		p.quit()
	})
	t.Run("nobody else", func(t *testing.T) {
		a.successors.set()
		p := dial(t, a.rtmp, "rtmp://h/live/none", rtmp.OrderFFmpeg)
		if s := p.refused(); s.Description != state.ErrDraining.Error() {
			t.Errorf("refused with %+v", s)
		}
	})
	t.Run("a stream that is here", func(*testing.T) {
		b.successors.set(origin.Elsewhere{Owner: c.id})
		p := b.publish("test") // in its grace
		b.waitPackets("test", 78+75+75)
		p.quit()
	})
}

// CASES: ertmp-reconnect. A publisher that can reconnect is asked to do so at the
// other origin before it is taken; one that stays is forwarded.
func TestYieldAsksToReconnect(t *testing.T) {
	g := newGroup(t)
	a, b := g.start("a"), g.start("b")
	g.drain(a)
	a.successors.set(origin.Elsewhere{Owner: b.id, At: "198.51.100.7:1935"})
	able := func(url string) *client {
		return dialWith(t, a.rtmp, rtmp.ClientConfig{Role: rtmp.RolePublish, Caps: rtmp.CapsReconnect}, url)
	}
	goes, stays := able("rtmp://h/live/goes"), able("rtmp://h/live/stays")
	began := time.Now()
	for _, c := range []*client{goes, stays} {
		if ev := <-c.events; ev.Kind != rtmp.EventReconnect || ev.Status.TcURL != "rtmp://198.51.100.7:1935/live" {
			t.Fatalf("event %v with %+v, want a request to reconnect", ev.Kind, ev.Status)
		}
	}
	goes.quit()
	stays.command(0, "FCPublish", 9) // is understood later
	stays.ready()
	if waited := time.Since(began); waited < media.ReconnectTimeout {
		t.Errorf("forwarded after %v, it has %v", waited, media.ReconnectTimeout)
	}
	stays.publish(0, 1000)
	b.owned(g, "stays")
	b.waitPackets("stays", 78)
	if p, placed := g.placement("goes"); placed {
		t.Errorf("the stream of who went is %+v", p)
	}
	// Another host would be another domain: nobody is sent there.
	other := able("rtmp://tv.example.com/late/other")
	if ev := <-other.events; ev.Kind != rtmp.EventReady {
		t.Errorf("event %v in a domain with a name of its own", ev.Kind)
	}
}
