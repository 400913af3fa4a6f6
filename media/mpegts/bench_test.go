package mpegts_test

import (
	"bytes"
	"testing"

	"tmms/media"
	"tmms/media/mpegts"
)

// group is a second of a stream: pictures of 25 fps, the first of them a
// keyframe, and 47 audio frames between them.
func group(video mpegts.Track, start, other []byte, keySize, deltaSize int) source {
	s := source{cfg: mpegts.Config{Video: video, Audio: mpegts.Track{Codec: media.CodecAAC, Config: []byte{0x11, 0x90}}}}
	nalu := func(head []byte, n int) []byte {
		n = max(n, len(head))
		b := append([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, head...)
		return append(b, bytes.Repeat([]byte{0xA5}, n-len(head))...)
	}
	audio := 0
	for i := range 25 {
		at := int64(i) * 40
		payload := nalu(other, deltaSize)
		if i == 0 {
			payload = nalu(start, keySize)
		}
		s.frames = append(s.frames, frame{typ: media.TypeVideo, dts: at, pts: at + 80, key: i == 0, payload: payload})
		for ; audio*1024/48 <= int(at); audio++ {
			s.frames = append(s.frames, frame{typ: media.TypeAudio, dts: at, pts: int64(audio * 1024 / 48), payload: bytes.Repeat([]byte{0x5A}, 340)})
		}
	}
	return s
}

// benchmarkMux muxes a second of stream an iteration.
func benchmarkMux(b *testing.B, s source) {
	b.Helper()
	m, err := mpegts.NewMuxer(s.cfg)
	if err != nil {
		b.Fatal(err)
	}
	var dst []byte
	second := int64(0)
	run := func() {
		dst = m.WriteTables(dst[:0])
		for i := range s.frames {
			f := &s.frames[i]
			if f.typ == media.TypeVideo {
				dst, err = m.WriteVideo(dst, (f.pts+second)*mpegts.TicksPerMS, (f.dts+second)*mpegts.TicksPerMS, f.payload, f.key)
			} else {
				dst, err = m.WriteAudio(dst, (f.pts+second)*mpegts.TicksPerMS, f.payload)
			}
			if err != nil {
				b.Fatal(err)
			}
		}
		dst = m.Flush(dst)
		second += 1000
	}
	run()
	b.SetBytes(int64(len(dst)))
	b.ReportAllocs()
	packets := len(dst) / 188
	for b.Loop() {
		run()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*packets), "ns/packet")
	b.ReportMetric(float64(len(dst))*8*float64(b.N)/b.Elapsed().Seconds()/1e9, "Gbit/s")
}

var (
	benchAVC = mpegts.Track{Codec: media.CodecH264, Config: avcRecord()}
	benchHVC = mpegts.Track{Codec: media.CodecHEVC, Config: hvcRecord()}
)

// 6 Mbit/s, the usual stream.
func BenchmarkMuxH264AAC(b *testing.B) {
	benchmarkMux(b, group(benchAVC, []byte{0x65}, []byte{0x41}, 120<<10, 26<<10))
}

// 40 Mbit/s.
func BenchmarkMuxHEVC(b *testing.B) {
	s := group(benchHVC, []byte{0x26, 1}, []byte{0x02, 1}, 600<<10, 180<<10)
	benchmarkMux(b, s.only(media.TypeVideo))
}

// Per packet costs: pictures of half a packet, 0.3 Mbit/s.
func BenchmarkMuxSmall(b *testing.B) {
	benchmarkMux(b, group(benchAVC, []byte{0x65}, []byte{0x41}, 100, 80))
}

// Audio alone.
func BenchmarkMuxAAC(b *testing.B) {
	benchmarkMux(b, group(benchAVC, []byte{0x65}, []byte{0x41}, 100, 80).only(media.TypeAudio))
}
