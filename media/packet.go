package media

import "time"

// Timestamp is stream time in milliseconds: corrected once, at the stream's
// owner; 0 is the first packet of the stream's life. It is 64 bits wide, so it
// never wraps; the wire formats carry its low 32 bits.
type Timestamp int64

// Duration converts to a time.Duration.
func (t Timestamp) Duration() time.Duration { return time.Duration(t) * time.Millisecond }

// Type is what a packet carries; the values are those of an FLV tag and of an
// RTMP message (FLV 10.1 E.4.1, RTMP 1.0 section 7.1).
type Type uint8

// The three types of packets.
const (
	TypeAudio Type = 8
	TypeVideo Type = 9
	TypeData  Type = 18
)

// String gives "audio", "video" or "data".
func (t Type) String() string {
	switch t {
	case TypeAudio:
		return "audio"
	case TypeVideo:
		return "video"
	case TypeData:
		return "data"
	}
	return "unknown"
}

// Kind is the part that a packet plays in its group.
type Kind uint8

// The kinds of packets.
const (
	KindDelta  Kind = iota // a video frame that needs earlier ones
	KindKey                // a video frame that decoding can start at
	KindAudio              // an audio frame
	KindConfig             // a codec configuration (sequence header)
	KindData               // metadata or other AMF data
	KindEnd                // end of sequence; nothing to decode
)

// TrackID tells tracks of one type apart; 0 is the default track.
type TrackID uint8

// BesideTrack is the id of packets that say something about a track beside its
// codec configuration, and stay in force as that does: colour metadata, the
// layout of channels. It keeps the two apart where there is one configuration
// for each id. t is below [MaxPublishedTracks].
func BesideTrack(t TrackID) TrackID { return t + MaxPublishedTracks }

// PacketID is the identity that the owner gives to a packet. It is unchanged
// through every relay: the order, dedupe and resume key of the stream.
type PacketID struct {
	Epoch uint64 // one ownership of the stream; a fencing token
	Group uint64 // sequence number of the group within the epoch, from 0
	Index uint32 // position in the group, from 0
}

// Compare orders by epoch, then group, then index: -1, 0 or +1.
func (a PacketID) Compare(b PacketID) int {
	switch {
	case a.Epoch != b.Epoch:
		return sign(a.Epoch < b.Epoch)
	case a.Group != b.Group:
		return sign(a.Group < b.Group)
	case a.Index != b.Index:
		return sign(a.Index < b.Index)
	}
	return 0
}

func sign(less bool) int {
	if less {
		return -1
	}
	return 1
}

// Packet is one FLV tag body as it was pushed. Body is immutable; who holds it,
// and for how long, is said where a packet is passed on.
type Packet struct {
	ID       PacketID
	Run      uint32 // one publisher connection within the epoch, from 0
	Type     Type
	Kind     Kind
	Codec    Codec
	Track    TrackID
	DTS      Timestamp // decoding time, stream time
	CTO      int32     // composition offset in ms: PTS = DTS + CTO
	Ingested int64     // when the owner received it: unix microseconds
	Body     []byte    // FLV tag body, codec header bytes included
}
