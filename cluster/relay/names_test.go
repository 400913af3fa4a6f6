package relay

import (
	"runtime"
	"strconv"
	"testing"

	"tmms/cluster/state"
	"tmms/media"
)

// held is the bytes of the heap in use.
func held() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func name(i int) media.StreamKey {
	return media.StreamKey{Domain: "default", App: "live", Stream: "s" + strconv.Itoa(i)}
}

// A million different names, read and published, most of them one after the
// other and some ten thousand at once, leave the hub as it was.
func TestNamesLeaveNothingBehind(t *testing.T) {
	names, atOnce := 1_000_000, 10_000
	if testing.Short() {
		names /= 20
	}
	h := NewHub()
	open := func(i int) *Feed {
		f, err := h.Open(name(i))
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
	if more := held() - before; more > 64<<10 || h.feeds.Len() != 0 || h.waiting != 0 {
		t.Errorf("%d bytes more, %d feeds, %d waiting after %d names", more, h.feeds.Len(), h.waiting, names)
	}
	runtime.KeepAlive(h)
}

// nowhere is a cluster that no stream is placed in.
type nowhere struct{ Cluster }

func (nowhere) Placement(media.StreamKey) (p state.Placement, ok bool) { return p, false }

// The same names leave nothing with those who would pull them, whether or not
// what has changed is fetched in time.
func TestNamesLeaveNothingWanted(t *testing.T) {
	names, atOnce := 1_000_000, 9_000
	if testing.Short() {
		names /= 20
	}
	h := NewHub()
	p := &Puller{hub: h, cluster: nowhere{}}
	h.startDemand(p.placed, true)
	open := func(i int) *Feed {
		f, err := h.Open(name(i))
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	stays := open(-1)
	p.onDemand(t.Context())
	before := held()
	for i := range names {
		f := open(i)
		if i%1000 == 0 {
			p.onDemand(t.Context())
		}
		f.Close()
	}
	func() {
		feeds := make([]*Feed, atOnce)
		for i := range feeds {
			feeds[i] = open(i)
		}
		p.onDemand(t.Context())
		if n := p.wanted.Len(); n != atOnce+1 {
			t.Errorf("%d names are wanted, want %d", n, atOnce+1)
		}
		for _, f := range feeds {
			f.Close()
		}
	}()
	p.onDemand(t.Context())
	if more := held() - before; more > 64<<10 || p.wanted.Len() != 1 || h.demand.changed.Len() != 0 {
		t.Errorf("%d bytes more, %d wanted, %d changed after %d names",
			more, p.wanted.Len(), h.demand.changed.Len(), names)
	}
	stays.Close()
	p.onDemand(t.Context())
	if p.wanted.Len() != 0 || h.Len() != 0 {
		t.Errorf("%d wanted and %d feeds are left", p.wanted.Len(), h.Len())
	}
	runtime.KeepAlive(p)
}
