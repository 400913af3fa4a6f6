package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"tmms/media/flv"
	"tmms/media/rtmp"
)

// encoder publishes to one origin, whatever happens: when it is closed it connects
// there again, as people's encoders do.
type encoder struct {
	origin, stream string
	end            func()

	mu   sync.Mutex
	live bool     // guarded by mu
	lost []loss   // guarded by mu; its connections
	no   []string // guarded by mu; why it was refused
}

func startEncoder(t *testing.T, origin, stream string, tags []flv.Tag) *encoder {
	t.Helper()
	e := &encoder{origin: origin, stream: stream}
	quit := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() { e.run(t, tags, quit) })
	e.end = sync.OnceFunc(func() {
		close(quit)
		running.Wait()
	})
	t.Cleanup(e.end)
	return e
}

// publishes tells that it is on the air.
func (e *encoder) publishes() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.live
}

func (e *encoder) run(t *testing.T, tags []flv.Tag, quit <-chan struct{}) {
	t.Helper()
	for {
		e.publish(t, tags, quit)
		select {
		case <-time.After(200 * time.Millisecond):
		case <-quit:
			return
		}
	}
}

// publish pushes until the connection is lost, or quit is closed.
func (e *encoder) publish(t *testing.T, tags []flv.Tag, quit <-chan struct{}) {
	t.Helper()
	p, no, err := tryPush(t, "rtmp://"+originRTMP[e.origin]+"/live/"+e.stream, rtmp.OrderFFmpeg)
	switch {
	case err != nil: // nobody is there
		return
	case no != nil:
		e.mu.Lock()
		defer e.mu.Unlock()
		e.no = append(e.no, no.Description)
		return
	}
	p.mayFail = true
	e.set(true)
	defer p.c.Close()
	stop, ended := p.loopDone(tags)
	select {
	case <-ended:
		e.mu.Lock()
		defer e.mu.Unlock()
		e.live = false
		e.lost = append(e.lost, loss{edge: e.origin, at: time.Now()})
	case <-quit:
	}
	stop()
}

func (e *encoder) set(live bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.live = live
}

// check wants it to have lost at most one connection in each replacement of its
// origin, none otherwise, and never to have been refused.
func (e *encoder) check(t *testing.T, all []upgrade) {
	t.Helper()
	e.end()
	times := map[int]int{}
	for _, l := range e.lost {
		i, ok := during(all, e.origin, l.at)
		if times[i]++; !ok || times[i] > 1 {
			t.Errorf("the publisher of %s at %s lost a connection at %v, the replacements were %+v", e.stream, e.origin, l.at, all)
		}
	}
	if len(e.no) > 0 {
		t.Errorf("the publisher of %s was refused: %q", e.stream, e.no)
	}
	t.Logf("the publisher of %s at %s: %d connections lost", e.stream, e.origin, len(e.lost))
}

// writer puts configs in force, one after the other, at whichever origin takes them.
type writer struct {
	end func()

	mu    sync.Mutex
	acked []uint64 // guarded by mu; revisions
	tries int      // guarded by mu
}

// writePause is the time between two configs: the history keeps 64.
const writePause = 1500 * time.Millisecond

func startWriter(t *testing.T) *writer {
	t.Helper()
	w := &writer{}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			w.write(ctx, n)
			select {
			case <-time.After(writePause):
			case <-ctx.Done():
			}
		}
	})
	w.end = sync.OnceFunc(func() {
		cancel()
		running.Wait()
	})
	t.Cleanup(w.end)
	return w
}

// write puts a config in force that differs from the one before.
func (w *writer) write(ctx context.Context, n int) {
	doc := fmt.Sprintf(`{"domains":[{"name":"default","aliases":["*"],"apps":[{"name":"live","grace":"%ds"}]}]}`, 20+n%9)
	for _, origin := range []string{"o1", "o2", "o3"} {
		revision, ok := putConfig(ctx, origin, doc)
		w.mu.Lock()
		w.tries++
		if ok {
			w.acked = append(w.acked, revision)
		}
		w.mu.Unlock()
		if ok {
			return
		}
	}
}

// putConfig gives the revision that an origin has acknowledged.
func putConfig(ctx context.Context, origin, doc string) (revision uint64, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://127.0.0.1:"+adminPort[origin]+"/api/v1/config",
		bytes.NewReader([]byte(doc)))
	if err != nil {
		return 0, false
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, false
	}
	defer res.Body.Close()
	var reply struct {
		Revision uint64 `json:"revision"`
	}
	return reply.Revision, json.NewDecoder(res.Body).Decode(&reply) == nil && res.StatusCode == http.StatusOK
}

// check wants every acknowledged config in the history of each origin.
func (w *writer) check(t *testing.T) {
	t.Helper()
	w.end()
	if len(w.acked) < 5 || !slices.IsSorted(w.acked) {
		t.Errorf("the acknowledged revisions are %v", w.acked)
	}
	const kept = 60 // of 64, some of which nobody may have heard of
	for _, origin := range []string{"o1", "o2", "o3"} {
		_, body := get(t, "http://127.0.0.1:"+adminPort[origin]+"/api/v1/history")
		var history struct {
			Revisions []struct {
				Revision uint64 `json:"revision"`
			} `json:"revisions"`
		}
		if err := json.Unmarshal(body, &history); err != nil {
			t.Fatal(err)
		}
		has := map[uint64]bool{}
		for _, r := range history.Revisions {
			has[r.Revision] = true
		}
		for _, revision := range w.acked[max(0, len(w.acked)-kept):] {
			if !has[revision] {
				t.Errorf("%s has lost revision %d of %v", origin, revision, w.acked)
			}
		}
	}
	t.Logf("%d configs were put in force in %d tries", len(w.acked), w.tries)
}
