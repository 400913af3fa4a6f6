package timeline

import (
	"math/rand/v2"
	"testing"

	"tmms/media"
)

// sender is a publisher whose raw clock jumps at random.
type sender struct {
	rnd   *rand.Rand
	clock [2]uint32 // raw = media time + clock; audio, video
	at    [2]int64  // media time of the next frame, in ms
	frame [2]int64
	cutAt int64 // media time at which each track takes the new clock
	next  uint32
}

// send gives the next frame in media time.
func (s *sender) send() (typ media.Type, raw uint32, mediaMS int64) {
	k := 1
	if s.at[0] < s.at[1] {
		k = 0
	}
	mediaMS = s.at[k]
	if mediaMS >= s.cutAt {
		s.clock[k] = s.next
	}
	s.at[k] += s.frame[k]
	return [2]media.Type{media.TypeAudio, media.TypeVideo}[k], uint32(mediaMS) + s.clock[k], mediaMS
}

// jump plans a cut: both tracks change their clock at one media time.
func (s *sender) jump() {
	s.cutAt = max(s.at[0], s.at[1])
	delta := int64(0)
	switch s.rnd.IntN(4) {
	case 0: // anywhere
		delta = int64(int32(s.rnd.Uint32()))
	case 1: // shortly before a wrap
		delta = int64(int32(-uint32(s.cutAt) - s.clock[1] - uint32(s.rnd.IntN(3000))))
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

// Requirement: S6 (10^6 random jumps, wraps and cuts leave the A/V offset
// within one frame and never step back).
func TestRandomJumps(t *testing.T) {
	const jumps = 1_000_000
	s := &sender{rnd: rand.New(rand.NewPCG(6, 6)), frame: [2]int64{23, 40}}
	tl := New(Config{})
	var last [2]media.Timestamp
	var shift [2]int64 // stream - media time of the newest frame
	rebases := 0
	for j := range jumps {
		if s.rnd.IntN(4) == 0 { // a publisher that connects anew
			tl.StartRun()
			m := max(s.at[0], s.at[1])
			s.at = [2]int64{m + s.rnd.Int64N(20), m + s.rnd.Int64N(20)}
			c := s.rnd.Uint32()
			s.clock, s.next = [2]uint32{c, c}, c
		} else {
			s.jump()
		}
		settled := 0
		for range 8 {
			typ, raw, m := s.send()
			dts, rebased := tl.Correct(typ, 0, raw)
			k := kind(typ)
			if dts < last[k] {
				t.Fatalf("jump %d: %s goes back from %d to %d", j, typ, last[k], dts)
			}
			if rebased {
				rebases++
			}
			last[k], shift[k] = dts, int64(dts)-m
			if m >= s.cutAt {
				settled |= 1 << k
			}
			if d := shift[0] - shift[1]; settled == 3 && (d > 40 || d < -40) {
				t.Fatalf("jump %d: audio is %d ms off video", j, d)
			}
		}
	}
	if rebases < jumps/4 || rebases > jumps {
		t.Fatalf("%d rebases for %d jumps: one a jump at most", rebases, jumps)
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
