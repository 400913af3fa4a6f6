package relaywire

import (
	"encoding/binary"

	"tmms/media"
)

// The messages of a hand-over, in a push whose forwarder has said that it knows them,
// see [CapTurn].
const (
	TypePushTurn MessageType = 0x61
	TypePushHeld MessageType = 0x62
)

// CapTurn is the capability of a forwarder, in [PushRequest].Caps, that it knows
// [PushTurn]. An owner of version 1 takes no notice of capabilities.
const CapTurn uint64 = 1

// PushTurn says that the stream is about to get another owner: the forwarder is to
// send nothing from the next frame on that decoding can begin with, and says with
// [PushHeld] that it is there. Not On takes that back: it goes on with that frame.
//
//	on bool | video bool | track
type PushTurn struct {
	On    bool
	Video bool          // the frame is a keyframe of the track, or one before it; else any audio frame will do
	Track media.TrackID // of the publisher's, 0 to 7
}

func (PushTurn) messageType() MessageType { return TypePushTurn }

func (m PushTurn) appendBody(b []byte) []byte {
	b = appendBool(appendBool(b, m.On), m.Video)
	return binary.AppendUvarint(b, uint64(m.Track))
}

// PushHeld says that what is behind this message was not sent, and is not while the
// owner has not taken the [PushTurn] back.
type PushHeld struct{}

func (PushHeld) messageType() MessageType { return TypePushHeld }

func (PushHeld) appendBody(b []byte) []byte { return b }

// turn reads the body of a message of a hand-over.
func (c *cursor) turn(typ MessageType) (m Message, known bool) {
	switch typ {
	case TypePushTurn:
		return PushTurn{
			On: c.bool("on"), Video: c.bool("video"), Track: media.TrackID(c.upTo("track", media.MaxPublishedTracks-1)),
		}, true
	case TypePushHeld:
		return PushHeld{}, true
	default:
		return nil, false
	}
}
