package rtmp

import (
	"crypto/rand"
	"fmt"
	"io"
)

// version is C0 and S0 (RTMP 1.0 section 5.2.2).
const version = 3

// serverVersion is sent in S1 of a digest handshake: Flash Media Server 4.5.0.1.
const serverVersion = "\x04\x05\x00\x01"

// serverHandshake answers C0, C1 and C2 (RTMP 1.0 section 5.2). Before C0 has
// come it holds no buffer.
type serverHandshake struct {
	random io.Reader
	c1     []byte // what has come of C1; nil once it is answered
	begun  bool   // C0 has come
	skip   int    // bytes of C2 still to come; its content is not checked, as encoders get it wrong
}

func newServerHandshake(random io.Reader) *serverHandshake {
	if random == nil {
		random = rand.Reader
	}
	return &serverHandshake{random: random}
}

// feed consumes bytes of the handshake, appends the answer to out and reports
// whether the handshake is over.
func (h *serverHandshake) feed(b []byte, out []byte) (n int, reply []byte, done bool, err error) {
	if !h.begun {
		if len(b) == 0 {
			return 0, out, false, nil
		}
		if err = checkVersion(b[0]); err != nil {
			return 0, out, false, err
		}
		h.begun, n = true, 1
	}
	if h.skip == 0 {
		k := min(len(b)-n, handshakeSize-len(h.c1))
		c1 := b[n : n+k] // nearly always whole
		n += k
		if k < handshakeSize {
			h.c1 = append(h.c1, c1...)
			c1 = h.c1
		}
		if len(c1) < handshakeSize {
			return n, out, false, nil
		}
		if out, err = h.answer(c1, out); err != nil {
			return n, out, false, err
		}
		h.c1, h.skip = nil, handshakeSize
	}
	k := min(len(b)-n, h.skip)
	h.skip -= k
	return n + k, out, h.skip == 0, nil
}

// checkVersion tells HTTP, whose methods are upper-case letters, from other strangers.
func checkVersion(c0 byte) error {
	switch {
	case c0 == version:
		return nil
	case c0 >= 'A' && c0 <= 'Z':
		return fmt.Errorf("%w: first byte %q", ErrHTTP, c0)
	}
	return fmt.Errorf("%w: first byte %d, not %d", ErrVersion, c0, version)
}

// answer appends S0, S1 and S2. A client whose c1 has a valid digest gets one
// in the same schema, any other the simple handshake.
func (h *serverHandshake) answer(c1, out []byte) ([]byte, error) {
	start := len(out) + 1
	out = append(append(out, version), make([]byte, 2*handshakeSize)...)
	s1 := out[start : start+handshakeSize]
	s2 := out[start+handshakeSize:]
	if _, err := io.ReadFull(h.random, s1[8:]); err != nil {
		return out[:start-1], fmt.Errorf("rtmp: random bytes of the handshake: %w", err)
	}
	digest, s, ok := findDigest(c1, playerName)
	if !ok {
		copy(s2, c1)
		return out, nil
	}
	copy(s1[4:], serverVersion)
	putDigest(s1, s, serverName)
	if _, err := io.ReadFull(h.random, s2[:signedSize]); err != nil {
		return out[:start-1], fmt.Errorf("rtmp: random bytes of the handshake: %w", err)
	}
	sign(s2, digest, serverName)
	return out, nil
}
