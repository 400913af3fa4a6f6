package pipeline

import (
	"encoding/hex"
	"math"
	"slices"
	"testing"
	"time"

	"tmms/media"
	"tmms/media/hls"
)

// Configuration records: H.264 320x240 and 640x360, AAC-LC 44.1 kHz stereo and 48 kHz mono.
var (
	avc240 = unhex("0142c00dffe100166742c00dda0507ec0440000003004000000c83c50aa801000468ce0fc8")
	avc360 = unhex("0142c01effe100196742c01eda0280bfe5c044000003000400000300c83c58ba8001000468ce0fc8")
	aac44  = unhex("1210")
	aac48  = unhex("1188")
)

const (
	testEpoch = 7
	firstMSN  = 1_700_000_000
)

var testWall = time.Unix(firstMSN, 250_000_000)

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// rig feeds a pipeline with made-up packets and keeps what it publishes.
type rig struct {
	t       *testing.T
	p       *Pipeline
	indexes []*hls.Index
	names   names
	all     []*hls.Segment  // in order of their first publication
	behind  time.Duration   // what the wall clock is ahead of stream time
	now     media.Timestamp // DTS of the last packet

	cfg   Config
	tape  []taped // what was written
	grown grown
	run   uint32
	count uint32
}

// taped is a packet with the time at which it came, and how many indexes were
// published behind it.
type taped struct {
	media.Packet
	wall    time.Time
	indexes int
}

// startRun begins another run of the publisher.
func (r *rig) startRun(wall time.Time) {
	r.run++
	r.p.StartRun(wall)
}

func newRig(t *testing.T, change ...func(*Config)) *rig {
	t.Helper()
	cfg := DefaultConfig(testEpoch, firstMSN)
	for _, c := range change {
		c(&cfg)
	}
	r := &rig{t: t, names: names{}}
	p, err := New(cfg, func(x *hls.Index) {
		r.indexes = append(r.indexes, x)
		r.names.check(t, x)
		if n := len(x.Segments); n > 0 && (len(r.all) == 0 || r.all[len(r.all)-1] != x.Segments[n-1]) {
			r.all = append(r.all, x.Segments[n-1])
			r.grown.whole(t, r.p.open, x.Segments[n-1])
		}
		check(t, cfg, r.indexes)
	})
	if err != nil {
		t.Fatal(err)
	}
	r.p, r.cfg = p, cfg
	t.Cleanup(func() { r.names.unchanged(t) })
	return r
}

// check holds for each index that is published, whatever came in.
func check(t *testing.T, cfg Config, indexes []*hls.Index) {
	t.Helper()
	x := indexes[len(indexes)-1]
	bad := func(what string) {
		t.Helper()
		t.Fatalf("version %d: %s\n%s", x.Version, what, x.AppendMedia(nil, ""))
	}
	if x.Version != uint64(len(indexes)) || x.Epoch != cfg.Epoch || x.Target != indexes[0].Target {
		bad("version, epoch or target duration")
	}
	if x.Listed < 1 || x.Listed > cfg.Window || x.Listed > len(x.Segments) {
		bad("listed")
	}
	if cfg.LowLatency != (x.PartTarget > 0) || x.PartTarget != indexes[0].PartTarget || x.Ended && x.Open != nil {
		bad("part target")
	}
	for i, s := range x.Segments {
		switch {
		case i > 0 && s.MSN != x.Segments[i-1].MSN+1:
			bad("numbers have a hole")
		case s.Epoch != cfg.Epoch, s.MSN < cfg.FirstMSN:
			bad("name")
		case s.Duration <= 0, math.Round(s.Duration.Seconds()) > x.Target.Seconds():
			bad("target-round")
		case i > 0 && s.ProgramTime.Before(x.Segments[i-1].ProgramTime.Add(x.Segments[i-1].Duration)):
			bad("pdt goes back")
		case s.TS == nil && s.MP4 == nil, s.TS != nil && s.TS.Size%188 != 0, s.MP4 != nil && !has(x.Inits, s.Init):
			bad("formats")
		case cfg.LowLatency == (len(s.Parts) == 0):
			bad("parts")
		case x.Independent && !s.Independent:
			bad("not independent")
		}
	}
	checkParts(bad, x)
	if len(indexes) > 1 {
		checkStep(bad, indexes[len(indexes)-2], x)
	}
}

// checkStep holds between two versions.
func checkStep(bad func(string), old, x *hls.Index) {
	if x.Listing != old.Listing && x.Listing != x.Version || x.Listing == old.Listing && listing(x) != listing(old) {
		bad("the listing changed, its version did not")
	}
	if x.PartTarget > 0 && !x.Ended {
		hint := hinted(old)
		if x.Find(hint) == nil && hint != hinted(x) {
			bad("the part that was promised did not come: " + hint.String())
		}
	}
	was, is := old.Playlist(), x.Playlist()
	if is[0].MSN < was[0].MSN || x.DiscontinuitySequence < old.DiscontinuitySequence || x.Independent && !old.Independent {
		bad("republish: the playlist goes back")
	}
	left := uint64(0)
	for _, s := range was {
		if s.MSN < is[0].MSN && s.Discontinuity {
			left++
		}
		if got := x.Lookup(s.Epoch, s.MSN); got != s {
			bad("a listed segment changed or is gone at once")
		}
	}
	if x.DiscontinuitySequence != old.DiscontinuitySequence+left {
		bad("disc-sequence")
	}
}

func (r *rig) write(typ media.Type, dts media.Timestamp, body []byte) error {
	r.now = max(r.now, dts)
	p := media.Packet{
		ID: media.PacketID{Epoch: r.cfg.Epoch, Index: r.count}, Run: r.run, Type: typ, DTS: dts, Body: body,
	}
	r.count++
	wall := testWall.Add(r.behind + dts.Duration())
	err := r.p.Write(&p, wall)
	r.tape = append(r.tape, taped{p, wall, len(r.indexes)})
	r.grown.look(r.t, r.p)
	return err
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func videoHeader(avcc []byte) []byte { return append([]byte{0x17, 0, 0, 0, 0}, avcc...) }
func audioHeader(asc []byte) []byte  { return append([]byte{0xAF, 0}, asc...) }

// picture is a frame with one slice of n bytes.
func picture(key bool, cto int32, n int) []byte {
	b := []byte{0x27, 1, byte(cto >> 16), byte(cto >> 8), byte(cto), byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
	slice := make([]byte, n)
	slice[0] = 0x41
	if key {
		b[0], slice[0] = 0x17, 0x65
	}
	return append(b, slice...)
}

func (r *rig) videoHeader(avcc []byte) {
	r.t.Helper()
	r.must(r.write(media.TypeVideo, r.now, videoHeader(avcc)))
}

func (r *rig) audioHeader(asc []byte) {
	r.t.Helper()
	r.must(r.write(media.TypeAudio, r.now, audioHeader(asc)))
}

func (r *rig) video(dts media.Timestamp, key bool) {
	r.t.Helper()
	r.must(r.write(media.TypeVideo, dts, picture(key, 0, 500)))
}

func (r *rig) audio(dts media.Timestamp) {
	r.t.Helper()
	r.must(r.write(media.TypeAudio, dts, append([]byte{0xAF, 1}, make([]byte, 60)...)))
}

// av plays from..to with a frame of video every step ms and a keyframe every
// gop ms, counted from the first; audio every 23 ms unless it is left out.
func (r *rig) av(from, to, step, gop media.Timestamp, audio bool) {
	r.t.Helper()
	heard := from + 5
	for dts := from; dts < to; dts += step {
		r.video(dts, (dts-from)%gop == 0)
		for ; audio && heard < min(dts+step, to); heard += 23 {
			r.audio(heard)
		}
	}
}

func (r *rig) sound(from, to media.Timestamp) {
	r.t.Helper()
	for dts := from; dts < to; dts += 23 {
		r.audio(dts)
	}
}

func (r *rig) headers() {
	r.t.Helper()
	r.videoHeader(avc240)
	r.audioHeader(aac44)
}

// last is the newest index.
func (r *rig) last() *hls.Index {
	r.t.Helper()
	if len(r.indexes) == 0 {
		r.t.Fatal("nothing was published")
	}
	return r.indexes[len(r.indexes)-1]
}

// durations of all segments so far, in ms.
func (r *rig) durations() []int64 {
	var ds []int64
	for _, s := range r.all {
		ds = append(ds, s.Duration.Milliseconds())
	}
	return ds
}

func (r *rig) wantDurations(want ...int64) {
	r.t.Helper()
	if got := r.durations(); !slices.Equal(got, want) {
		r.t.Fatalf("segments of %v ms, want %v", got, want)
	}
}

// wantMarked says which segments, counted from 0, have a discontinuity.
func (r *rig) wantMarked(want ...int) {
	r.t.Helper()
	var got []int
	for i, s := range r.all {
		if s.Discontinuity {
			got = append(got, i)
		}
	}
	if !slices.Equal(got, want) {
		r.t.Fatalf("discontinuities at %v, want %v", got, want)
	}
}

// wantDependent says which segments do not start with a keyframe.
func (r *rig) wantDependent(want ...int) {
	r.t.Helper()
	var got []int
	for i, s := range r.all {
		if !s.Independent {
			got = append(got, i)
		}
	}
	if !slices.Equal(got, want) {
		r.t.Fatalf("without keyframe: %v, want %v", got, want)
	}
	if len(want) > 0 == r.last().Independent {
		r.t.Fatalf("index is independent: %t", r.last().Independent)
	}
}

// contents of a segment.
func bytesOf(s *hls.Segment) []byte { return slices.Concat(s.TS.Chunks...) }

// streamTypes are those of the PMT that a segment starts with.
func streamTypes(t *testing.T, s *hls.Segment) []byte {
	t.Helper()
	b := bytesOf(s)
	if len(b) < 2*188 || b[1] != 0x40 || b[2] != 0 || b[188+1] != 0x50 || b[188+2] != 0 {
		t.Fatalf("segment %d does not start with PAT and PMT: % x", s.MSN, b[:min(len(b), 8)])
	}
	section := b[188+5 : 2*188]
	end := 3 + int(section[1]&0x0F)<<8 + int(section[2]) - 4
	var types []byte
	for at := 12 + int(section[10]&0x0F)<<8 + int(section[11]); at < end; {
		types = append(types, section[at])
		at += 5 + int(section[at+3]&0x0F)<<8 + int(section[at+4])
	}
	return types
}
