package aac

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
