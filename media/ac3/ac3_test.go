package ac3

import (
	"bytes"
	"encoding/json"
	"errors"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// headerCases feed TestParseHeader and the fuzz seeds.
var headerCases = []struct {
	name string
	b    string
	want Header
}{
	{
		"ac3-stereo-192k-48000", "\x0b\x77\x00\x00\x14\x40\x43",
		Header{SampleRate: 48000, Channels: 2, FrameSize: 768, Samples: 1536, DataRate: 192, BSID: 8, ACMOD: 2, BitRateCode: 10},
	},
	{
		"ac3-5.1-448k-48000", "\x0b\x77\x12\x34\x1e\x40\xe1",
		Header{SampleRate: 48000, Channels: 6, FrameSize: 1792, Samples: 1536, DataRate: 448, BSID: 8, ACMOD: 7, LFE: true, BitRateCode: 15},
	},
	{
		"ac3-mono-44100-padded", "\x0b\x77\x00\x00\x51\x42\x30",
		Header{SampleRate: 44100, Channels: 2, FrameSize: 558, Samples: 1536, DataRate: 128, FSCod: 1, BSID: 8, BSMOD: 2, ACMOD: 1, LFE: true, BitRateCode: 8},
	},
	{
		"ac3-640k-32000", "\x0b\x77\x00\x00\xa4\x40\x40",
		Header{SampleRate: 32000, Channels: 2, FrameSize: 3840, Samples: 1536, DataRate: 640, FSCod: 2, BSID: 8, ACMOD: 2, BitRateCode: 18},
	},
	{
		"ac3-dual-mono-lfe", "\x0b\x77\x00\x00\x14\x40\x10",
		Header{SampleRate: 48000, Channels: 3, FrameSize: 768, Samples: 1536, DataRate: 192, BSID: 8, LFE: true, BitRateCode: 10},
	},
	{
		"ac3-half-rate", "\x0b\x77\x00\x00\x14\x48\x40",
		Header{SampleRate: 24000, Channels: 2, FrameSize: 768, Samples: 1536, DataRate: 96, BSID: 9, ACMOD: 2, BitRateCode: 10},
	},
	{
		"eac3-stereo-six-blocks", "\x0b\x77\x01\x7f\x34\x80\x00",
		Header{EAC3: true, SampleRate: 48000, Channels: 2, FrameSize: 768, Samples: 1536, DataRate: 192, BSID: 16, ACMOD: 2},
	},
	{
		"eac3-5.1-one-block", "\x0b\x77\x00\x3f\x0f\x80\x00",
		Header{EAC3: true, SampleRate: 48000, Channels: 6, FrameSize: 128, Samples: 256, DataRate: 192, BSID: 16, ACMOD: 7, LFE: true},
	},
	{
		"eac3-reduced-rate", "\x0b\x77\x09\xff\xd4\x80\x00",
		Header{EAC3: true, SampleRate: 22050, Channels: 2, FrameSize: 1024, Samples: 1536, DataRate: 117, FSCod: 3, BSID: 16, ACMOD: 2, SubstreamID: 1},
	},
	{
		"eac3-dependent-back", "\x0b\x77\x40\x3f\x34\x80\x10\x20\x00",
		Header{EAC3: true, SampleRate: 48000, Channels: 2, FrameSize: 128, Samples: 1536, DataRate: 32, BSID: 16, ACMOD: 2, StreamType: Dependent, ChannelMap: 0x0200},
	},
}

func TestParseHeader(t *testing.T) {
	for _, c := range headerCases {
		t.Run(c.name, func(t *testing.T) {
			b := []byte(c.b)
			got, err := ParseHeader(b)
			if err != nil || got != c.want {
				t.Errorf("got %+v, error %v, want %+v", got, err, c.want)
			}
			for n := range HeaderSize {
				if _, err := ParseHeader(b[:n]); !errors.Is(err, ErrMalformed) {
					t.Errorf("%d bytes: error %v, want %v", n, err, ErrMalformed)
				}
			}
		})
	}
	for name, b := range map[string]string{
		"sync":              "\x0b\x78\x00\x00\x14\x40\x43",
		"little-endian":     "\x77\x0b\x00\x00\x14\x40\x43",
		"fscod":             "\x0b\x77\x00\x00\xd4\x40\x43",
		"frmsizecod":        "\x0b\x77\x00\x00\x26\x40\x43",
		"bsid":              "\x0b\x77\x00\x00\x14\x88\x43",
		"eac3-type":         "\x0b\x77\xc1\x7f\x34\x80\x00",
		"eac3-fscod2":       "\x0b\x77\x01\x7f\xf4\x80\x00",
		"eac3-frame-of-two": "\x0b\x77\x00\x00\x34\x80\x00",
	} {
		if h, err := ParseHeader([]byte(b)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: got %+v, error %v, want %v", name, h, err, ErrMalformed)
		}
	}
}

// frame fills a header up to the frame's size.
func frame(t *testing.T, name string) []byte {
	t.Helper()
	for _, c := range headerCases {
		if c.name == name {
			b := make([]byte, c.want.FrameSize)
			copy(b, c.b)
			return b
		}
	}
	t.Fatalf("no case %s", name)
	return nil
}

func TestParseUnit(t *testing.T) {
	ac3, eac3, short := frame(t, "ac3-stereo-192k-48000"), frame(t, "eac3-stereo-six-blocks"), frame(t, "eac3-5.1-one-block")
	dependent := frame(t, "eac3-dependent-back")
	other := bytes.Clone(eac3)
	other[2] |= 1 << 3 // another program
	for _, c := range []struct {
		name                       string
		b                          []byte
		frames, samples, dependent int
		channels                   uint16
	}{
		{"one", ac3, 1, 1536, 0, 0},
		{"two", bytes.Join([][]byte{ac3, ac3}, nil), 2, 3072, 0, 0},
		{"cut", ac3[:100], 1, 1536, 0, 0},
		{"trailing", append(bytes.Clone(ac3), "junk junk"...), 1, 1536, 0, 0},
		{"six-short", bytes.Repeat(short, 6), 6, 1536, 0, 0},
		{"7.1", bytes.Join([][]byte{eac3, dependent}, nil), 2, 1536, 1, 0x0200},
		{"another-program", bytes.Join([][]byte{eac3, other, dependent}, nil), 3, 1536, 0, 0},
	} {
		u, err := ParseUnit(c.b)
		if err != nil || u.Frames != c.frames || u.Samples != c.samples || u.Dependent != c.dependent || u.ChannelMap != c.channels {
			t.Errorf("%s: %+v, error %v", c.name, u, err)
		}
	}
	for want, b := range map[int][]byte{
		2: eac3, 4: append(bytes.Clone(eac3), dependent...), 6: short, 8: append(bytes.Clone(short), dependent...),
	} {
		if u, err := ParseUnit(b); err != nil || u.Channels() != want {
			t.Errorf("%d channels of %+v, error %v, want %d", u.Channels(), u, err, want)
		}
	}
	for _, b := range [][]byte{[]byte("junk"), dependent} {
		if _, err := ParseUnit(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("% x: error %v, want %v", b[:4], err, ErrMalformed)
		}
	}
}

// What ffmpeg makes is read as ffprobe reads it.
func TestEncoded(t *testing.T) {
	for _, c := range []struct {
		codec, layout string
		rate, kbps    int
	}{
		{"ac3", "stereo", 48000, 192},
		{"ac3", "mono", 44100, 96},
		{"ac3", "5.1(side)", 48000, 448},
		{"ac3", "5.1(side)", 32000, 384},
		{"eac3", "stereo", 48000, 128},
		{"eac3", "5.1(side)", 44100, 256},
	} {
		name := c.codec + "-" + c.layout + "-" + strconv.Itoa(c.rate)
		t.Run(name, func(t *testing.T) {
			args := "-v error -nostdin -f lavfi -i anoisesrc=d=0.5:r=" + strconv.Itoa(c.rate) + ",aformat=channel_layouts=" + c.layout +
				" -c:a " + c.codec + " -b:a " + strconv.Itoa(c.kbps) + "k -f " + c.codec + " -"
			b := run(t, nil, "ffmpeg", strings.Fields(args)...)
			var probed struct {
				Streams []struct {
					Rate     string `json:"sample_rate"`
					Channels int
				}
				Packets []struct {
					Size string
				}
			}
			out := run(t, b, "ffprobe", "-v", "error", "-show_streams", "-show_packets", "-of", "json", "-f", c.codec, "-")
			if err := json.Unmarshal(out, &probed); err != nil {
				t.Fatal(err)
			}
			want := probed.Streams[0]
			for i, p := range probed.Packets {
				h, err := ParseHeader(b)
				if err != nil || h.EAC3 != (c.codec == "eac3") || strconv.Itoa(h.SampleRate) != want.Rate ||
					h.Channels != want.Channels || strconv.Itoa(h.FrameSize) != p.Size || h.Samples != 1536 {
					t.Fatalf("frame %d: %+v, error %v, ffprobe says %+v, %+v", i, h, err, want, p)
				}
				if h.DataRate < c.kbps-1 || h.DataRate > c.kbps+1 {
					t.Fatalf("frame %d: %d kbit/s, want %d", i, h.DataRate, c.kbps)
				}
				b = b[h.FrameSize:]
			}
			if len(b) > 0 || len(probed.Packets) < 10 {
				t.Errorf("%d bytes are left after %d frames", len(b), len(probed.Packets))
			}
		})
	}
}

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

func FuzzParseUnit(f *testing.F) {
	for _, c := range headerCases {
		f.Add([]byte(c.b))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ParseHeader(b)
		u, errUnit := ParseUnit(b)
		if err != nil {
			if errUnit == nil {
				t.Fatalf("ParseHeader says %v", err)
			}
			return
		}
		if h.SampleRate < 8000 || h.SampleRate > 48000 || h.FrameSize < HeaderSize || h.FrameSize > 4096 ||
			h.Channels < 1 || h.Channels > 6 || h.Samples < BlockSamples || h.Samples > 1536 {
			t.Fatalf("accepted %+v", h)
		}
		if errUnit == nil && (u.Samples < h.Samples || u.Samples > (len(b)/HeaderSize+1)*1536 || u.Dependent > 8) {
			t.Fatalf("%+v of %d bytes", u, len(b))
		}
	})
}
