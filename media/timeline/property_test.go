package timeline

import (
	"math/rand/v2"
	"testing"

	"tmms/media"
)

// sender is a publisher whose raw clock jumps, wraps and stands still at random.
type sender struct {
	rnd   *rand.Rand
	clock [2]uint32 // raw = media time + clock; audio, video
	at    [2]int64  // media time of the next frame, in ms
	frame [2]int64
	cutAt int64 // media time at which each track takes the new clock
	next  uint32
}

// sent is a frame of a sender.
type sent struct {
	k   int // 0 audio, 1 video
	raw uint32
	at  int64 // media time
}

func (f sent) typ() media.Type { return [2]media.Type{media.TypeAudio, media.TypeVideo}[f.k] }

// send gives the next frame in media time.
func (s *sender) send() sent {
	f := sent{k: 1}
	if s.at[0] < s.at[1] {
		f.k = 0
	}
	f.at = s.at[f.k]
	if f.at >= s.cutAt {
		s.clock[f.k] = s.next
	}
	s.at[f.k] += s.frame[f.k]
	f.raw = uint32(f.at) + s.clock[f.k]
	return f
}

// longestFrame is that of the slowest sender: 5 fps.
const longestFrame = 200

// connect is a publisher that comes back: with timestamps from 0, from anywhere,
// or shortly before a time that takes one bit more, or none is left for.
func (s *sender) connect() {
	s.frame[1] = [...]int64{40, 40, 33, 16, longestFrame}[s.rnd.IntN(5)]
	m := max(s.at[0], s.at[1])
	s.at = [2]int64{m + s.rnd.Int64N(20), m + s.rnd.Int64N(20)}
	raw := s.rnd.Uint32()
	switch s.rnd.IntN(4) {
	case 0:
		raw = 0
	case 1:
		edge := [...]uint64{1 << 24, 1 << 31, 1 << 32}[s.rnd.IntN(3)]
		raw = uint32(edge) - uint32(s.rnd.IntN(300))
	}
	s.next = raw - uint32(m)
	s.clock, s.cutAt = [2]uint32{s.next, s.next}, m
}

// jump plans a cut: both tracks change their clock at one media time.
func (s *sender) jump() {
	s.cutAt = max(s.at[0], s.at[1])
	delta := int64(0)
	switch s.rnd.IntN(4) {
	case 0: // anywhere
		delta = int64(int32(s.rnd.Uint32()))
	case 1: // shortly before a wrap
		delta = int64(int32(-uint32(s.cutAt) - s.clock[1] - uint32(s.rnd.IntN(300))))
	case 2: // back by seconds
		delta = -1000 - s.rnd.Int64N(20_000)
	case 3: // forward by seconds: a gap or a jump
		delta = 1000 + s.rnd.Int64N(20_000)
	}
	if delta > -1000 && delta < 1000 {
		delta = -5000
	}
	s.next = s.clock[1] + uint32(delta)
}

// pause is a real gap: nothing is sent for a time, which is in the timestamps.
func (s *sender) pause() {
	m := max(s.at[0], s.at[1]) + 500 + s.rnd.Int64N(4000)
	s.at = [2]int64{m + s.rnd.Int64N(20), m + s.rnd.Int64N(20)}
}

// watched is a timeline, and what must hold of whatever it gives out.
type watched struct {
	*Timeline

	t       *testing.T
	last    [2]media.Timestamp
	shift   [2]int64 // stream - media time of the newest frame
	rebases int
	widest  media.Timestamp // step of the stream at a rebase, or at a run's start
}

// play corrects frames until both tracks are past the sender's cut by some.
func (w *watched) play(s *sender) {
	w.t.Helper()
	settled := 0
	for past := [2]int{}; min(past[0], past[1]) < 4; {
		f := s.send()
		seam, fresh := w.Last(), w.fresh
		dts, rebased := w.Correct(f.typ(), 0, f.raw)
		if dts < w.last[f.k] {
			w.t.Fatalf("%s goes back from %d to %d", f.typ(), w.last[f.k], dts)
		}
		if rebased {
			w.rebases++
		}
		if (rebased || fresh) && w.gen > 1 {
			w.widest = max(w.widest, dts-seam)
		}
		w.last[f.k], w.shift[f.k] = dts, int64(dts)-f.at
		if f.at >= s.cutAt {
			settled |= 1 << f.k
			past[f.k]++
		}
		if d := w.shift[0] - w.shift[1]; settled == 3 && max(d, -d) > s.frame[1] && max(d, -d) > 40 {
			w.t.Fatalf("audio is %d ms off video of a frame each %d ms", d, s.frame[1])
		}
	}
}

// Requirement: S6 (10^6 random jumps, wraps and cuts leave the A/V offset
// within one frame and never step back; the gaps between them are kept).
func TestRandomJumps(t *testing.T) {
	const jumps = 1_000_000
	s := &sender{rnd: rand.New(rand.NewPCG(6, 6)), frame: [2]int64{23, 40}}
	w := &watched{Timeline: New(Config{}), t: t}
	for j := range jumps {
		rebases := w.rebases
		again := s.rnd.IntN(4) == 0
		if again {
			w.StartRun()
			s.connect()
		} else {
			s.jump()
		}
		w.play(s)
		if n := w.rebases - rebases; n > 1 || again && n > 0 {
			t.Fatalf("jump %d: %d rebases, run is new %t", j, n, again)
		}
		if j%4 == 0 {
			w.keeps(s)
		}
	}
	if w.rebases < jumps/4 {
		t.Fatalf("%d rebases for %d jumps", w.rebases, jumps)
	}
	// What is known of a frame's length wavers by where the tracks meet at a cut.
	if w.widest < 1 || w.widest > longestFrame*11/10 {
		t.Fatalf("a cut moves the stream on by %d ms, more than a frame", w.widest)
	}
}

// keeps pauses the sender and wants the gap to be what it was, in both tracks.
func (w *watched) keeps(s *sender) {
	w.t.Helper()
	rebases, offset := w.rebases, min(w.shift[0], w.shift[1]) // the other one may wait for its time to come
	s.pause()
	w.play(s)
	if w.rebases != rebases || w.shift != [2]int64{offset, offset} {
		w.t.Fatalf("a gap moved audio by %d ms and video by %d, with %d rebases",
			w.shift[0]-offset, w.shift[1]-offset, w.rebases-rebases)
	}
}

// Requirement: S6 (low-fps: real gaps are kept at any pace).
func TestRandomPaces(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 7))
	for _, c := range []struct {
		name    string
		slowest int64 // frames are up to so many ms apart
		runs    int
		audio   bool
	}{
		{"low-fps/video alone", 90_000, 2000, false},
		{"low-fps/with audio", 60_000, 20, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			tl := New(Config{})
			for range c.runs {
				tl.StartRun()
				pace := 100 + rnd.Int64N(c.slowest-100)
				raw, first, audio := rnd.Uint32(), media.Timestamp(-1), int64(0)
				for i, at := 0, int64(0); i < 20; i++ {
					for ; c.audio && i > 0 && audio < at; audio += 23 {
						got, rebased := tl.Correct(a, 0, raw+uint32(audio))
						if want := first + media.Timestamp(audio); rebased || got != want {
							t.Fatalf("pace %d ms, audio %d: got %d rebased %t, want %d", pace, audio, got, rebased, want)
						}
					}
					got, rebased := tl.Correct(v, 0, raw+uint32(at))
					if first < 0 {
						first = got
					}
					if want := first + media.Timestamp(at); rebased || got != want {
						t.Fatalf("pace %d ms, frame %d: got %d rebased %t, want %d", pace, i, got, rebased, want)
					}
					at += pace*4/5 + rnd.Int64N(pace*2/5)
				}
			}
		})
	}
}

// Whatever is sent, no track goes back.
func FuzzCorrect(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 1, 0, 0, 0, 9, 2, 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{0, 0x7f, 0xff, 0xff, 0xff, 1, 0x80, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		tl := New(Config{})
		last := map[[2]uint8]media.Timestamp{}
		for ; len(b) >= 5; b = b[5:] {
			raw := uint32(b[1])<<24 | uint32(b[2])<<16 | uint32(b[3])<<8 | uint32(b[4])
			typ, track := media.TypeAudio, b[0]>>3%media.MaxTracks
			switch b[0] & 7 {
			case 0, 1, 2:
				typ = media.TypeVideo
			case 6:
				tl.StartRun()
				continue
			case 7:
				tl.Stamp(typ)
				continue
			}
			got, _ := tl.Correct(typ, media.TrackID(track), raw)
			key := [2]uint8{uint8(typ), track}
			if got < last[key] || got > tl.Last() {
				t.Fatalf("%s %d raw %d: got %d after %d, last %d", typ, track, raw, got, last[key], tl.Last())
			}
			last[key] = got
		}
	})
}

func BenchmarkCorrect(b *testing.B) {
	tl := New(Config{})
	b.ReportAllocs()
	var raw uint32
	for b.Loop() {
		raw += 20
		tl.Correct(media.TypeVideo, 0, raw)
		tl.Correct(media.TypeAudio, 0, raw)
	}
}
