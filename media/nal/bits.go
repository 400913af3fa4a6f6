package nal

import "tmms/media/bitio"

// Bits reads an RBSP.
type Bits struct{ bitio.Reader }

// NewBits reads from the highest bit of rbsp[0] on, which must be free of
// emulation prevention bytes; see [AppendRBSP].
func NewBits(rbsp []byte) *Bits { return &Bits{*bitio.NewReader(rbsp)} }

// UE reads ue(v) (H.264 section 9.1, H.265 section 9.2).
func (r *Bits) UE() uint32 {
	zeros := r.Zeros()
	if zeros >= 32 {
		r.Skip(r.Left() + 1) // it is none: nothing behind it can be read
		return 0
	}
	return 1<<zeros - 1 + r.U(zeros)
}

// SE reads se(v) (H.264 section 9.1.1, H.265 section 9.2.2).
func (r *Bits) SE() int32 {
	k := r.UE()
	v := int32(k >> 1)
	if k&1 == 1 {
		return v + 1
	}
	return -v
}
