package web

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tmms/cluster/relay"
	"tmms/media"
	"tmms/media/hls"
)

// partSize is of the parts of lowIndex; they differ.
const partSize = 5000

func partBytes(msn uint64, part int) []byte {
	b := make([]byte, partSize)
	for i := range b {
		b[i] = byte(int(msn)*31 + part*7 + i)
	}
	return b
}

// lowSegment is one in both formats with so many parts; an open one has one format.
func lowSegment(msn uint64, parts int, open bool) *hls.Segment {
	s := &hls.Segment{
		Epoch: 7, MSN: msn, ProgramTime: time.Unix(1_700_000_000, 0).Add(time.Duration(msn) * time.Second),
		Init: 1, MP4: &hls.Media{}, Independent: true,
	}
	for i := range parts {
		b := partBytes(msn, i)
		s.Parts = append(s.Parts, hls.Part{Duration: 200 * time.Millisecond, Size: len(b), Independent: i == 0})
		s.MP4.Chunks, s.MP4.Size = append(s.MP4.Chunks, b), s.MP4.Size+len(b)
		s.Duration += 200 * time.Millisecond
	}
	if !open {
		s.TS = &hls.Media{Chunks: [][]byte{[]byte("TS")}, Size: 2}
	}
	return s
}

// lowIndex lists segments 100..last of five parts each; open parts of the next follow.
func lowIndex(version, last uint64, open int) *hls.Index {
	x := &hls.Index{
		Version: version, Listing: last, Epoch: 7, Target: time.Second, PartTarget: 200 * time.Millisecond, Independent: true,
		Inits: []*hls.Init{{Epoch: 7, Version: 1, Data: []byte("init")}},
	}
	for msn := uint64(100); msn <= last; msn++ {
		x.Segments = append(x.Segments, lowSegment(msn, 5, false))
	}
	x.Listed = len(x.Segments)
	if open > 0 {
		x.Open = lowSegment(last+1, open, true)
	}
	return x
}

// reader is an answer under way.
type reader struct {
	*testing.T
	*bufio.Reader
}

func (st *station) get(path string) reader {
	st.t.Helper()
	_, br := st.ask("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n")
	return reader{st.t, br}
}

// answered is a whole answer.
type answered struct {
	status int
	header http.Header
	body   []byte
}

func (r reader) full() answered {
	r.Helper()
	resp, err := http.ReadResponse(r.Reader, nil)
	if err != nil {
		r.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		r.Fatal(err)
	}
	return answered{resp.StatusCode, resp.Header, b}
}

// is checks an answer of 200.
func (r reader) is(want []byte, cache string) {
	r.Helper()
	if a := r.full(); a.status != http.StatusOK || !bytes.Equal(a.body, want) || a.header.Get("Cache-Control") != cache {
		r.Errorf("%d %v\n%s\nwant\n%s", a.status, a.header, a.body, want)
	}
}

// fails checks an answer of another status, which must not be kept.
func (r reader) fails(status int) {
	r.Helper()
	if a := r.full(); a.status != status || a.header.Get("Cache-Control") != "no-store" {
		r.Errorf("%d %v %s, want %d", a.status, a.header, a.body, status)
	}
}

func (st *station) waits(n int64) {
	st.t.Helper()
	until(st.t, fmt.Sprintf("%d wait", n), func() bool { return st.parked.Load() == n })
}

const (
	lowPath     = "/live/test/ll.m3u8"
	keptBlocked = "max-age=6"
)

func low(x *hls.Index) []byte { return x.AppendLowLatency(nil, "", false) }

func TestLowLatencyPlaylist(t *testing.T) {
	st := startStation(t)
	w := st.publish("test")
	x := lowIndex(1, 102, 2)
	w.PublishIndex(x)
	st.get(lowPath).is(low(x), "max-age=1")
	st.get("/live/test/live.m3u8").is(x.AppendMedia(nil, ""), "max-age=1")
	st.get("/live/test.m3u8").is(x.AppendMultivariant(nil, "test", ""), "max-age=1")
	st.get("/live/test.m3u8?_HLS_x=1").is(x.AppendMultivariant(nil, "test", ""), "max-age=1")
	st.get(lowPath+"?token=1&_HLS_msn=102&_HLS_part=0&_HLS_skip=v2&domain=default").
		is(x.AppendLowLatency(nil, "?domain=default&token=1", true), keptBlocked)
	for _, name := range []string{"7-101.ts", "7-101.m4s", "7-101.4.m4s", "7-103.1.m4s", "init-7-1.mp4"} {
		n, ok := hls.ParseName(name)
		m := x.Find(n)
		if !ok || m == nil {
			t.Fatalf("%s is not in the index", name)
		}
		want := bytes.Join(m.Chunks, nil)
		a := st.get("/live/test/" + name).full()
		typ := "video/mp4"
		if n.Kind == hls.NameTS {
			typ = "video/mp2t"
		}
		if a.status != http.StatusOK || !bytes.Equal(a.body, want) || a.header.Get("Content-Type") != typ ||
			a.header.Get("Cache-Control") != "public, max-age=31536000, immutable" {
			t.Errorf("%s: %d %v, %d bytes", name, a.status, a.header, len(a.body))
		}
	}
	if n := st.web.server.HLSViewers(); n != 1 {
		t.Errorf("%d viewers", n)
	}
}

func TestLowLatencyIsNotThere(t *testing.T) {
	st := startStation(t)
	w := st.publish("test")
	parked := st.get(lowPath + "?_HLS_msn=101")
	st.waits(1)
	w.PublishIndex(testIndex(1, 100, 3))
	parked.fails(http.StatusNotFound)
	st.get(lowPath).fails(http.StatusNotFound)
	for _, name := range []string{"7-103.0.m4s", "7-102.0.m4s", "init-7-1.mp4", "7-101.m4s"} {
		st.get("/live/test/" + name).fails(http.StatusNotFound)
	}
}

// LL-HLS: blocking reload really blocks.
func TestBlockingReloadReallyBlocks(t *testing.T) {
	st := startStation(t)
	early := st.get(lowPath + "?_HLS_msn=103&_HLS_part=2")
	st.waits(1) // for a publisher
	w := st.publish("test")
	w.PublishIndex(lowIndex(1, 102, 2))
	part := st.get(lowPath + "?_HLS_msn=103&_HLS_part=2")
	whole := st.get(lowPath + "?_HLS_msn=103")
	third := st.get(lowPath + "?_HLS_msn=103&_HLS_part=3")
	st.waits(4)
	if n := st.woken.Load(); n != 0 {
		t.Fatalf("%d were answered without what they asked for", n)
	}
	x := lowIndex(2, 102, 3)
	w.PublishIndex(x)
	early.is(low(x), keptBlocked)
	part.is(low(x), keptBlocked)
	st.waits(2)
	x = lowIndex(3, 102, 4)
	w.PublishIndex(x)
	third.is(low(x), keptBlocked)
	x = lowIndex(4, 103, 0)
	w.PublishIndex(x)
	whole.is(low(x), keptBlocked)
	// What is there needs no waiting.
	for _, query := range []string{"_HLS_msn=103", "_HLS_msn=103&_HLS_part=4", "_HLS_msn=1", "_HLS_msn=102&_HLS_part=99"} {
		st.get(lowPath+"?"+query).is(low(x), keptBlocked)
	}
	ended := st.get(lowPath + "?_HLS_msn=104&_HLS_part=0")
	st.waits(1)
	x = lowIndex(5, 103, 0)
	x.Ended = true
	w.PublishIndex(x)
	ended.is(low(x), keptBlocked)
}

// LL-HLS: msn > last + 2 is a 400; so is a part of no segment, and what is no number.
func TestDirectivesThatCannotBe(t *testing.T) {
	st := startStation(t)
	w := st.publish("test")
	w.PublishIndex(lowIndex(1, 102, 2))
	for _, query := range []string{
		"_HLS_msn=105", "_HLS_msn=105&_HLS_part=0", "_HLS_msn=18446744073709551615", "_HLS_part=0", "_HLS_msn=", "_HLS_msn=x",
		"_HLS_msn=-1", "_HLS_msn=%2B103", "_HLS_msn=103&_HLS_part=", "_HLS_msn=103&_HLS_part=-1", "_HLS_msn=18446744073709551616",
	} {
		st.get(lowPath + "?" + query).fails(http.StatusBadRequest)
	}
	last := st.get(lowPath + "?_HLS_msn=104")
	st.waits(1)
	x := lowIndex(2, 104, 0)
	w.PublishIndex(x)
	last.is(low(x), keptBlocked)
	// A directive of another playlist is none.
	st.get("/live/test/live.m3u8?_HLS_msn=900&_HLS_part=x").is(x.AppendMedia(nil, ""), "max-age=1")
	// The connection goes on.
	_, br := st.ask("GET " + lowPath + "?_HLS_part=0 HTTP/1.1\r\nHost: x\r\n\r\nGET " + lowPath + " HTTP/1.1\r\nHost: x\r\n\r\n")
	r := reader{t, br}
	r.fails(http.StatusBadRequest)
	r.is(low(x), "max-age=1")
}

// LL-HLS: waiting has a limit.
func TestWaitingHasALimit(t *testing.T) {
	st := startStation(t)
	w := st.publish("test")
	w.PublishIndex(lowIndex(1, 102, 2))
	start := time.Now()
	list := st.get(lowPath + "?_HLS_msn=103&_HLS_part=2")
	part := st.get("/live/test/7-103.2.m4s")
	list.fails(http.StatusServiceUnavailable)
	part.fails(http.StatusNotFound)
	if took := time.Since(start); took < 2900*time.Millisecond {
		t.Errorf("they waited for %v, want three target durations", took)
	}
	st.waits(0)
	stream, _, err := st.web.server.streams.open(media.StreamKey{Domain: "default", App: "live", Stream: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer stream.release(time.Second)
	long := waiting{stream: stream, blocks: true}
	x := lowIndex(2, 103, 0)
	x.Target = time.Hour
	w.PublishIndex(x)
	if d := long.patience(); d != media.MaxBlockTimeout {
		t.Errorf("with a target of an hour it waits for %v", d)
	}
}

// LL-HLS: a part past the end means the next segment's first.
func TestAPartPastTheEndMeansTheNextSegmentsFirst(t *testing.T) {
	st := startStation(t)
	w := st.publish("test")
	w.PublishIndex(lowIndex(1, 102, 4))
	past := st.get(lowPath + "?_HLS_msn=103&_HLS_part=5")
	far := st.get(lowPath + "?_HLS_msn=103&_HLS_part=99999999999")
	st.waits(2)
	w.PublishIndex(lowIndex(2, 103, 0)) // has five parts
	also := st.get(lowPath + "?_HLS_msn=103&_HLS_part=5")
	st.waits(3)
	x := lowIndex(3, 103, 1)
	w.PublishIndex(x)
	for _, r := range []reader{past, far, also} {
		r.is(low(x), keptBlocked)
	}
}

// LL-HLS: the preload hint is exactly the next part: it is held until it is there.
func TestThePreloadHintIsExactlyTheNextPart(t *testing.T) {
	st := startStation(t)
	w := st.publish("test")
	hinted := func(x *hls.Index) string {
		t.Helper()
		_, rest, ok := strings.Cut(string(low(x)), `#EXT-X-PRELOAD-HINT:TYPE=PART,URI="`)
		name, _, found := strings.Cut(rest, `"`)
		if !ok || !found {
			t.Fatalf("no hint in\n%s", low(x))
		}
		return name
	}
	x := lowIndex(1, 102, 3)
	for _, next := range []*hls.Index{lowIndex(2, 102, 4), lowIndex(3, 103, 0), lowIndex(4, 103, 1)} {
		w.PublishIndex(x)
		if x.Version == 2 { // with its last part, which the hint is of, the segment is whole
			x = next
			continue
		}
		name := hinted(x)
		part := st.get("/live/test/" + name)
		st.waits(1)
		w.PublishIndex(next)
		n, _ := hls.ParseName(name)
		part.is(partBytes(n.MSN, int(n.Number)), "public, max-age=31536000, immutable")
		x = next
	}
	// The last part, whose segment is whole with it.
	w.PublishIndex(lowIndex(5, 103, 4))
	part := st.get("/live/test/7-104.4.m4s")
	st.waits(1)
	w.PublishIndex(lowIndex(6, 104, 0))
	part.is(partBytes(104, 4), "public, max-age=31536000, immutable")
	// What no player can know of.
	for _, name := range []string{"7-105.3.m4s", "7-107.0.m4s", "7-104.5.m4s", "6-105.0.m4s", "init-7-4.mp4", "7-107.m4s"} {
		st.get("/live/test/" + name).fails(http.StatusNotFound)
	}
}

// A player that was told by a node that is ahead asks for nothing that is a 404.
func TestNodesMayBeAhead(t *testing.T) {
	x := lowIndex(1, 102, 2)
	name := func(s string) hls.Name {
		n, ok := hls.ParseName(s)
		if !ok {
			t.Fatal(s)
		}
		return n
	}
	for s, want := range map[string]bool{
		"7-103.2.m4s": true, "7-103.3.m4s": true, "7-103.4.m4s": true, "7-103.5.m4s": false,
		"7-103.m4s": true, "7-103.ts": true, "7-104.0.m4s": true, "7-104.2.m4s": true, "7-104.3.m4s": false, "7-104.ts": true,
		"7-105.0.m4s": false, "7-105.ts": false, "6-103.2.m4s": false, "8-103.2.m4s": true,
		"init-7-2.mp4": true, "init-7-3.mp4": true, "init-7-4.mp4": false, "init-6-2.mp4": false, "init-8-1.mp4": true,
		"7-102.5.m4s": false, "7-99.ts": false,
	} {
		if got := follows(x, name(s)); got != want {
			t.Errorf("%s may come: %t", s, got)
		}
	}
	behind := *x
	behind.Segments, behind.Behind = x.Segments[1:], 1
	if !follows(&behind, name("7-100.3.m4s")) || !follows(&behind, name("7-100.ts")) || follows(&behind, name("7-99.ts")) {
		t.Error("what is on its way behind the playlist")
	}
	ended := *x
	ended.Ended = true
	if follows(&ended, name("7-103.2.m4s")) || follows(&ended, name("init-7-2.mp4")) {
		t.Error("something follows the end")
	}
	if follows(&hls.Index{Epoch: 7}, name("7-0.ts")) {
		t.Error("something follows nothing")
	}
}

// LL-HLS: delta updates only where allowed.
func TestDeltaUpdatesOnlyWhereAllowed(t *testing.T) {
	st := startStation(t)
	w := st.publish("test")
	x := lowIndex(1, 104, 2)
	w.PublishIndex(x)
	for _, query := range []string{"_HLS_skip=YES", "_HLS_skip=v2", "_HLS_skip=NO", ""} { // there is too little to skip
		st.get(lowPath+"?"+query).is(low(x), "max-age=1")
	}
	x = lowIndex(2, 120, 2)
	w.PublishIndex(x)
	delta := x.AppendLowLatency(nil, "", true)
	if !bytes.Contains(delta, []byte("#EXT-X-SKIP:SKIPPED-SEGMENTS=")) {
		t.Fatalf("nothing is skipped in\n%s", delta)
	}
	st.get(lowPath+"?_HLS_skip=YES").is(delta, "max-age=1")
	st.get(lowPath+"?_HLS_skip=v2&_HLS_msn=120").is(delta, keptBlocked)
	st.get(lowPath+"?_HLS_skip=1").is(low(x), "max-age=1")
	st.get("/live/test/live.m3u8?_HLS_skip=YES").is(x.AppendMedia(nil, ""), "max-age=1")
	// The tags differ, and tell one version from the next.
	tags := map[string]bool{}
	tag := func(path, match string, status int) string {
		t.Helper()
		_, br := st.ask("GET " + path + " HTTP/1.1\r\nHost: x\r\nIf-None-Match: " + match + "\r\n\r\n")
		a := reader{t, br}.full()
		if a.status != status {
			t.Errorf("%s: %d, want %d", path, a.status, status)
		}
		return a.header.Get("ETag")
	}
	for _, path := range []string{lowPath, lowPath + "?_HLS_skip=YES", "/live/test/live.m3u8"} {
		tags[tag(path, `"x"`, 200)] = true
	}
	if len(tags) != 3 {
		t.Errorf("the tags are %v", tags)
	}
	more := *x
	more.Version++
	more.Open = lowSegment(121, 3, true)
	w.PublishIndex(&more)
	tag(lowPath, x.ETag(), 200)
	tag(lowPath, more.ETag(), 304)
	tag(lowPath+"?_HLS_skip=YES", more.ETag(), 200)
	tag("/live/test/live.m3u8", x.ListingETag(), 304)
}

// A playlist is rendered once for all.
func TestPlaylistsAreRenderedOnce(t *testing.T) {
	x := lowIndex(1, 120, 2)
	s := &hlsStream{key: media.StreamKey{Stream: "test"}}
	for l := range numLists {
		a, b := s.render(x, l, ""), s.render(x, l, "")
		if &a[0] != &b[0] {
			t.Errorf("list %d is rendered twice", l)
		}
		if !slices.Equal(a, l.append(x, "test", "")) {
			t.Errorf("list %d is\n%s", l, a)
		}
		if other := s.render(x, l, "?a=b"); !bytes.Contains(other, []byte("?a=b")) {
			t.Errorf("list %d with a suffix is\n%s", l, other)
		}
	}
	a := s.render(lowIndex(2, 120, 3), listLow, "")
	if bytes.Equal(a, s.render(x, listLow, "")) {
		t.Error("another version is the same")
	}
}

// A flood of requests that block is bounded.
func TestBlockingRequestsAreBounded(t *testing.T) {
	st := startStation(t)
	w := st.publish("test")
	w.PublishIndex(lowIndex(1, 102, 2))
	first := st.get(lowPath + "?_HLS_msn=103&_HLS_part=2")
	st.waits(1)
	count := func(n int) {
		t.Helper()
		done := make(chan struct{})
		if !st.loop.Post(func() {
			st.web.waits.count += n
			close(done)
		}) {
			t.Fatal("the loop has no room")
		}
		<-done
	}
	count(media.MaxParkedRequests - 1)
	st.get(lowPath + "?_HLS_msn=103&_HLS_part=2").fails(http.StatusServiceUnavailable)
	st.get("/live/test/7-103.2.m4s").fails(http.StatusNotFound)
	st.get(lowPath).is(low(lowIndex(1, 102, 2)), "max-age=1")
	count(1 - media.MaxParkedRequests)
	x := lowIndex(2, 102, 3)
	w.PublishIndex(x)
	first.is(low(x), keptBlocked)
}

// TestManyBlockedRequestsWakeUnderBudget: the viewers of a low-latency stream are
// answered over several ticks, each within its budget, and looking for the next
// part costs the loop next to nothing meanwhile.
func TestManyBlockedRequestsWakeUnderBudget(t *testing.T) {
	n := 10_000
	if testing.Short() {
		n = 1500
	}
	st := startStation(t)
	w := st.publish("test")
	x := lowIndex(1, 102, 2)
	x.Target = 20 * time.Second // they wait until all are there
	w.PublishIndex(x)
	answers := st.gather(n, lowPath+"?_HLS_msn=103&_HLS_part=2")
	start, busy := time.Now(), st.loop.Stats().Busy
	for time.Since(start) < time.Second {
		<-time.After(100 * time.Millisecond)
	}
	idle := float64(st.loop.Stats().Busy-busy) / float64(time.Since(start))
	start = time.Now()
	x = lowIndex(2, 102, 3)
	w.PublishIndex(x)
	until(t, "all are answered", func() bool { return st.woken.Load() == int64(n) })
	t.Logf("%d answers in %v, %d ticks, %d at most in one; while they wait the loop is busy for %.2f %%",
		n, time.Since(start), st.ticks.Load(), st.most.Load(), 100*idle)
	if st.most.Load() > wakeAnswers || st.ticks.Load() < int64(n/wakeAnswers) {
		t.Errorf("%d answers in one tick, %d ticks", st.most.Load(), st.ticks.Load())
	}
	if got := answers(); got != strconv.Itoa(n) {
		t.Errorf("%s playlists, want %d", got, n)
	}
}

// BenchmarkLookForParts is what a tick costs while 10,000 requests wait for the
// next part, of one stream and of as many.
func BenchmarkLookForParts(b *testing.B) {
	for _, streams := range []int{1, 100, 10_000} {
		b.Run(strconv.Itoa(streams), func(b *testing.B) {
			r := newRegistry(newHub(b, lowIndex(1, 102, 2), streams))
			var w waitlist
			for i := range 10_000 {
				s, _, err := r.open(streamKey(i % streams))
				if err != nil {
					b.Fatal(err)
				}
				w.add(&conn{wait: &waiting{stream: s, what: wantLow, blocks: true}})
			}
			w.look(time.Second)
			for w.next() != nil {
				continue
			}
			now := time.Second
			for b.Loop() {
				now += 5 * time.Millisecond
				w.look(now)
				if w.next() != nil {
					b.Fatal("there is something new")
				}
			}
			r.close()
		})
	}
}

func streamKey(i int) media.StreamKey {
	return media.StreamKey{Domain: "default", App: "live", Stream: "s" + strconv.Itoa(i)}
}

// newHub has so many streams with the index.
func newHub(tb testing.TB, x *hls.Index, streams int) *relay.Hub {
	tb.Helper()
	hub := relay.NewHub()
	for i := range streams {
		w, err := hub.Publish(streamKey(i), 7, relay.LiveOptions{})
		if err != nil {
			tb.Fatal(err)
		}
		w.PublishIndex(x)
	}
	return hub
}
