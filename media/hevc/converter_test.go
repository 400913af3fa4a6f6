package hevc

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"tmms/media"
)

func converter(t *testing.T, size int) *Converter {
	t.Helper()
	cfg, err := ParseConfig(record(size, one(testVPS), one(testSPS), one(testPPS)))
	if err != nil {
		t.Fatal(err)
	}
	c, err := NewConverter(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Cases aud-once and sps-pps-each-idr. Requirement: S13: a keyframe carries what
// is needed to decode it.
func TestConverter(t *testing.T) {
	otherPPS := append(bytes.Clone(testPPS), 0x80) // id 0 too
	second := func(n []byte) []byte { return append([]byte{n[0], n[1] | 8}, n[2:]...) }
	tsaN := []byte("\x04\x02\xd0\x09") // temporal id 1
	tsaAUD := []byte("\x46\x02\x50")
	for _, c := range []struct {
		name string
		in   [][]byte
		key  bool
		want [][]byte
	}{
		{"aud-once/none", one(testSlice), false, one(testAUD, testSlice)},
		{"aud-once/one", one(testAUD, testSlice), false, one(testAUD, testSlice)},
		{"aud-once/two-and-late", one(testSEI, testAUD, testAUD, testSlice), false, one(testAUD, testSEI, testSlice)},
		{"aud-once/temporal-id", one(testSEI, tsaN), false, one(tsaAUD, testSEI, tsaN)},
		{"sps-pps-each-idr/none", one(testIDR), true, one(testAUD, testVPS, testSPS, testPPS, testIDR)},
		{
			"sps-pps-each-idr/in-band", one(testAUD, testVPS, testSPS, testPPS, testSEI, testIDR), true,
			one(testAUD, testVPS, testSPS, testPPS, testSEI, testIDR),
		},
		{
			"sps-pps-each-idr/in-band-twice-behind-sei", one(testSEI, testPPS, testSPS, testPPS, testIDR, testIDR), true,
			one(testAUD, testVPS, testSPS, testPPS, testSEI, testIDR, testIDR),
		},
		{"sps-pps-each-idr/changed", one(otherPPS, testIDR), true, one(testAUD, testVPS, testSPS, otherPPS, testIDR)},
		{"sps-pps-each-idr/added", one(testPPS1, testIDR), true, one(testAUD, testVPS, testSPS, testPPS, testPPS1, testIDR)},
		{"sps-pps-each-idr/cra-without-flag", one(testCRA), false, one(testAUD, testVPS, testSPS, testPPS, testCRA)},
		{"key-without-irap", one(testSlice), true, one(testAUD, testVPS, testSPS, testPPS, testSlice)}, // the flag is trusted
		{"delta-with-sets", one(testPPS, testSlice), false, one(testAUD, testPPS, testSlice)},
		{"second-layer", one(second(testSPS), testIDR), true, one(testAUD, testVPS, testSPS, testPPS, second(testSPS), testIDR)},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, size := range []int{1, 2, 4} {
				conv := converter(t, size)
				got, err := conv.Append([]byte("x"), prefixed(size, c.in...), c.key)
				if want := annexB([]byte("x"), c.want...); err != nil || !bytes.Equal(got, want) {
					t.Errorf("length size %d: got %s: % x, error %v, want %s: % x", size, show(got), got, err, show(want), want)
				}
				if conv.Dropped() != 0 {
					t.Errorf("%d dropped, want 0", conv.Dropped())
				}
				if key := c.key || strings.HasPrefix(c.name, "sps-pps-each-idr"); conv.Keyframe() != key {
					t.Errorf("keyframe: %v, want %v", conv.Keyframe(), key)
				}
			}
		})
	}
}

// malformedCases are access units with lengths of one byte.
var malformedCases = []struct {
	name    string
	payload string
	want    string // NAL units of two bytes; empty: refused
	dropped int
}{
	{"zero-length", "\x00\x02\x02\x01\x00", "\x02\x01", 2},
	{"one-byte", "\x01\x02\x02\x02\x01", "\x02\x01", 1},
	{"overlong", "\x02\x02\x01\x05\x02\x01", "\x02\x01", 1},
	{"only-overlong", "\x05\x02\x01", "", 1},
	{"only-one-byte", "\x01\x02", "", 1},
	{"only-zero", "\x00\x00", "", 2},
	{"empty", "", "", 0},
}

// Requirement: S14: malformed lengths. Case avcc: dropped and counted.
func TestConverterMalformed(t *testing.T) {
	for _, c := range malformedCases {
		conv := converter(t, 1)
		got, err := conv.Append([]byte("x"), []byte(c.payload), false)
		if conv.Dropped() != uint64(c.dropped) {
			t.Errorf("%s: %d dropped, want %d", c.name, conv.Dropped(), c.dropped)
		}
		if c.want == "" {
			if !errors.Is(err, ErrMalformed) || string(got) != "x" {
				t.Errorf("%s: got %q, error %v, want %v", c.name, got, err, ErrMalformed)
			}
			continue
		}
		if want := annexB([]byte("x"), testAUD, []byte(c.want)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: got % x, error %v, want % x", c.name, got, err, want)
		}
	}
	t.Run("bad-sets", func(t *testing.T) {
		conv := converter(t, 4)
		huge := append(bytes.Clone(testPPS1), make([]byte, media.MaxCodecConfig)...)
		got, err := conv.Append(nil, prefixed(4, []byte{0x42, 1}, []byte{0x44, 1, 0}, huge, testIDR), true)
		if want := annexB(nil, testAUD, testVPS, testSPS, testPPS, testIDR); err != nil || !bytes.Equal(got, want) {
			t.Errorf("got %s, error %v", show(got), err)
		}
		if conv.Dropped() != 3 {
			t.Errorf("%d dropped, want 3", conv.Dropped())
		}
	})
	t.Run("too-many", func(t *testing.T) {
		payload := bytes.Repeat([]byte("\x02\x02\x01"), media.MaxNALUs+1)
		if _, err := converter(t, 1).Append(nil, payload, false); !errors.Is(err, ErrMalformed) {
			t.Errorf("error %v, want %v", err, ErrMalformed)
		}
	})
}

func TestConverterAllocs(t *testing.T) {
	conv := converter(t, 4)
	in := prefixed(4, testAUD, testVPS, testSPS, testPPS, testIDR)
	dst := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() { dst, _ = conv.Append(dst[:0], in, true) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

// Requirement: S14: never a panic. What comes out starts with one delimiter and
// is not much longer than what went in.
func FuzzConverter(f *testing.F) {
	for _, c := range malformedCases {
		f.Add(byte(0), []byte(c.payload), true)
	}
	f.Add(byte(2), prefixed(4, testAUD, testVPS, testSPS, testPPS, testPPS1, testIDR), false)
	f.Fuzz(func(t *testing.T, size byte, payload []byte, key bool) {
		conv := converter(t, 1<<(size%3))
		out, err := conv.Append(nil, payload, key)
		if err != nil {
			if !errors.Is(err, ErrMalformed) || len(out) > 0 {
				t.Fatalf("error %v, %d bytes", err, len(out))
			}
			return
		}
		if !bytes.HasPrefix(out, []byte("\x00\x00\x00\x01\x46")) {
			t.Fatalf("starts with % x", out[:min(len(out), 32)])
		}
		if bound := 5*len(payload) + 1024; len(out) > bound {
			t.Fatalf("%d bytes became %d, more than %d", len(payload), len(out), bound)
		}
	})
}
