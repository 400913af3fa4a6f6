package pipeline

import (
	"hash/crc32"
	"slices"
	"strings"
	"testing"
	"time"

	"tmms/media"
	"tmms/media/hls"
)

// lowLatency makes a pipeline of parts.
func lowLatency(c *Config) { c.LowLatency = true }

// eachMode runs a test of what holds with and without low latency.
func eachMode(t *testing.T, f func(t *testing.T, mode func(*Config))) {
	t.Helper()
	t.Run("segments", func(t *testing.T) { f(t, func(*Config) {}) })
	t.Run("low-latency", func(t *testing.T) { f(t, lowLatency) })
}

// names is what was under a name when it was seen first.
type names map[hls.Name]seen

type seen struct {
	*hls.Media
	sum uint32
}

func sum(m *hls.Media) (crc uint32) {
	for _, c := range m.Chunks {
		crc = crc32.Update(crc, crc32.IEEETable, c)
	}
	return crc
}

// check holds that nothing else comes under a name, nor a size lies.
func (n names) check(t *testing.T, x *hls.Index) {
	t.Helper()
	see := func(name hls.Name) {
		m := x.Find(name)
		if m == nil {
			t.Fatalf("version %d: nothing is under %v", x.Version, name)
		}
		old, known := n[name]
		if known && slices.EqualFunc(old.Chunks, m.Chunks, func(a, b []byte) bool { return &a[0] == &b[0] && len(a) == len(b) }) {
			return // it stays the same: see unchanged
		}
		size := 0
		for _, c := range m.Chunks {
			size += len(c)
		}
		if size != m.Size || size == 0 {
			t.Fatalf("version %d: %v has %d bytes, its size is %d", x.Version, name, size, m.Size)
		}
		if known && sum(m) != old.sum {
			t.Fatalf("version %d: %v is another", x.Version, name)
		}
		n[name] = seen{m, sum(m)}
	}
	for _, s := range slices.Concat(x.Segments, open(x)) {
		if s.TS != nil && s != x.Open {
			see(hls.Name{Epoch: s.Epoch, MSN: s.MSN})
		}
		if s.MP4 != nil && s != x.Open {
			see(hls.Name{Kind: hls.NameMP4, Epoch: s.Epoch, MSN: s.MSN})
		}
		for i := range s.Parts {
			see(hls.Name{Kind: hls.NamePart, Epoch: s.Epoch, MSN: s.MSN, Number: uint64(i)})
		}
	}
	for _, i := range x.Inits {
		see(hls.Name{Kind: hls.NameInit, Epoch: i.Epoch, Number: uint64(i.Version)})
	}
}

// unchanged holds at the end that nobody wrote into what was published.
func (n names) unchanged(t *testing.T) {
	t.Helper()
	for name, m := range n {
		if sum(m.Media) != m.sum {
			t.Errorf("%v has changed since it was published", name)
		}
	}
}

func open(x *hls.Index) []*hls.Segment {
	if x.Open == nil {
		return nil
	}
	return []*hls.Segment{x.Open}
}

func has(inits []*hls.Init, version uint32) bool {
	return slices.ContainsFunc(inits, func(i *hls.Init) bool { return i.Version == version })
}

// checkParts holds for the parts of every version.
func checkParts(bad func(string), x *hls.Index) {
	if o := x.Open; o != nil {
		last := x.Segments[len(x.Segments)-1]
		if o.MSN != last.MSN+1 || len(o.Parts) == 0 || o.ProgramTime.Before(last.ProgramTime.Add(last.Duration)) ||
			!has(x.Inits, o.Init) {
			bad("open segment")
		}
	}
	for _, s := range slices.Concat(x.Segments, open(x)) {
		var sum time.Duration
		for i, p := range s.Parts {
			sum += p.Duration
			switch {
			case p.Duration > x.PartTarget, p.Duration <= 0:
				bad("a part lasts " + p.Duration.String())
			case (s == x.Open || i < len(s.Parts)-1) && 100*p.Duration < 85*x.PartTarget:
				bad("a part lasts only " + p.Duration.String())
			case p.Size != len(s.MP4.Chunks[i]):
				bad("a part's size")
			case i == 0 && p.Independent && !s.Independent:
				bad("the first part is independent, the segment is not")
			}
		}
		if len(s.Parts) > 0 && (len(s.MP4.Chunks) != len(s.Parts) || sum > s.Duration || s == x.Open && sum != s.Duration) {
			bad("the parts are not the segment")
		}
	}
}

// listing is what versions that differ by parts only have in common.
func listing(x *hls.Index) string {
	return string(x.AppendMultivariant(x.AppendMedia(nil, ""), "s", ""))
}

// listings are the versions in which the list of segments changed.
func (r *rig) listings() []*hls.Index {
	return slices.DeleteFunc(slices.Clone(r.indexes), func(x *hls.Index) bool { return x.Listing != x.Version })
}

// hinted is the name in the preload hint.
func hinted(x *hls.Index) hls.Name {
	_, rest, _ := strings.Cut(string(x.AppendLowLatency(nil, "", false)), `#EXT-X-PRELOAD-HINT:TYPE=PART,URI="`)
	name, _, _ := strings.Cut(rest, `"`)
	n, _ := hls.ParseName(name)
	return n
}

// wantParts says how long the parts of a segment last, in ms.
func (r *rig) wantParts(segment int, want ...int64) {
	r.t.Helper()
	var got []int64
	for _, p := range r.all[segment].Parts {
		got = append(got, p.Duration.Milliseconds())
	}
	if !slices.Equal(got, want) {
		r.t.Fatalf("segment %d has parts of %v ms, want %v", segment, got, want)
	}
}

// frames plays video of so many frames a second, with times in whole ms as RTMP
// has them, from the DTS 0, with a keyframe every gop frames.
func (r *rig) frames(num, den, n, gop int) {
	r.t.Helper()
	for i := range n {
		r.video(media.Timestamp(1000*i*den/num), i%gop == 0)
	}
}

// LL-HLS (LL-HLS: the part target is the fewest whole frames that last
// as long as is wanted, and what the parts last of it).
func TestPartTarget(t *testing.T) {
	for _, c := range []struct {
		name     string
		num, den int // frames a second
		gop      int
		target   time.Duration
		parts    []int64 // of the third segment
	}{
		{"24 fps", 24, 1, 48, 209 * time.Millisecond, []int64{208, 208, 209, 208, 208, 209, 208, 208, 209, 125}},
		{"25 fps", 25, 1, 50, 200 * time.Millisecond, []int64{200, 200, 200, 200, 200, 200, 200, 200, 200, 200}},
		{"29.97 fps", 30000, 1001, 60, 201 * time.Millisecond, []int64{200, 200, 200, 200, 201, 200, 200, 200, 200, 201}},
		{"30 fps", 30, 1, 60, 200 * time.Millisecond, []int64{200, 200, 200, 200, 200, 200, 200, 200, 200, 200}},
		{"50 fps", 50, 1, 100, 200 * time.Millisecond, []int64{200, 200, 200, 200, 200, 200, 200, 200, 200, 200}},
		{"60 fps", 60, 1, 120, 200 * time.Millisecond, []int64{200, 200, 200, 200, 200, 200, 200, 200, 200, 200}},
		{"12 fps", 12, 1, 24, 250 * time.Millisecond, []int64{250, 250, 250, 250, 250, 250, 250, 250}},
		{"low-fps 5", 5, 1, 10, 200 * time.Millisecond, []int64{200, 200, 200, 200, 200, 200, 200, 200, 200, 200}},
		{"low-fps 2", 2, 1, 4, 500 * time.Millisecond, []int64{500, 500, 500, 500}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, lowLatency)
			r.videoHeader(avc240)
			r.frames(c.num, c.den, 4*c.gop+1, c.gop)
			if got := r.last().PartTarget; got != c.target {
				t.Errorf("part target %v, want %v", got, c.target)
			}
			r.wantParts(2, c.parts...)
		})
	}
	t.Run("audio-only", func(t *testing.T) {
		r := newRig(t, lowLatency)
		r.audioHeader(aac44)
		r.sound(0, 6100)
		if got := r.last().PartTarget; got != 207*time.Millisecond {
			t.Errorf("part target %v", got)
		}
		r.wantParts(2, 207, 207, 207, 207, 207, 207, 207, 207, 207, 138)
		for i, p := range r.all[2].Parts {
			if !p.Independent {
				t.Errorf("part %d of audio is not independent", i)
			}
		}
	})
	t.Run("low-fps one frame a minute", func(t *testing.T) {
		r := newRig(t, lowLatency)
		r.videoHeader(avc240)
		r.av(0, 300_001, 60_000, 60_000, false)
		if got := r.last().PartTarget; got != 2*time.Second { // the segment's target is the most
			t.Errorf("part target %v", got)
		}
		r.wantParts(2, 2000)
	})
	t.Run("a gap is in the segment's duration only", func(t *testing.T) {
		r := newRig(t, lowLatency)
		r.videoHeader(avc240)
		r.av(0, 5000, 40, 1000, false)
		for dts := media.Timestamp(5520); dts <= 8000; dts += 40 {
			r.video(dts, dts%1000 == 0)
		}
		r.wantParts(2, 200, 200, 200, 200, 200, 200, 200, 80) // the fifth lasts 720 ms
		r.wantDurations(2000, 2000, 2000, 2000)
	})
	t.Run("jitter", func(t *testing.T) {
		r := newRig(t, lowLatency)
		r.videoHeader(avc240)
		for i := range media.Timestamp(400) {
			r.video(40*i+(i*i*7)%23, i%50 == 0)
		}
		if got := r.last().PartTarget; got < 195*time.Millisecond || got > 240*time.Millisecond {
			t.Errorf("part target %v", got)
		}
	})
	t.Run("another one is wanted", func(t *testing.T) {
		r := newRig(t, lowLatency, func(c *Config) { c.Part = 500 * time.Millisecond })
		r.videoHeader(avc240)
		r.av(0, 6001, 40, 1000, false)
		if got := r.last().PartTarget; got != 520*time.Millisecond {
			t.Errorf("part target %v", got)
		}
	})
}

// LL-HLS (a part is published with the frame behind it, the last of a
// segment with the keyframe that cuts; INDEPENDENT where one starts with a keyframe).
func TestPartsArePublishedAsTheyEnd(t *testing.T) {
	r := newRig(t, lowLatency)
	r.headers()
	r.av(0, 4001, 40, 1000, true)
	at := len(r.indexes)
	for i := range media.Timestamp(50) {
		dts := 4040 + 40*i
		r.video(dts, dts%1000 == 0)
		want := at + int(dts-4000)/200
		if len(r.indexes) != want {
			t.Fatalf("at %d ms: %d versions, want %d", dts, len(r.indexes), want)
		}
		x := r.last()
		switch {
		case dts == 6000:
			if x.Open != nil || x.Listing != x.Version {
				t.Errorf("with the segment's end: %+v", x)
			}
		case dts >= 4200:
			if x.Open == nil || len(x.Open.Parts) != int(dts-4000)/200 || x.Listing != uint64(at) {
				t.Errorf("at %d ms: %+v", dts, x.Open)
			}
		}
	}
	for i, p := range r.all[2].Parts {
		if p.Independent != (i == 0 || i == 5) {
			t.Errorf("part %d: independent is %t", i, p.Independent)
		}
	}
}

// What was published of a segment stays: a change that comes too early for a cut
// has its frames wait.
func TestForcedCutAfterParts(t *testing.T) {
	r := newRig(t, lowLatency, func(c *Config) { c.Segment = time.Second })
	r.videoHeader(avc240)
	r.av(0, 5000, 40, 1000, false) // segments of just a second: none may be shorter
	r.av(5000, 5440, 40, 1000, false)
	if o := r.last().Open; o == nil || len(o.Parts) != 2 {
		t.Fatalf("open segment %+v", o)
	}
	r.videoHeader(avc360)
	r.av(5440, 9441, 40, 480, false) // a keyframe at 5440, 5920, 6400
	r.wantMarked(6)
	if got := r.durations()[5]; got < 1000 {
		t.Errorf("cut after %d ms", got)
	}
	if got := r.p.Dropped(); got != 24 { // those from 5440 to 6360
		t.Errorf("%d frames were dropped", got)
	}
}
