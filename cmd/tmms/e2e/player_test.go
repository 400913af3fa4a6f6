package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	"tmms/media/flv"
)

// player plays a stream by RTMP or FLV as people's players do: when it is
// closed it connects again.
type player struct {
	url      string
	done     chan struct{}
	viewings []viewing // read after done
}

// viewing is one connection that got anything.
type viewing struct {
	tags   []flv.Tag
	closed bool // by the server
	err    error
}

// startPlayer plays url until ctx ends.
func startPlayer(ctx context.Context, url string) *player {
	p := &player{url: url, done: make(chan struct{})}
	watch := watchFLV
	if strings.HasPrefix(url, "rtmp:") {
		watch = watchRTMP
	}
	go func() {
		defer close(p.done)
		for ctx.Err() == nil {
			var v viewing
			if v.tags, v.closed, v.err = watch(ctx, url); len(v.tags) > 0 {
				p.viewings = append(p.viewings, v)
			}
			select {
			case <-time.After(200 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	}()
	return p
}

// check wants a number of viewings, all on one clock. It gives the seams wider
// than a frame in the last one; the others, that a killed edge has cut, and all
// before them must have none.
func (p *player) check(t *testing.T, pushed []flv.Tag, viewings int) (gaps []uint32) {
	t.Helper()
	<-p.done
	if len(p.viewings) != viewings {
		t.Fatalf("%s: %d viewings, want %d", p.url, len(p.viewings), viewings)
	}
	for i, v := range p.viewings {
		c := checkOneClock(t, p.url, pushed, v.tags)
		last := i == viewings-1
		if !last && len(c.gaps) > 0 {
			t.Errorf("%s: viewing %d has gaps of %v ms", p.url, i, c.gaps)
		}
		if last && (v.closed || v.err != nil) {
			t.Errorf("%s: closed %v, %v", p.url, v.closed, v.err)
		}
		gaps = c.gaps
	}
	return gaps
}
