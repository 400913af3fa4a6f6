package relay

import (
	"fmt"
	"runtime"
	"testing"

	"tmms/media"
)

// A million different names, read and published, most of them one after the
// other and some ten thousand at once, leave the hub as it was.
func TestNamesLeaveNothingBehind(t *testing.T) {
	names, atOnce := 1_000_000, 10_000
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
	key := func(i int) media.StreamKey {
		return media.StreamKey{Domain: "default", App: "live", Stream: fmt.Sprint("s", i)}
	}
	h := NewHub()
	open := func(i int) *Feed {
		f, err := h.Open(key(i))
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	before := held()
	for i := range names {
		f := open(i)
		if i%1000 == 0 { // a life costs its log's first block
			w, err := h.Publish(f.Key(), 1, LiveOptions{})
			if err != nil {
				t.Fatal(err)
			}
			w.End()
		}
		f.Close()
	}
	func() {
		feeds := make([]*Feed, atOnce)
		for i := range feeds {
			feeds[i] = open(i)
		}
		for _, f := range feeds {
			f.Close()
		}
	}()
	if more := held() - before; more > 64<<10 || len(h.feeds) != 0 || h.waiting != 0 {
		t.Errorf("%d bytes more, %d feeds, %d waiting after %d names", more, len(h.feeds), h.waiting, names)
	}
	runtime.KeepAlive(h)
}
