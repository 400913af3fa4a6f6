package rtmp

import "encoding/binary"

// User control events (RTMP 1.0 section 7.1.7).
const (
	userStreamBegin  = 0
	userStreamEOF    = 1
	userPingRequest  = 6
	userPingResponse = 7
)

// defaultWindow is the acknowledgement window in bytes that we announce, and
// that we assume of a peer that announces none.
const defaultWindow = 2_500_000

// limitDynamic is the limit type of Set Peer Bandwidth (RTMP 1.0 section 5.4.5).
const limitDynamic = 2

// appendControl writes a protocol control message of one 32-bit field
// (RTMP 1.0 section 5.4): chunk stream 2, message stream 0, timestamp 0.
func appendControl(b []byte, typ uint8, v uint32) []byte {
	b = appendHeader(b, csidControl, header{typ: typ, length: 4})
	return binary.BigEndian.AppendUint32(b, v)
}

func appendPeerBandwidth(b []byte, v uint32) []byte {
	b = appendHeader(b, csidControl, header{typ: typePeerBandwidth, length: 5})
	return append(binary.BigEndian.AppendUint32(b, v), limitDynamic)
}

// appendUserControl writes a user control event of one 32-bit field.
func appendUserControl(b []byte, event uint16, v uint32) []byte {
	b = appendHeader(b, csidControl, header{typ: typeUserControl, length: 6})
	b = binary.BigEndian.AppendUint16(b, event)
	return binary.BigEndian.AppendUint32(b, v)
}
