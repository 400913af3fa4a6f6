package flac

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os/exec"
	"strings"
	"testing"
)

// info is the body of a STREAMINFO block: 4096 samples a block, 48 kHz, stereo, 16 bits.
const info = "\x10\x00\x10\x00\x00\x00\x0e\x00\x10\x00\x0b\xb8\x02\xf0\x00\x01\x77\x00" + "0123456789abcdef"

var headerCases = []struct {
	name, b string
	text    string // of the error; empty: none
}{
	{"ertmp", "fLaC\x80\x00\x00\x22" + info, ""},
	{"more-blocks", "fLaC\x00\x00\x00\x22" + info + "\x84\x00\x00\x01x", ""},
	{"no-marker", "\x80\x00\x00\x22" + info, ""},
	{"no-block", info, ""},
	{"marker-no-block", "fLaC" + info, ""},
	{"empty", "", "flac: malformed: no STREAMINFO of 34 bytes at the start: "},
	{"marker-only", "fLaC", "flac: malformed: no STREAMINFO of 34 bytes at the start: 66 4c 61 43"},
	{"other-block", "fLaC\x84\x00\x00\x22" + info, "flac: malformed: no STREAMINFO of 34 bytes at the start: 66 4c 61 43 84 00 00 22 10 00 10 00 00 00 0e 00"},
	{"cut", "fLaC\x80\x00\x00\x22" + info[:33], "flac: malformed: STREAMINFO has 34 bytes, 33 are left: 66 4c 61 43 80 00 00 22 10 00 10 00 00 00 0e 00"},
	{"blocks-of-0", "\x00\x00" + info[2:], "flac: malformed: blocks of 0 to 4096 samples, the least is 16"},
	{"blocks-fall", info[:2] + "\x00\x20" + info[4:], "flac: malformed: blocks of 4096 to 32 samples, the least is 16"},
	{"rate-0", info[:10] + "\x00\x00\x02" + info[13:], "flac: malformed: sample rate 0"},
	{"3-bits", info[:12] + "\x02\x20" + info[14:], "flac: malformed: 3 bits a sample, the least is 4"},
}

func TestParseHeader(t *testing.T) {
	want := Header{MinBlock: 4096, MaxBlock: 4096, SampleRate: 48000, Channels: 2, BitsPerSample: 16}
	copy(want.StreamInfo[:], info)
	for _, c := range headerCases {
		h, err := ParseHeader([]byte(c.b))
		switch {
		case c.text == "" && (err != nil || h != want):
			t.Errorf("%s: %+v, error %v, want %+v", c.name, h, err, want)
		case c.text != "" && (!errors.Is(err, ErrMalformed) || err.Error() != c.text):
			t.Errorf("%s: error %v, want %q", c.name, err, c.text)
		}
	}
}

var frameCases = []struct {
	name, b string
	samples int // 0: malformed
}{
	{"192", "\xff\xf8\x19\x18\x00\x00", 192},
	{"576", "\xff\xf8\x29\x18\x00\x00", 576},
	{"4608", "\xff\xf8\x59\x18\x00\x00", 4608},
	{"256", "\xff\xf8\x89\x18\x00\x00", 256},
	{"32768", "\xff\xf9\xf9\x18\x00\x00", 32768},
	{"8-bits", "\xff\xf8\x69\x18\x00\x0f", 16},
	{"16-bits", "\xff\xf8\x79\x18\x00\x12\x33", 0x1234},
	{"long-number", "\xff\xf9\x79\x18\xfe\xbf\xbf\xbf\xbf\xbf\xbf\x00\xff", 256},
	{"two-byte-number", "\xff\xf8\x69\x18\xc2\x80\x0f", 16},
	{"cut", "\xff\xf8\x79\x18\x00\x12", 0},
	{"bad-number", "\xff\xf8\x69\x18\x80\x00\x00", 0},
	{"worse-number", "\xff\xf8\x69\x18\xff\x00\x00\x00\x00\x00\x00\x00\x00", 0},
	{"reserved-size", "\xff\xf8\x09\x18\x00\x00", 0},
	{"no-sync", "\xff\xfb\x19\x18\x00\x00", 0},
	{"short", "\xff\xf8\x19\x18\x00", 0},
	{"empty", "", 0},
}

func TestSamples(t *testing.T) {
	for _, c := range frameCases {
		n, err := Samples([]byte(c.b))
		if n != c.samples || errors.Is(err, ErrMalformed) != (c.samples == 0) {
			t.Errorf("%s: %d samples, error %v, want %d", c.name, n, err, c.samples)
		}
	}
}

// What ffmpeg makes adds up to the second that was encoded.
func TestEncoded(t *testing.T) {
	args := strings.Fields("-v error -nostdin -f lavfi -i sine=d=1:sample_rate=44100 -c:a flac -f data -map 0 -")
	cmd := exec.CommandContext(t.Context(), "ffmpeg", args...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	b, err := cmd.Output()
	if err != nil {
		t.Fatalf("ffmpeg: %v\n%s", err, errs.String())
	}
	// Frames follow each other unmarked here: each begins with a sync code, the same
	// parameters and the next number.
	samples := 0
	for number := range byte(128) {
		sync := binary.BigEndian.AppendUint16(nil, 0xFFF8)
		at := bytes.Index(b, sync)
		for at >= 0 && b[at+4] != number {
			next := bytes.Index(b[at+1:], sync)
			if next < 0 {
				at = -1
				break
			}
			at += 1 + next
		}
		if at < 0 {
			break
		}
		b = b[at:]
		n, err := Samples(b)
		if err != nil {
			t.Fatal(err)
		}
		samples += n
		b = b[1:]
	}
	if samples != 44100 {
		t.Errorf("%d samples, want 44100", samples)
	}
}

func FuzzParseHeader(f *testing.F) {
	for _, c := range headerCases {
		f.Add([]byte(c.b))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ParseHeader(b)
		if err != nil {
			return
		}
		again, err := ParseHeader(append([]byte("fLaC\x80\x00\x00\x22"), h.StreamInfo[:]...))
		if err != nil || again != h {
			t.Fatalf("%+v comes back as %+v, error %v", h, again, err)
		}
		if h.SampleRate < 1 || h.SampleRate >= 1<<20 || h.Channels < 1 || h.Channels > 8 || h.BitsPerSample < 4 || h.BitsPerSample > 32 {
			t.Fatalf("accepted %+v", h)
		}
	})
}

func FuzzSamples(f *testing.F) {
	for _, c := range frameCases {
		f.Add([]byte(c.b))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if n, err := Samples(b); err == nil && (n < 1 || n > 1<<16) {
			t.Fatalf("%d samples", n)
		}
	})
}
