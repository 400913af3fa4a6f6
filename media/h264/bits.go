package h264

// bitReader reads an RBSP. Past its end it gives zeros and sets short.
type bitReader struct {
	b     []byte
	pos   int // in bits
	short bool
}

// bit reads u(1).
func (r *bitReader) bit() uint32 {
	if r.pos >= 8*len(r.b) {
		r.short = true
		return 0
	}
	v := r.b[r.pos>>3] >> (7 - r.pos&7) & 1
	r.pos++
	return uint32(v)
}

// flag reads u(1) as a bool.
func (r *bitReader) flag() bool { return r.bit() == 1 }

// u reads u(n), n <= 32.
func (r *bitReader) u(n int) uint32 {
	var v uint32
	for range n {
		v = v<<1 | r.bit()
	}
	return v
}

// ue reads ue(v) (H.264 section 9.1).
func (r *bitReader) ue() uint32 {
	zeros := 0
	for !r.short && r.bit() == 0 {
		zeros++
	}
	if zeros >= 32 {
		r.short = true
		return 0
	}
	return 1<<zeros - 1 + r.u(zeros)
}

// se reads se(v) (H.264 section 9.1.1).
func (r *bitReader) se() int32 {
	k := r.ue()
	v := int32(k >> 1)
	if k&1 == 1 {
		return v + 1
	}
	return -v
}
