package pipeline

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tmms/media"
	"tmms/media/hls"
)

func TestConfig(t *testing.T) {
	if err := DefaultConfig(1, 2).Validate(); err != nil {
		t.Fatal(err)
	}
	cfg := Config{Segment: time.Millisecond, MinSegment: time.Second / 2, Window: 2}
	_, err := New(cfg, func(*hls.Index) {})
	for _, want := range []string{"MinSegment is 500ms", "Segment is 1ms", "Window is 2"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want also %q", err, want)
		}
	}
}

// Requirement: S12, S13 (where HLS is cut; MSN, target duration and marks).
func TestCuts(t *testing.T) {
	for _, c := range []struct {
		name      string
		play      func(*rig)
		durations []int64
		marked    []int
		dependent []int
		target    time.Duration
	}{
		{"one keyframe a second", func(r *rig) {
			r.headers()
			r.av(0, 8001, 40, 1000, true)
		}, []int64{2000, 2000, 2000, 2000}, nil, nil, 3 * time.Second},
		{"keyframes a little early", func(r *rig) {
			r.headers()
			r.av(0, 6001, 37, 37*54, true) // 1998 ms
		}, []int64{1998, 1998, 1998}, nil, nil, 3 * time.Second},
		{"groups of 1.5 s", func(r *rig) {
			r.headers()
			r.av(0, 9001, 50, 1500, true)
		}, []int64{3000, 3000, 3000}, nil, nil, 5 * time.Second},
		{"groups of 4 s", func(r *rig) {
			r.headers()
			r.av(0, 12001, 40, 4000, true)
		}, []int64{4000, 4000, 4000}, nil, nil, 6 * time.Second},
		{"gop-20s", func(r *rig) {
			r.headers()
			r.av(0, 40_001, 40, 20_000, true)
			// 4.24 s, then as long as rounds to 6 s; the keyframe at 20 s cuts again.
		}, []int64{4240, 6240, 6240, 3280, 6240, 6240, 6240}, nil, []int{1, 2, 3, 5, 6}, 6 * time.Second},
		{"huge-gop after short ones", func(r *rig) {
			r.headers()
			r.av(0, 4000, 40, 2000, true)
			r.av(4000, 14_000, 40, 100_000, true)
		}, []int64{2000, 2000, 3240, 3240, 3240}, nil, []int{3, 4}, 3 * time.Second},
		{"huge-gop video-only", func(r *rig) {
			r.videoHeader(avc240)
			r.av(0, 12_000, 40, 100_000, false)
		}, []int64{4480, 7480}, nil, []int{1}, 7 * time.Second},
		{"video-only", func(r *rig) {
			r.videoHeader(avc240)
			r.av(0, 6001, 40, 1000, false)
		}, []int64{2000, 2000, 2000}, nil, nil, 3 * time.Second},
		{"audio-only", func(r *rig) {
			r.audioHeader(aac44)
			r.sound(0, 6100)
		}, []int64{2001, 2001, 2001}, nil, nil, 3 * time.Second},
		{"low-fps 5", func(r *rig) {
			r.headers()
			r.av(0, 6001, 200, 2000, true)
		}, []int64{2000, 2000, 2000}, nil, nil, 3 * time.Second},
		{"low-fps one frame a minute", func(r *rig) {
			r.videoHeader(avc240)
			r.av(0, 300_001, 60_000, 60_000, false)
		}, []int64{60_000, 60_000, 60_000, 60_000, 60_000}, nil, nil, 90 * time.Second},
		{"low-fps one keyframe in ten minutes", func(r *rig) {
			r.videoHeader(avc240)
			r.av(0, 180_001, 60_000, 600_000, false)
		}, []int64{60_000, 60_000, 60_000}, nil, []int{1, 2}, 90 * time.Second},
		{"low-fps with audio", func(r *rig) {
			r.headers()
			r.av(0, 12_100, 60_000, 60_000, false)
			r.sound(5, 12_100)
		}, []int64{4490, 7498}, nil, []int{1}, 7 * time.Second},
		{"a hole", func(r *rig) {
			r.headers()
			r.av(0, 5000, 40, 1000, true)
			r.av(64_000, 68_001, 40, 1000, true)
		}, []int64{2000, 2000, 1019, 2000, 2000}, []int{3}, nil, 3 * time.Second},
		{"a hole before a delta frame", func(r *rig) {
			r.headers()
			r.av(0, 5000, 40, 1000, true)
			r.video(64_000, false)
			r.av(64_040, 66_041, 40, 1000, true)
		}, []int64{2000, 2000, 1019, 2040}, []int{3}, []int{3}, 3 * time.Second},
		{"late-audio", func(r *rig) {
			r.videoHeader(avc240)
			r.av(0, 5000, 40, 1000, false)
			r.audioHeader(aac44)
			r.av(5000, 10_001, 40, 1000, true)
		}, []int64{2000, 2000, 2000, 2000, 2000}, []int{3}, nil, 3 * time.Second},
		{"late video", func(r *rig) {
			r.audioHeader(aac44)
			r.sound(0, 5000)
			r.videoHeader(avc240)
			r.av(5000, 9001, 40, 1000, true)
		}, []int64{2001, 2001, 998, 2000, 2000}, []int{3}, nil, 3 * time.Second},
		{"audio before the first keyframe", func(r *rig) {
			r.headers()
			r.sound(0, 1000)
			r.av(1000, 5001, 40, 1000, true)
		}, []int64{2000, 2000}, nil, nil, 3 * time.Second},
		{"deltas before the first keyframe", func(r *rig) {
			r.headers()
			r.video(0, false)
			r.video(40, false)
			r.av(80, 4081, 40, 1000, true)
		}, []int64{2000, 2000}, nil, nil, 3 * time.Second},
		{"repeated-headers", func(r *rig) {
			for dts := media.Timestamp(0); dts < 6000; dts += 1000 {
				r.headers()
				r.av(dts, dts+1000, 40, 1000, true)
			}
			r.video(6000, true)
		}, []int64{2000, 2000, 2000}, nil, nil, 3 * time.Second},
		{"negative-cts", func(r *rig) {
			r.headers()
			for dts := media.Timestamp(0); dts <= 4000; dts += 40 {
				r.must(r.write(media.TypeVideo, dts, picture(dts%1000 == 0, -80, 100)))
				r.audio(dts + 10)
			}
		}, []int64{2000, 2000}, nil, nil, 3 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			eachMode(t, func(t *testing.T, mode func(*Config)) {
				r := newRig(t, mode)
				c.play(r)
				r.wantDurations(c.durations...)
				r.wantMarked(c.marked...)
				r.wantDependent(c.dependent...)
				if got := r.last().Target; got != c.target {
					t.Errorf("target duration %v, want %v", got, c.target)
				}
				if got := r.all[0].MSN; got != firstMSN {
					t.Errorf("first number %d, want %d", got, uint64(firstMSN))
				}
			})
		})
	}
}

// A changed sequence header cuts and marks exactly one discontinuity.
func TestCodecChange(t *testing.T) {
	for _, c := range []struct {
		name      string
		change    func(*rig) // at 5000
		durations []int64
		dependent []int
	}{
		{"video", func(r *rig) {
			r.videoHeader(avc360)
			r.av(5000, 9001, 40, 1000, true)
		}, []int64{2000, 2000, 1000, 2000, 2000}, nil},
		{"video, deltas before the keyframe", func(r *rig) {
			r.videoHeader(avc360)
			r.video(5000, false)
			r.audio(5010)
			r.av(5040, 9041, 40, 1000, true)
		}, []int64{2000, 2000, 1040, 2000, 2000}, nil},
		{"both headers, then video", func(r *rig) {
			r.videoHeader(avc360)
			r.audioHeader(aac48)
			r.av(5000, 9001, 40, 1000, true)
		}, []int64{2000, 2000, 1000, 2000, 2000}, nil},
		{"both headers, then audio", func(r *rig) {
			r.audioHeader(aac48)
			r.videoHeader(avc360)
			r.audio(5000)
			r.av(5010, 9011, 40, 1000, true)
		}, []int64{2000, 2000, 1000, 2010, 2000}, nil},
		{"audio header after the keyframe", func(r *rig) {
			r.videoHeader(avc360)
			r.video(5000, true)
			r.audioHeader(aac48)
			r.av(5040, 9041, 40, 1000, true)
		}, []int64{2000, 2000, 1000, 2040, 2000}, nil},
		{"video header after the audio", func(r *rig) {
			r.audioHeader(aac48)
			r.audio(5000)
			r.videoHeader(avc360)
			r.av(5010, 9011, 40, 1000, true)
		}, []int64{2000, 2000, 1000, 2010, 2000}, nil},
		{"audio only", func(r *rig) { // cut before a delta frame, rather than lose sound
			r.av(5000, 5500, 40, 1000, true)
			r.audioHeader(aac48)
			r.audio(5500)
			r.av(5520, 9521, 40, 1000, true)
		}, []int64{2000, 2000, 1500, 2020, 2000}, nil},
		{"back at once", func(r *rig) {
			r.videoHeader(avc360)
			r.videoHeader(avc240)
			r.av(5000, 9001, 40, 1000, true)
		}, []int64{2000, 2000, 2000, 2000}, nil},
	} {
		t.Run("codec-change "+c.name, func(t *testing.T) {
			eachMode(t, func(t *testing.T, mode func(*Config)) {
				r := newRig(t, mode)
				r.headers()
				r.av(0, 5000, 40, 1000, true)
				c.change(r)
				r.wantDurations(c.durations...)
				if strings.HasPrefix(c.name, "back") {
					r.wantMarked()
				} else {
					r.wantMarked(3) // disc-once
				}
				r.wantDependent(c.dependent...)
				if v := r.last().Variant; strings.Contains(c.name, "video") && (v.Width != 640 || v.Height != 360) {
					t.Errorf("variant is not the new one: %+v", v)
				}
			})
		})
	}
	t.Run("codec-change AAC to MP3", func(t *testing.T) {
		r := newRig(t)
		r.audioHeader(aac44)
		r.sound(0, 5000)
		for dts := media.Timestamp(5000); dts < 9100; dts += 26 {
			r.must(r.write(media.TypeAudio, dts, mp3Body(0x90)))
		}
		r.wantMarked(3)
		if a, b := streamTypes(t, r.all[2]), streamTypes(t, r.all[3]); !slices.Equal(a, []byte{0x0F}) || !slices.Equal(b, []byte{0x03}) {
			t.Errorf("stream types % x, then % x", a, b)
		}
	})
	t.Run("codec-change of the MP3 rate", func(t *testing.T) {
		r := newRig(t)
		for i, third := range []byte{0x90, 0x92, 0xA0, 0x94} { // padding and bit rate change nothing
			for dts := media.Timestamp(0); dts < 2600; dts += 26 {
				r.must(r.write(media.TypeAudio, media.Timestamp(i)*2600+dts, mp3Body(third)))
			}
		}
		r.wantMarked(4)
		if got := r.last().Variant.AudioCodec; got != "mp4a.40.34" {
			t.Errorf("codec %q", got)
		}
	})
}

// mp3Body is an MPEG-1 layer III frame of a size that nobody checks.
func mp3Body(third byte) []byte {
	return append([]byte{0x2F, 0xFF, 0xFB, third, 0xC4}, make([]byte, 413)...)
}

// The program has just the tracks that exist.
func TestProgram(t *testing.T) {
	r := newRig(t)
	r.videoHeader(avc240)
	r.audioHeader(aac44) // announced, but there is no frame until 5 s
	r.av(0, 5000, 40, 1000, false)
	r.av(5000, 10_001, 40, 1000, true)
	for i, want := range [][]byte{{0x1B}, {0x1B}, {0x1B}, {0x1B, 0x0F}, {0x1B, 0x0F}} {
		if got := streamTypes(t, r.all[i]); !slices.Equal(got, want) {
			t.Errorf("segment %d: stream types % x, want % x", i, got, want)
		}
	}
	r.wantMarked(3)
}

// Requirement: S13 (each segment starts with PAT, PMT and an access unit with
// SPS, PPS and IDR; aud-once, sps-pps-each-idr).
func TestSegmentStart(t *testing.T) {
	r := newRig(t)
	r.headers()
	r.av(0, 10_001, 40, 1000, true)
	for _, s := range r.all {
		wantIDRFirst(t, s)
	}
}

func wantIDRFirst(t *testing.T, s *hls.Segment) {
	t.Helper()
	if got := streamTypes(t, s); len(got) == 0 || got[0] != 0x1B {
		t.Fatalf("segment %d: stream types % x", s.MSN, got)
	}
	b := bytesOf(s)[2*188:]
	if b[1]&0x5F != 0x41 || b[2] != 0 {
		t.Fatalf("segment %d: the third packet starts no video unit: % x", s.MSN, b[:4])
	}
	if b[3]&0x20 == 0 || b[5]&0x40 == 0 {
		t.Fatalf("segment %d: no random_access_indicator", s.MSN)
	}
	var unit []byte
	for i := 0; i+188 <= len(b) && (i == 0 || b[i+1]&0x40 == 0); i += 188 {
		if b[i+1]&0x1F == 1 && b[i+2] == 0 {
			at := 4
			if b[i+3]&0x20 != 0 {
				at += 1 + int(b[i+4])
			}
			unit = append(unit, b[i+at:i+188]...)
		}
	}
	var types []byte
	for i := 9 + int(unit[8]); i+4 < len(unit); i++ {
		if bytes.Equal(unit[i:i+3], []byte{0, 0, 1}) {
			types = append(types, unit[i+3]&0x1F)
		}
	}
	types = slices.DeleteFunc(types, func(n byte) bool { return n == 6 }) // SEI is where it likes
	if len(types) < 4 || !bytes.Equal(types[:4], []byte{9, 7, 8, 5}) {
		t.Fatalf("segment %d: NAL units %v", s.MSN, types)
	}
}

// Requirement: S6 (HLS: a cut and repeated push goes on in the same playlist).
func TestRepublish(t *testing.T) { eachMode(t, testRepublish) }

func testRepublish(t *testing.T, mode func(*Config)) {
	start := func(t *testing.T) *rig {
		t.Helper()
		r := newRig(t, mode)
		r.headers()
		r.av(0, 5000, 40, 1000, true)
		r.behind = 12 * time.Second // the publisher was away
		r.p.StartRun(testWall.Add(r.behind + 5*time.Second))
		return r
	}
	t.Run("republish unchanged", func(t *testing.T) {
		r := start(t)
		r.headers()
		r.video(5040, false) // of a group that began before; nobody can use it
		r.av(5080, 11_081, 40, 1000, true)
		r.wantDurations(2000, 2000, 2080, 2000, 2000)
		r.wantMarked()
		r.wantDependent()
		for i, want := range []int64{0, 2000, 4000, 6080 + 12_000, 8080 + 12_000} {
			if got := r.all[i].ProgramTime.Sub(testWall).Milliseconds(); got != want {
				t.Errorf("pdt of segment %d: %d ms, want %d", i, got, want)
			}
		}
	})
	t.Run("republish changed", func(t *testing.T) {
		r := start(t)
		r.videoHeader(avc360)
		r.audioHeader(aac44)
		r.av(5040, 9041, 40, 1000, true)
		r.wantDurations(2000, 2000, 1040, 2000, 2000)
		r.wantMarked(3)
	})
	t.Run("republish without audio", func(t *testing.T) {
		r := start(t)
		r.videoHeader(avc240)
		r.av(5040, 11_041, 40, 1000, false)
		r.wantMarked(3)
		if got := streamTypes(t, r.all[3]); !slices.Equal(got, []byte{0x1B}) {
			t.Errorf("stream types % x", got)
		}
	})
	t.Run("republish without video", func(t *testing.T) {
		r := start(t)
		r.audioHeader(aac44)
		r.sound(5040, 15_000)
		r.wantMarked(3)
		if got := streamTypes(t, r.all[3]); !slices.Equal(got, []byte{0x0F}) {
			t.Errorf("stream types % x", got)
		}
	})
	t.Run("pdt does not go back with the wall clock", func(t *testing.T) {
		r := start(t)
		r.behind = -time.Hour
		r.p.StartRun(testWall.Add(-time.Hour))
		r.headers()
		r.av(5040, 9041, 40, 1000, true)
		if got := r.all[3].ProgramTime.Sub(testWall); got != 6040*time.Millisecond {
			t.Errorf("pdt %v", got)
		}
	})
	t.Run("pdt catches up after a jump that the timeline took out", func(t *testing.T) {
		r := newRig(t, mode)
		r.headers()
		r.av(0, 5000, 40, 1000, true)
		r.behind = 30 * time.Second
		r.av(5000, 9001, 40, 1000, true)
		if got := r.all[3].ProgramTime.Sub(testWall); got != 36*time.Second {
			t.Errorf("pdt %v", got)
		}
	})
}

// Requirement: S6 (HLS: after another owner the stream goes on with one
// discontinuity, and the sequence of discontinuities does not go back).
func TestResumed(t *testing.T) { eachMode(t, testResumed) }

func testResumed(t *testing.T, mode func(*Config)) {
	r := newRig(t, mode, func(c *Config) { c.Resumed, c.Discontinuities = true, 5 })
	r.headers()
	r.av(3_600_000, 3_630_001, 40, 1000, true)
	r.wantMarked(0)
	first, last := r.indexes[0], r.indexes[len(r.indexes)-1]
	if first.DiscontinuitySequence != 5 || last.DiscontinuitySequence != 6 || last.Discontinuities() != 6 {
		t.Errorf("disc-sequence: %d, then %d with %d in all; want 5, 6 and 6",
			first.DiscontinuitySequence, last.DiscontinuitySequence, last.Discontinuities())
	}
	if next := last.NextMSN(); next != r.all[len(r.all)-1].MSN+1 {
		t.Errorf("the next number is %d", next)
	}
}

func TestWindow(t *testing.T) { eachMode(t, testWindow) }

func testWindow(t *testing.T, mode func(*Config)) {
	r := newRig(t, mode)
	r.headers()
	for i := range media.Timestamp(40) {
		if i%10 == 5 {
			r.videoHeader([][]byte{avc360, avc240}[i/10%2])
		}
		r.av(i*2000, (i+1)*2000, 40, 1000, true)
	}
	r.p.End()
	x := r.last()
	if !x.Ended || x.Listed != 6 || len(r.all) != 40 {
		t.Fatalf("ended %t, %d listed, %d segments", x.Ended, x.Listed, len(r.all))
	}
	// One playlist duration (12 s) and its own (2 s): the seventh that left is gone.
	if got := len(x.Segments) - x.Listed; got != 6 && got != 7 {
		t.Errorf("%d segments of look-back", got)
	}
	if x.DiscontinuitySequence != 3 {
		t.Errorf("disc-sequence %d, want 3 of 4", x.DiscontinuitySequence)
	}
	lists := r.listings()
	for i, old := range lists[:30] {
		first := old.Playlist()[0] // out of the playlist with the next version, if it is full
		for _, later := range lists[i+1 : i+8] {
			if later.Lookup(first.Epoch, first.MSN) != first {
				t.Errorf("segment %d is gone at version %d, listed last at %d", first.MSN, later.Version, old.Version)
			}
		}
	}
	if got, want := x.AppendMedia(nil, ""), "#EXT-X-ENDLIST\n"; !bytes.HasSuffix(got, []byte(want)) {
		t.Errorf("got\n%s", got)
	}
}

func TestVariant(t *testing.T) {
	r := newRig(t)
	r.headers()
	r.av(0, 6001, 40, 1000, true)
	v := r.last().Variant
	want := hls.Variant{
		VideoCodec: "avc1.42c00d", AudioCodec: "mp4a.40.2", Width: 320, Height: 240, FrameRate: 25,
		PeakBPS: v.PeakBPS, AverageBPS: v.AverageBPS,
	}
	if v != want {
		t.Errorf("got %+v, want %+v", v, want)
	}
	rate := float64(r.all[1].TS.Size) * 8 / 2
	if float64(v.PeakBPS) < rate || float64(v.AverageBPS) > float64(v.PeakBPS) || float64(v.PeakBPS) > 1.1*rate {
		t.Errorf("peak %d, average %d, a segment has %.0f", v.PeakBPS, v.AverageBPS, rate)
	}
}

// Requirement: S18 (a codec that the container cannot carry is refused with a clear error).
func TestUnsupported(t *testing.T) {
	for _, c := range []struct {
		name string
		typ  media.Type
		body []byte
	}{
		{"vp6", media.TypeVideo, append([]byte{0x14}, make([]byte, 40)...)},
		{"speex", media.TypeAudio, append([]byte{0xB6}, make([]byte, 40)...)},
		{"unknown video", media.TypeVideo, append([]byte{0x91, 'x', 'x', 'x', 'x'}, make([]byte, 40)...)},
		{"AAC", media.TypeAudio, audioHeader(unhex("f94640"))}, // USAC
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			err := r.write(c.typ, 0, c.body)
			if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), c.name) {
				t.Fatalf("got %v", err)
			}
			if again := r.write(media.TypeVideo, 0, videoHeader(avc240)); !errors.Is(again, ErrUnsupported) {
				t.Errorf("then %v", again)
			}
			r.p.End()
			if len(r.indexes) > 0 {
				t.Errorf("published %+v", r.indexes[0])
			}
		})
	}
	t.Run("in the middle", func(t *testing.T) {
		r := newRig(t)
		r.headers()
		r.av(0, 5000, 40, 1000, true)
		if err := r.write(media.TypeAudio, 5000, []byte{0xB6, 1}); !errors.Is(err, ErrUnsupported) {
			t.Fatalf("got %v", err)
		}
		r.p.End()
		r.wantDurations(2000, 2000, 1019)
		if !r.last().Ended {
			t.Error("not ended")
		}
	})
}

func TestEnd(t *testing.T) { eachMode(t, testEnd) }

func testEnd(t *testing.T, mode func(*Config)) {
	t.Run("nothing came", func(t *testing.T) {
		r := newRig(t, mode)
		r.headers()
		r.p.End()
		if len(r.indexes) != 0 {
			t.Errorf("published %+v", r.indexes[0])
		}
	})
	t.Run("less than a segment", func(t *testing.T) {
		r := newRig(t, mode)
		r.headers()
		r.av(0, 1000, 40, 1000, true)
		r.p.End()
		r.p.End()
		r.wantDurations(1017)
		if len(r.indexes) != 2 || !r.last().Ended || r.last().Target != 3*time.Second {
			t.Errorf("%d versions, the last %+v", len(r.indexes), r.last())
		}
		if err := r.write(media.TypeVideo, 2000, picture(true, 0, 10)); !errors.Is(err, ErrEnded) {
			t.Errorf("got %v", err)
		}
		r.p.StartRun(testWall)
	})
	t.Run("less than the start holds", func(t *testing.T) {
		r := newRig(t, mode)
		r.videoHeader(avc240)
		r.av(0, 1000, 40, 1000, false)
		r.p.End()
		r.wantDurations(1000)
	})
}

// Hostile streams cost bounded memory, and numbers do not run ahead of the clock.
func TestHostile(t *testing.T) {
	t.Run("a header change with every frame", func(t *testing.T) { eachMode(t, testHeaderChanges) })
	t.Run("a segment of more bytes than allowed", func(t *testing.T) {
		r := newRig(t)
		r.videoHeader(avc240)
		big := picture(false, 0, 7<<20)
		r.video(0, true)
		for i := range media.Timestamp(30) {
			r.must(r.write(media.TypeVideo, (i+1)*100, big))
		}
		r.p.End()
		for _, s := range r.all {
			if s.TS.Size > media.MaxHLSSegmentBytes+1<<20 {
				t.Errorf("segment of %d bytes", s.TS.Size)
			}
		}
		if len(r.all) < 3 {
			t.Errorf("%d segments", len(r.all))
		}
	})
	t.Run("look-back shrinks under the budget of a stream", func(t *testing.T) {
		l := newList(DefaultConfig(1, 1), func(x *hls.Index) {
			sum := 0
			for _, s := range x.Segments[:len(x.Segments)-x.Listed] {
				sum += s.TS.Size
			}
			if sum > 0 && len(x.Segments)*60<<20 > media.MaxHLSStreamBytes {
				t.Fatalf("look-back of %d bytes is kept", sum)
			}
		})
		for i := range uint64(20) {
			l.add(&hls.Segment{Epoch: 1, MSN: i, Duration: 2 * time.Second, TS: &hls.Media{Size: 60 << 20}}, 50)
		}
	})
	t.Run("unusable packets are counted", func(t *testing.T) {
		r := newRig(t)
		bad := [][]byte{
			{}, {0x17}, {0x17, 1, 0}, videoHeader(nil), videoHeader([]byte{1, 2, 3}), picture(true, 0, 5), {0x27, 9, 0, 0, 0},
		}
		for i, b := range bad {
			if err := r.write(media.TypeVideo, 0, b); err != nil || r.p.Dropped() != uint64(i+1) {
				t.Errorf("%x: %v, %d dropped", b, err, r.p.Dropped())
			}
		}
		n := r.p.Dropped()
		for _, b := range [][]byte{{}, {0xAF}, {0xAF, 1, 0, 0}, audioHeader(nil), {0x2F, 1, 2, 3, 4}} {
			n++
			if err := r.write(media.TypeAudio, 0, b); err != nil || r.p.Dropped() != n {
				t.Errorf("%x: %v, %d dropped, want %d", b, err, r.p.Dropped(), n)
			}
		}
		r.headers()
		r.av(0, 1000, 40, 1000, true)
		n = r.p.Dropped()
		r.must(r.write(media.TypeVideo, 1000, []byte{0x27, 1, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 1}))
		r.must(r.write(media.TypeVideo, 1000, picture(false, -20_000, 10)))
		r.must(r.write(media.TypeAudio, 1000, append([]byte{0xAF, 1}, make([]byte, 9000)...)))
		if got := r.p.Dropped() - n; got != 3 {
			t.Errorf("%d dropped", got)
		}
		r.av(1040, 5081, 40, 960, true)
		if len(r.all) != 2 {
			t.Errorf("%d segments", len(r.all))
		}
	})
	t.Run("other tracks and metadata", func(t *testing.T) {
		r := newRig(t)
		r.must(r.write(media.TypeData, 0, []byte{2, 0}))
		r.must(r.p.Write(&media.Packet{Type: media.TypeVideo, Track: 1, Body: []byte{0xB6}}, testWall))
		if r.p.Dropped() != 0 {
			t.Errorf("%d dropped", r.p.Dropped())
		}
	})
}

func testHeaderChanges(t *testing.T, mode func(*Config)) {
	r := newRig(t, mode)
	r.audioHeader(aac44)
	for i := range media.Timestamp(1000) {
		r.videoHeader([][]byte{avc240, avc360}[i%2])
		r.video(i*40, true)
		r.audio(i * 40)
	}
	r.p.End()
	if msn, _ := r.last().LastMSN(); msn > firstMSN+41 {
		t.Errorf("%d segments in 40 s", msn-firstMSN)
	}
}

// Whatever is written, what is published is a valid playlist; see check.
func FuzzWrite(f *testing.F) {
	f.Add([]byte{0, 0, 6, 0, 1, 40, 2, 0, 4, 23, 1, 200, 3, 255, 5, 100, 1, 1})
	f.Add(bytes.Repeat([]byte{0, 0, 1, 200, 7, 0, 1, 200, 3, 200, 8, 200}, 20))
	f.Add(append([]byte{6, 0}, bytes.Repeat([]byte{4, 23}, 300)...))
	f.Add(append([]byte{0, 0}, bytes.Repeat([]byte{1, 250, 9, 250, 10, 1, 1, 3}, 50)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		eachMode(t, func(t *testing.T, mode func(*Config)) { testWrites(t, mode, b) })
	})
}

func testWrites(t *testing.T, mode func(*Config), b []byte) {
	r := newRig(t, mode)
	dts := media.Timestamp(0)
	for ; len(b) >= 2; b = b[2:] {
		dts += media.Timestamp(b[1])
		var err error
		switch b[0] % 12 {
		case 0:
			err = r.write(media.TypeVideo, dts, videoHeader(avc240))
		case 1:
			err = r.write(media.TypeVideo, dts, picture(true, 0, 100))
		case 2:
			err = r.write(media.TypeVideo, dts, picture(false, int32(b[1])-128, 50))
		case 3:
			dts += 100 * media.Timestamp(b[1])
		case 4:
			err = r.write(media.TypeAudio, dts, append([]byte{0xAF, 1}, make([]byte, 20)...))
		case 5:
			err = r.write(media.TypeAudio, max(dts-200, 0), mp3Body(0x90|b[1]&0x0C))
		case 6:
			err = r.write(media.TypeAudio, dts, audioHeader(aac44))
		case 7:
			err = r.write(media.TypeVideo, dts, videoHeader(avc360))
		case 8:
			err = r.write(media.TypeAudio, dts, audioHeader(aac48))
		case 9:
			r.behind += time.Duration(int8(b[1])) * time.Second
			r.p.StartRun(testWall.Add(r.behind + dts.Duration()))
		case 10:
			err = r.write(media.TypeVideo, dts, b[1:min(len(b), 20)])
		case 11:
			err = r.write(media.TypeVideo, max(dts-300, 0), picture(true, 0, 100))
		}
		if err != nil && !errors.Is(err, ErrUnsupported) {
			t.Fatal(err)
		}
	}
	r.p.End()
	if len(r.indexes) == 0 {
		return
	}
	if msn, _ := r.last().LastMSN(); time.Duration(msn-firstMSN)*time.Second > dts.Duration()+time.Second {
		t.Fatalf("%d segments in %v", msn-firstMSN, dts.Duration())
	}
}

func BenchmarkWrite(b *testing.B) {
	b.Run("segments", func(b *testing.B) { benchmarkWrite(b, DefaultConfig(1, 1)) })
	b.Run("low-latency", func(b *testing.B) {
		cfg := DefaultConfig(1, 1)
		cfg.LowLatency = true
		benchmarkWrite(b, cfg)
	})
}

func benchmarkWrite(b *testing.B, cfg Config) {
	b.Helper()
	p, err := New(cfg, func(*hls.Index) {})
	if err != nil {
		b.Fatal(err)
	}
	for typ, body := range map[media.Type][]byte{media.TypeVideo: videoHeader(avc240), media.TypeAudio: audioHeader(aac44)} {
		if err := p.Write(&media.Packet{Type: typ, Body: body}, testWall); err != nil {
			b.Fatal(err)
		}
	}
	key, delta := picture(true, 0, 50_000), picture(false, 0, 8000) // about 2 Mbit/s
	audio := append([]byte{0xAF, 1}, make([]byte, 300)...)
	b.ReportAllocs()
	b.SetBytes(10_000)
	i := 0
	for b.Loop() {
		dts := media.Timestamp(i * 40)
		body := delta
		if i%50 == 0 {
			body = key
		}
		wall := testWall.Add(dts.Duration())
		if err := errors.Join(
			p.Write(&media.Packet{Type: media.TypeVideo, DTS: dts, Body: body}, wall),
			p.Write(&media.Packet{Type: media.TypeAudio, DTS: dts, Body: audio}, wall),
		); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

func ExamplePipeline() {
	p, _ := New(DefaultConfig(7, 1_700_000_000), func(x *hls.Index) {
		s := x.Segments[len(x.Segments)-1]
		fmt.Println(hls.SegmentName(s.Epoch, s.MSN), s.Duration)
	})
	write := func(typ media.Type, dts media.Timestamp, body []byte) {
		_ = p.Write(&media.Packet{Type: typ, DTS: dts, Body: body}, time.Unix(1_700_000_000, 0))
	}
	write(media.TypeVideo, 0, videoHeader(avc240))
	for dts := media.Timestamp(0); dts <= 4000; dts += 40 {
		write(media.TypeVideo, dts, picture(dts%2000 == 0, 0, 100))
	}
	// Output:
	// 7-1700000000.ts 2s
	// 7-1700000001.ts 2s
}
