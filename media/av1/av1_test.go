package av1

import (
	"bytes"
	"errors"
	"os/exec"
	"strings"
	"testing"
)

// sequence is a sequence header OBU: profile 0, 1012 x 223, no timing.
const sequence = "\x0a\x0a\x00\x00\x00\x24\xcf\xe6\x6f\x7f\xfa\xc8"

var configCases = []struct {
	name, b       string
	codec         string
	width, height int
	text          string // of the error; empty: none
}{
	{"with-sequence", "\x81\x00\x0c\x00" + sequence, "av01.0.00M.08", 1012, 223, ""},
	{"no-obus", "\x81\x04\x0c\x00", "av01.0.04M.08", 0, 0, ""},
	{"high-tier-10-bits", "\x81\x0d\xcc\x00", "av01.0.13H.10", 0, 0, ""},
	{"12-bits", "\x81\x48\x62\x10", "av01.2.08M.12", 0, 0, ""},
	{"metadata-first", "\x81\x04\x0c\x00\x2a\x01\x00", "av01.0.04M.08", 0, 0, ""},
	{"short", "\x81\x04\x0c", "", 0, 0, "av1: malformed: configuration record of 3 bytes, 4 are needed: 81 04 0c"},
	{"version", "\x82\x04\x0c\x00", "", 0, 0, "av1: malformed: configuration record with marker and version 0x82, not 0x81"},
	{"profile", "\x81\x64\x0c\x00", "", 0, 0, "av1: malformed: profile 3 is not 0..2"},
	{"cut-sequence", "\x81\x04\x0c\x00\x0a\x02\x00\x00", "", 0, 0, "av1: malformed: sequence header ends early: 00 00"},
	{"overlong", "\x81\x04\x0c\x00\x0a\x05\x00", "", 0, 0, "av1: malformed: OBU of 5 bytes, 1 are left: 0a 05 00"},
	{"no-obu", "\x81\x04\x0c\x00\xff", "", 0, 0, "av1: malformed: no OBU: ff"},
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
		if err != nil || got.Codec() != c.codec || c.width > 0 && (got.Width != c.width || got.Height != c.height) {
			t.Errorf("%s: %+v, error %v, want %s, %d x %d", c.name, got, err, c.codec, c.width, c.height)
		}
	}
}

// bits writes numbers of so many bits each: value, bits, value, bits ...
func bits(pairs ...uint64) []byte {
	var b []byte
	at := 0
	for i := 0; i < len(pairs); i += 2 {
		for n := int(pairs[i+1]) - 1; n >= 0; n-- {
			if at&7 == 0 {
				b = append(b, 0)
			}
			b[at>>3] |= byte(pairs[i]>>n&1) << (7 - at&7)
			at++
		}
	}
	return append(b, 0x80)
}

// Every part that may stand in front of the picture's size is read over.
func TestParseSequence(t *testing.T) {
	size := []uint64{10, 4, 9, 4, 1279, 11, 719, 10} // 11 and 10 bits: 1280 x 720
	point := []uint64{0, 12, 8, 5, 0, 1}             // level 8: with a tier
	with := func(parts ...[]uint64) []byte {
		var all []uint64
		for _, p := range parts {
			all = append(all, p...)
		}
		return bits(all...)
	}
	for _, c := range []struct {
		name     string
		b        []byte
		num, den uint64
	}{
		{"reduced", with([]uint64{0, 3, 1, 1, 1, 1, 4, 5}, size), 0, 0},
		{"plain", with([]uint64{0, 3, 0, 1, 0, 1, 0, 1, 0, 1, 0, 5}, point, size), 0, 0},
		{"level-without-tier", with([]uint64{0, 3, 0, 1, 0, 1, 0, 1, 0, 1, 0, 5, 0, 12, 7, 5}, size), 0, 0},
		{"three-points", with([]uint64{0, 3, 0, 1, 0, 1, 0, 1, 0, 1, 2, 5}, point, point, point, size), 0, 0},
		{"timing", with([]uint64{0, 3, 0, 1, 0, 1, 1, 1, 1001, 32, 30000, 32, 1, 1, 1, 1, 0, 1, 0, 1, 0, 5}, point, size), 30000, 1001},
		{"timing-ticks", with([]uint64{0, 3, 0, 1, 0, 1, 1, 1, 1, 32, 60, 32, 1, 1, 2, 3, 0, 1, 0, 1, 0, 5}, point, size), 60, 2},
		{"timing-variable", with([]uint64{0, 3, 0, 1, 0, 1, 1, 1, 1, 32, 60, 32, 0, 1, 0, 1, 0, 1, 0, 5}, point, size), 0, 0},
		{
			"decoder-model", with([]uint64{0, 3, 0, 1, 0, 1, 1, 1, 1, 32, 25, 32, 1, 1, 1, 1, 1, 1, 9, 5, 1, 32, 9, 5, 9, 5, 1, 1, 0, 5},
				point, []uint64{1, 1, 5, 10, 6, 10, 0, 1, 1, 1, 3, 4}, size), 25, 1,
		},
	} {
		s, err := parseSequence(c.b)
		if err != nil || s.Width != 1280 || s.Height != 720 || s.FrameRateNum != c.num || s.FrameRateDen != c.den {
			t.Errorf("%s: %+v, error %v, want 1280 x 720, %d/%d", c.name, s, err, c.num, c.den)
		}
		for n := range len(c.b) - 1 {
			if _, err := parseSequence(c.b[:n]); !errors.Is(err, ErrMalformed) {
				t.Errorf("%s cut to %d bytes: error %v, want %v", c.name, n, err, ErrMalformed)
			}
		}
	}
}

var unitCases = []struct {
	name, b, want string
	text          string // of the error; empty: none
}{
	{"delimiter", "\x12\x00\x32\x03abc", "\x32\x03abc", ""},
	{"none", "\x32\x03abc", "\x32\x03abc", ""},
	{"two", "\x12\x00\x32\x01a\x12\x00\x32\x01b", "\x32\x01a\x32\x01b", ""},
	{"extension", "\x16\x20\x00\x36\x20\x02ab", "\x36\x20\x02ab", ""},
	{"no-size", "\x12\x00\x30abc", "\x30abc", ""},
	{"long-size", "\x32\x83\x80\x80\x00abc", "\x32\x83\x80\x80\x00abc", ""},
	{"only-delimiter", "\x12\x00", "", ""},
	{"empty", "", "", ""},
	{"overlong", "\x12\x00\x32\x04abc", "", "av1: malformed: OBU of 4 bytes, 3 are left: 32 04 61 62 63"},
	{"forbidden", "\xb2\x00", "", "av1: malformed: no OBU: b2 00"},
	{"cut-size", "\x32\x80", "", "av1: malformed: OBU ends in its size: 32 80"},
	{"endless-size", "\x32\x80\x80\x80\x80\x80\x80\x80\x80\x00", "", "av1: malformed: OBU ends in its size: 32 80 80 80 80 80 80 80 80 00"},
	{"cut-extension", "\x36", "", "av1: malformed: OBU of 1 bytes ends in its header: 36"},
}

func TestStripDelimiters(t *testing.T) {
	for _, c := range unitCases {
		got, err := StripDelimiters([]byte("front"), []byte(c.b))
		if c.text != "" {
			if !errors.Is(err, ErrMalformed) || err.Error() != c.text || string(got) != "front" {
				t.Errorf("%s: %q, error %v, want %q", c.name, got, err, c.text)
			}
		} else if err != nil || string(got) != "front"+c.want {
			t.Errorf("%s: %q, error %v, want %q", c.name, got, err, "front"+c.want)
		}
	}
}

// What encoders make is read.
func TestEncoded(t *testing.T) {
	for _, encoder := range []string{"libaom-av1 -cpu-used 8", "libsvtav1 -preset 10"} {
		args := "-v error -nostdin -f lavfi -i testsrc2=size=178x98:rate=25:d=0.2 -pix_fmt yuv420p -c:v " + encoder + " -f obu -"
		cmd := exec.CommandContext(t.Context(), "ffmpeg", strings.Fields(args)...)
		var errs bytes.Buffer
		cmd.Stderr = &errs
		b, err := cmd.Output()
		if err != nil {
			t.Fatalf("ffmpeg: %v\n%s", err, errs.String())
		}
		c, err := ParseConfig(append([]byte("\x81\x00\x0c\x00"), b...))
		if err != nil || c.Width != 178 || c.Height != 98 {
			t.Errorf("%s: %+v, error %v, want 178 x 98", encoder, c, err)
		}
		stripped, err := StripDelimiters(nil, b)
		if want := bytes.ReplaceAll(b, []byte("\x12\x00\x32"), []byte("\x32")); err != nil || len(b)-len(stripped) < 2 ||
			len(stripped) > len(want) {
			t.Errorf("%s: %d bytes of %d are left, error %v", encoder, len(stripped), len(b), err)
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
		if c.Width < 0 || c.Width > 1<<16 || c.Height < 0 || c.Height > 1<<16 || (c.FrameRateNum == 0) != (c.FrameRateDen == 0) {
			t.Fatalf("accepted %+v", c)
		}
		if len(c.Codec()) != len("av01.0.00M.08") {
			t.Fatalf("%+v is named %s", c, c.Codec())
		}
	})
}

func FuzzStripDelimiters(f *testing.F) {
	for _, c := range unitCases {
		f.Add([]byte(c.b))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		once, err := StripDelimiters(nil, b)
		if err != nil {
			return
		}
		twice, err := StripDelimiters(nil, once)
		if err != nil || !bytes.Equal(once, twice) || len(once) > len(b) {
			t.Fatalf("% x becomes % x, then % x, error %v", b, once, twice, err)
		}
	})
}
