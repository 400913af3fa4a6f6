package session

import (
	"errors"
	"runtime"
	"strconv"
	"testing"

	"tmms/media"
)

// A million different names whose claims are refused, most of them one after the
// other and some thousands at once, leave the registry as it was, though one
// stream stays.
func TestNamesLeaveNothingBehind(t *testing.T) {
	names, atOnce := 1_000_000, 9_000
	if testing.Short() {
		names /= 20
	}
	held := func() int64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	g := newRig(t)
	g.cfg.MaxStreams = atOnce + 1
	stays, _ := g.attach(testApp(), "")
	g.cluster.err = errGone
	key := func(i int) media.StreamKey {
		return media.StreamKey{Domain: "default", App: "live", Stream: "s" + strconv.Itoa(i)}
	}
	app := testApp()
	before := held()
	for i := range names {
		if _, err := g.Attach(t.Context(), key(i), app, PublisherInfo{}); !errors.Is(err, errGone) {
			t.Fatalf("name %d: %v", i, err)
		}
	}
	func() {
		some := make([]*stream, atOnce)
		for i := range some {
			s, created, err := g.enter(key(i))
			if err != nil || !created {
				t.Fatal(created, err)
			}
			some[i] = s
		}
		for _, s := range some {
			g.leave(s)
		}
	}()
	if more := held() - before; more > 64<<10 || g.Len() != 1 {
		t.Errorf("%d bytes more, %d streams after %d names", more, g.Len(), names)
	}
	g.cluster.err = nil
	stays.Detach(errGone)
	g.empty()
}
