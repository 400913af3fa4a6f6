package h264

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"tmms/media"
)

// Parameter sets of a Baseline level 3.0 picture and a PPS each for the ids 0 and 1.
var (
	testSPS  = []byte("\x67\x42\xc0\x1e\xd9\x00\xa0\x47\xfe\x88")
	testPPS  = []byte("\x68\xce\x3c\x80")
	testPPS1 = []byte("\x68\x5e\x3c\x80")
)

// record makes a configuration record.
func record(lengthSize int, sps, pps [][]byte) []byte {
	b := []byte{1, 0x42, 0xc0, 0x1e, 0xFC | byte(lengthSize-1), 0xE0 | byte(len(sps))}
	for _, s := range sps {
		b = append(append(b, byte(len(s)>>8), byte(len(s))), s...)
	}
	b = append(b, byte(len(pps)))
	for _, p := range pps {
		b = append(append(b, byte(len(p)>>8), byte(len(p))), p...)
	}
	return b
}

// CASES avcc: length sizes 1, 2, 4, several SPS and PPS.
func TestParseConfig(t *testing.T) {
	sps1 := []byte("\x67\x42\xc0\x1e\x6d\x90\x0a\x04\x7f\xe8\x80")
	for _, c := range []struct {
		name     string
		size     int
		sps, pps [][]byte
	}{
		{"length-1", 1, [][]byte{testSPS}, [][]byte{testPPS}},
		{"length-2", 2, [][]byte{testSPS}, [][]byte{testPPS}},
		{"length-4", 4, [][]byte{testSPS}, [][]byte{testPPS}},
		{"several", 4, [][]byte{testSPS, sps1}, [][]byte{testPPS, testPPS1, testPPS}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := record(c.size, c.sps, c.pps)
			for _, tail := range []string{"", "\xfd\xf8\xf8\x00"} { // the tail of a High profile
				cfg, err := ParseConfig(append(bytes.Clone(b), tail...))
				if err != nil {
					t.Fatal(err)
				}
				if cfg.LengthSize != c.size || !equal(cfg.SPS, c.sps) || !equal(cfg.PPS, c.pps) {
					t.Errorf("got %+v", cfg)
				}
				if got := cfg.CodecString(); got != "avc1.42c01e" {
					t.Errorf("codec string %s, want avc1.42c01e", got)
				}
			}
			for n := range b {
				if _, err := ParseConfig(b[:n]); !errors.Is(err, ErrMalformed) {
					t.Fatalf("%d of %d bytes: error %v, want %v", n, len(b), err, ErrMalformed)
				}
			}
			cfg, _ := ParseConfig(b)
			clear(b)
			if !equal(cfg.SPS, c.sps) {
				t.Error("the configuration shares memory with its input")
			}
		})
	}
	for name, b := range map[string][]byte{
		"length-3":  record(3, [][]byte{testSPS}, [][]byte{testPPS}),
		"version":   append([]byte{0}, record(4, [][]byte{testSPS}, [][]byte{testPPS})[1:]...),
		"no-sps":    record(4, nil, [][]byte{testPPS}),
		"no-pps":    record(4, [][]byte{testSPS}, nil),
		"swapped":   record(4, [][]byte{testPPS}, [][]byte{testSPS}),
		"empty-sps": record(4, [][]byte{{}}, [][]byte{testPPS}),
		"huge":      append(record(4, [][]byte{testSPS}, [][]byte{testPPS}), make([]byte, media.MaxCodecConfig)...),
	} {
		if _, err := ParseConfig(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: error %v, want %v", name, err, ErrMalformed)
		}
	}
}

func equal(a, b [][]byte) bool {
	return bytes.Equal(bytes.Join(a, []byte("|")), bytes.Join(b, []byte("|")))
}

func FuzzParseConfig(f *testing.F) {
	f.Add(record(4, [][]byte{testSPS}, [][]byte{testPPS}))
	f.Add(record(1, [][]byte{testSPS, testSPS}, [][]byte{testPPS, testPPS1}))
	f.Fuzz(func(t *testing.T, b []byte) {
		cfg, err := ParseConfig(b)
		if err != nil {
			return
		}
		if len(cfg.SPS) == 0 || len(cfg.PPS) == 0 || cfg.LengthSize == 3 || !strings.HasPrefix(cfg.CodecString(), "avc1.") {
			t.Fatalf("accepted %+v", cfg)
		}
		for _, s := range cfg.SPS {
			_, _ = ParseSPS(s)
		}
		_, _ = NewConverter(cfg)
	})
}
