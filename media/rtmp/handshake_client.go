package rtmp

import (
	"crypto/rand"
	"fmt"
	"io"
)

// Handshake is how a client shakes hands.
type Handshake uint8

// The kinds of handshake.
const (
	HandshakeSimple  Handshake = iota // RTMP 1.0 section 5.2
	HandshakeDigest0                  // with a digest behind the key block
	HandshakeDigest1                  // with a digest in front of the key block
)

// clientVersion is sent in C1 of a digest handshake: Flash Player 10.0.32.2.
const clientVersion = "\x0a\x00\x20\x02"

// clientHandshake sends C0, C1 and C2.
type clientHandshake struct {
	kind   Handshake
	random io.Reader
	in     []byte // S0 and S1 so far
	skip   int    // bytes of S2 still to come
}

// start appends C0 and C1.
func (h *clientHandshake) start(out []byte) ([]byte, error) {
	if h.random == nil {
		h.random = rand.Reader
	}
	begin := len(out)
	out = append(append(out, version), make([]byte, handshakeSize)...)
	c1 := out[begin+1:]
	if _, err := io.ReadFull(h.random, c1[8:]); err != nil {
		return out[:begin], fmt.Errorf("rtmp: random bytes of the handshake: %w", err)
	}
	if h.kind != HandshakeSimple {
		copy(c1[4:], clientVersion)
		putDigest(c1, h.schema(), playerName)
	}
	return out, nil
}

func (h *clientHandshake) schema() schema {
	if h.kind == HandshakeDigest0 {
		return schema0
	}
	return schema1
}

// feed consumes S0, S1 and S2; C2 is appended to out as soon as S1 is whole.
func (h *clientHandshake) feed(b []byte, out []byte) (n int, reply []byte, done bool, err error) {
	if h.skip == 0 {
		n = min(len(b), 1+handshakeSize-len(h.in))
		h.in = append(h.in, b[:n]...)
		if len(h.in) > 0 && h.in[0] != version {
			return n, out, false, fmt.Errorf("%w: first byte %d, not %d", ErrVersion, h.in[0], version)
		}
		if len(h.in) < 1+handshakeSize {
			return n, out, false, nil
		}
		out = h.answer(out)
		h.in, h.skip = nil, handshakeSize
	}
	k := min(len(b)-n, h.skip)
	h.skip -= k
	return n + k, out, h.skip == 0, nil
}

// answer appends C2: a copy of S1, signed if S1 has a digest and we sent one.
func (h *clientHandshake) answer(out []byte) []byte {
	s1 := h.in[1:]
	out = append(out, s1...)
	if h.kind == HandshakeSimple {
		return out
	}
	if digest, _, ok := findDigest(s1, serverName); ok {
		sign(out[len(out)-handshakeSize:], digest, playerName)
	}
	return out
}
