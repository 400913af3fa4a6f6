package opus

import (
	"bytes"
	"errors"
	"os/exec"
	"strings"
	"testing"
)

// headCases feed TestParseHead and the fuzz seeds; b is without the magic.
var headCases = []struct {
	name string
	b    string
	want Head
}{
	{
		"stereo", "\x01\x02\x38\x01\x80\xbb\x00\x00\x00\x00\x00",
		Head{Channels: 2, PreSkip: 312, InputRate: 48000, Streams: 1, Coupled: 1},
	},
	{
		"mono-gain-version-0", "\x00\x01\x00\x0f\x44\xac\x00\x00\x00\xff\x00",
		Head{Channels: 1, PreSkip: 3840, InputRate: 44100, Gain: -256, Streams: 1},
	},
	{
		"5.1", "\x01\x06\x38\x01\x80\xbb\x00\x00\x00\x00\x01\x04\x02\x00\x04\x01\x02\x03\x05",
		Head{Channels: 6, PreSkip: 312, InputRate: 48000, MappingFamily: 1, Streams: 4, Coupled: 2, Mapping: []byte{0, 4, 1, 2, 3, 5}},
	},
	{
		"silent-channel", "\x01\x02\x00\x00\x00\x00\x00\x00\x00\x00\xff\x01\x00\x00\xff",
		Head{Channels: 2, MappingFamily: 255, Streams: 1, Mapping: []byte{0, 255}},
	},
	{
		"ambisonics", "\x01\x04\x00\x00\x80\xbb\x00\x00\x00\x00\x03\x02\x02" + strings.Repeat("\x00", 32),
		Head{Channels: 4, InputRate: 48000, MappingFamily: 3, Streams: 2, Coupled: 2},
	},
}

func same(a, b Head) bool {
	mapping := bytes.Equal(a.Mapping, b.Mapping)
	a.Mapping, b.Mapping = nil, nil
	return mapping && a.Channels == b.Channels && a.PreSkip == b.PreSkip && a.InputRate == b.InputRate &&
		a.Gain == b.Gain && a.MappingFamily == b.MappingFamily && a.Streams == b.Streams && a.Coupled == b.Coupled
}

func TestParseHead(t *testing.T) {
	for _, c := range headCases {
		t.Run(c.name, func(t *testing.T) {
			for _, prefix := range []string{"", "OpusHead"} {
				got, err := ParseHead([]byte(prefix + c.b))
				if err != nil || !same(got, c.want) {
					t.Errorf("got %+v, error %v, want %+v", got, err, c.want)
				}
				need := len(c.b)
				if c.want.MappingFamily == familyProjection {
					need = 13
				}
				for n := range need {
					if _, err := ParseHead([]byte(prefix + c.b[:n])); !errors.Is(err, ErrMalformed) {
						t.Fatalf("%d bytes: error %v, want %v", n, err, ErrMalformed)
					}
				}
			}
		})
	}
	for name, b := range map[string]string{
		"version":          "\x10\x02\x38\x01\x80\xbb\x00\x00\x00\x00\x00",
		"no-channel":       "\x01\x00\x38\x01\x80\xbb\x00\x00\x00\x00\x00",
		"family-0-three":   "\x01\x03\x38\x01\x80\xbb\x00\x00\x00\x00\x00",
		"family-1-nine":    "\x01\x09\x38\x01\x80\xbb\x00\x00\x00\x00\x01\x09\x00" + strings.Repeat("\x00", 9),
		"no-stream":        "\x01\x02\x38\x01\x80\xbb\x00\x00\x00\x00\x01\x00\x00\x00\x00",
		"coupled":          "\x01\x02\x38\x01\x80\xbb\x00\x00\x00\x00\x01\x01\x02\x00\x00",
		"256-decoded":      "\x01\x02\x38\x01\x80\xbb\x00\x00\x00\x00\x01\x80\x80\x00\x00",
		"channel-unmapped": "\x01\x02\x38\x01\x80\xbb\x00\x00\x00\x00\x01\x01\x01\x00\x02",
	} {
		if h, err := ParseHead([]byte(b)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: got %+v, error %v, want %v", name, h, err, ErrMalformed)
		}
	}
}

// Every configuration of RFC 6716 table 2, in ms/10.
func TestSamples(t *testing.T) {
	durations := [32]int{
		100, 200, 400, 600, 100, 200, 400, 600, 100, 200, 400, 600, 100, 200, 100, 200,
		25, 50, 100, 200, 25, 50, 100, 200, 25, 50, 100, 200, 25, 50, 100, 200,
	}
	for config, want := range durations {
		want = want * 48 / 10
		for code, packet := range [][]byte{{0}, {1}, {2}, {3, 2}} {
			packet[0] |= byte(config<<3) | 4
			frames := min(code, 1) + 1
			if n, err := Samples(packet); n != frames*want || err != nil {
				t.Errorf("configuration %d, code %d: %d samples, error %v, want %d", config, code, n, err, frames*want)
			}
		}
	}
	for name, packet := range map[string]string{"empty": "", "no-count": "\x03", "count-0": "\x03\x00", "180ms": "\x1b\x03", "49-frames": "\x83\x31"} {
		if n, err := Samples([]byte(packet)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %d samples, error %v", name, n, err)
		}
	}
	if n, err := Samples([]byte("\x83\x30")); n != MaxSamples || err != nil {
		t.Errorf("48 frames of 2.5 ms: %d samples, error %v", n, err)
	}
}

// The header that libopus writes, in Ogg, and packets of another duration.
func TestEncoded(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "ffmpeg", strings.Fields("-v error -nostdin -f lavfi -i anoisesrc=d=1:r=48000,"+
		"aformat=channel_layouts=5.1 -c:a libopus -mapping_family 1 -frame_duration 40 -f ogg -")...)
	b, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(b, []byte("OpusHead"))
	if at < 0 {
		t.Fatal("no header")
	}
	h, err := ParseHead(b[at : at+8+11+2+6])
	if err != nil || h.Channels != 6 || h.MappingFamily != FamilyVorbis || h.Streams != 4 || h.Coupled != 2 || h.PreSkip == 0 {
		t.Errorf("%+v, error %v", h, err)
	}
}

func FuzzParseHead(f *testing.F) {
	for _, c := range headCases {
		f.Add([]byte(c.b))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, err := ParseHead(b); err == nil {
			if h.Channels < 1 || h.Streams == 0 || h.Coupled > h.Streams || h.Mapping != nil && len(h.Mapping) != h.Channels {
				t.Fatalf("accepted %+v", h)
			}
		}
		if n, err := Samples(b); err == nil && (n < 120 || n > MaxSamples) {
			t.Fatalf("%d samples", n)
		}
	})
}
