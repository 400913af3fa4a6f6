package terraform

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"tmms/bench/play"
	"tmms/bench/shape"
)

// again is a client's pause before it tries again.
const again = 200 * time.Millisecond

// until does something again and again, to the end of the test.
func (l *lab) until(do func(ctx context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	l.t.Cleanup(func() { cancel(); <-done })
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			do(ctx)
			select {
			case <-ctx.Done():
			case <-time.After(again):
			}
		}
	}()
}

// streamer keeps a stream live/NAME on the air from a region: at the nearest origin that
// takes it, and again when the connection is lost.
type streamer struct {
	mu sync.Mutex
	// Guarded by mu.
	lost   int                // connections
	cancel context.CancelFunc // of the one that there is
}

// publish begins to, and returns at once.
func (l *lab) publish(region, name string) *streamer {
	askAt := l.askAt(region)
	return l.publishAt(region, name, func(ctx context.Context) ([]string, error) { return l.nearest(ctx, region, askAt) })
}

// publishAt is publish at the URLs, without the stream's path, that origins gives each time.
func (l *lab) publishAt(region, name string, origins func(context.Context) ([]string, error)) *streamer {
	s := &streamer{cancel: func() {}}
	l.until(func(ctx context.Context) {
		origins, err := origins(ctx)
		if err != nil {
			return
		}
		for _, origin := range origins {
			if s.push(ctx, l, region, origin+"/live/"+name) {
				return
			}
		}
	})
	return s
}

// push publishes until the connection is over; false: there was none.
func (s *streamer) push(ctx context.Context, l *lab, region, at string) bool {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.mu.Lock()
	s.cancel = cancel
	s.mu.Unlock()
	said, _ := l.in(ctx, region, l.vars["bench"], "publish", "-url", at, "-bitrate", "500000").Output()
	published := bytes.Contains(said, []byte("publishing "))
	s.mu.Lock()
	defer s.mu.Unlock()
	if published && ctx.Err() == nil {
		s.lost++
	}
	return published || ctx.Err() != nil
}

// anew ends the connection, so that the streamer goes to the nearest origin again.
func (s *streamer) anew() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cancel()
}

func (s *streamer) losses() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lost
}

// watch is a viewer who knows one edge, goes where that sends it, and comes back when it
// loses its connection; over HLS, where requests fail.
type watch struct {
	name string

	mu sync.Mutex
	// Guarded by mu.
	bytes       int64
	connections int
	last        time.Time     // when something came
	longest     time.Duration // in which nothing came
}

// view lets a viewer play at an edge until the test ends; it returns at once.
func (l *lab) view(proto, edge, stream string) *watch {
	l.t.Helper()
	at := l.nodes[edge]
	dial := l.dialer(at.Region)
	client := &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
	w := &watch{name: proto + " at " + edge + " of " + stream}
	base := "http://" + at.Address + ":8080/live/" + stream
	l.until(func(ctx context.Context) {
		came := w.arrival()
		switch proto {
		case "rtmp":
			_ = play.Count(ctx, "rtmp://"+at.Address+":1935/live/"+stream, dial, came)
		case "flv":
			_, _ = get(ctx, client, base+".flv", came)
		default:
			readHLS(ctx, client, base+"/live.m3u8", came)
		}
	})
	return w
}

// dialer connects from a region or a node.
func (l *lab) dialer(place string) play.Dial {
	l.t.Helper()
	space, err := shape.OpenNamespace(l.t.Context(), l.cluster+"-"+place)
	if err != nil {
		l.t.Fatal(err)
	}
	return func(ctx context.Context, network, addr string) (conn net.Conn, err error) {
		err = space.Do(func() error {
			conn, err = (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, network, addr)
			return err
		})
		return conn, err
	}
}

// errStatus is an answer that is no content.
var errStatus = errors.New("want 200")

// get reads an answer to its end and gives where it was found.
func get(ctx context.Context, client *http.Client, at string, to io.Writer) (*url.URL, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %w: %s", at, errStatus, resp.Status)
	}
	_, err = io.Copy(to, resp.Body)
	return resp.Request.URL, err
}

// counter tells how much is written to it.
type counter func(n int)

func (c counter) Write(b []byte) (int, error) {
	c(len(b))
	return len(b), nil
}

// readHLS reads a playlist twice a second, and each segment that is new in it, until a
// request fails.
func readHLS(ctx context.Context, client *http.Client, at string, to io.Writer) {
	seen := ""
	for ctx.Err() == nil {
		segment, err := newest(ctx, client, at)
		if err == nil && segment.Path != seen {
			seen = segment.Path
			_, err = get(ctx, client, segment.String(), to)
		}
		if err != nil {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(500 * time.Millisecond): // as players do
		}
	}
}

// newest is the last segment in a playlist.
func newest(ctx context.Context, client *http.Client, at string) (*url.URL, error) {
	var list strings.Builder
	base, err := get(ctx, client, at, &list)
	if err != nil {
		return nil, err
	}
	last := ""
	for line := range strings.Lines(list.String()) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			last = line
		}
	}
	return base.Parse(last)
}

// arrival makes what notes the bytes of one connection.
func (w *watch) arrival() counter {
	first := true
	return func(n int) {
		w.mu.Lock()
		defer w.mu.Unlock()
		now := time.Now()
		if !w.last.IsZero() {
			w.longest = max(w.longest, now.Sub(w.last))
		}
		w.last, w.bytes = now, w.bytes+int64(n)
		if first {
			w.connections++
		}
		first = false
	}
}

// since gives what has been noted, and begins the longest pause anew.
func (w *watch) since() (connections int, longest time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	connections, longest = w.connections, w.longest
	w.longest = 0
	return connections, longest
}

// connected is how many connections it has had that something came by.
func (w *watch) connected() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.connections
}

// goesOn waits until the viewer has got so much more.
func (w *watch) goesOn(l *lab, more int64) {
	l.t.Helper()
	w.mu.Lock()
	from := w.bytes
	w.mu.Unlock()
	err := l.eventually(func() error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.bytes < from+more {
			return fmt.Errorf("%d bytes in %v, %d before", w.bytes-from, patience, from) //nolint:err113 // for the test's log
		}
		return nil
	})
	if err != nil {
		l.t.Fatalf("%s has stopped: %v", w.name, err)
	}
}
