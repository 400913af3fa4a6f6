package rtmp

import "tmms/media"

// Message is one audio, video or data message.
type Message struct {
	Type      media.Type
	Timestamp uint32 // ms as on the wire: wraps after 2^32
	// Extended makes AppendMedia write the extended timestamp even where a small
	// time could do without it, so that a copy with another time has the same
	// length. Feed does not set it.
	Extended bool
	Body     []byte // an FLV tag body; from Feed it is valid until the next Feed
}

// Message types (RTMP 1.0 sections 5.4, 6.2 and 7.1).
const (
	typeSetChunkSize  = 1
	typeAbort         = 2
	typeAck           = 3
	typeUserControl   = 4
	typeWindowAckSize = 5
	typePeerBandwidth = 6
	typeAudio         = 8
	typeVideo         = 9
	typeDataAMF3      = 15
	typeCommandAMF3   = 17
	typeData          = 18
	typeCommand       = 20
	typeAggregate     = 22
)

// maxLength bounds a message of one type.
func maxLength(typ uint8) uint32 {
	switch typ {
	case typeSetChunkSize, typeAbort, typeAck, typeUserControl, typeWindowAckSize, typePeerBandwidth:
		return media.MaxMessageControl
	case typeAudio, typeVideo, typeAggregate:
		return media.MaxMessageVideo
	case typeData, typeDataAMF3:
		return media.MaxMessageData
	}
	return media.MaxMessageCommand
}
