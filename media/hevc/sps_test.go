package hevc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Everything in front of the timing, one thing at a time and all at once.
func TestParseSPS(t *testing.T) {
	rate := [2]uint64{1001, 30000}
	for _, c := range []struct {
		name          string
		o             spsOptions
		width, height int
		rate          string
	}{
		{"plain", spsOptions{width: 1920, height: 1088, format: 1, window: []uint64{0, 0, 0, 4}}, 1920, 1080, "0/0"},
		{"timing", spsOptions{width: 320, height: 240, format: 1, timing: rate}, 320, 240, "30000/1001"},
		{"sub-layers", spsOptions{width: 320, height: 240, format: 1, layers: 6, timing: rate}, 320, 240, "30000/1001"},
		{"monochrome", spsOptions{width: 320, height: 240, window: []uint64{1, 2, 3, 4}, timing: rate}, 317, 233, "30000/1001"},
		{"4:2:2", spsOptions{width: 320, height: 240, format: 2, window: []uint64{1, 2, 3, 4}, timing: rate}, 314, 233, "30000/1001"},
		{"4:4:4", spsOptions{width: 320, height: 240, format: 3, window: []uint64{1, 2, 3, 4}, timing: rate}, 317, 233, "30000/1001"},
		{"scaling-lists", spsOptions{width: 320, height: 240, format: 1, lists: true, timing: rate}, 320, 240, "30000/1001"},
		{"pcm", spsOptions{width: 320, height: 240, format: 1, pcm: true, timing: rate}, 320, 240, "30000/1001"},
		{"reference-sets", spsOptions{width: 320, height: 240, format: 1, sets: true, timing: rate}, 320, 240, "30000/1001"},
		{
			"all",
			spsOptions{id: 15, layers: 3, width: 8192, height: 4320, format: 1, lists: true, pcm: true, sets: true, timing: [2]uint64{1, 60}},
			8192, 4320, "60/1",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := c.o.sps()
			s, err := ParseSPS(b)
			if got := fmt.Sprintf("%d/%d", s.FrameRateNum, s.FrameRateDen); err != nil || s.Width != c.width || s.Height != c.height ||
				got != c.rate || s.ID != uint32(c.o.id) {
				t.Errorf("%+v, error %v, want %d x %d, %s", s, err, c.width, c.height, c.rate)
			}
			for n := range b { // no truncation is a panic
				_, _ = ParseSPS(b[:n])
			}
		})
	}
	for name, b := range map[string][]byte{
		"empty":   nil,
		"short":   testSPS[:12],
		"pps":     append(bytes.Clone(testPPS), make([]byte, 32)...),
		"layer-1": append([]byte{0x42, 0x09}, testSPS[2:]...),
		"zeros":   append([]byte{0x42, 0x01}, make([]byte, 64)...),
		"id-16":   spsOptions{id: 16, width: 320, height: 240, format: 1}.sps(),
		"format":  spsOptions{width: 320, height: 240, format: 4}.sps(),
		"size-0":  spsOptions{width: 0, height: 240, format: 1}.sps(),
		"huge":    spsOptions{width: 1 << 20, height: 240, format: 1}.sps(),
		"window":  spsOptions{width: 320, height: 240, format: 1, window: []uint64{80, 80, 0, 0}}.sps(),
	} {
		if s, err := ParseSPS(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: got %+v, error %v, want %v", name, s, err, ErrMalformed)
		}
	}
}

// run runs a program that the test cannot do without.
func run(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, errs.String())
	}
	return out.Bytes()
}

// What x265 writes for these pictures, ffprobe as the judge.
func TestEncoded(t *testing.T) {
	for _, c := range []struct{ name, source, args, codec string }{
		{"main", "testsrc2=size=320x240:rate=25", "-pix_fmt yuv420p", "hvc1.1.6.L60.90"},
		{"main-cropped", "testsrc2=size=322x182:rate=30000/1001", "-pix_fmt yuv420p", "hvc1.1.6.L60.90"},
		{"main-10", "testsrc2=size=322x182:rate=60", "-pix_fmt yuv420p10le", "hvc1.2.4.L63.90"},
		{"4:2:2-10", "testsrc2=size=322x182:rate=24", "-pix_fmt yuv422p10le", "hvc1.4.10.L60.9D.8"},
		{"4:4:4", "testsrc2=size=323x181:rate=24", "-pix_fmt yuv444p", "hvc1.4.10.L60.9E.8"},
		{"scaling-lists", "testsrc2=size=320x240:rate=25", "-pix_fmt yuv420p -aspect 2.35 -color_primaries bt709", "hvc1.1.6.L60.90"},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "a.mp4")
			params := "log-level=error:pools=1:frame-threads=1"
			if c.name == "scaling-lists" {
				params += ":scaling-list=default:temporal-layers=1"
			}
			args := "-v error -nostdin -f lavfi -i " + c.source + " -frames:v 2 -c:v libx265 -preset ultrafast -x265-params " + params + " " + c.args + " " + file
			run(t, "ffmpeg", strings.Fields(args)...)
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			at := bytes.Index(b, []byte("hvcC"))
			size := int(b[at-2])<<8 | int(b[at-1])
			cfg, err := ParseConfig(b[at+4 : at-4+size])
			if err != nil {
				t.Fatal(err)
			}
			sps, err := ParseSPS(cfg.SPS[0])
			if err != nil {
				t.Fatal(err)
			}
			var probed struct {
				Streams []struct {
					Width, Height int
					Rate          string `json:"r_frame_rate"`
				}
			}
			out := run(t, "ffprobe", "-v", "error", "-show_streams", "-of", "json", file)
			if err := json.Unmarshal(out, &probed); err != nil {
				t.Fatal(err)
			}
			want := probed.Streams[0]
			if sps.Width != want.Width || sps.Height != want.Height {
				t.Errorf("picture %d x %d, ffprobe says %d x %d", sps.Width, sps.Height, want.Width, want.Height)
			}
			if rate := fmt.Sprintf("%d/%d", sps.FrameRateNum, sps.FrameRateDen); rate != want.Rate {
				t.Errorf("frame rate %s, ffprobe says %s", rate, want.Rate)
			}
			if got := cfg.Codec(); got != c.codec {
				t.Errorf("codec %s, want %s", got, c.codec)
			}
		})
	}
}

func FuzzParseSPS(f *testing.F) {
	f.Add(testSPS)
	f.Add(spsOptions{id: 15, layers: 3, width: 8192, height: 4320, format: 1, lists: true, pcm: true, sets: true, timing: [2]uint64{1, 60}}.sps())
	f.Fuzz(func(t *testing.T, nalu []byte) {
		s, err := ParseSPS(nalu)
		if err != nil {
			return
		}
		if s.Width < 1 || s.Height < 1 || s.Width > maxSide || s.Height > maxSide || s.ID > maxSPSID {
			t.Fatalf("accepted %+v", s)
		}
	})
}
