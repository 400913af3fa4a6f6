// Package bitio reads bits from bytes, the highest of each byte first, as codec
// headers have them.
package bitio

// Reader reads from the first byte on. Past the end it gives zeros and is
// [Reader.Short]. It keeps and never changes the bytes.
type Reader struct {
	b     []byte
	pos   int // in bits
	short bool
}

// NewReader reads b.
func NewReader(b []byte) *Reader { return &Reader{b: b} }

// Bytes is what is read, from its beginning.
func (r *Reader) Bytes() []byte { return r.b }

// Short tells that more was read than there is.
func (r *Reader) Short() bool { return r.short }

// Left is the number of bits to come.
func (r *Reader) Left() int { return 8*len(r.b) - r.pos }

// Flag reads one bit.
func (r *Reader) Flag() bool { return r.U(1) == 1 }

// U reads n bits, n <= 32.
func (r *Reader) U(n int) uint32 {
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

// Skip reads over n bits.
func (r *Reader) Skip(n int) {
	if left := r.Left(); n > left {
		n, r.short = left, true
	}
	r.pos += n
}

// Align skips to the next whole byte.
func (r *Reader) Align() { r.pos = (r.pos + 7) &^ 7 }

// Zeros reads a one and the zeros in front of it, which it counts: the prefix of
// exp-Golomb codes. At the end of the bytes it is Short.
func (r *Reader) Zeros() (n int) {
	for !r.short && !r.Flag() {
		n++
	}
	return n
}
