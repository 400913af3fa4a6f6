package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"tmms/media/flv"
)

// edgeNames are the edges in the order of edgeHTTP and edgeRTMP.
var edgeNames = []string{"e1", "e2", "e3"}

// spectator is a viewer who knows all edges, as by a name with several addresses:
// it stays at one until it is closed there, and goes to the next one only if that
// one takes no connection.
type spectator struct {
	name   string
	proto  string
	stream string
	tags   []flv.Tag // of the publisher's file
	end    func()

	mu    sync.Mutex
	at    int         // guarded by mu; the edge to ask
	got   int64       // guarded by mu; what came since forget
	lost  []loss      // guarded by mu
	views [][]flv.Tag // guarded by mu; of each connection
	lists *playlists  // of HLS; read after the end
}

// loss is the end of a connection, or a request that failed, at an edge.
type loss struct {
	edge string
	at   time.Time
	why  string
}

func startSpectator(t *testing.T, proto, stream string, edge int, tags []flv.Tag) *spectator {
	t.Helper()
	v := &spectator{
		name: fmt.Sprintf("%s at %s of %s", proto, edgeNames[edge], stream), proto: proto, stream: stream, at: edge, tags: tags,
		lists: &playlists{names: map[uint64]string{}, marked: map[uint64]bool{}},
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		for ctx.Err() == nil {
			v.watch(ctx)
		}
	})
	v.end = sync.OnceFunc(func() {
		cancel()
		running.Wait()
	})
	t.Cleanup(v.end)
	return v
}

// plays tells that something has come since forget.
func (v *spectator) plays() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.got > 0
}

func (v *spectator) forget() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.got = 0
}

// watch plays over one connection, or reads one playlist with its last segment.
func (v *spectator) watch(ctx context.Context) {
	v.mu.Lock()
	at := v.at
	v.mu.Unlock()
	edge := edgeNames[at]
	var tags []flv.Tag
	var err error
	switch v.proto {
	case "rtmp":
		tags, _, err = watchCounted(ctx, "rtmp://"+edgeRTMP[at]+"/live/"+v.stream, v.count)
	case "flv":
		edge, tags, err = v.watchFLV(ctx, "http://"+edgeHTTP[at]+"/live/"+v.stream+".flv", edge)
	default:
		edge, err = v.readHLS(ctx, "http://"+edgeHTTP[at]+"/live/"+v.stream+"/live.m3u8", edge)
	}
	if ctx.Err() != nil {
		err = nil
	}
	v.ended(ctx, edge, tags, err)
}

// ended notes what came, and the end of the connection if it was one.
func (v *spectator) ended(ctx context.Context, edge string, tags []flv.Tag, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(tags) > 0 {
		v.views = append(v.views, tags)
	}
	over := ctx.Err() != nil || v.proto == "hls" && err == nil
	if over {
		return
	}
	if refused(err) { // nobody is there: the next one, as for a name with several addresses
		v.at = (v.at + 1) % len(edgeNames)
		if v.proto == "hls" {
			v.lost = append(v.lost, loss{edge, time.Now(), err.Error()})
		}
		return
	}
	v.lost = append(v.lost, loss{edge, time.Now(), fmt.Sprint(err)})
}

// refused tells that no connection was made.
func refused(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

func (v *spectator) count(n int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.got += int64(n)
}

// watchFLV is watchFLV with the edge that answered in the end.
func (v *spectator) watchFLV(ctx context.Context, at, edge string) (string, []flv.Tag, error) {
	res, edge, err := ask(ctx, at, edge)
	if err != nil {
		return edge, nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(&counted{res.Body, v.count})
	tags, faulty := parseFLV(b)
	if faulty != nil && !errors.Is(faulty, flv.ErrShort) {
		err = faulty
	}
	return edge, tags, err
}

// ask sends a GET that must be answered with 200, by the edge or by one that it names.
func ask(ctx context.Context, at, edge string) (*http.Response, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, http.NoBody)
	if err != nil {
		return nil, edge, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err
		}
		return nil, edge, err
	}
	if i := slices.Index(edgeHTTP, res.Request.URL.Host); i >= 0 {
		edge = edgeNames[i]
	}
	if res.StatusCode != http.StatusOK {
		res.Body.Close()
		return nil, edge, fmt.Errorf("%s: %s", at, res.Status)
	}
	return res, edge, nil
}

// hlsPause is the time between two looks at a playlist.
const hlsPause = 500 * time.Millisecond

// readHLS reads a playlist and its last segment.
func (v *spectator) readHLS(ctx context.Context, at, edge string) (string, error) {
	list, base, edge, err := fetch(ctx, at, edge)
	if err == nil {
		v.lists.read(string(list))
		if segment, bad := base.Parse(v.lists.names[v.lists.last()]); bad == nil {
			_, _, edge, err = fetch(ctx, segment.String(), edge)
			v.count(1)
		}
	}
	if refused(err) {
		return edge, err
	}
	select {
	case <-time.After(hlsPause):
	case <-ctx.Done():
	}
	return edge, err
}

// last is the highest media sequence number that was listed.
func (p *playlists) last() (msn uint64) {
	for n := range p.names {
		msn = max(msn, n)
	}
	return msn
}

// fetch gives what is at an address, and the address that it was found at.
func fetch(ctx context.Context, at, edge string) ([]byte, *url.URL, string, error) {
	res, edge, err := ask(ctx, at, edge)
	if err != nil {
		return nil, nil, edge, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return b, res.Request.URL, edge, err
}

// counted tells how much is read.
type counted struct {
	io.Reader

	count func(n int)
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.count(n)
	return n, err
}

// mostMissing bounds what a viewer misses at a time, in ms: a publisher has to find
// its origin again, and the next keyframe may be 2 s away.
const mostMissing = 12_000

// check wants each lost connection to have been lost at an edge that went away, one
// for each time, and a clock that never goes back, nor far ahead.
func (v *spectator) check(t *testing.T, all []upgrade) {
	t.Helper()
	v.end()
	times := map[int]int{}
	for _, l := range v.lost {
		i, ok := during(all, l.edge, l.at)
		if !ok {
			t.Errorf("%s: lost %s, which did not go away then: %s", v.name, l.edge, l.why)
			continue
		}
		if times[i]++; times[i] > 1 {
			t.Errorf("%s: lost %s %d times as it went away, now: %s", v.name, l.edge, times[i], l.why)
		}
	}
	for i, tags := range v.views {
		c := checkClock(t, fmt.Sprintf("%s, connection %d", v.name, i), v.tags, tags)
		missing := slices.Concat(c.jumps, c.gaps)
		if len(missing) > 0 && slices.Max(missing) > mostMissing || len(missing) > len(all) {
			t.Errorf("%s, connection %d: %v ms are missing", v.name, i, missing)
		}
	}
	if len(v.lists.faults) > 0 {
		t.Errorf("%s: %q", v.name, v.lists.faults)
	}
	t.Logf("%s: %d connections lost", v.name, len(v.lost))
}
