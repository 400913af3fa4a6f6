package control

import (
	"testing"

	"tmms/media"
)

// One node has no more requests, and watches, than it may; others are not
// concerned, and nothing is remembered of who has none.
func TestCrowd(t *testing.T) {
	c := newCrowd()
	for name, of := range map[string]struct {
		enter func(string) bool
		leave func(string)
		limit int
		held  map[string]int
	}{
		"requests": {c.enter, c.leave, media.MaxControlPeerRequests, c.requests},
		"watches":  {c.follow, c.unfollow, media.MaxControlPeerWatches, c.watches},
	} {
		for i := range of.limit {
			if !of.enter("a") {
				t.Fatalf("%s: number %d is refused", name, i)
			}
		}
		if of.enter("a") || !of.enter("b") {
			t.Errorf("%s: the limit is not a node's own", name)
		}
		of.leave("a")
		if !of.enter("a") {
			t.Errorf("%s: a place was not given back", name)
		}
		for range of.limit {
			of.leave("a")
		}
		of.leave("b")
		if len(of.held) != 0 {
			t.Errorf("%s: %v", name, of.held)
		}
	}
}
