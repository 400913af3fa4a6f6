package mp3

import (
	"bytes"
	"errors"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"tmms/media"
	"tmms/media/flv"
)

// headerCases feed TestParseHeader and the fuzz seeds.
var headerCases = []struct {
	name string
	b    string
	want Header
}{
	{"mpeg1-128k-44100", "\xff\xfb\x90\x00", Header{MPEG1, 3, 44100, 128000, 2, 1152, 417}},
	{"mpeg1-padding", "\xff\xfb\x92\x00", Header{MPEG1, 3, 44100, 128000, 2, 1152, 418}},
	{"mpeg1-crc-mono", "\xff\xfa\x94\xc0", Header{MPEG1, 3, 48000, 128000, 1, 1152, 384}},
	{"mpeg1-320k-32000", "\xff\xfb\xe8\x40", Header{MPEG1, 3, 32000, 320000, 2, 1152, 1440}},
	{"mpeg2-64k-22050", "\xff\xf3\x80\x00", Header{MPEG2, 3, 22050, 64000, 2, 576, 208}},
	{"mpeg2.5-8k-8000", "\xff\xe3\x18\xc0", Header{MPEG25, 3, 8000, 8000, 1, 576, 72}},
	{"layer-2", "\xff\xfd\xa4\x00", Header{MPEG1, 2, 48000, 192000, 2, 1152, 576}},
	{"mpeg2-layer-2", "\xff\xf5\xe8\x00", Header{MPEG2, 2, 16000, 160000, 2, 1152, 1440}},
	{"layer-1", "\xff\xff\xc4\x00", Header{MPEG1, 1, 48000, 384000, 2, 384, 384}},
	{"mpeg2-layer-1", "\xff\xf7\xe4\x00", Header{MPEG2, 1, 24000, 256000, 2, 384, 512}},
	{"free-format", "\xff\xfb\x00\x00", Header{MPEG1, 3, 44100, 0, 2, 1152, 0}},
}

func TestParseHeader(t *testing.T) {
	for _, c := range headerCases {
		t.Run(c.name, func(t *testing.T) {
			got, err := ParseHeader([]byte(c.b))
			if err != nil || got != c.want {
				t.Errorf("got %+v, error %v, want %+v", got, err, c.want)
			}
			for n := range c.b {
				if _, err := ParseHeader([]byte(c.b[:n])); !errors.Is(err, ErrMalformed) {
					t.Errorf("%d bytes: error %v, want %v", n, err, ErrMalformed)
				}
			}
		})
	}
	for name, b := range map[string]string{
		"sync":            "\xff\x1b\x90\x00",
		"id3":             "ID3\x03",
		"version":         "\xff\xeb\x90\x00",
		"layer":           "\xff\xf9\x90\x00",
		"sample-rate":     "\xff\xfb\x9c\x00",
		"bit-rate":        "\xff\xfb\xf0\x00",
		"aac-adts-is-not": "\xff\xf1\x50\x80",
	} {
		if h, err := ParseHeader([]byte(b)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: got %+v, error %v, want %v", name, h, err, ErrMalformed)
		}
	}
}

func TestFrames(t *testing.T) {
	one := append([]byte("\xff\xfb\x90\x00"), make([]byte, 413)...)
	two := append(bytes.Clone(one), one...)
	for _, c := range []struct {
		name    string
		b       []byte
		samples int
	}{
		{"one", one, 1152},
		{"two", two, 2304},
		{"cut", one[:100], 1152},
		{"one-and-junk", append(bytes.Clone(one), "TAG..."...), 1152},
		{"one-and-another-rate", append(bytes.Clone(one), "\xff\xfb\x94\x00"...), 1152},
		{"free-format", append([]byte("\xff\xfb\x00\x00"), one...), 1152},
	} {
		if h, samples, err := Frames(c.b); err != nil || samples != c.samples || h.SampleRate != 44100 {
			t.Errorf("%s: %d samples, error %v, want %d", c.name, samples, err, c.samples)
		}
	}
	if _, _, err := Frames([]byte("junk")); !errors.Is(err, ErrMalformed) {
		t.Errorf("junk: error %v, want %v", err, ErrMalformed)
	}
}

// Case mp3-rate: the rate comes from the frame header. The FLV flags know four
// rates only, so for 48 and 24 kHz they cannot be right.
func TestRate(t *testing.T) {
	for _, rate := range []int{48000, 44100, 32000, 24000, 22050, 16000} {
		t.Run("mp3-rate/"+strconv.Itoa(rate), func(t *testing.T) {
			src := "sine=d=0.3:sample_rate=" + strconv.Itoa(rate)
			frames := encode(t, src)
			for i, f := range frames {
				h, err := ParseHeader(f.Payload)
				if err != nil || h.SampleRate != rate || h.Channels != 1 || h.Layer != 3 || h.Size != len(f.Payload) {
					t.Fatalf("frame %d of %d bytes: %+v, error %v", i, len(f.Payload), h, err)
				}
			}
			if len(frames) < 4 {
				t.Errorf("only %d frames", len(frames))
			}
		})
	}
}

// encode gives MP3 frames that ffmpeg makes, in audio tag bodies whose flags
// say 44.1 kHz, right or wrong.
func encode(t *testing.T, source string) []flv.Info {
	t.Helper()
	args := strings.Fields("-v error -nostdin -f lavfi -i " + source + " -c:a libmp3lame -b:a 64k -write_xing 0 -id3v2_version 0 -f mp3 -")
	cmd := exec.CommandContext(t.Context(), "ffmpeg", args...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	b, err := cmd.Output()
	if err != nil {
		t.Fatalf("ffmpeg: %v\n%s", err, errs.String())
	}
	var frames []flv.Info
	for len(b) > 0 {
		h, err := ParseHeader(b)
		if err != nil || h.Size > len(b) {
			t.Fatalf("%+v, error %v, %d bytes left", h, err, len(b))
		}
		info, err := flv.Describe(media.TypeAudio, append([]byte{0x2E}, b[:h.Size]...)) // flags: 44.1 kHz, mono
		if err != nil || info.Rate != 44100 || info.Codec != media.CodecMP3 {
			t.Fatalf("%+v, error %v", info, err)
		}
		frames = append(frames, info)
		b = b[h.Size:]
	}
	return frames
}

func FuzzHeader(f *testing.F) {
	for _, c := range headerCases {
		f.Add([]byte(c.b))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ParseHeader(b)
		_, samples, errFrames := Frames(b)
		if (err == nil) != (errFrames == nil) {
			t.Fatalf("ParseHeader says %v, Frames %v", err, errFrames)
		}
		if err != nil {
			return
		}
		if h.SampleRate < 8000 || h.SampleRate > 48000 || h.Samples <= 0 || (h.Size < HeaderSize && h.BitRate != 0) {
			t.Fatalf("accepted %+v", h)
		}
		if samples < h.Samples || samples > (len(b)/HeaderSize+1)*1152 {
			t.Fatalf("%d samples in %d bytes", samples, len(b))
		}
	})
}
