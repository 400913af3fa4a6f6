package web

import (
	"fmt"
	"testing"

	"tmms/media/hls"
)

// TestHeldPlaylists: while the index is that of an owner before, no playlist may be
// kept by a cache, and segments are as immutable as ever.
func TestHeldPlaylists(t *testing.T) {
	st := startStation(t)
	w := st.publish("test")
	x := lowIndex(1, 102, 2)
	x.Held = true
	w.PublishIndex(x)
	st.get(lowPath).is(low(x), "no-store")
	st.get(lowPath+"?_HLS_msn=103&_HLS_part=1").is(low(x), "no-store")
	st.get("/live/test/live.m3u8").is(x.AppendMedia(nil, ""), "no-store")
	st.get("/live/test.m3u8").is(x.AppendMultivariant(nil, "test", ""), "no-store")
	name := hls.Name{Kind: hls.NamePart, Epoch: 7, MSN: 103, Number: 1}
	st.get(fmt.Sprintf("/live/test/%s", name)).is(partBytes(103, 1), cacheImmutable)
	next := lowIndex(2, 102, 3)
	w.PublishIndex(next)
	st.get(lowPath).is(low(next), "max-age=1")
}
