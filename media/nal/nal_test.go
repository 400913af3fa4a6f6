package nal

import (
	"testing"

	"tmms/media"
)

func TestAppendAnnexB(t *testing.T) {
	if got := AppendAnnexB([]byte("x"), []byte("ab"), []byte("c")); string(got) != "x\x00\x00\x00\x01ab\x00\x00\x00\x01c" {
		t.Errorf("got %q", got)
	}
}

func TestAppendRBSP(t *testing.T) {
	for in, want := range map[string]string{
		"":                         "",
		"\x00\x00\x03":             "\x00\x00",
		"\x00\x00\x03\x01":         "\x00\x00\x01",
		"\x00\x00\x03\x00\x00\x03": "\x00\x00\x00\x00",
		"\x00\x03\x00\x03":         "\x00\x03\x00\x03",
		"\x00\x00\x00\x03":         "\x00\x00\x00",
		"\x00\x00\x03\x03":         "\x00\x00\x03",
	} {
		if got := AppendRBSP(nil, []byte(in)); string(got) != want {
			t.Errorf("% x became % x, want % x", in, got, want)
		}
	}
}

// The codes of H.264 table 9-2, and what has no code.
func TestBits(t *testing.T) {
	r := NewBits([]byte{0b1_010_011_0, 0b0100_0010, 0b1_00110_00, 0b111_00000})
	for i, want := range []uint32{0, 1, 2, 3, 4, 5, 6} {
		if got := r.UE(); got != want {
			t.Errorf("code %d is %d, want %d", i, got, want)
		}
	}
	if r.Short() {
		t.Error("short before the end")
	}
	r = NewBits([]byte{0b1_010_011_0, 0b0100_0010, 0b1_0000000})
	for i, want := range []int32{0, 1, -1, 2, -2} {
		if got := r.SE(); got != want {
			t.Errorf("signed code %d is %d, want %d", i, got, want)
		}
	}
	r = NewBits([]byte{0xA5, 0xF0})
	r.Skip(3)
	if got := r.U(9); got != 0b0_0101_1111 || r.Short() {
		t.Errorf("nine bits are %b", got)
	}
	r.Skip(5)
	if !r.Short() || r.U(32) != 0 || r.Flag() || r.UE() != 0 {
		t.Error("there is something behind the end")
	}
	if r := NewBits(make([]byte, 8)); r.UE() != 0 || !r.Short() {
		t.Error("64 zeros are a code")
	}
}

func TestSetsAreBounded(t *testing.T) {
	var s Sets
	half := make([]byte, media.MaxCodecConfig/2)
	for i := range 4 {
		if total, ok := s.Put(i%MaxKinds, uint32(i), half); ok != (i < 2) || total > media.MaxCodecConfig+len(half) {
			t.Errorf("set %d: %v, %d bytes", i, ok, total)
		}
	}
	if _, ok := s.Put(0, 0, half[1:]); !ok {
		t.Error("a smaller set in place of one is refused")
	}
	if n := len(s.Append(nil)); n != 2*len(half)-1+8 {
		t.Errorf("%d bytes of sets", n)
	}
}

// FuzzAccessUnit: what a scanner gives lies in the access unit, in order, and
// bits of anything end.
func FuzzAccessUnit(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x02ab\x00\x00\x00\x00\x00\x00\x00\x09c"), byte(4))
	f.Add([]byte("\x01a\x02"), byte(1))
	f.Add([]byte("\x00\x00\x03\x00\x00\x03"), byte(2))
	f.Fuzz(func(t *testing.T, b []byte, size byte) {
		s := Scanner{Rest: b, LengthSize: 1 << (size % 3)}
		total := 0
		for {
			n, ok := s.Next()
			if !ok {
				break
			}
			if len(n) == 0 {
				t.Fatal("an empty NAL unit")
			}
			total += s.LengthSize + len(n)
		}
		if total > len(b) || total < len(b) && s.Dropped == 0 {
			t.Fatalf("%d of %d bytes, %d dropped", total, len(b), s.Dropped)
		}
		rbsp := AppendRBSP(nil, b)
		r := NewBits(rbsp)
		for n := 0; !r.Short(); n++ {
			r.UE()
			if n > 8*len(rbsp) {
				t.Fatal("more codes than bits")
			}
		}
	})
}
