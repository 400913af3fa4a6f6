package hevc

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"tmms/media"
)

func one(nalus ...[]byte) [][]byte { return nalus }

// Case avcc: length sizes 1, 2, 4, several parameter sets.
func TestParseConfig(t *testing.T) {
	for _, c := range []struct {
		name   string
		size   int
		arrays [][][]byte
	}{
		{"length-1", 1, [][][]byte{one(testVPS), one(testSPS), one(testPPS)}},
		{"length-2", 2, [][][]byte{one(testVPS), one(testSPS), one(testPPS)}},
		{"length-4", 4, [][][]byte{one(testPPS), one(testSPS), one(testVPS)}},
		{"several", 4, [][][]byte{one(testVPS), one(testSPS, testSPS), one(testPPS, testPPS1)}},
		{"sei", 4, [][][]byte{one(testVPS), one(testSEI), one(testSPS), one(testPPS)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := record(c.size, c.arrays...)
			cfg, err := ParseConfig(append(bytes.Clone(b), "trailing"...))
			if err != nil {
				t.Fatal(err)
			}
			if cfg.LengthSize != c.size || !bytes.Equal(cfg.VPS[0], testVPS) || !bytes.Equal(cfg.SPS[0], testSPS) ||
				!bytes.Equal(cfg.PPS[0], testPPS) || cfg.Level != 93 || cfg.BitDepthLuma != 8 || cfg.ChromaFormat != 1 {
				t.Errorf("got %+v", cfg)
			}
			if got := cfg.Codec(); got != "hvc1.1.6.L93.B0" {
				t.Errorf("codec %s, want hvc1.1.6.L93.B0", got)
			}
			for n := range b {
				if _, err := ParseConfig(b[:n]); !errors.Is(err, ErrMalformed) {
					t.Fatalf("%d of %d bytes: error %v, want %v", n, len(b), err, ErrMalformed)
				}
			}
			cfg, _ = ParseConfig(b)
			clear(b)
			if !bytes.Equal(cfg.SPS[0], testSPS) {
				t.Error("the configuration shares memory with its input")
			}
		})
	}
	full := [][][]byte{one(testVPS), one(testSPS), one(testPPS)}
	for name, b := range map[string][]byte{
		"length-3":   record(3, full...),
		"version":    append([]byte{0}, record(4, full...)[1:]...),
		"no-vps":     record(4, full[1:]...),
		"no-sps":     record(4, full[0], full[2]),
		"no-pps":     record(4, full[:2]...),
		"mixed":      record(4, one(testVPS, testSPS), full[1], full[2]),
		"short-unit": record(4, full[0], one([]byte{0x42}), full[2]),
		"empty-unit": record(4, full[0], one(nil), full[2]),
		"huge":       append(record(4, full...), make([]byte, media.MaxCodecConfig)...),
	} {
		if _, err := ParseConfig(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: error %v, want %v", name, err, ErrMalformed)
		}
	}
}

// The names of ISO/IEC 14496-15 section E.3.
func TestCodec(t *testing.T) {
	for want, c := range map[string]Config{
		"hvc1.1.6.L93.B0":            {Profile: 1, Compatibility: 0x60000000, Level: 93, Constraints: [6]byte{0xB0}},
		"hvc1.2.4.H153.90":           {Profile: 2, Compatibility: 0x20000000, Level: 153, Constraints: [6]byte{0x90}, HighTier: true},
		"hvc1.B4.10.L120.8.0.23":     {Profile: 4, ProfileSpace: 2, Compatibility: 0x08000000, Level: 120, Constraints: [6]byte{8, 0, 0x23}},
		"hvc1.1.80000000.L30":        {Profile: 1, Compatibility: 1, Level: 30},
		"hvc1.A31.0.L30.1.2.3.4.5.6": {Profile: 31, ProfileSpace: 1, Level: 30, Constraints: [6]byte{1, 2, 3, 4, 5, 6}},
	} {
		if got := c.Codec(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add(record(4, one(testVPS), one(testSPS), one(testPPS)))
	f.Add(record(1, one(testVPS), one(testSEI), one(testSPS, testSPS), one(testPPS, testPPS1)))
	f.Fuzz(func(t *testing.T, b []byte) {
		cfg, err := ParseConfig(b)
		if err != nil {
			return
		}
		if len(cfg.VPS) == 0 || len(cfg.SPS) == 0 || len(cfg.PPS) == 0 || cfg.LengthSize == 3 || !strings.HasPrefix(cfg.Codec(), "hvc1.") {
			t.Fatalf("accepted %+v", cfg)
		}
		for _, s := range cfg.SPS {
			_, _ = ParseSPS(s)
		}
		_, _ = NewConverter(cfg)
	})
}
