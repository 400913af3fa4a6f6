package h264

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"tmms/media"
	"tmms/media/nal"
)

// avcc joins NAL units with lengths of the size.
func avcc(size int, nalus ...[]byte) []byte {
	var b []byte
	for _, n := range nalus {
		for i := size - 1; i >= 0; i-- {
			b = append(b, byte(len(n)>>(8*i)))
		}
		b = append(b, n...)
	}
	return b
}

func converter(t *testing.T, size int, sps, pps [][]byte) *Converter {
	t.Helper()
	cfg, err := ParseConfig(record(size, sps, pps))
	if err != nil {
		t.Fatal(err)
	}
	c, err := NewConverter(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var (
	testAUD   = []byte("\x09\xf0")
	testIDR   = []byte("\x65\x88\x84")
	testSlice = []byte("\x41\x9a\x02")
	testSEI   = []byte("\x06\x05\x01\x00\x80")
)

// Cases aud-once and sps-pps-each-idr. Requirement: S13: a keyframe carries what
// is needed to decode it.
func TestConverter(t *testing.T) {
	otherPPS := []byte("\x68\xce\x3c\x81") // id 0 too
	for _, c := range []struct {
		name string
		in   [][]byte
		key  bool
		want [][]byte
	}{
		{"aud-once/none", [][]byte{testSlice}, false, [][]byte{testAUD, testSlice}},
		{"aud-once/one", [][]byte{testAUD, testSlice}, false, [][]byte{testAUD, testSlice}},
		{"aud-once/two-and-late", [][]byte{testSEI, testAUD, testAUD, testSlice}, false, [][]byte{testAUD, testSEI, testSlice}},
		{"sps-pps-each-idr/none", [][]byte{testIDR}, true, [][]byte{testAUD, testSPS, testPPS, testIDR}},
		{
			"sps-pps-each-idr/in-band",
			[][]byte{testAUD, testSPS, testPPS, testSEI, testIDR},
			true,
			[][]byte{testAUD, testSPS, testPPS, testSEI, testIDR},
		},
		{
			"sps-pps-each-idr/in-band-twice-behind-sei",
			[][]byte{testSEI, testSPS, testPPS, testSPS, testPPS, testIDR, testIDR},
			true,
			[][]byte{testAUD, testSPS, testPPS, testSEI, testIDR, testIDR},
		},
		{"sps-pps-each-idr/only-pps", [][]byte{testPPS, testIDR}, true, [][]byte{testAUD, testSPS, testPPS, testIDR}},
		{"sps-pps-each-idr/changed", [][]byte{otherPPS, testIDR}, true, [][]byte{testAUD, testSPS, otherPPS, testIDR}},
		{"sps-pps-each-idr/added", [][]byte{testPPS1, testIDR}, true, [][]byte{testAUD, testSPS, testPPS, testPPS1, testIDR}},
		{"sps-pps-each-idr/idr-without-flag", [][]byte{testIDR}, false, [][]byte{testAUD, testSPS, testPPS, testIDR}},
		{"key-without-idr", [][]byte{testSlice}, true, [][]byte{testAUD, testSPS, testPPS, testSlice}}, // the flag is trusted
		{"delta-with-sets", [][]byte{testPPS, testSlice}, false, [][]byte{testAUD, testPPS, testSlice}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, size := range []int{1, 2, 4} {
				conv := converter(t, size, [][]byte{testSPS}, [][]byte{testPPS})
				got, err := conv.Append([]byte("x"), avcc(size, c.in...), c.key)
				if want := nal.AppendAnnexB([]byte("x"), c.want...); err != nil || !bytes.Equal(got, want) {
					t.Errorf("length size %d: got % x, error %v, want % x", size, got, err, want)
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
	t.Run("sps-pps-each-idr/several", func(t *testing.T) {
		conv := converter(t, 4, [][]byte{testSPS}, [][]byte{testPPS, testPPS1})
		got, err := conv.Append(nil, avcc(4, testIDR), true)
		if want := nal.AppendAnnexB(nil, testAUD, testSPS, testPPS, testPPS1, testIDR); err != nil || !bytes.Equal(got, want) {
			t.Errorf("got % x, error %v, want % x", got, err, want)
		}
	})
	t.Run("changed-sets-stay", func(t *testing.T) {
		conv := converter(t, 4, [][]byte{testSPS}, [][]byte{testPPS})
		if _, err := conv.Append(nil, avcc(4, otherPPS, testSlice), false); err != nil {
			t.Fatal(err)
		}
		got, err := conv.Append(nil, avcc(4, testIDR), true)
		if want := nal.AppendAnnexB(nil, testAUD, testSPS, otherPPS, testIDR); err != nil || !bytes.Equal(got, want) {
			t.Errorf("got % x, error %v, want % x", got, err, want)
		}
	})
}

// Requirement: S14: malformed lengths. Case avcc: dropped and counted.
func TestConverterMalformed(t *testing.T) {
	for _, c := range splitCases {
		if c.size != 1 && c.size != 2 && c.size != 4 {
			continue
		}
		conv := converter(t, c.size, [][]byte{testSPS}, [][]byte{testPPS})
		got, err := conv.Append([]byte("x"), []byte(c.payload), false)
		if conv.Dropped() != uint64(c.dropped) {
			t.Errorf("%s: %d dropped, want %d", c.name, conv.Dropped(), c.dropped)
		}
		if c.want == nil {
			if !errors.Is(err, ErrMalformed) || string(got) != "x" {
				t.Errorf("%s: got %q, error %v, want %v", c.name, got, err, ErrMalformed)
			}
			continue
		}
		want := nal.AppendAnnexB([]byte("x"), testAUD)
		for _, n := range c.want {
			want = nal.AppendAnnexB(want, []byte(n))
		}
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: got % x, error %v, want % x", c.name, got, err, want)
		}
	}
	t.Run("bad-sets", func(t *testing.T) {
		conv := converter(t, 4, [][]byte{testSPS}, [][]byte{testPPS})
		huge := append(slices.Clone(testPPS1), make([]byte, media.MaxCodecConfig)...)
		got, err := conv.Append(nil, avcc(4, []byte{0x67}, []byte{0x68, 0}, huge, testIDR), true)
		if want := nal.AppendAnnexB(nil, testAUD, testSPS, testPPS, testIDR); err != nil || !bytes.Equal(got, want) {
			t.Errorf("got % x, error %v, want % x", head(got), err, want)
		}
		if conv.Dropped() != 3 {
			t.Errorf("%d dropped, want 3", conv.Dropped())
		}
	})
	t.Run("too-many", func(t *testing.T) {
		conv := converter(t, 1, [][]byte{testSPS}, [][]byte{testPPS})
		if _, err := conv.Append(nil, bytes.Repeat([]byte("\x01a"), media.MaxNALUs+1), false); !errors.Is(err, ErrMalformed) {
			t.Errorf("error %v, want %v", err, ErrMalformed)
		}
	})
}

func head(b []byte) []byte { return b[:min(len(b), 64)] }

func TestConverterAllocs(t *testing.T) {
	conv := converter(t, 4, [][]byte{testSPS}, [][]byte{testPPS})
	in := avcc(4, testAUD, testSPS, testPPS, testIDR)
	dst := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() { dst, _ = conv.Append(dst[:0], in, true) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

// Requirement: S14: never a panic. What comes out starts with one delimiter and
// is not much longer than what went in.
func FuzzConverter(f *testing.F) {
	for _, c := range splitCases {
		f.Add(byte(c.size), []byte(c.payload), true)
	}
	f.Add(byte(4), avcc(4, testAUD, testSPS, testPPS, testPPS1, testIDR), false)
	f.Fuzz(func(t *testing.T, size byte, payload []byte, key bool) {
		nalus, dropped, err := Split(nil, payload, int(size))
		if size != 1 && size != 2 && size != 4 {
			if err == nil {
				t.Fatalf("length size %d was accepted", size)
			}
			return
		}
		conv := converter(t, int(size), [][]byte{testSPS}, [][]byte{testPPS})
		out, errOut := conv.Append(nil, payload, key)
		if (err == nil) != (errOut == nil) {
			t.Fatalf("Split says %v, the converter %v", err, errOut)
		}
		if err != nil {
			return
		}
		if !bytes.HasPrefix(out, []byte(aud)) {
			t.Fatalf("starts with % x", head(out))
		}
		if uint64(dropped) > conv.Dropped() {
			t.Fatalf("Split dropped %d, the converter %d", dropped, conv.Dropped())
		}
		if bound := 2*len(payload) + 5*len(nalus) + 64; len(out) > bound {
			t.Fatalf("%d bytes became %d, more than %d", len(payload), len(out), bound)
		}
	})
}
