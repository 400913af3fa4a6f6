package path

import (
	"encoding/binary"

	"github.com/klauspost/reedsolomon"

	"tmms/media"
)

// The code works on vectors over GF(2^8): a source is its length, then the packet, then zeros
// without end.
//
//	length (2) | packet
const (
	lengthSize = 2
	vectorSize = lengthSize + media.MaxFabricPacket
)

// vector is a source, or a combination of some.
type vector struct {
	n int // bytes that may be other than zero
	b [vectorSize]byte
}

// set makes v that of a packet.
func (v *vector) set(packet []byte) {
	binary.BigEndian.PutUint16(v.b[:], uint16(len(packet)))
	v.n = lengthSize + copy(v.b[lengthSize:], packet)
}

// packet gives what v was made of; !ok: v is no source.
func (v *vector) packet() (packet []byte, ok bool) {
	n := int(binary.BigEndian.Uint16(v.b[:]))
	if n == 0 || v.n < lengthSize+n {
		return nil, false
	}
	for _, b := range v.b[lengthSize+n : v.n] {
		if b != 0 {
			return nil, false
		}
	}
	return v.b[lengthSize : lengthSize+n], true
}

// add adds c times w.
func (v *vector) add(c byte, w *vector, f reedsolomon.LowLevel) {
	if w.n > v.n {
		clear(v.b[v.n:w.n])
		v.n = w.n
	}
	f.GalMulSliceXor(c, w.b[:w.n], v.b[:w.n])
}

// scale multiplies by c.
func (v *vector) scale(c byte, f reedsolomon.LowLevel) {
	if c != 1 {
		f.GalMulSlice(c, v.b[:v.n], v.b[:v.n])
	}
}

// coefficient is what a source is multiplied by in the combination of a seed:
// never 0, and as good as drawn at random, so that as many combinations as
// sources are missing nearly always give these.
func coefficient(seed uint16, seq Seq) byte {
	h := uint32(seq)*0x9e3779b1 ^ uint32(seed)*0x85ebca77
	h ^= h >> 15
	h *= 0x2c1b3c6d
	h ^= h >> 12
	h *= 0x297a2d39
	h ^= h >> 15
	return byte(h%255) + 1
}

// mul multiplies in the field of package reedsolomon: modulo x^8+x^4+x^3+x^2+1.
func mul(a, b byte) byte {
	var p byte
	for ; b > 0; b >>= 1 {
		if b&1 != 0 {
			p ^= a
		}
		carry := a & 0x80
		a <<= 1
		if carry != 0 {
			a ^= 0x1d
		}
	}
	return p
}

// inverse is a^254; a is not 0.
func inverse(a byte) byte {
	p, sq := byte(1), a
	for range 7 {
		sq = mul(sq, sq)
		p = mul(p, sq)
	}
	return p
}
