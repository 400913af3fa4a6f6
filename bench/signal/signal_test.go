package signal

import (
	"testing"
	"time"

	"tmms/media"
)

func TestSourceKeepsItsBitrate(t *testing.T) {
	for _, cfg := range []Config{
		DefaultConfig(),
		{BitrateBPS: 250_000, FPS: 25, GOP: 50},
		{BitrateBPS: 8_000_000, FPS: 60, GOP: 1},
		{BitrateBPS: 64_000, FPS: 25, GOP: 50, NoAudio: true},
	} {
		s, err := NewSource(cfg)
		if err != nil {
			t.Fatal(err)
		}
		var sum int
		var last time.Duration
		for {
			f := s.Next(time.Time{})
			if cfg.NoAudio && f.Type != media.TypeVideo {
				t.Fatal("a frame that is not video")
			}
			if f.Due < last {
				t.Fatalf("frame due at %v after %v", f.Due, last)
			}
			if last = f.Due; last >= 20*time.Second {
				break
			}
			sum += len(f.Body) + tagFraming
		}
		if got := float64(sum) * 8 / 20; got < float64(cfg.BitrateBPS)*0.97 || got > float64(cfg.BitrateBPS)*1.03 {
			t.Errorf("%+v gives %.0f bit/s", cfg, got)
		}
	}
	if _, err := NewSource(Config{BitrateBPS: 1, FPS: 30, GOP: 60}); err == nil {
		t.Error("a bit rate of 1 was accepted")
	}
}

func TestCheckSeesFaults(t *testing.T) {
	now := time.Unix(1000, 0)
	frame := func(seq uint32) []byte { return appendMarked(nil, seq, seq == 0, 200, now) }
	damaged := frame(3)
	damaged[100]++
	for _, c := range []struct {
		name string
		see  [][]byte
		ts   []uint32
		want Check
	}{
		{"clean", [][]byte{frame(0), frame(1), frame(2)}, []uint32{0, 40, 80}, Check{Frames: 3}},
		{"a join in the middle", [][]byte{frame(60), frame(61)}, []uint32{0, 40}, Check{Frames: 2}},
		{"a gap", [][]byte{frame(0), frame(3)}, []uint32{0, 40}, Check{Frames: 2, Gaps: 2}},
		{"a repeat", [][]byte{frame(0), frame(1), frame(1)}, []uint32{0, 40, 80}, Check{Frames: 3, Repeats: 1}},
		{"damage", [][]byte{frame(2), damaged}, []uint32{0, 40}, Check{Frames: 2, Damaged: 1}},
		{"a clock that goes back", [][]byte{frame(0), frame(1)}, []uint32{40, 0}, Check{Frames: 2, Back: 1}},
		{"a clock that wraps", [][]byte{frame(0), frame(1)}, []uint32{0xFFFFFFF0, 10}, Check{Frames: 2}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got Check
			for i, body := range c.see {
				delay, ok := got.See(media.TypeVideo, c.ts[i], body, now.Add(time.Second))
				if ok && delay != time.Second {
					t.Errorf("delay %v, want 1s", delay)
				}
			}
			var sum Check
			sum.Add(&got)
			if sum != c.want {
				t.Errorf("got %+v, want %+v", sum, c.want)
			}
		})
	}
	if _, ok := Read([]byte{0x17, 0, 0, 0, 0}); ok {
		t.Error("a sequence header has a marker")
	}
}
