package fmp4_test

import (
	"testing"

	"tmms/media"
)

// second is what a second of video of 4 Mbit/s and 25 fps, and AAC, looks like.
func second(at int64) []frame {
	var frames []frame
	for i := range int64(25) {
		n := 19000
		if i == 0 {
			n = 60000
		}
		frames = append(frames, frame{typ: media.TypeVideo, dts: at + 40*i, payload: nalu(n), key: i == 0})
	}
	for i := range int64(47) {
		frames = append(frames, frame{typ: media.TypeAudio, dts: at + i*1024/48, payload: make([]byte, 340)})
	}
	return frames
}

// The muxer itself does not allocate once its buffers have grown.
func TestAllocs(t *testing.T) {
	m := newMuxer(t, simple)
	frames := second(0)
	dst := make([]byte, 0, 1<<20)
	run := func() {
		for i := range frames {
			write(t, m, frames[i])
			frames[i].dts += 1000
		}
		if err := m.WriteEvent(0, "scheme", "value", frames[0].payload[:100]); err != nil {
			t.Fatal(err)
		}
		dst = m.AppendFragment(m.AppendSegmentStart(dst[:0]), media.Timestamp(frames[0].dts))
	}
	run()
	if n := testing.AllocsPerRun(20, run); n != 0 {
		t.Errorf("%v allocations for %d frames, want 0", n, len(frames))
	}
}

// BenchmarkPacket takes in video of 4 Mbit/s and AAC, a packet an operation,
// and writes a fragment a second.
func BenchmarkPacket(b *testing.B) { benchmark(b, false) }

// BenchmarkFragment does so a fragment an operation.
func BenchmarkFragment(b *testing.B) { benchmark(b, true) }

func benchmark(b *testing.B, perFragment bool) {
	b.Helper()
	m := newMuxer(b, simple)
	frames := second(0)
	total := 0
	for _, f := range frames {
		total += len(f.payload)
	}
	packets := len(frames)
	if perFragment {
		b.SetBytes(int64(total))
		packets = 1
	} else {
		b.SetBytes(int64(total / len(frames)))
	}
	var dst []byte
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		if n%packets == 0 {
			dst = m.AppendFragment(dst[:0], media.Timestamp(frames[0].dts))
		}
		todo := frames
		if !perFragment {
			todo = frames[n%packets : n%packets+1]
		}
		for i := range todo {
			write(b, m, todo[i])
			todo[i].dts += 1000
		}
	}
}
