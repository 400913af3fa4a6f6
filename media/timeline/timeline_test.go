package timeline

import (
	"fmt"
	"testing"
	"time"

	"tmms/media"
)

const (
	a = media.TypeAudio
	v = media.TypeVideo
)

// step is a frame that goes in and what has to come out.
type step struct {
	typ     media.Type
	raw     uint32
	want    media.Timestamp
	rebased bool
}

func run(t *testing.T, tl *Timeline, steps []step) {
	t.Helper()
	for i, s := range steps {
		got, rebased := tl.Correct(s.typ, 0, s.raw)
		if got != s.want || rebased != s.rebased {
			t.Fatalf("step %d: %s raw %d: got %d rebased %t, want %d %t",
				i, s.typ, s.raw, got, rebased, s.want, s.rebased)
		}
	}
}

func TestFirstRun(t *testing.T) {
	for _, c := range []struct {
		name  string
		cfg   Config
		steps []step
	}{
		{"from 0", Config{}, []step{{v, 0, 0, false}, {a, 0, 0, false}, {a, 23, 23, false}, {v, 40, 40, false}}},
		{"random start", Config{}, []step{
			{v, 3_000_000_123, 0, false}, {a, 3_000_000_130, 7, false}, {v, 3_000_000_163, 40, false},
		}},
		{"audio before video", Config{}, []step{
			{v, 40, 0, false}, {a, 20, 0, false}, {a, 43, 3, false}, {v, 80, 40, false},
		}},
		{"late-audio", Config{}, []step{
			{v, 0, 0, false}, {v, 2000, 2000, false}, {v, 4000, 4000, false}, {a, 3990, 3990, false}, {a, 4013, 4013, false},
		}},
		{"resume video", Config{Resume: 5000, HasResume: true}, []step{{v, 77, 5040, false}, {a, 60, 5023, false}}},
		{"resume audio", Config{Resume: 5000, HasResume: true}, []step{{a, 77, 5023, false}}},
		{"resume at 0", Config{HasResume: true}, []step{{v, 9, 40, false}}},
		{"negative after resume", Config{Resume: 5000, HasResume: true}, []step{{v, 900, 5040, false}, {a, 800, 5000, false}}},
	} {
		t.Run(c.name, func(t *testing.T) { run(t, New(c.cfg), c.steps) })
	}
}

// Requirement: S6 (a 32-bit wrap; CASES ts-wrap).
func TestWrap(t *testing.T) {
	t.Run("ts-wrap", func(t *testing.T) {
		for _, at := range []uint64{1 << 24, 1 << 31, 1 << 32} {
			tl := New(Config{})
			for i := range 200 {
				raw := uint32(at - 4000 + uint64(i)*40)
				want := media.Timestamp(i * 40)
				if got, rebased := tl.Correct(v, 0, raw); got != want || rebased {
					t.Fatalf("at %d: video raw %d: got %d rebased %t, want %d", at, raw, got, rebased, want)
				}
				// The audio of a muxer that is a frame behind or ahead crosses at another packet.
				off := (i%3 - 1) * 30
				got, rebased := tl.Correct(a, 0, uint32(int64(raw)+int64(off)))
				if floor := max(want+media.Timestamp(off), 0); rebased || got < floor || got > floor+60 {
					t.Fatalf("at %d: audio beside raw %d: got %d rebased %t, want %d", at, raw, got, rebased, floor)
				}
			}
		}
	})
	t.Run("three wraps", func(t *testing.T) {
		tl := New(Config{Forward: 20 * time.Hour * 24})
		const day = 24 * 3600 * 1000
		for i := range 160 { // 160 days of one frame a day: 3.2 wraps
			want := media.Timestamp(i) * day
			if got, rebased := tl.Correct(v, 0, uint32(uint64(i)*day)); got != want || rebased {
				t.Fatalf("day %d: got %d rebased %t, want %d", i, got, rebased, want)
			}
		}
	})
}

// Requirement: S6 (real gaps are kept; CASES low-fps, 10k-fps).
func TestGapsKept(t *testing.T) {
	for _, c := range []struct {
		name  string
		delta uint32
		audio bool
	}{
		{"low-fps/5 fps", 200, false},
		{"low-fps/one frame in 10 s", 10_000, false},
		{"low-fps/one frame a minute", 60_000, false},
		{"low-fps/one frame a minute with audio", 60_000, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			tl := New(Config{})
			heard := uint32(0)
			for i := range uint32(30) {
				for ; c.audio && heard < i*c.delta; heard += 23 {
					if got, rebased := tl.Correct(a, 0, 5000+heard); rebased || got != media.Timestamp(heard) {
						t.Fatalf("audio %d: got %d rebased %t", heard, got, rebased)
					}
				}
				want := media.Timestamp(i * c.delta)
				if got, rebased := tl.Correct(v, 0, 5000+i*c.delta); got != want || rebased {
					t.Fatalf("frame %d: got %d rebased %t, want %d", i, got, rebased, want)
				}
			}
		})
	}
	t.Run("a single gap", func(t *testing.T) {
		tl := feed(New(Config{}), 0, 100)
		run(t, tl, []step{{v, 4000 + 3000, 7000, false}, {a, 7010, 7010, false}, {v, 7040, 7040, false}})
	})
	t.Run("silence of one track", func(t *testing.T) {
		tl := feed(New(Config{}), 0, 100)
		for i := uint32(4000); i < 64_000; i += 40 {
			run(t, tl, []step{{v, i, media.Timestamp(i), false}})
		}
		run(t, tl, []step{{a, 63_990, 63_990, false}})
	})
	t.Run("a stream that turns sparse", func(t *testing.T) {
		tl := New(Config{})
		for i := range uint32(100) {
			tl.Correct(v, 0, i*40)
		}
		last, cuts := tl.Last(), 0
		for i := range uint32(20) {
			if _, rebased := tl.Correct(v, 0, 4000+i*60_000); rebased {
				cuts++
			}
		}
		// The first two gaps are taken for jumps, then they are the pace.
		if cuts > 2 || tl.Last()-last < 17*60_000 {
			t.Fatalf("%d rebases, moved on by %d ms", cuts, tl.Last()-last)
		}
	})
	t.Run("10k-fps", func(t *testing.T) {
		tl := New(Config{})
		for i := range uint32(100_000) {
			if got, rebased := tl.Correct(v, 0, i/10); got != media.Timestamp(i/10) || rebased {
				t.Fatalf("frame %d: got %d rebased %t", i, got, rebased)
			}
		}
		tl.StartRun()
		if got, _ := tl.Correct(v, 0, 0); got != 10_000 {
			t.Fatalf("next run starts at %d, want one frame after 9999", got)
		}
	})
}

// feed plays n frames of 40 ms from raw on, with audio beside each.
func feed(tl *Timeline, raw uint32, n int) *Timeline {
	for i := range n {
		tl.Correct(v, 0, raw+uint32(i)*40)
		tl.Correct(a, 0, raw+uint32(i)*40+10)
	}
	return tl
}

func TestJump(t *testing.T) {
	// feed ends with video 3960, audio 3970; a frame of either is 40 ms.
	for _, c := range []struct {
		name  string
		steps []step
	}{
		{"back to 0", []step{{v, 0, 4010, true}, {a, 10, 4020, false}, {v, 40, 4050, false}, {a, 50, 4060, false}}},
		{"forward an hour", []step{{v, 3_600_000, 4010, true}, {a, 3_600_010, 4020, false}, {v, 3_600_040, 4050, false}}},
		{"audio first", []step{{a, 0, 4010, true}, {v, 0, 4010, false}, {a, 40, 4050, false}, {v, 40, 4050, false}}},
		{"old audio still comes", []step{
			{v, 1 << 30, 4010, true}, {a, 4010, 4010, false}, {a, 1<<30 + 10, 4020, false}, {v, 1<<30 + 40, 4050, false},
		}},
		{"twice before audio follows", []step{
			{v, 1 << 30, 4010, true}, {v, 1 << 20, 4050, true}, {a, 1<<20 + 10, 4060, false}, {v, 1<<20 + 40, 4090, false},
		}},
		{"audio one cut behind", []step{
			{v, 1 << 30, 4010, true},
			{v, 1 << 20, 4050, true},
			{a, 1 << 30, 4010, false},
			{a, 1<<20 + 10, 4060, false},
		}},
		{"just over the threshold for one track", []step{
			{v, 3960 + 40 + 5010, 4010, true}, {a, 3970 + 40 + 5010, 4020, false}, {v, 9050, 4050, false},
		}},
		{"a small step back waits", []step{{v, 3900, 3960, false}, {v, 3940, 3960, false}, {v, 3980, 3980, false}}},
		{"audio waits longer than video", []step{{v, 3760, 3960, false}, {a, 3700, 3970, false}, {v, 4000, 4000, false}}},
		{"glitch of video", []step{
			{v, 99_000_000, 4010, true}, // one frame with a wild time
			{v, 4040, 4050, true},
			{a, 4050, 4060, false}, // follows the master by 10 ms
			{v, 4080, 4090, false},
			{a, 4090, 4100, false},
		}},
		{"glitch of audio", []step{
			{a, 99_000_000, 4010, true}, {v, 4040, 4040, false}, {a, 4050, 4050, false}, {v, 4080, 4080, false},
		}},
		{"audio with a clock of its own after a jump", []step{
			{a, 77_000_000, 4010, true}, {v, 4000, 4000, false}, {a, 77_000_040, 4050, false}, {v, 4040, 4040, false},
		}},
	} {
		t.Run(c.name, func(t *testing.T) { run(t, feed(New(Config{}), 0, 100), c.steps) })
	}
}

// Audio that is silent, or seconds behind, while video jumps goes where video is.
func TestJumpAlone(t *testing.T) {
	t.Run("audio silent", func(t *testing.T) {
		tl := feed(New(Config{}), 0, 100)
		for raw := uint32(4000); raw < 60_000; raw += 40 {
			run(t, tl, []step{{v, raw, media.Timestamp(raw), false}})
		}
		run(t, tl, []step{{v, 40_000, 60_000, true}, {a, 40_010, 60_010, false}})
	})
	t.Run("audio three seconds behind", func(t *testing.T) {
		tl := feed(New(Config{}), 0, 100)
		for raw := uint32(4000); raw < 7000; raw += 40 {
			run(t, tl, []step{{v, raw, media.Timestamp(raw), false}})
		}
		const jump = 1 << 30
		for i := uint32(0); i < 6000; i += 40 {
			want, rawA := media.Timestamp(7000+i), 4010+i
			if rawA > 7000 {
				rawA += jump
			}
			run(t, tl, []step{{v, jump + 7000 + i, want, i == 0}, {a, rawA, media.Timestamp(4010 + i), false}})
		}
	})
}

func TestForeignClock(t *testing.T) {
	tl := New(Config{})
	tl.Correct(v, 0, 4_000_000_000)
	if got, rebased := tl.Correct(a, 0, 17); got != 40 || !rebased {
		t.Fatalf("got %d %t", got, rebased)
	}
	for i := range uint32(10_000) {
		gv, rv := tl.Correct(v, 0, 4_000_000_000+40*i)
		ga, ra := tl.Correct(a, 0, 17+40*i)
		if rv || ra || ga-gv != 40 {
			t.Fatalf("frame %d: video %d %t, audio %d %t", i, gv, rv, ga, ra)
		}
	}
}

func TestStamp(t *testing.T) {
	tl := New(Config{})
	for _, typ := range []media.Type{a, v, media.TypeData} {
		if got := tl.Stamp(typ); got != 0 {
			t.Errorf("before the first frame: %s is stamped %d", typ, got)
		}
	}
	feed(tl, 500, 100)
	if got := [3]media.Timestamp{tl.Stamp(v), tl.Stamp(a), tl.Stamp(media.TypeData)}; got != [3]media.Timestamp{3960, 3970, 3970} {
		t.Errorf("got %v", got)
	}
	if got, rebased := tl.Correct(media.TypeData, 0, 0); got != 3970 || rebased {
		t.Errorf("data: got %d %t", got, rebased)
	}
	tl.StartRun()
	tl.Stamp(v)
	run(t, tl, []step{{v, 0, 4010, false}, {a, 10, 4020, false}})

	t.Run("late-audio", func(t *testing.T) {
		late := New(Config{})
		run(t, late, []step{{v, 0, 0, false}, {v, 3000, 3000, false}})
		if got := late.Stamp(a); got != 3000 {
			t.Errorf("got %d", got)
		}
		run(t, late, []step{{a, 2990, 3000, false}, {a, 3013, 3013, false}})
	})
	t.Run("several tracks", func(t *testing.T) {
		tl := New(Config{})
		tl.Correct(v, 0, 0)
		tl.Correct(v, 1, 5)
		tl.Correct(v, 200, 9) // over the limit of tracks: the last one
		tl.Correct(v, 0, 40)
		if got := tl.Stamp(v); got != 5 {
			t.Errorf("got %d, want that of the track that is furthest behind", got)
		}
	})
}

// Requirement: S6 (20 cuts in a row without drift, from 0, a random time or
// across a wrap; the step at the seam is at most a frame).
func TestRuns(t *testing.T) {
	for _, c := range []struct {
		name  string
		start func(cut int) uint32
	}{
		{"from 0", func(int) uint32 { return 0 }},
		{"random start", func(cut int) uint32 { return uint32(cut) * 2654435761 }},
		{"across a wrap", func(int) uint32 { return 1<<32 - 2000 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			tl := New(Config{})
			for cut := range 20 {
				tl.StartRun()
				for i := range 100 {
					raw := c.start(cut) + uint32(i)*40
					seam := tl.Last()
					dv, rebased := tl.Correct(v, 0, raw)
					da, rebasedA := tl.Correct(a, 0, raw+10)
					if rebased || rebasedA || da-dv != 10 {
						t.Fatalf("cut %d frame %d: video %d %t audio %d %t", cut, i, dv, rebased, da, rebasedA)
					}
					if step := dv - seam; i == 0 && cut > 0 && (step <= 0 || step > 40) {
						t.Fatalf("cut %d: step %d ms", cut, step)
					}
				}
			}
			// 20 runs of 100 frames, at most one frame extra a seam.
			if got := tl.Last(); got < 20*4000-40 || got > 20*4000+20*40 {
				t.Fatalf("20 cuts end at %d", got)
			}
		})
	}
	t.Run("run without a frame", func(t *testing.T) {
		tl := feed(New(Config{}), 0, 100)
		for range 5 {
			tl.StartRun()
		}
		run(t, tl, []step{{a, 12345, 4010, false}, {v, 12335, 4000, false}})
	})
	t.Run("old bases are not those of the new run", func(t *testing.T) {
		tl := feed(New(Config{}), 0, 100)
		tl.StartRun()
		// On the base of the old run video would be at 4240.
		run(t, tl, []step{{a, 4250, 4010, false}, {v, 4240, 4000, false}})
	})
}

func ExampleTimeline() {
	tl := New(Config{})
	for range 2 {
		tl.StartRun() // a publisher connects
		for raw := uint32(1000); raw < 1120; raw += 40 {
			dts, _ := tl.Correct(media.TypeVideo, 0, raw)
			fmt.Print(dts, " ")
		}
	}
	// Output: 0 40 80 120 160 200
}
