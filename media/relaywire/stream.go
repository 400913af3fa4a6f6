package relaywire

// StreamKind is the first byte of every QUIC stream and says what follows.
type StreamKind byte

// The kinds of streams. A peer that gets another kind refuses that stream with
// [CodeUnknownStream] and goes on.
const (
	// Bidirectional: kind, version, then messages both ways.
	StreamSubscribe StreamKind = 0x01 // opened by who wants a stream: Subscribe first
	StreamPush      StreamKind = 0x02 // opened by who has a publisher for another node's stream
	StreamSession   StreamKind = 0x03 // opened by who has dialed, once: Hello first; not in version 1

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
