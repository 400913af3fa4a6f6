package vp9

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os/exec"
	"strings"
	"testing"
)

var configCases = []struct {
	name, b string
	want    Config
	codec   string
	text    string // of the error; empty: none
}{
	{
		name: "record", b: "\x00\x0a\x82\x01\x01\x01\x00\x00",
		want:  Config{Level: 10, BitDepth: 8, Subsampling: 1, Primaries: 1, Transfer: 1, Matrix: 1},
		codec: "vp09.00.10.08",
	},
	{
		name: "box", b: "\x01\x00\x00\x00\x02\x33\xa3\x09\x10\x09\x00\x00",
		want:  Config{Profile: 2, Level: 51, BitDepth: 10, Subsampling: 1, FullRange: true, Primaries: 9, Transfer: 16, Matrix: 9},
		codec: "vp09.02.51.10",
	},
	{
		name: "profile-1", b: "\x01\x00\x86\x02\x02\x02\x00\x00",
		want:  Config{Profile: 1, BitDepth: 8, Subsampling: 3, Primaries: 2, Transfer: 2, Matrix: 2},
		codec: "vp09.01.41.08",
	},
	{name: "short", b: "\x00\x0a\x82\x01\x01\x01\x00", text: "vp9: malformed: configuration record of 7 bytes, 8 are needed: 00 0a 82 01 01 01 00"},
	{name: "profile-4", b: "\x04\x0a\x82\x01\x01\x01\x00\x00", text: "vp9: malformed: profile 4 is not 0..3"},
	{name: "depth-9", b: "\x00\x0a\x92\x01\x01\x01\x00\x00", text: "vp9: malformed: bit depth 9 is not 8, 10 or 12"},
	{name: "subsampling-4", b: "\x00\x0a\x88\x01\x01\x01\x00\x00", text: "vp9: malformed: chroma subsampling 4 is not 0..3"},
}

func TestParseConfig(t *testing.T) {
	for _, c := range configCases {
		got, err := ParseConfig([]byte(c.b))
		if c.text != "" {
			if !errors.Is(err, ErrMalformed) || err.Error() != c.text {
				t.Errorf("%s: error %v, want %q", c.name, err, c.text)
			}
			continue
		}
		if err != nil || *got != c.want || got.Codec() != c.codec {
			t.Errorf("%s: %+v, error %v, want %+v, %s", c.name, got, err, c.want, c.codec)
		} else if b := got.Append(nil); string(b) != c.b[len(c.b)-recordSize:] {
			t.Errorf("%s: the record comes out as % x", c.name, b)
		}
	}
}

var frameCases = []struct {
	name, b       string
	width, height int // 0: not told
}{
	{"profile-0", "\x82\x49\x83\x42\x20\x13\xf0\x0b\x30", 320, 180},
	{"profile-1", "\xa2\x49\x83\x42\x20\x02\x7e\x01\x66", 320, 180},
	{"profile-1-rgb", "\xa2\x49\x83\x42\xe0\x13\xf0\x0b\x30", 320, 180},
	{"profile-2", "\x92\x49\x83\x42\x10\x09\xf8\x05\x98", 320, 180},
	{"profile-3", "\xb1\x24\xc1\xa1\x08\x00\x9f\x80\x59\x80", 320, 180},
	{"largest", "\x82\x49\x83\x42\x2f\xff\xff\xff\xf0", 65536, 65536},
	{"delta", "\x86\x00\x40\x92\x80\x00\x00\x00\x00\x00", 0, 0},
	{"show-existing", "\x88\x00\x00\x00\x00\x00\x00\x00\x00\x00", 0, 0},
	{"no-marker", "\x42\x49\x83\x42\x20\x13\xf0\x0b\x30", 0, 0},
	{"no-sync", "\x82\x49\x83\x43\x20\x13\xf0\x0b\x30", 0, 0},
	{"cut", "\x82\x49\x83\x42\x20\x13\xf0\x0b", 0, 0},
	{"empty", "", 0, 0},
}

func TestParseFrame(t *testing.T) {
	for _, c := range frameCases {
		width, height, ok := ParseFrame([]byte(c.b))
		if ok != (c.width > 0) || ok && (width != c.width || height != c.height) {
			t.Errorf("%s: %d x %d, %t, want %d x %d", c.name, width, height, ok, c.width, c.height)
		}
	}
}

// What libvpx makes is read, of each profile.
func TestEncoded(t *testing.T) {
	for _, format := range []string{"yuv420p", "yuv444p", "gbrp", "yuv420p10le", "yuv422p10le"} {
		args := "-v error -nostdin -f lavfi -i testsrc2=size=178x98:d=0.2 -pix_fmt " + format +
			" -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -f ivf -"
		cmd := exec.CommandContext(t.Context(), "ffmpeg", strings.Fields(args)...)
		var errs bytes.Buffer
		cmd.Stderr = &errs
		b, err := cmd.Output()
		if err != nil {
			t.Fatalf("ffmpeg: %v\n%s", err, errs.String())
		}
		const ivfHeader, ivfFrame = 32, 12
		n := binary.LittleEndian.Uint32(b[ivfHeader:])
		first := b[ivfHeader+ivfFrame:][:n]
		if width, height, ok := ParseFrame(first); !ok || width != 178 || height != 98 {
			t.Errorf("%s: %d x %d, %t, want 178 x 98", format, width, height, ok)
		}
		if _, _, ok := ParseFrame(b[ivfHeader+2*ivfFrame+int(n):]); ok {
			t.Errorf("%s: the second frame is taken for a keyframe", format)
		}
	}
}

func FuzzParseConfig(f *testing.F) {
	for _, c := range configCases {
		f.Add([]byte(c.b))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ParseConfig(b)
		if err != nil {
			return
		}
		again, err := ParseConfig(c.Append(nil))
		if err != nil || *again != *c {
			t.Fatalf("%+v comes back as %+v, error %v", c, again, err)
		}
		if len(c.Codec()) < len("vp09.00.00.08") {
			t.Fatalf("%+v is named %s", c, c.Codec())
		}
	})
}

func FuzzParseFrame(f *testing.F) {
	for _, c := range frameCases {
		f.Add([]byte(c.b))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if width, height, ok := ParseFrame(b); ok && (width < 1 || height < 1 || width > 1<<16 || height > 1<<16) {
			t.Fatalf("%d x %d", width, height)
		}
	})
}
