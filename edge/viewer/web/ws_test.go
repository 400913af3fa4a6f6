package web

import (
	"bytes"
	"errors"
	"testing"
)

// mask makes a client's frame.
func mask(first byte, payload string) []byte {
	key := []byte{1, 2, 3, 4}
	b := append([]byte{first, 0x80 | byte(len(payload))}, key...)
	for i := range len(payload) {
		b = append(b, payload[i]^key[i%4])
	}
	return b
}

type frameCase struct {
	name    string
	in      []byte
	opcode  byte
	payload string
	err     error
}

func frameCases() []frameCase {
	return []frameCase{
		{"ping", mask(0x89, "hello"), wsPing, "hello", nil},
		{"pong-empty", mask(0x8A, ""), wsPong, "", nil},
		{"close", mask(0x88, "\x03\xE8bye"), wsClose, "\x03\xE8bye", nil},
		{"text", mask(0x81, "chat"), wsText, "chat", nil},
		{"first-piece", mask(0x01, "chat"), wsText, "chat", nil},
		{"longest", mask(0x82, string(bytes.Repeat([]byte{7}, 125))), wsBinary, string(bytes.Repeat([]byte{7}, 125)), nil},
		{"unmasked", []byte{0x89, 0x00}, 0, "", errWSProtocol},
		{"reserved-bit", mask(0xC9, ""), 0, "", errWSProtocol},
		{"reserved-opcode", mask(0x83, ""), 0, "", errWSProtocol},
		{"ping-in-pieces", mask(0x09, "x"), 0, "", errWSProtocol},
		{"ping-too-long", []byte{0x89, 0x80 | 126, 0, 200}, 0, "", errWSProtocol},
		{"too-big-16", []byte{0x82, 0x80 | 126, 0xFF, 0xFF}, 0, "", errWSTooBig},
		{"too-big-64", []byte{0x82, 0x80 | 127, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}, 0, "", errWSTooBig},
	}
}

func TestParseWSFrame(t *testing.T) {
	for _, c := range frameCases() {
		t.Run(c.name, func(t *testing.T) {
			f, n, err := parseWSFrame(bytes.Clone(c.in))
			if !errors.Is(err, c.err) {
				t.Fatalf("error %v, want %v", err, c.err)
			}
			if c.err != nil {
				return
			}
			if n != len(c.in) || f.opcode != c.opcode || string(f.payload) != c.payload {
				t.Errorf("%d bytes, opcode %d, %q", n, f.opcode, f.payload)
			}
			for i := range c.in {
				if _, _, err = parseWSFrame(bytes.Clone(c.in[:i])); !errors.Is(err, errWSShort) {
					t.Errorf("cut at %d: %v", i, err)
				}
			}
		})
	}
}

// The example of RFC 6455 section 1.3.
func TestWSAccept(t *testing.T) {
	if got := wsAccept("dGhlIHNhbXBsZSBub25jZQ=="); got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Error(got)
	}
}

func FuzzParseWSFrame(f *testing.F) {
	for _, c := range frameCases() {
		f.Add(c.in)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for len(b) > 0 {
			fr, n, err := parseWSFrame(b)
			if err != nil {
				return
			}
			if n < 6 || n > len(b) || len(fr.payload) != n-6 {
				t.Fatalf("%d bytes, payload %d", n, len(fr.payload))
			}
			b = b[n:]
		}
	})
}
