package e2e

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// cacheHTTP is where docs/samples/nginx-cache.conf listens.
const cacheHTTP = "127.0.0.1:8089"

// seamless is whether a stream goes on by the same playlist when its owner dies:
// numbers without a hole, one discontinuity. Without a standby that takes over, the
// playlist starts anew, above all numbers that there were.
const seamless = true

// TestLocationFreeHLS fetches playlists and segments of a stream from three edges in
// turn, and through a plain HTTP cache in front of them, while the owner dies and the
// publisher goes to another origin: whoever answers, a number means one name, a name
// means the same bytes, and equal playlists are equal byte by byte.
//
// Requirement: S6 C6 (location-free HLS)
func TestLocationFreeHLS(t *testing.T) {
	sh := startCluster(t)
	startCache(t)
	s := &show{t: t, sh: sh, tags: readFLV(t, "av.flv")}
	s.publish("o1")
	waitFor(t, 30*time.Second, "the owner", func() bool { return stream(t, "e1", "roam").Owner == "o1" })

	ctx, end := context.WithCancel(t.Context())
	defer end()
	tour := newTour(t, "roam")
	var all sync.WaitGroup
	all.Go(func() { tour.run(ctx, edgeHTTP) })
	all.Go(func() { tour.run(ctx, []string{cacheHTTP}) })
	waitFor(t, time.Minute, "some segments", func() bool { return tour.segments() >= 6 })
	t.Run("the cache asks once", func(t *testing.T) { askedOnce(t, tour) })
	t.Run("the cache keeps what it may", func(t *testing.T) { keptAsTold(t, tour) })

	before := tour.segments()
	sh.kill9("o1")
	s.move("o2")
	waitFor(t, time.Minute, "segments of the next owner", func() bool { return tour.epochs() == 2 && tour.segments() >= before+6 })
	sh.kill9("e2") // who asks in turn goes on with the others, and so does the cache
	tour.lost(edgeHTTP[1])
	more := tour.segments()
	waitFor(t, time.Minute, "segments without e2", func() bool { return tour.segments() >= more+3 })
	end()
	all.Wait()
	tour.check()
	s.stop()
	sh.run("kill $(cat run/[oe][13].pid) $(cat run/o2.pid) 2>/dev/null || true")
}

// startCache starts nginx with the sample, until the test ends.
func startCache(t *testing.T) {
	t.Helper()
	conf, err := filepath.Abs("../../../docs/samples/nginx-cache.conf")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	directives := "daemon off;"
	if os.Getuid() == 0 {
		directives += " user root;" // who may enter the test's folder
	}
	var out lockedBuffer
	cmd := exec.Command("nginx", "-p", dir, "-e", "stderr", "-c", conf, "-g", directives)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err = cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() || strings.Contains(out.String(), "[emerg]") {
			t.Logf("nginx printed:\n%s", out.String())
		}
	})
	waitFor(t, 20*time.Second, "nginx", func() bool {
		code, _ := get(t, "http://"+cacheHTTP+"/")
		return code != 0
	})
}

// tour is all that was fetched of a stream, wherever.
type tour struct {
	t    *testing.T
	name string
	get  func(url string) (code int, body []byte)

	mu     sync.Mutex
	gone   map[string]bool   // edges that were killed
	lists  map[string]string // playlists by their last segment
	names  map[uint64]string // of segments, by number
	marked map[string]bool   // segments with a discontinuity in front
	files  map[string][]byte // segments
	faults []string
}

func newTour(t *testing.T, name string) *tour {
	t.Helper()
	return &tour{
		t: t, name: name, get: func(url string) (int, []byte) { return get(t, url) },
		gone: map[string]bool{}, lists: map[string]string{}, names: map[uint64]string{},
		marked: map[string]bool{}, files: map[string][]byte{},
	}
}

func (o *tour) fault(format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.faults) < 20 {
		o.faults = append(o.faults, fmt.Sprintf(format, args...))
	}
}

// run asks hosts in turn until ctx ends: one for the playlist, the next ones for its
// segments.
func (o *tour) run(ctx context.Context, hosts []string) {
	fetched := map[string]bool{}
	for turn := 0; ctx.Err() == nil; turn++ {
		host, ok := o.pick(hosts, turn)
		if ok {
			o.visit(ctx, hosts, host, turn, fetched)
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// pick is the host whose turn it is; false if it was killed.
func (o *tour) pick(hosts []string, turn int) (string, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	host := hosts[turn%len(hosts)]
	return host, !o.gone[host]
}

func (o *tour) lost(host string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.gone[host] = true
}

var segmentName = regexp.MustCompile(`(?m)^([0-9]+)-([0-9]+)\.ts$`)

func (o *tour) visit(ctx context.Context, hosts []string, host string, turn int, fetched map[string]bool) {
	code, body := o.get(o.url(host, "live.m3u8"))
	if _, there := o.pick([]string{host}, 0); !there || ctx.Err() != nil || code == http.StatusServiceUnavailable {
		return // it was killed meanwhile, or waits for the next owner
	}
	names := segmentName.FindAllString(string(body), -1)
	if code != http.StatusOK || len(names) == 0 {
		o.fault("%s: the playlist is %d %.80q", host, code, body)
		return
	}
	o.list(host, string(body), names)
	for i, name := range names {
		if fetched[name] {
			continue
		}
		at, there := o.pick(hosts, turn+i)
		if !there {
			continue
		}
		code, segment := o.get(o.url(at, name))
		if _, there = o.pick([]string{at}, 0); !there || ctx.Err() != nil {
			return
		}
		if code != http.StatusOK {
			o.fault("%s: %s, which %s lists, is %d", at, name, host, code)
			continue
		}
		fetched[name] = true
		o.file(at, name, segment)
	}
}

func (o *tour) url(host, file string) string {
	return "http://" + host + "/live/" + o.name + "/" + file
}

// list notes a playlist.
func (o *tour) list(host, text string, names []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	last := names[len(names)-1]
	if before, ok := o.lists[last]; ok && before != text && len(o.faults) < 20 {
		o.faults = append(o.faults, fmt.Sprintf("%s: another playlist that ends with %s:\n%s\n%s", host, last, before, text))
	}
	o.lists[last] = text
	msn, mark := uint64(0), false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if n, ok := strings.CutPrefix(line, "#EXT-X-MEDIA-SEQUENCE:"); ok {
			msn, _ = strconv.ParseUint(n, 10, 64)
		}
		mark = mark || line == "#EXT-X-DISCONTINUITY"
		if strings.HasPrefix(line, "#") || line == "" {
			continue
		}
		if before, ok := o.names[msn]; ok && before != line {
			o.faults = append(o.faults, fmt.Sprintf("%s: segment %d is %s and was %s", host, msn, line, before))
		}
		o.names[msn], o.marked[line] = line, o.marked[line] || mark
		msn, mark = msn+1, false
	}
}

// file notes a segment.
func (o *tour) file(host, name string, b []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if before, ok := o.files[name]; ok && !bytes.Equal(before, b) {
		o.faults = append(o.faults, fmt.Sprintf("%s: %s has %d bytes and had %d, and they differ", host, name, len(b), len(before)))
	}
	o.files[name] = b
}

// segments is how many segments were fetched.
func (o *tour) segments() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.files)
}

// epochs is how many owners the fetched segments are of.
func (o *tour) epochs() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	seen := map[string]bool{}
	for name := range o.files {
		epoch, _, _ := strings.Cut(name, "-")
		seen[epoch] = true
	}
	return len(seen)
}

// newest is the segment with the highest number.
func (o *tour) newest() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.names[slices.Max(slices.Collect(maps.Keys(o.names)))]
}

// check looks at the whole: the numbers rise with the epochs, and at the seam between
// two owners there is one discontinuity and, if seamless, no hole.
func (o *tour) check() {
	o.t.Helper()
	var before string
	var at uint64
	for _, msn := range slices.Sorted(maps.Keys(o.names)) {
		name := o.names[msn]
		epoch, _, _ := strings.Cut(name, "-")
		seam := before != "" && epoch != before
		if seam && len(epoch) == len(before) && cmp.Compare(epoch, before) < 0 {
			o.faults = append(o.faults, fmt.Sprintf("%s comes after one of epoch %s", name, before))
		}
		if seam && seamless && !o.marked[name] {
			o.faults = append(o.faults, name+" is no discontinuity")
		}
		if !seam && before != "" && o.marked[name] {
			o.faults = append(o.faults, name+" is a discontinuity")
		}
		if at != 0 && msn != at+1 && (!seam || seamless) {
			o.faults = append(o.faults, fmt.Sprintf("segment %d comes after %d", msn, at))
		}
		before, at = epoch, msn
	}
	for _, fault := range o.faults {
		o.t.Error(fault)
	}
	o.t.Logf("%d playlists, %d segments", len(o.lists), len(o.files))
}

// askedOnce lets many ask the cache for a segment that it does not have: it asks the
// edges once.
func askedOnce(t *testing.T, o *tour) {
	t.Helper()
	const many = 20
	// A query makes it another file for the cache, and the same for the edges.
	url := o.url(cacheHTTP, o.newest()) + "?once"
	var all sync.WaitGroup
	var mu sync.Mutex
	statuses := map[string]int{}
	for range many {
		all.Go(func() {
			status, _, _ := cached(t, url)
			mu.Lock()
			defer mu.Unlock()
			statuses[status]++
		})
	}
	all.Wait()
	if statuses["MISS"] != 1 || statuses["HIT"] != many-1 {
		t.Errorf("the cache says %v, want one MISS and %d HIT", statuses, many-1)
	}
}

// cached fetches through the cache, and gives what that says of it.
func cached(t *testing.T, url string) (status string, head http.Header, body []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Error(err)
		return "", nil, nil
	}
	defer res.Body.Close()
	if body, err = io.ReadAll(res.Body); err != nil || res.StatusCode != http.StatusOK {
		t.Errorf("%s: %s, %v", url, res.Status, err)
	}
	return res.Header.Get("X-Cache-Status"), res.Header, body
}

// keptAsTold looks at how long the cache keeps things: a segment for good, a playlist
// for a second, what is not there not at all.
func keptAsTold(t *testing.T, o *tour) {
	t.Helper()
	name := o.newest()
	first, _, _ := cached(t, o.url(cacheHTTP, name))
	second, head, body := cached(t, o.url(cacheHTTP, name))
	_, direct := get(t, o.url(edgeHTTP[2], name))
	if second != "HIT" || !bytes.Equal(body, direct) || head.Get("Cache-Control") != "public, max-age=31536000, immutable" ||
		head.Get("ETag") == "" || head.Get("Vary") != "" || head.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("a segment: %s, then %s with %v", first, second, head)
	}
	old := ""
	waitFor(t, 30*time.Second, "a playlist to be kept", func() bool {
		status, head, body := cached(t, o.url(cacheHTTP, "live.m3u8"))
		if head.Get("Cache-Control") != "max-age=1" || head.Get("ETag") == "" {
			t.Errorf("a playlist: %v", head)
		}
		old = string(body)
		return status == "HIT"
	})
	waitFor(t, 30*time.Second, "another playlist", func() bool {
		_, _, body := cached(t, o.url(cacheHTTP, "live.m3u8"))
		return string(body) != old
	})
	missing := o.url(cacheHTTP, "1-1.ts")
	for range 2 {
		res, err := http.Get(missing)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusNotFound || res.Header.Get("X-Cache-Status") == "HIT" {
			t.Errorf("%s: %s, %v", missing, res.Status, res.Header)
		}
	}
}
