package rtmp

import "fmt"

// What surrounds a message in an aggregate (RTMP 1.0 section 7.1.6, FLV 10.1
// E.4.1): a tag header in front, the tag's size behind.
const (
	flvTagHeader = 11
	flvTrailer   = 4
)

// aggregate is a message of type 22 that is being split. Its timestamps count
// from that of the first tag, which stands for the message's own.
type aggregate struct {
	rest      []byte
	timestamp uint32 // of the message
	first     uint32 // of the first tag
	started   bool
	held      bool // the last byte of the message is not consumed before rest is empty
}

// next takes the next message off rest.
func (a *aggregate) next() (typ uint8, timestamp uint32, body []byte, err error) {
	b := a.rest
	if len(b) < flvTagHeader {
		return 0, 0, nil, fmt.Errorf("%w: aggregate has %d bytes left, a tag header has %d",
			ErrProtocol, len(b), flvTagHeader)
	}
	size := int(uint24(b[1:]))
	ts := uint24(b[4:]) | uint32(b[7])<<24
	typ = b[0]
	b = b[flvTagHeader:]
	if len(b) < size {
		return 0, 0, nil, fmt.Errorf("%w: aggregate holds a message of %d bytes, %d are left", ErrProtocol, size, len(b))
	}
	body, b = b[:size], b[size:]
	a.rest = b[min(len(b), flvTrailer):] // some writers leave the last one out
	if !a.started {
		a.started, a.first = true, ts
	}
	return typ, a.timestamp + ts - a.first, body, nil
}
