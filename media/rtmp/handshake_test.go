package rtmp

import (
	"bytes"
	"crypto/hmac"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
)

// fixedRand is a repeatable random source.
func fixedRand() io.Reader { return rand.NewChaCha8([32]byte{1}) }

type brokenRand struct{}

func (brokenRand) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// shake feeds C0, C1 and C2 to a server in pieces, and returns S0, S1, S2.
func shake(t *testing.T, hello []byte, piece int) (*ServerConn, []byte) {
	t.Helper()
	c := NewServerConn(ServerConfig{Rand: fixedRand()})
	if c.Phase() != PhaseHandshake {
		t.Fatalf("phase %v at the start", c.Phase())
	}
	for len(hello) > 0 {
		n, ev, err := c.Feed(hello[:min(piece, len(hello))])
		if err != nil || ev.Kind != EventNone {
			t.Fatalf("event %v, error %v", ev.Kind, err)
		}
		hello = hello[n:]
	}
	return c, bytes.Clone(c.Output())
}

func clientHello(t *testing.T, kind Handshake) []byte {
	t.Helper()
	c := NewClientConn(ClientConfig{Handshake: kind, Rand: rand.NewChaCha8([32]byte{2, byte(kind)})})
	return bytes.Clone(c.Output())
}

func TestHandshake(t *testing.T) {
	pieces := map[string]int{"whole": 5000, "one byte at a time": 1, "1000 bytes at a time": 1000}
	kinds := map[string]Handshake{
		"hs-simple": HandshakeSimple, "hs-digest-0": HandshakeDigest0, "hs-digest-1": HandshakeDigest1,
	}
	for name, kind := range kinds {
		for pieceName, piece := range pieces {
			t.Run(name+"/"+pieceName, func(t *testing.T) {
				hello := clientHello(t, kind)
				c, out := shake(t, hello, piece)
				if len(out) != 1+2*handshakeSize || out[0] != 3 {
					t.Fatalf("%d bytes of answer, S0 %d", len(out), out[0])
				}
				checkAnswer(t, kind, hello[1:], out[1:1+handshakeSize], out[1+handshakeSize:])
				c.Sent(len(out))
				for range handshakeSize {
					if c.Phase() != PhaseHandshake {
						t.Fatal("done before the end of C2")
					}
					if _, _, err := c.Feed([]byte{9}); err != nil {
						t.Fatal(err)
					}
				}
				if c.Phase() != PhaseCommand || c.handshake != nil || len(c.Output()) != 0 {
					t.Errorf("phase %v, %d bytes of output behind C2", c.Phase(), len(c.Output()))
				}
			})
		}
	}
}

func checkAnswer(t *testing.T, kind Handshake, c1, s1, s2 []byte) {
	t.Helper()
	if kind == HandshakeSimple {
		if !bytes.Equal(s2, c1) {
			t.Error("S2 is not C1")
		}
		if !bytes.Equal(s1[:8], make([]byte, 8)) {
			t.Errorf("S1 begins with % x", s1[:8])
		}
		return
	}
	want := schema1
	if kind == HandshakeDigest0 {
		want = schema0
	}
	if _, s, ok := findDigest(s1, serverName); !ok || s != want {
		t.Errorf("S1 has a digest in schema %d, %v; want %d", s, ok, want)
	}
	digest, s, ok := findDigest(c1, playerName)
	if !ok || s != want {
		t.Fatalf("C1 has a digest in schema %d, %v; want %d", s, ok, want)
	}
	if !hmac.Equal(s2[signedSize:], signature(s2, digest, serverName)) {
		t.Error("S2 does not sign C1's digest")
	}
}

// A bad digest means a simple handshake.
func TestHandshakeFallsBack(t *testing.T) {
	for _, kind := range []Handshake{HandshakeDigest0, HandshakeDigest1} {
		hello := clientHello(t, kind)
		hello[1500] ^= 1 // outside of both digest blocks' offsets
		_, out := shake(t, hello, 5000)
		checkAnswer(t, HandshakeSimple, hello[1:], out[1:1+handshakeSize], out[1+handshakeSize:])
	}
}

// The client signs the server's digest in C2, and copies S1 otherwise.
func TestHandshakeC2(t *testing.T) {
	for _, kind := range []Handshake{HandshakeSimple, HandshakeDigest0, HandshakeDigest1} {
		client := NewClientConn(ClientConfig{Handshake: kind, Rand: fixedRand()})
		hello := bytes.Clone(client.Output())
		client.Sent(len(hello))
		_, out := shake(t, hello, 5000)
		s1 := out[1 : 1+handshakeSize]
		if _, _, err := client.Feed(out[:1+handshakeSize]); err != nil {
			t.Fatal(err)
		}
		c2 := client.Output()
		if len(c2) != handshakeSize {
			t.Fatalf("C2 has %d bytes", len(c2))
		}
		if kind == HandshakeSimple {
			if !bytes.Equal(c2, s1) {
				t.Error("C2 is not S1")
			}
			continue
		}
		digest, _, _ := findDigest(s1, serverName)
		if !hmac.Equal(c2[signedSize:], signature(c2, digest, playerName)) {
			t.Errorf("kind %d: C2 does not sign S1's digest", kind)
		}
	}
}

func TestHandshakeRefusals(t *testing.T) {
	cases := []struct {
		name string
		in   []byte
		want error
	}{
		{"C0 != 3/6", []byte{6, 0, 0}, ErrVersion},
		{"C0 != 3/TLS", []byte{0x16, 3, 1}, ErrVersion},
		{"http-on-rtmp/GET", []byte("GET / HTTP/1.1\r\n\r\n"), ErrHTTP},
		{"http-on-rtmp/POST", []byte("POST /open/1 HTTP/1.1\r\n\r\n"), ErrHTTP},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			c := NewServerConn(ServerConfig{})
			n, _, err := c.Feed(tc.in)
			if !errors.Is(err, tc.want) || n != 0 {
				t.Errorf("%d bytes consumed, error %v, want %v", n, err, tc.want)
			}
			if _, _, again := c.Feed([]byte{3}); !errors.Is(again, tc.want) {
				t.Errorf("the error is not final: %v", again)
			}
		})
	}
	t.Run("S0 != 3", func(t *testing.T) {
		c := NewClientConn(ClientConfig{})
		if _, _, err := c.Feed([]byte("HTTP/1.1 400")); !errors.Is(err, ErrVersion) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("no random bytes", func(t *testing.T) {
		server := NewServerConn(ServerConfig{Rand: brokenRand{}})
		if _, _, err := server.Feed(clientHello(t, HandshakeSimple)); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("server: error %v", err)
		}
		if len(server.Output()) != 0 {
			t.Errorf("%d bytes of answer without random bytes", len(server.Output()))
		}
		client := NewClientConn(ClientConfig{Rand: brokenRand{}})
		if _, _, err := client.Feed([]byte{3}); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("client: error %v", err)
		}
	})
}
