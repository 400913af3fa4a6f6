package web

import (
	"net/netip"
	"runtime"
	"strconv"
	"testing"
	"time"

	"tmms/cluster/relay"
	"tmms/media"
)

// A million different names asked for by HLS, most of them one after the other
// and some thousands at once, leave the registry as it was, though one stream
// stays.
func TestNamesLeaveNothingBehind(t *testing.T) {
	names, atOnce := 1_000_000, 9_000
	if testing.Short() {
		names /= 20
	}
	r := newRegistry(relay.NewHub())
	open := func(name string) *hlsStream {
		s, _, err := r.open(media.StreamKey{Domain: "default", App: "live", Stream: name})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	now := time.Second
	stays := open("stays")
	addr := netip.MustParseAddr("192.0.2.1")
	open("stays").played(addr, now)
	before := heap()
	for i := range names {
		open("s" + strconv.Itoa(i)).release(now)
	}
	func() {
		some := make([]*hlsStream, atOnce)
		for i := range some {
			some[i] = open("s" + strconv.Itoa(i))
			open("s"+strconv.Itoa(i)).played(addr, now)
		}
		r.sweep(now)
		for _, s := range some {
			s.release(now)
		}
	}()
	runtime.GC()
	if more := heap() - before; more > 64<<10 || r.streams.Len() != 1 || r.hub.Len() != 1 {
		t.Errorf("%d bytes more, %d streams, %d feeds after %d names", more, r.streams.Len(), r.hub.Len(), names)
	}
	stays.release(now)
	if r.streams.Len() != 0 || r.hub.Len() != 0 {
		t.Errorf("%d streams and %d feeds are left", r.streams.Len(), r.hub.Len())
	}
}
