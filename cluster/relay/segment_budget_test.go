package relay

import (
	"fmt"
	"testing"

	"tmms/media/hls"
)

// TestSegmentBudget: where a node has no room, the segments behind the playlists
// go first, and playlists go on.
func TestSegmentBudget(t *testing.T) {
	w := newWorld(t)
	const size, streams = 100_000, 4
	cfg := quick()
	cfg.SegmentBytes = streams * 4 * size // 3 are listed and up to 4 behind
	owner, edge := w.join("a", quick()), w.join("b", cfg, "edge")
	var feeds []*Feed
	var lists []*lister
	whole := func(i int, want *hls.Index) {
		t.Helper()
		var got *hls.Index
		eventually(t, fmt.Sprintf("index %d of stream %d", want.Version, i), func() bool {
			live := feeds[i].Live()
			if live == nil {
				return false
			}
			got = live.Index()
			return got != nil && got.Version == want.Version
		})
		for _, s := range want.Playlist() {
			if g := got.Lookup(s.Epoch, s.MSN); g == nil || g.TS.Size != s.TS.Size || len(g.TS.Chunks) == 0 {
				t.Fatalf("segment %d of stream %d is %+v", s.MSN, i, g)
			}
		}
	}
	for i := range streams {
		k := key(fmt.Sprint("s", i))
		f := owner.publish(k, uint64(7+i))
		f.frames(10)
		l := newLister(f.w, uint64(7+i), 100)
		for range 7 {
			l.add(size)
		}
		feed := edge.open(k)
		defer feed.Close()
		feed.WantHLS(true)
		defer feed.WantHLS(false)
		feeds, lists = append(feeds, feed), append(lists, l)
		whole(i, l.history[len(l.history)-1])
	}
	for range 10 {
		for i, l := range lists {
			whole(i, l.add(size))
		}
	}
	if held := gauge(t, edge.registry, "tmms_edge_segment_bytes"); held > float64(cfg.SegmentBytes) || held < 3*size*streams {
		t.Errorf("%v bytes are held of %d", held, cfg.SegmentBytes)
	}
	if gauge(t, edge.registry, "tmms_edge_segments_shed_total") == 0 {
		t.Error("nothing was shed")
	}
	for _, feed := range feeds {
		feed.WantHLS(false)
	}
	eventually(t, "no bytes are held", func() bool { return gauge(t, edge.registry, "tmms_edge_segment_bytes") == 0 })
}
