package pipeline

import (
	"bytes"
	"slices"
	"testing"

	"tmms/media"
	"tmms/media/hls"
)

// grown is what a pipeline has given of its open segment, before that is whole.
type grown struct {
	open   *segment // nil: nothing
	name   hls.Name
	chunks [][]byte
	bytes  []byte // those of chunks, as they were then
	times  int    // of the open segment

	rests []int // bytes that were left for the end of each segment, of those that had begun
	most  int   // times of a segment
}

// look asks the pipeline, as a session does behind each packet.
func (g *grown) look(t *testing.T, p *Pipeline) {
	t.Helper()
	name, chunks, ok := p.Growing()
	if !ok {
		return
	}
	if name.Epoch != p.cfg.Epoch || name.MSN != p.msn {
		t.Fatalf("%v grows, segment %d is open", name, p.msn)
	}
	if p.open == g.open {
		g.goesOn(t, chunks)
		g.times++
	} else {
		g.times = 1
	}
	g.most = max(g.most, g.times)
	g.open, g.name, g.chunks, g.bytes = p.open, name, chunks, bytes.Join(chunks, nil)
}

// goesOn holds that chunks are those that were given, and more.
func (g *grown) goesOn(t *testing.T, chunks [][]byte) {
	t.Helper()
	last := len(g.chunks) - 1
	switch {
	case len(chunks) <= last, !slices.EqualFunc(chunks[:last], g.chunks[:last], bytes.Equal),
		!bytes.HasPrefix(chunks[last], g.chunks[last]):
		t.Fatalf("%v does not go on as it has begun", g.name)
	case !bytes.Equal(bytes.Join(g.chunks, nil), g.bytes):
		t.Fatalf("%v has changed since it was given", g.name)
	}
}

// whole holds that a segment is what was given of it. One that was begun anew is of
// another open one.
func (g *grown) whole(t *testing.T, open *segment, s *hls.Segment) {
	t.Helper()
	if open != g.open {
		return
	}
	m := s.TS
	if g.name.Kind == hls.NameMP4 {
		m = s.MP4
	}
	g.goesOn(t, m.Chunks)
	g.rests = append(g.rests, m.Size-len(g.bytes))
}

// Requirement: S6 (what a standby gets of the open segment while it is made: it is the
// beginning of what the segment will be, little is left for its end, and it does not
// come for every frame).
func TestGrowing(t *testing.T) {
	check := func(t *testing.T, r *rig, kind hls.NameKind, rest, times int) {
		t.Helper()
		if len(r.grown.rests) < 5 || r.grown.name.Kind != kind || r.grown.most < 1 || r.grown.most > times {
			t.Errorf("%d segments grew, in %d steps at most, want %d, the last as %v", len(r.grown.rests), r.grown.most, times, r.grown.name)
		}
		if n := slices.Max(r.grown.rests); n > rest {
			t.Errorf("%d bytes were left for the end of a segment, want %d at most", n, rest)
		}
	}
	eachMode(t, func(t *testing.T, mode func(*Config)) {
		t.Helper()
		for _, size := range []int{200, 20_000} {
			r := newRig(t, mode)
			r.videoHeader(avc240)
			for i := range media.Timestamp(400) {
				r.must(r.write(media.TypeVideo, 40*i, picture(i%25 == 0, 0, size)))
			}
			// Of five frames, or a chunk, and the one that ends it; a step for each of them.
			check(t, r, hls.NameTS, min(6*(size+1000), chunkSize+size+1000), max(10, 50*(size+1000)/chunkSize+1))
		}
	})
	t.Run("fragmented MP4", func(t *testing.T) {
		r := newRig(t)
		r.videoHeader(avc240)
		r.must(r.write(media.TypeAudio, 0, opusHead))
		for i := range media.Timestamp(400) {
			r.must(r.write(media.TypeVideo, 40*i, picture(i%25 == 0, 0, 20_000)))
			for j := range media.Timestamp(2) {
				r.must(r.write(media.TypeAudio, 40*i+20*j, append([]byte("\x91Opus\xfc"), make([]byte, 60)...)))
			}
		}
		check(t, r, hls.NameMP4, 6*21_000, 10)
	})
}
