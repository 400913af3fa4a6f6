package av1

// bitReader reads bits from the highest down. Past its end it gives zeros and
// sets short.
type bitReader struct {
	b     []byte
	pos   int // in bits
	short bool
}

// u reads n bits, n <= 32.
func (r *bitReader) u(n int) uint32 {
	var v uint32
	for range n {
		v <<= 1
		if r.pos >= 8*len(r.b) {
			r.short = true
			continue
		}
		v |= uint32(r.b[r.pos>>3] >> (7 - r.pos&7) & 1)
		r.pos++
	}
	return v
}

// flag reads one bit.
func (r *bitReader) flag() bool { return r.u(1) == 1 }

// uvlc reads a number of variable length (section 4.10.3).
func (r *bitReader) uvlc() uint32 {
	zeros := 0
	for !r.short && !r.flag() {
		zeros++
	}
	if zeros >= 32 || r.short {
		return 1<<32 - 1
	}
	return 1<<zeros - 1 + r.u(zeros)
}
