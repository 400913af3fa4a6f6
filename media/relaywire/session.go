package relaywire

import (
	"encoding/binary"
	"fmt"
)

// The messages of a session's own stream, of kind [StreamSession]: the node that
// has dialed opens one and says Hello, the other answers with its own. Then the
// dialer sends a Ping now and then, which the other answers.
//
// A node of version 1 refuses the stream with [CodeUnknownStream], which says
// which version it speaks.
const (
	TypeHello MessageType = 0x20
	TypePing  MessageType = 0x21
	TypePong  MessageType = 0x22
)

// Hello tells the highest version that a node speaks:
//
//	version
type Hello struct{ Version Version }

func (Hello) messageType() MessageType { return TypeHello }

func (m Hello) appendBody(b []byte) []byte { return binary.AppendUvarint(b, uint64(m.Version)) }

// hello reads a version; one that does not fit is newer than any here.
func (c *cursor) hello() Hello {
	v := c.uvarint()
	if v == 0 {
		c.badf("hello of the version 0")
	}
	return Hello{Version: Version(min(v, 1<<8-1))}
}

// Ping asks for the time:
//
//	sent (signed, unix us)
type Ping struct{ Sent int64 } // by the sender's clock

func (Ping) messageType() MessageType { return TypePing }

func (m Ping) appendBody(b []byte) []byte { return binary.AppendVarint(b, m.Sent) }

// Pong answers a Ping:
//
//	sent | received | answered: signed, unix us
type Pong struct {
	Sent               int64 // of the Ping
	Received, Answered int64 // by the answering node's clock
}

func (Pong) messageType() MessageType { return TypePong }

func (m Pong) appendBody(b []byte) []byte {
	b = binary.AppendVarint(b, m.Sent)
	b = binary.AppendVarint(b, m.Received)
	return binary.AppendVarint(b, m.Answered)
}

func (c *cursor) clock() int64 { return c.signed("time us", maxTimeUS) }

// session reads the body of a message of a session's own stream.
func (c *cursor) session(typ MessageType) (m Message, known bool) {
	switch typ {
	case TypeHello:
		return c.hello(), true
	case TypePing:
		return Ping{Sent: c.clock()}, true
	case TypePong:
		return Pong{Sent: c.clock(), Received: c.clock(), Answered: c.clock()}, true
	default:
		return nil, false
	}
}

// Unknown is a message of a later version that may be ignored, see [MessageType].
type Unknown struct{ Type MessageType }

func (m Unknown) messageType() MessageType { return m.Type }

func (Unknown) appendBody(b []byte) []byte { return b }

// skip passes over the body of a message that may be ignored.
func (c *cursor) skip(v Version, typ MessageType) (m Message, known bool) {
	if v == V1 || typ < typeSkipFirst || typ > typeSkipLast {
		return nil, false
	}
	c.off = len(c.b)
	return Unknown{typ}, true
}

// Times are what a group header says of clocks, from version 2 on.
type Times struct {
	// Hop counts the nodes from the owner to the receiver: the owner sends 1.
	Hop uint8
	// Sent is when the header was written, by the sender's clock in unix
	// microseconds.
	Sent int64
	// Skew is by how much the owner's clock, which has stamped the packets, is
	// ahead of the sender's, in microseconds, and Bound how far off that may be; 0
	// both from the owner. Without SkewKnown they mean nothing.
	SkewKnown   bool
	Skew, Bound int64
}

// MaxBound is the largest Bound, an hour: who knows no better knows nothing.
const MaxBound = 3600 * 1e6

// maxHop is the largest Hop on the wire.
const maxHop = 1<<8 - 1

func (t *Times) append(b []byte) []byte {
	b = append(b, t.Hop)
	b = binary.AppendVarint(b, t.Sent)
	if t.SkewKnown {
		b = binary.AppendVarint(b, t.Skew)
		b = binary.AppendUvarint(b, uint64(t.Bound))
	}
	return b
}

func (c *cursor) times(known bool) *Times {
	t := &Times{Hop: c.byte(), Sent: c.clock(), SkewKnown: known}
	if t.Hop == 0 {
		c.badf("hop 0 of %d", maxHop)
	}
	if known {
		t.Skew = c.signed("skew us", 2*maxTimeUS)
		t.Bound = int64(c.upTo("skew's bound us", MaxBound))
	}
	return t
}

// String gives the times for logs.
func (t *Times) String() string {
	if t == nil {
		return "no times"
	}
	return fmt.Sprintf("hop %d, sent %d, skew %d±%d (%v)", t.Hop, t.Sent, t.Skew, t.Bound, t.SkewKnown)
}
