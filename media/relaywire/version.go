package relaywire

import (
	"errors"
	"fmt"
)

// Version is a minor version of the protocol. The ALPN names the major one, of
// which there is no mix. Nodes say the highest that they speak, see [Hello], and
// both use the lower of the two; until both have said it they use [V1].
//
// The Parse functions of a version take what a node may get that speaks it and
// all before it. Those of the package are those of [Newest], see release.go.
type Version byte

// The versions.
const (
	V1 Version = 1
	V2 Version = 2 // sessions say hello and compare clocks, group headers have times
)

// Agree is the version that two nodes use.
func (v Version) Agree(other Version) Version { return min(v, other) }

// helloSize is the length of what a bidirectional stream begins with.
const helloSize = 2

// ErrVersion refuses a stream that needs a newer version. It wraps [ErrMalformed],
// which it was to version 1.
var ErrVersion = fmt.Errorf("%w: unknown protocol version", ErrMalformed)

// AppendHello appends the beginning of a bidirectional stream between nodes that
// have agreed on a version: kind, version. The latter is the one which one has to
// speak to understand the stream, V1 for all that there are.
func (v Version) AppendHello(b []byte, k StreamKind) []byte {
	return append(b, byte(k), byte(v.needed()))
}

// AppendHello appends the beginning of a stream that any node understands.
func AppendHello(b []byte, k StreamKind) []byte { return V1.AppendHello(b, k) }

// ParseHello reads the beginning of a bidirectional stream.
func (v Version) ParseHello(b []byte) (k StreamKind, n int, err error) {
	if len(b) < helloSize {
		return 0, 0, ErrShort
	}
	if needs := Version(b[1]); needs < V1 || needs > v {
		return 0, 0, fmt.Errorf("%w: the stream needs %d, ours is %d", ErrVersion, needs, v)
	}
	return StreamKind(b[0]), helloSize, nil
}

// ParseHello reads the beginning of a bidirectional stream.
func ParseHello(b []byte) (k StreamKind, n int, err error) { return Newest.ParseHello(b) }

// ends checks that a body was read to its end. From version 2 on there may be
// more behind the last field that is known.
func (c *cursor) ends(v Version, typ MessageType) error {
	if errors.Is(c.err, ErrShort) { // the body is whole: a field runs over its end
		return fmt.Errorf("%w: message type 0x%02x ends within a field", ErrMalformed, byte(typ))
	}
	if c.err == nil && v == V1 && c.off < len(c.b) {
		c.badf("message type 0x%02x has %d bytes too many", byte(typ), len(c.b)-c.off)
	}
	return c.err
}
