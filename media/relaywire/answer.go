package relaywire

import (
	"encoding/binary"
	"fmt"
	"time"

	"tmms/media"
)

// Ok accepts a subscription; the media follows on streams of its own:
//
//	epoch | group | index | exact (1) | grace (1) | started at | keep | max bytes | [max lag]
type Ok struct {
	Epoch uint64 // the ownership that the source sends in
	// Start is the first packet to come; the zero value while the source has none.
	Start media.PacketID
	// Exact says that Start follows the subscriber's position without a gap.
	Exact bool
	Grace bool // no publisher is connected now
	// How the owner keeps the stream, for the subscriber to do the same.
	StartedAt time.Time     // second precision is enough; microseconds on the wire
	Keep      time.Duration // milliseconds on the wire
	MaxBytes  int64
	// MaxLag is how far the owner lets a subscriber be behind before it leaves groups
	// out, for a shield to do the same; milliseconds on the wire, from version 2 on.
	// 0: not said.
	MaxLag time.Duration
}

// Bounds of what an owner may ask a subscriber to keep.
const (
	maxKeepMS = 10 * 60 * 1000
	maxBytes  = 1 << 32
	maxTimeUS = 1 << 56
)

func (Ok) messageType() MessageType { return TypeOk }

func (m Ok) appendBody(b []byte) []byte {
	b = binary.AppendUvarint(b, m.Epoch)
	b = binary.AppendUvarint(b, m.Start.Epoch)
	b = binary.AppendUvarint(b, m.Start.Group)
	b = binary.AppendUvarint(b, uint64(m.Start.Index))
	b = appendBool(b, m.Exact)
	b = appendBool(b, m.Grace)
	b = binary.AppendVarint(b, m.StartedAt.UnixMicro())
	b = binary.AppendUvarint(b, uint64(min(max(m.Keep.Milliseconds(), 0), maxKeepMS)))
	b = binary.AppendUvarint(b, uint64(min(max(m.MaxBytes, 0), maxBytes)))
	if m.MaxLag <= 0 {
		return b
	}
	return binary.AppendUvarint(b, uint64(min(m.MaxLag.Milliseconds(), maxKeepMS)))
}

func (c *cursor) ok(v Version) Ok {
	m := Ok{
		Epoch: c.uvarint(),
		Start: media.PacketID{Epoch: c.uvarint(), Group: c.uvarint(), Index: c.index()},
		Exact: c.bool("exact"), Grace: c.bool("grace"),
		StartedAt: time.UnixMicro(c.signed("start time", maxTimeUS)),
		Keep:      time.Duration(c.upTo("keep ms", maxKeepMS)) * time.Millisecond,
		MaxBytes:  int64(c.upTo("max bytes", maxBytes)),
	}
	if v >= V2 && c.err == nil && c.off < len(c.b) {
		m.MaxLag = time.Duration(c.upTo("max lag ms", maxKeepMS)) * time.Millisecond
	}
	return m
}

// Pending says that the source owns the stream but has nothing of it yet; the
// subscriber may wait for Ok, or go.
type Pending struct{}

func (Pending) messageType() MessageType { return TypePending }

func (Pending) appendBody(b []byte) []byte { return b }

// Reason says why a subscription is refused.
type Reason byte

// The reasons.
const (
	ReasonNotOwner  Reason = 1 // Owner has the stream, if it is known
	ReasonNotLive   Reason = 2 // nobody has the stream
	ReasonFull      Reason = 3 // too many subscriptions
	ReasonLoop      Reason = 4 // the hops have the source in them, or are too many
	ReasonForbidden Reason = 5 // the peer's certificate does not allow it
)

// String gives the reason for logs.
func (r Reason) String() string {
	switch r {
	case ReasonNotOwner:
		return "not_owner"
	case ReasonNotLive:
		return "not_live"
	case ReasonFull:
		return "full"
	case ReasonLoop:
		return "loop"
	case ReasonForbidden:
		return "forbidden"
	}
	return fmt.Sprintf("reason_%d", byte(r))
}

// Refuse ends a subscription before it began:
//
//	reason (1) | owner
type Refuse struct {
	Reason Reason
	Owner  string // node id of the owner as the source knows it, "" if it doesn't
}

func (Refuse) messageType() MessageType { return TypeRefuse }

func (m Refuse) appendBody(b []byte) []byte { return appendString(append(b, byte(m.Reason)), m.Owner) }

func (c *cursor) refuse() Refuse {
	return Refuse{Reason: Reason(c.byte()), Owner: c.string("node id", media.MaxNodeID)}
}

// Superseded ends a subscription: the stream has moved on to a higher epoch at
// another node. The placement tells which.
type Superseded struct{ Epoch uint64 }

func (Superseded) messageType() MessageType { return TypeSuperseded }

func (m Superseded) appendBody(b []byte) []byte { return binary.AppendUvarint(b, m.Epoch) }

// State tells whether a publisher is connected.
type State struct{ Grace bool }

func (State) messageType() MessageType { return TypeState }

func (m State) appendBody(b []byte) []byte { return appendBool(b, m.Grace) }

// Idle is what a source sends when it had nothing else to send for a while; it
// says that the source lives.
type Idle struct{}

func (Idle) messageType() MessageType { return TypeIdle }

func (Idle) appendBody(b []byte) []byte { return b }

// Skip says that the group stream Seq will not be complete, or never come: it
// was too late to be of use. The stream after it starts at a keyframe.
type Skip struct{ Seq uint64 }

func (Skip) messageType() MessageType { return TypeSkip }

func (m Skip) appendBody(b []byte) []byte { return binary.AppendUvarint(b, m.Seq) }

// End says that the stream is over.
type End struct {
	Groups       uint64 // group streams that the subscription had
	IndexVersion uint64 // of the last segment index; 0: none follows
}

func (End) messageType() MessageType { return TypeEnd }

func (m End) appendBody(b []byte) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(b, m.Groups), m.IndexVersion)
}
