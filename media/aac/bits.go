package aac

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

// left is the number of bits to come.
func (r *bitReader) left() int { return 8*len(r.b) - r.pos }

// align skips to the next byte of the input.
func (r *bitReader) align() { r.pos = (r.pos + 7) &^ 7 }

// bitWriter writes bits from the highest down.
type bitWriter struct {
	b    []byte
	bits int // in b
}

// u writes the low n bits of v.
func (w *bitWriter) u(v uint32, n int) {
	for i := n - 1; i >= 0; i-- {
		if w.bits&7 == 0 {
			w.b = append(w.b, 0)
		}
		w.b[w.bits>>3] |= byte(v>>i&1) << (7 - w.bits&7)
		w.bits++
	}
}

// align fills up the last byte with zeros.
func (w *bitWriter) align() { w.bits = 8 * len(w.b) }
