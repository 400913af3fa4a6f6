package h264

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"tmms/media"
	"tmms/media/flv"
)

// run runs a program that the test cannot do without.
func run(t *testing.T, stdin []byte, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, errs.String())
	}
	return out.Bytes()
}

// encoded gives the file that x264 makes, and its configuration record.
func encoded(t *testing.T, source, args string) (file []byte, cfg *Config) {
	t.Helper()
	all := append([]string{"-v", "error", "-nostdin", "-f", "lavfi", "-i", source, "-frames:v", "2", "-c:v", "libx264"}, strings.Fields(args)...)
	file = run(t, nil, "ffmpeg", append(all, "-f", "flv", "-")...)
	_, n, err := flv.ParseHeader(file)
	if err != nil {
		t.Fatal(err)
	}
	for b := file[n:]; len(b) > 0; b = b[n:] {
		var tag flv.Tag
		if tag, n, err = flv.ParseTag(b); err != nil {
			t.Fatal(err)
		}
		info, err := flv.Describe(tag.Type, tag.Body)
		if err != nil {
			t.Fatal(err)
		}
		if tag.Type == media.TypeVideo && info.Kind == media.KindConfig {
			if cfg, err = ParseConfig(info.Payload); err != nil {
				t.Fatal(err)
			}
			return file, cfg
		}
	}
	t.Fatal("no sequence header")
	return nil, nil
}

// What x264 writes for these pictures, ffprobe as the judge.
func TestParseSPS(t *testing.T) {
	for _, c := range []struct{ name, source, args, codec string }{
		{"baseline", "testsrc2=size=320x240:rate=25", "-profile:v baseline -level 3.0 -pix_fmt yuv420p", "avc1.42c01e"},
		{"main-cropped", "testsrc2=size=322x182:rate=30000/1001", "-profile:v main -level 3.1 -pix_fmt yuv420p", "avc1.4d401f"},
		{"high-1080", "testsrc2=size=1920x1080:rate=60", "-preset superfast -profile:v high -level 4.2 -pix_fmt yuv420p", "avc1.64002a"},
		{"high-422", "testsrc2=size=322x182:rate=24", "-profile:v high422 -level 3 -pix_fmt yuv422p", "avc1.7a001e"},
		{"high-444", "testsrc2=size=323x181:rate=24", "-profile:v high444 -level 3 -pix_fmt yuv444p", "avc1.f4001e"},
		{"high-10", "testsrc2=size=322x182:rate=24", "-profile:v high10 -level 3 -pix_fmt yuv420p10le", "avc1.6e001e"},
		{"interlaced", "testsrc2=size=720x576:rate=25", "-flags +ilme+ildct -profile:v main -level 3.1 -pix_fmt yuv420p", "avc1.4d401f"},
		{"scaling-lists", "testsrc2=size=320x240:rate=25", "-profile:v high -level 3 -pix_fmt yuv420p -x264-params cqm=jvt", "avc1.64001e"},
		{"sar-and-colour", "testsrc2=size=320x240:rate=50", "-level 3 -pix_fmt yuv420p -aspect 2.35 -color_primaries bt709 -colorspace bt709 -color_range pc", "avc1.64001e"},
	} {
		t.Run(c.name, func(t *testing.T) {
			file, cfg := encoded(t, c.source, c.args)
			var probed struct {
				Streams []struct {
					Width, Height int
					Rate          string `json:"r_frame_rate"`
				}
			}
			out := run(t, file, "ffprobe", "-v", "error", "-show_streams", "-of", "json", "-f", "flv", "-")
			if err := json.Unmarshal(out, &probed); err != nil {
				t.Fatal(err)
			}
			sps, err := ParseSPS(cfg.SPS[0])
			if err != nil {
				t.Fatal(err)
			}
			want := probed.Streams[0]
			if sps.Width != want.Width || sps.Height != want.Height {
				t.Errorf("picture %d x %d, ffprobe says %d x %d", sps.Width, sps.Height, want.Width, want.Height)
			}
			if rate := fmt.Sprintf("%d/%d", sps.FrameRateNum, sps.FrameRateDen); rate != want.Rate {
				t.Errorf("frame rate %s, ffprobe says %s", rate, want.Rate)
			}
			if sps.CodecString() != c.codec || cfg.CodecString() != c.codec {
				t.Errorf("codec strings %s and %s, want %s", sps.CodecString(), cfg.CodecString(), c.codec)
			}
			for n := range cfg.SPS[0] { // no truncation is a panic
				_, _ = ParseSPS(cfg.SPS[0][:n])
			}
		})
	}
}

func TestParseSPSMalformed(t *testing.T) {
	for name, nalu := range map[string]string{
		"empty":   "",
		"short":   "\x67\x42\xc0\x1e",
		"not-sps": "\x68\x42\xc0\x1e\xd9\x00",
		"zeros":   "\x67\x42\xc0\x1e" + strings.Repeat("\x00", 64),
		"id":      "\x67\x42\xc0\x1e\x02\x10\x80\x80",                         // 32 + ...
		"huge":    "\x67\x42\xc0\x1e\xfe\x00\x00\x03\x00\x00\x03\x00\x80\x80", // width
	} {
		if s, err := ParseSPS([]byte(nalu)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: got %+v, error %v, want %v", name, s, err, ErrMalformed)
		}
	}
}

func FuzzParseSPS(f *testing.F) {
	f.Add(testSPS)
	f.Add([]byte("\x67\x64\x00\x2a\xac\xd1\x00\x78\x02\x27\xe5\xc0\x5a\x80\x80\x80\xa0\x00\x00\x03\x00\x20\x00\x00\x0f\x11\xe3\x06\x65\x80"))
	f.Fuzz(func(t *testing.T, nalu []byte) {
		s, err := ParseSPS(nalu)
		if err != nil {
			return
		}
		if limit := 2 * 16 * maxPicSide; s.Width < 1 || s.Height < 1 || s.Width > limit || s.Height > limit || s.ID > maxSPSID {
			t.Fatalf("accepted %+v", s)
		}
	})
}
