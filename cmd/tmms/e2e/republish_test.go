package e2e

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"tmms/media"
	"tmms/media/flv"
	"tmms/media/rtmp"
)

// TestRepublish cuts the publisher's connection and pushes again within the
// grace, from 0, from a random time and across the 32-bit wrap, while viewers
// watch by RTMP, FLV and HLS.
//
// Requirement: S6
func TestRepublish(t *testing.T) {
	t.Parallel()
	s := startDev(t)
	tags := readFLV(t, "av.flv")
	offsets := []uint32{0, 0, 1_234_567_890, 0xFFFFFFFF - 2000}
	const runTime = 5 * time.Second
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()

	type result struct {
		tags   []flv.Tag
		closed bool
		err    error
	}
	watch := map[string]func(context.Context, string) ([]flv.Tag, bool, error){
		s.url("/live/cut.flv"): watchFLV,
		s.pushURL("cut"):       watchRTMP,
	}
	results := map[string]*result{}
	var wg sync.WaitGroup
	for url, f := range watch {
		r := &result{}
		results[url] = r
		wg.Go(func() { r.tags, r.closed, r.err = f(ctx, url) })
	}
	hls := make(chan error, 1)
	go func() {
		got, err := decode(t, s.url("/live/cut.m3u8"), 12*time.Second)
		if err == nil && got.video < 280 {
			err = fmt.Errorf("HLS: %d video frames in 12 s", got.video)
		}
		hls <- err
	}()
	waitFor(t, 10*time.Second, "the viewers to connect", func() bool { return s.viewers(t) >= 2 })
	for _, offset := range offsets {
		p, refused := dialPush(t, s.pushURL("cut"), rtmp.OrderFFmpeg)
		if refused != nil {
			t.Fatalf("refused: %+v", refused)
		}
		p.play(tags, offset, runTime)
		p.cut()
		<-time.After(700 * time.Millisecond)
	}
	if err := <-hls; err != nil {
		t.Error(err)
	}
	cancel()
	wg.Wait()
	for url, r := range results {
		if r.err != nil || r.closed {
			t.Errorf("%s: closed %v, %v", url, r.closed, r.err)
		}
		if c := checkOneClock(t, url, tags, r.tags); c.runs != len(offsets) || len(c.gaps) > 0 {
			t.Errorf("%s: %d runs with gaps of %v ms, want %d and none", url, c.runs, c.gaps, len(offsets))
		}
	}
}

// TestOBS publishes in the order and with the parameters of OBS.
func TestOBS(t *testing.T) {
	t.Parallel()
	s := startDev(t)
	p, refused := dialPush(t, s.pushURL("obs"), rtmp.OrderOBS)
	if refused != nil {
		t.Fatalf("refused: %+v", refused)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.play(readFLV(t, "av.flv"), 0, 12*time.Second)
	}()
	s.waitLive(t, "obs")
	for _, url := range []string{s.pushURL("obs"), s.url("/live/obs.flv"), s.url("/live/obs.m3u8")} {
		if got, err := decode(t, url, 2*time.Second); err != nil || got.video < 40 || got.audio < 60 {
			t.Errorf("%s: %+v, %v", url, got, err)
		}
	}
	<-done
}

// TestBodiesAreUntouched compares each body that viewers get with what was pushed.
//
// Requirement: S8 S9
func TestBodiesAreUntouched(t *testing.T) {
	t.Parallel()
	s := startDev(t)
	tags := readFLV(t, "av.flv")
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
	defer cancel()
	got := make(chan []flv.Tag, 1)
	go func() {
		seen, _, err := watchFLV(ctx, s.url("/live/same.flv"))
		if err != nil {
			t.Error(err)
		}
		got <- seen
	}()
	waitFor(t, 5*time.Second, "the viewer to connect", func() bool { return s.viewers(t) == 1 })
	p, refused := dialPush(t, s.pushURL("same"), rtmp.OrderFFmpeg)
	if refused != nil {
		t.Fatalf("refused: %+v", refused)
	}
	p.play(tags, 0, 4*time.Second)
	cancel()
	var want, have []flv.Tag
	for _, tag := range tags {
		if tag.Type != media.TypeData && tag.Timestamp <= 3500 {
			want = append(want, tag)
		}
	}
	for _, tag := range <-got {
		if tag.Type != media.TypeData {
			have = append(have, tag)
		}
	}
	// The viewer's two headers come in its own order; the rest is as pushed.
	byType := func(list []flv.Tag, typ media.Type) (bodies []string) {
		for _, tag := range list {
			if tag.Type == typ {
				bodies = append(bodies, string(tag.Body))
			}
		}
		return bodies
	}
	for _, typ := range []media.Type{media.TypeAudio, media.TypeVideo} {
		w, h := byType(want, typ), byType(have, typ)
		if len(h) < len(w) {
			t.Fatalf("%v: %d bodies, want at least %d", typ, len(h), len(w))
		}
		for i := range w {
			if w[i] != h[i] {
				t.Fatalf("%v: body %d differs", typ, i)
			}
		}
	}
}
