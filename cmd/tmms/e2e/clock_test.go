package e2e

import (
	"hash/maphash"
	"testing"

	"tmms/media"
	"tmms/media/flv"
)

// frame is one frame of video, in ms; audio lies at most so far from it.
const frame = 40

// clock is what checkOneClock has found.
type clock struct {
	runs int      // of publishers, and laps of their file
	gaps []uint32 // of the seams between them that are wider than a frame, in ms

	jumps []uint32 // inside a run, in ms: something is missing
}

// isMedia tells frames from metadata and codec headers.
func isMedia(tag flv.Tag) bool {
	return tag.Type != media.TypeData && len(tag.Body) > 1 && tag.Body[1] != 0
}

// checkOneClock compares what a viewer got with what was pushed: nothing goes
// back, no step inside a run is wider than a frame, and in each run audio and
// video have moved by the same amount.
func checkOneClock(t *testing.T, url string, pushed, got []flv.Tag) (c clock) {
	t.Helper()
	c = checkClock(t, url, pushed, got)
	for _, jump := range c.jumps {
		t.Errorf("%s: the clock jumps by %d ms", url, jump)
	}
	return c
}

// checkClock is checkOneClock for a stream of which something may be missing.
func checkClock(t *testing.T, url string, pushed, got []flv.Tag) (c clock) {
	t.Helper()
	seed := maphash.MakeSeed()
	raw := map[uint64]uint32{}
	for _, tag := range pushed {
		raw[maphash.Bytes(seed, tag.Body)] = tag.Timestamp
	}
	type track struct {
		last  uint32
		raw   uint32
		seen  bool
		moved []int64 // by run: output - pushed timestamp
	}
	tracks := map[media.Type]*track{media.TypeAudio: {}, media.TypeVideo: {}}
	var head uint32
	for _, tag := range got {
		tr := tracks[tag.Type]
		if tr == nil || !isMedia(tag) {
			continue
		}
		pushedAt, known := raw[maphash.Bytes(seed, tag.Body)]
		if !known {
			t.Fatalf("%s: a %v frame at %d ms was never pushed", url, tag.Type, tag.Timestamp)
		}
		if tr.seen && tag.Timestamp < tr.last {
			t.Errorf("%s: %v steps back from %d to %d", url, tag.Type, tr.last, tag.Timestamp)
		}
		seam := !tr.seen || pushedAt < tr.raw
		if seam {
			tr.moved = append(tr.moved, int64(tag.Timestamp)-int64(pushedAt))
		}
		switch step := int64(tag.Timestamp) - int64(head); {
		case head == 0 || step <= frame+1:
		case seam:
			c.gaps = append(c.gaps, tag.Timestamp-head)
		default:
			c.jumps = append(c.jumps, tag.Timestamp-head)
		}
		tr.last, tr.raw, tr.seen = tag.Timestamp, pushedAt, true
		head = max(head, tag.Timestamp)
	}
	a, v := tracks[media.TypeAudio].moved, tracks[media.TypeVideo].moved
	if d := len(a) - len(v); d < -1 || d > 1 { // a viewer may leave in a seam
		t.Fatalf("%s: %d runs of audio and %d of video", url, len(a), len(v))
	}
	c.runs = min(len(a), len(v))
	for i := range c.runs {
		if d := (a[i] - v[i]) - (a[0] - v[0]); d > frame || d < -frame {
			t.Errorf("%s: run %d changes the A/V offset by %d ms", url, i, d)
		}
	}
	return c
}
