package relaywire

import (
	"encoding/binary"

	"tmms/media"
)

// MessageType tells the messages of bidirectional streams apart.
type MessageType byte

// The types. From the subscriber: Subscribe first, then Update, and Ack from a
// standby. From the source: any number of Pending, then Ok, Refuse or Superseded;
// after Ok the others.
// 0x20 to 0x2f belong to sessions, 0x40 to 0x5f to pushes. From version 2 on, who
// does not know a type from 0x60 to 0x7f ignores the message, see [Unknown].
const (
	TypeSubscribe  MessageType = 0x01
	TypeUpdate     MessageType = 0x02
	TypeOk         MessageType = 0x10
	TypePending    MessageType = 0x11
	TypeRefuse     MessageType = 0x12
	TypeSuperseded MessageType = 0x13
	TypeState      MessageType = 0x14
	TypeIdle       MessageType = 0x15
	TypeSkip       MessageType = 0x16
	TypeEnd        MessageType = 0x17
	typePushFirst  MessageType = 0x40
	typePushLast   MessageType = 0x5f
	typeSkipFirst  MessageType = 0x60
	typeSkipLast   MessageType = 0x7f
)

// Message is one of the message structs of this package.
type Message interface {
	messageType() MessageType
	appendBody(b []byte) []byte
}

// AppendMessage appends m:
//
//	type (1) | body length | body
//
// The message must be within the limits that ParseMessage checks.
func AppendMessage(b []byte, m Message) []byte {
	body := m.appendBody(nil)
	b = append(b, byte(m.messageType()))
	b = binary.AppendUvarint(b, uint64(len(body)))
	return append(b, body...)
}

// ParseMessage reads one message; nothing in it aliases b. A type that is not
// known is malformed unless it may be ignored. Bytes behind the last field are
// ignored, but by version 1, to which they are malformed.
func (v Version) ParseMessage(b []byte) (m Message, n int, err error) {
	c := cursor{b: b}
	typ := MessageType(c.byte())
	body := c.bytes("message", media.MaxRelayMessage)
	if c.err != nil {
		return nil, 0, c.err
	}
	in := cursor{b: body}
	m, known := in.message(v, typ)
	if !known {
		in.badf("message type 0x%02x", byte(typ))
	}
	if err := in.ends(v, typ); err != nil {
		return nil, 0, err
	}
	return m, c.off, nil
}

// ParseMessage reads one message, as [Newest] does.
func ParseMessage(b []byte) (m Message, n int, err error) { return Newest.ParseMessage(b) }

// message reads the body of a message.
func (c *cursor) message(v Version, typ MessageType) (m Message, known bool) {
	switch typ {
	case TypeSubscribe:
		return c.subscribe(v), true
	case TypeUpdate:
		return c.update(v), true
	case TypeOk:
		return c.ok(v), true
	case TypePending:
		return Pending{}, true
	case TypeRefuse:
		return c.refuse(), true
	case TypeSuperseded:
		return Superseded{Epoch: c.uvarint()}, true
	case TypeState:
		return State{Grace: c.bool("grace")}, true
	case TypeIdle:
		return Idle{}, true
	case TypeSkip:
		return Skip{Seq: c.uvarint()}, true
	case TypeEnd:
		return End{Groups: c.uvarint(), IndexVersion: c.uvarint()}, true
	default:
		if m, known = c.push(typ); known || v == V1 {
			return m, known
		}
		if typ == TypeAck {
			return c.ack(), true
		}
		if m, known = c.skip(v, typ); known {
			return m, known
		}
		return c.session(typ)
	}
}
