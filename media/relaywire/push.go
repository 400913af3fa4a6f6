package relaywire

import (
	"encoding/binary"
	"fmt"

	"tmms/media"
)

// The messages of a push: a bidirectional stream of kind [StreamPush] that
// carries a publisher's messages from the node that it is connected to, the
// forwarder, to the node that owns the stream.
//
//	forwarder -> owner   PushRequest, then PushMessage and PushAlive, at last PushEnd
//	owner -> forwarder   PushOk or PushRefuse; after Ok PushAck, and PushClose, the last of all
//
// Before a hand-over [PushTurn] and [PushHeld] go back and forth.
//
// The owner acknowledges what it takes at least every [media.PushAckInterval]
// as long as there is anything new.
const (
	TypePushRequest MessageType = 0x40
	TypePushOk      MessageType = 0x41
	TypePushRefuse  MessageType = 0x42
	TypePushMessage MessageType = 0x43
	TypePushAlive   MessageType = 0x44
	TypePushEnd     MessageType = 0x45
	TypePushClose   MessageType = 0x46
	TypePushAck     MessageType = 0x47
)

// Sizes of the parts of a push's messages, in bytes.
const (
	// MaxPushHeader is the longest type and length.
	MaxPushHeader = 1 + binary.MaxVarintLen32
	// pushMessageHeader is a media message's type and timestamp.
	pushMessageHeader = 5
	// MaxPushMessageHeader is the most that stands before a media message's FLV tag body.
	MaxPushMessageHeader = MaxPushHeader + pushMessageHeader
)

// ParsePushHeader reads a message's type and the length of its body, which is
// within the type's limit; see [ParsePushBody].
func ParsePushHeader(b []byte) (typ MessageType, body, n int, err error) {
	c := cursor{b: b}
	typ = MessageType(c.byte())
	limit := media.MaxRelayMessage
	switch {
	case c.err != nil:
	case typ == TypePushMessage:
		limit = pushMessageHeader + media.MaxMessageVideo
	case typ < typePushFirst || typ > typeSkipLast:
		c.badf("message type 0x%02x in a push", byte(typ))
	}
	body = int(c.upTo("message length", uint64(limit))) //nolint:gosec // within the limit
	if c.err != nil {
		return 0, 0, 0, c.err
	}
	return typ, body, c.off, nil
}

// ParsePushBody reads the body of a message, all of b. The body of a
// [PushMessage] aliases b, nothing else does.
func (v Version) ParsePushBody(typ MessageType, b []byte) (Message, error) {
	c := cursor{b: b}
	var m Message
	known := typ == TypePushMessage
	if known {
		m = c.pushMessage()
	} else {
		m, known = c.push(typ)
	}
	if !known && v > V1 {
		m, known = c.turn(typ)
	}
	if !known {
		m, known = c.skip(v, typ)
	}
	if !known {
		c.badf("message type 0x%02x in a push", byte(typ))
	}
	if err := c.ends(v, typ); err != nil {
		return nil, err
	}
	return m, nil
}

// ParsePushBody reads the body of a message, as [Newest] does.
func ParsePushBody(typ MessageType, b []byte) (Message, error) { return Newest.ParsePushBody(typ, b) }

// push reads the body of a message of a push other than [PushMessage].
func (c *cursor) push(typ MessageType) (m Message, known bool) {
	switch typ {
	case TypePushRequest:
		return c.pushRequest(), true
	case TypePushOk:
		return PushOk{Epoch: c.uvarint(), Run: uint32(c.upTo("run", 1<<32-1))}, true
	case TypePushRefuse:
		return PushRefuse{
			Reason: PushReason(c.byte()), Owner: c.string("node id", media.MaxNodeID),
			Text: c.string("text", media.MaxPushText),
		}, true
	case TypePushAlive:
		return PushAlive{}, true
	case TypePushEnd:
		return PushEnd{Cause: c.string("cause", media.MaxPushText)}, true
	case TypePushClose:
		return PushClose{Reason: PushReason(c.byte()), Text: c.string("text", media.MaxPushText)}, true
	case TypePushAck:
		return PushAck{Taken: c.uvarint()}, true
	default:
		return nil, false
	}
}

// TokenDigest is the SHA-256 of what a publisher identified itself with, zero
// if it has nothing. It is compared, never shown.
type TokenDigest [32]byte

// redacted stands for a digest wherever one is printed.
const redacted = "(redacted)"

// String hides the digest.
func (TokenDigest) String() string { return redacted }

// GoString hides the digest.
func (TokenDigest) GoString() string { return redacted }

// MarshalText hides the digest.
func (TokenDigest) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// PushRequest asks the owner of a stream to take a publisher:
//
//	domain | app | stream | remote | encoder | caps | digest (32)
type PushRequest struct {
	Key     media.StreamKey
	Remote  string      // the publisher's address, for logs and listings
	Encoder string      // what the publisher calls itself
	Caps    uint64      // bits that the owner does not know say nothing: [CapTurn]
	Token   TokenDigest // of the publisher's key or token
}

func (PushRequest) messageType() MessageType { return TypePushRequest }

func (m PushRequest) appendBody(b []byte) []byte {
	for _, s := range []string{m.Key.Domain, m.Key.App, m.Key.Stream, clip(m.Remote), clip(m.Encoder)} {
		b = appendString(b, s)
	}
	b = binary.AppendUvarint(b, m.Caps)
	return append(b, m.Token[:]...)
}

func (c *cursor) pushRequest() PushRequest {
	m := PushRequest{
		Key: media.StreamKey{
			Domain: c.string("domain", media.MaxName), App: c.string("app", media.MaxName),
			Stream: c.string("stream", media.MaxName),
		},
		Remote: c.string("remote", media.MaxPushText), Encoder: c.string("encoder", media.MaxPushText),
		Caps: c.uvarint(),
	}
	for i := range m.Token {
		m.Token[i] = c.byte()
	}
	if c.err == nil {
		if err := m.Key.Validate(); err != nil {
			c.badf("stream key: %w", err)
		}
	}
	return m
}

// PushOk accepts a publisher:
//
//	epoch | run
type PushOk struct {
	Epoch uint64 // of the stream's ownership
	Run   uint32 // the number of this publisher in the epoch
}

func (PushOk) messageType() MessageType { return TypePushOk }

func (m PushOk) appendBody(b []byte) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(b, m.Epoch), uint64(m.Run))
}

// PushReason says why a push is refused or closed.
type PushReason byte

// The reasons. One that is not known means what PushFailed means.
const (
	PushFailed   PushReason = 0 // something else, see the text; another try may succeed
	PushBusy     PushReason = 1 // the stream has a publisher that may not be replaced
	PushNoApp    PushReason = 2 // the owner knows no such domain or app
	PushNotOwner PushReason = 3 // the stream is another node's by now
	PushDraining PushReason = 4 // the node takes no publishers any more
	PushFull     PushReason = 5 // the node has as many publishers or streams as it may have
	PushReplaced PushReason = 6 // another publisher has taken the stream over
	PushEnded    PushReason = 7 // the owner ends the stream
)

// String gives the reason for logs.
func (r PushReason) String() string {
	switch r {
	case PushFailed:
		return "failed"
	case PushBusy:
		return "busy"
	case PushNoApp:
		return "no_app"
	case PushNotOwner:
		return "not_owner"
	case PushDraining:
		return "draining"
	case PushFull:
		return "full"
	case PushReplaced:
		return "replaced"
	case PushEnded:
		return "ended"
	}
	return fmt.Sprintf("reason_%d", byte(r))
}

// PushRefuse refuses a publisher:
//
//	reason (1) | owner | text
type PushRefuse struct {
	Reason PushReason
	Owner  string // node id of the stream's owner as far as it is known, else ""
	Text   string // for logs
}

func (PushRefuse) messageType() MessageType { return TypePushRefuse }

func (m PushRefuse) appendBody(b []byte) []byte {
	return appendString(appendString(append(b, byte(m.Reason)), m.Owner), clip(m.Text))
}

// PushMessage is one audio, video or data message of the publisher:
//
//	media type (1) | timestamp (4, big-endian) | FLV tag body
type PushMessage struct {
	Type      media.Type
	Timestamp uint32 // ms as the publisher sent it: wraps after 2^32
	Body      []byte // see [ParsePushBody]
}

func (PushMessage) messageType() MessageType { return TypePushMessage }

func (m PushMessage) appendBody(b []byte) []byte {
	return append(binary.BigEndian.AppendUint32(append(b, byte(m.Type)), m.Timestamp), m.Body...)
}

// AppendPushMessage appends what [AppendMessage] does, without a copy on the way.
func AppendPushMessage(b []byte, m PushMessage) []byte {
	return append(AppendPushMessageHeader(b, m), m.Body...)
}

// AppendPushMessageHeader appends all of m but its body.
func AppendPushMessageHeader(b []byte, m PushMessage) []byte {
	b = append(b, byte(TypePushMessage))
	b = binary.AppendUvarint(b, uint64(pushMessageHeader+len(m.Body)))
	return binary.BigEndian.AppendUint32(append(b, byte(m.Type)), m.Timestamp)
}

func (c *cursor) pushMessage() PushMessage {
	m := PushMessage{Type: media.Type(c.byte())}
	for range 4 {
		m.Timestamp = m.Timestamp<<8 | uint32(c.byte())
	}
	limit := media.MaxMessageVideo
	switch m.Type {
	case media.TypeAudio, media.TypeVideo:
	case media.TypeData:
		limit = media.MaxMessageData
	default:
		c.badf("media type %d", byte(m.Type))
	}
	if c.err != nil {
		return m
	}
	m.Body = c.b[c.off:]
	c.off = len(c.b)
	if len(m.Body) > limit {
		c.badf("%v message of %d bytes, the limit is %d", m.Type, len(m.Body), limit)
	}
	return m
}

// PushAlive says that the publisher sent bytes, but no whole message.
type PushAlive struct{}

func (PushAlive) messageType() MessageType { return TypePushAlive }

func (PushAlive) appendBody(b []byte) []byte { return b }

// PushEnd says that the publisher is gone or has unpublished:
//
//	cause
type PushEnd struct{ Cause string } // for logs

func (PushEnd) messageType() MessageType { return TypePushEnd }

func (m PushEnd) appendBody(b []byte) []byte { return appendString(b, clip(m.Cause)) }

// PushClose ends a push from the owner's side:
//
//	reason (1) | text
type PushClose struct {
	Reason PushReason
	Text   string // for logs
}

func (PushClose) messageType() MessageType { return TypePushClose }

func (m PushClose) appendBody(b []byte) []byte {
	return appendString(append(b, byte(m.Reason)), clip(m.Text))
}

// PushAck says how much the owner has taken since the request, in bytes of
// messages with their headers:
//
//	taken
type PushAck struct{ Taken uint64 }

func (PushAck) messageType() MessageType { return TypePushAck }

func (m PushAck) appendBody(b []byte) []byte { return binary.AppendUvarint(b, m.Taken) }

// clip cuts a text to what a message may carry.
func clip(s string) string { return s[:min(len(s), media.MaxPushText)] }
