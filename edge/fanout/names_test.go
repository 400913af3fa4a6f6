package fanout

import (
	"runtime"
	"strconv"
	"testing"

	"tmms/cluster/relay"
)

// A million different names that viewers wait for, thousands of them at
// a time, leave the engine as it was, though one
// viewer stays.
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
	hub := relay.NewHub()
	r := newRig(t, hub)
	join := func(s *fakeSink, i int) {
		opt := options(Format(i % int(numFormats)))
		opt.Key.Stream = "s" + strconv.Itoa(i)
		r.attachWith(s, opt)
	}
	stays := r.attach(FLV)
	before := held()
	func() {
		some := make([]fakeSink, atOnce)
		for i := range names {
			s := &some[i%atOnce]
			s.v.Detach()
			join(s, i)
			if i%10_000 == 0 {
				r.run(Tick)
			}
		}
		for i := range some {
			some[i].v.Detach()
		}
	}()
	r.run(2 * options(FLV).Flush)
	more := held() - before
	if more > 64<<10 || r.e.Len() != 1 || r.e.streams.Len() != 1 || hub.Len() != 1 {
		t.Errorf("%d bytes more, %d viewers, %d streams, %d feeds after %d names",
			more, r.e.Len(), r.e.streams.Len(), hub.Len(), names)
	}
	runtime.KeepAlive(r)
	runtime.KeepAlive(stays)
}
