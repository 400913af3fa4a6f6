package rtmp

import (
	"crypto/hmac"
	"crypto/sha256"
)

// handshakeSize is the length of C1, C2, S1 and S2 (RTMP 1.0 section 5.2.3).
const handshakeSize = 1536

// The digest handshake is not in the specification; Flash Player 9 and Flash
// Media Server 3 began it, and H.264 in old players depends on it. C1 and S1
// carry an HMAC-SHA256 of themselves at a place that their own bytes choose:
//
//	schema 0: | time 4 | version 4 | key block 764    | digest block 764 |
//	schema 1: | time 4 | version 4 | digest block 764 | key block 764    |
//	digest block: | offset 4 | ... | digest 32 | ... |
//
// The last 32 bytes of C2 and S2 sign the other side's digest.
const (
	digestSize = sha256.Size
	// signedSize is the part of C2 and S2 that the signature covers.
	signedSize = handshakeSize - digestSize
	// digestRange is the number of places in the block that a digest can start at.
	digestRange = 764 - 4 - digestSize
)

// The keys' public halves: a digest is made with these alone.
const (
	playerName = "Genuine Adobe Flash Player 001"
	serverName = "Genuine Adobe Flash Media Server 001"
)

// keyTail is the second half of both keys, for the signature of C2 and S2.
const keyTail = "\xf0\xee\xc2\x4a\x80\x68\xbe\xe8\x2e\x00\xd0\xd1\x02\x9e\x7e\x57" +
	"\x6e\xec\x5d\x2d\x29\x80\x6f\xab\x93\xb8\xe6\x36\xcf\xeb\x31\xae"

// schema is the place of the digest block.
type schema uint8

const (
	schema0 schema = iota
	schema1
	numSchemas
)

// digestOffset is where the digest is in p, a C1 or S1 of handshakeSize bytes.
func (s schema) digestOffset(p []byte) int {
	block := 8
	if s == schema0 {
		block += 764
	}
	sum := int(p[block]) + int(p[block+1]) + int(p[block+2]) + int(p[block+3])
	return block + 4 + sum%digestRange
}

// findDigest looks for a valid digest in p.
func findDigest(p []byte, key string) (digest []byte, s schema, ok bool) {
	for s := range numSchemas {
		at := s.digestOffset(p)
		if got := p[at : at+digestSize]; hmac.Equal(got, digestAround(p, at, key)) {
			return got, s, true
		}
	}
	return nil, 0, false
}

// putDigest writes the digest into p.
func putDigest(p []byte, s schema, key string) {
	at := s.digestOffset(p)
	copy(p[at:], digestAround(p, at, key))
}

// digestAround is the HMAC of p without the digest at that place.
func digestAround(p []byte, at int, key string) []byte {
	h := hmac.New(sha256.New, []byte(key))
	h.Write(p[:at])
	h.Write(p[at+digestSize:])
	return h.Sum(nil)
}

// sign writes the signature of the other side's digest to the end of p, a C2 or S2.
func sign(p, digest []byte, key string) {
	copy(p[signedSize:], signature(p, digest, key))
}

func signature(p, digest []byte, key string) []byte {
	return hmacSum(hmacSum([]byte(key+keyTail), digest), p[:signedSize])
}

func hmacSum(key, data []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(data)
	return h.Sum(nil)
}
