package bitio

import "testing"

func TestReader(t *testing.T) {
	r := NewReader([]byte{0b1010_0000, 0xFF, 0b0001_0110, 0x80})
	if !r.Flag() || r.U(3) != 0b010 || r.Left() != 28 {
		t.Errorf("the first four bits are wrong, %d are left", r.Left())
	}
	r.Align()
	if v := r.U(8); v != 0xFF || r.Left() != 16 {
		t.Errorf("the second byte is %#x, %d bits are left", v, r.Left())
	}
	r.Align() // where a byte begins it skips nothing
	if n, v := r.Zeros(), r.U(4); n != 3 || v != 0b0110 {
		t.Errorf("%d zeros and %#b", n, v)
	}
	if v := r.U(12); v != 0x800 || !r.Short() || r.Left() != 0 {
		t.Errorf("%#x at the end, short %v, %d bits are left", v, r.Short(), r.Left())
	}
}

func TestReaderPastTheEnd(t *testing.T) {
	r := NewReader([]byte{0})
	if r.Skip(8); r.Short() {
		t.Error("short at the end")
	}
	if r.Skip(1); !r.Short() || r.Left() != 0 {
		t.Error("not short past the end")
	}
	r = NewReader([]byte{0, 0})
	if n := r.Zeros(); !r.Short() || n < 16 {
		t.Errorf("%d zeros without a one", n)
	}
}
