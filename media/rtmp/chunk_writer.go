package rtmp

import (
	"encoding/binary"

	"tmms/media"
)

// PlayChunkSize is the chunk size in bytes of everything that a ServerConn and
// [AppendMedia] write.
const PlayChunkSize = 65536

// Chunk stream ids that we write on.
const (
	csidControl = 2
	csidCommand = 3
	csidAudio   = 4
	csidData    = 5
	csidVideo   = 6
)

// playStreamID is the message stream id of all media that players get.
const playStreamID = 1

// extended marks a timestamp field whose value follows in 32 bits
// (RTMP 1.0 section 5.3.1.3).
const extended = 0xFFFFFF

// header is a message header of type 0 (RTMP 1.0 section 5.3.1.2.1).
type header struct {
	typ       uint8
	timestamp uint32
	length    uint32
	streamID  uint32
	extended  bool // the extended timestamp is written in any case
}

func (h *header) hasExtended() bool { return h.extended || h.timestamp >= extended }

// appendHeader writes a basic header of one byte (csid 2 to 63) and a message
// header of type 0:
//
//	 0        1         4       7      8            12
//	| 0|csid | timestamp| length| type | stream id LE | [extended timestamp] |
func appendHeader(b []byte, csid uint8, h header) []byte {
	field := h.timestamp
	if h.hasExtended() {
		field = extended
	}
	b = append(b, csid,
		byte(field>>16), byte(field>>8), byte(field),
		byte(h.length>>16), byte(h.length>>8), byte(h.length), h.typ)
	b = binary.LittleEndian.AppendUint32(b, h.streamID)
	if field == extended {
		b = binary.BigEndian.AppendUint32(b, h.timestamp)
	}
	return b
}

// appendMessage writes a whole message: a type 0 chunk, then type 3 chunks,
// each with the extended timestamp if the first one has it.
func appendMessage(b []byte, csid uint8, h header, body []byte, chunkSize int) []byte {
	h.length = uint32(len(body))
	b = appendHeader(b, csid, h)
	for len(body) > chunkSize {
		b = append(b, body[:chunkSize]...)
		body = body[chunkSize:]
		b = append(b, 3<<6|csid)
		if h.hasExtended() {
			b = binary.BigEndian.AppendUint32(b, h.timestamp)
		}
	}
	return append(b, body...)
}

// AppendMedia writes m as every player gets it: one type 0 chunk, type 3 chunks
// for what exceeds [PlayChunkSize], message stream 1, and a chunk stream that
// depends on nothing but the type. Each message stands for itself, so that the
// bytes of one stream serve all players from any message on. m.Body has less
// than 16 MiB.
func AppendMedia(b []byte, m Message) []byte {
	h := header{typ: uint8(m.Type), timestamp: m.Timestamp, streamID: playStreamID, extended: m.Extended}
	return appendMessage(b, mediaChunkStream(m.Type), h, m.Body, PlayChunkSize)
}

// MediaSize is the number of bytes that AppendMedia adds for m.
func MediaSize(m Message) int {
	size := 12 + len(m.Body)
	more := 0
	if len(m.Body) > PlayChunkSize {
		more = (len(m.Body) - 1) / PlayChunkSize
	}
	size += more
	if m.Extended || m.Timestamp >= extended {
		size += 4 * (1 + more)
	}
	return size
}

func mediaChunkStream(t media.Type) uint8 {
	switch t {
	case media.TypeAudio:
		return csidAudio
	case media.TypeVideo:
		return csidVideo
	default:
		return csidData
	}
}
