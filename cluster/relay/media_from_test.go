package relay

import "testing"

// TestMediaFrom: a node with a subscription at an owner can tell that media came from
// it, and one without cannot.
func TestMediaFrom(t *testing.T) {
	w := newWorld(t)
	owner, edge, other := w.join("a", quick()), w.join("b", quick()), w.join("c", quick())
	f := owner.publish(key("a"), 7)
	f.frames(10)
	if _, ok := edge.puller.MediaFrom(owner.id); ok {
		t.Error("media came before anybody has asked for it")
	}
	feed := edge.open(key("a"))
	f.caughtUp(feed)
	first, ok := edge.puller.MediaFrom(owner.id)
	if !ok || first < 0 {
		t.Errorf("nothing has come: %s, %v", first, ok)
	}
	for _, m := range []*member{owner, other} {
		if _, ok := m.puller.MediaFrom(owner.id); ok {
			t.Errorf("%s gets media", m.id)
		}
	}
	if _, ok := edge.puller.MediaFrom(other.id); ok {
		t.Error("media comes from a node that has none")
	}
	feed.Close()
	eventually(t, "the subscription's end", func() bool {
		_, ok := edge.puller.MediaFrom(owner.id)
		return !ok
	})
}
