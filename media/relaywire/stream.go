package relaywire

import "fmt"

// Version is that of the protocol, the second byte of each bidirectional stream.
const Version = 1

// StreamKind is the first byte of every QUIC stream and says what follows.
type StreamKind byte

// The kinds of streams. A peer that gets another kind refuses that stream with
// [CodeUnknownStream] and goes on.
const (
	// Bidirectional: kind, version, then messages both ways.
	StreamSubscribe StreamKind = 0x01 // opened by who wants a stream: Subscribe first
	StreamPush      StreamKind = 0x02 // opened by who has a publisher for another node's stream

	// Unidirectional, from the source to the subscriber.
	StreamGroup   StreamKind = 0x11 // GroupHeader, then packets
	StreamIndexes StreamKind = 0x12 // IndexesHeader, then segment indexes
	StreamPiece   StreamKind = 0x13 // PieceHeader, then the piece's bytes
)

// Code is the application error code of a stream that is reset or refused.
type Code uint64

// The codes.
const (
	CodeDone          Code = 0x00 // not wanted any more
	CodeUnknownStream Code = 0x01 // the kind or version is not known
	CodeMalformed     Code = 0x02 // bytes that can't be parsed
	CodeAbandoned     Code = 0x03 // a group that is too late to be of use
	CodeSuperseded    Code = 0x04 // the stream has moved to a higher epoch
	CodeOverflow      Code = 0x05 // more than the receiver may hold
	CodeTimeout       Code = 0x06 // the peer did not get on with it
	CodeInternal      Code = 0x07 // the sender can't go on
)

// helloSize is the length of what a bidirectional stream begins with.
const helloSize = 2

// AppendHello appends the beginning of a bidirectional stream: kind, version.
func AppendHello(b []byte, k StreamKind) []byte { return append(b, byte(k), Version) }

// ParseHello reads the beginning of a bidirectional stream.
func ParseHello(b []byte) (k StreamKind, n int, err error) {
	if len(b) < helloSize {
		return 0, 0, ErrShort
	}
	if b[1] != Version {
		return 0, 0, fmt.Errorf("%w: protocol version %d, ours is %d", ErrMalformed, b[1], Version)
	}
	return StreamKind(b[0]), helloSize, nil
}
