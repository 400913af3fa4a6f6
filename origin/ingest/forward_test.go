package ingest

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tmms/cluster/state"
	"tmms/media"
)

// view shows one placement.
type view struct {
	mu      sync.Mutex
	now     state.Placement // Epoch 0: there is none
	changed chan struct{}
}

func (v *view) Placement(media.StreamKey) (state.Placement, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.now, v.now.Epoch > 0
}

func (*view) PlacedAt(string) []state.PlacedStream { return nil }

func (v *view) WatchPlacements() <-chan struct{} {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.changed
}

func (v *view) set(p state.Placement) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.now = p
	close(v.changed)
	v.changed = make(chan struct{})
}

// A push is not given up because its own owner takes the stream for it in a new
// epoch, as one that has just started does; it is when the owner is another one.
func TestOwnerChanges(t *testing.T) {
	at := func(epoch uint64, owner string) state.Placement { return state.Placement{Epoch: epoch, Owner: owner} }
	none := state.Placement{}
	for _, tc := range []struct {
		name  string
		shown []state.Placement // one each 100 ms
		moved bool
	}{
		{"nothing", []state.Placement{at(7, "o")}, false},
		{"the owner claims anew", []state.Placement{at(7, "o"), at(8, "o")}, false},
		{"it releases before it does", []state.Placement{at(7, "o"), none, at(8, "o")}, false},
		{"it releases again", []state.Placement{at(7, "o"), none, at(8, "o"), none, none, none, none, none, none}, true},
		{"it releases for good", []state.Placement{at(7, "o"), none, none, none, none, none, none}, true},
		{"the copy is behind", []state.Placement{none, at(6, "p"), none, none, none, none, none}, false},
		{"it is an orphan", []state.Placement{at(7, "o"), at(7, "")}, true},
		{"another owner", []state.Placement{at(7, "o"), at(8, "p")}, true},
		{"another owner at once", []state.Placement{at(9, "p")}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := &view{changed: make(chan struct{})}
				v.set(tc.shown[0])
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan bool, 1)
				go func() { done <- ownerChanges(ctx, v, media.StreamKey{}, at(7, "o")) }()
				for _, p := range tc.shown[1:] {
					time.Sleep(100 * time.Millisecond)
					v.set(p)
				}
				synctest.Wait()
				cancel()
				if got := <-done; got != tc.moved {
					t.Errorf("moved: %t", got)
				}
			})
		})
	}
}
