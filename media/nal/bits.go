package nal

// Bits reads an RBSP. Past its end it gives zeros and is [Bits.Short].
type Bits struct {
	b     []byte
	pos   int // in bits
	short bool
}

// NewBits reads from the highest bit of rbsp[0] on, which must be free of
// emulation prevention bytes; see [AppendRBSP].
func NewBits(rbsp []byte) *Bits { return &Bits{b: rbsp} }

// Short tells that more was read than there is.
func (r *Bits) Short() bool { return r.short }

func (r *Bits) bit() uint32 {
	if r.pos >= 8*len(r.b) {
		r.short = true
		return 0
	}
	v := r.b[r.pos>>3] >> (7 - r.pos&7) & 1
	r.pos++
	return uint32(v)
}

// Flag reads u(1) as a bool.
func (r *Bits) Flag() bool { return r.bit() == 1 }

// U reads u(n), n <= 32.
func (r *Bits) U(n int) uint32 {
	var v uint32
	for range n {
		v = v<<1 | r.bit()
	}
	return v
}

// Skip reads over n bits.
func (r *Bits) Skip(n int) {
	if left := 8*len(r.b) - r.pos; n > left {
		n, r.short = left, true
	}
	r.pos += n
}

// UE reads ue(v) (H.264 section 9.1, H.265 section 9.2).
func (r *Bits) UE() uint32 {
	zeros := 0
	for !r.short && r.bit() == 0 {
		zeros++
	}
	if zeros >= 32 {
		r.short = true
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
