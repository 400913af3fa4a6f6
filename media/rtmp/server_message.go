package rtmp

import (
	"encoding/binary"
	"errors"
	"fmt"

	"tmms/media"
	"tmms/media/amf0"
)

// handle takes one complete message.
func (c *ServerConn) handle(s *chunkStream) (Event, error) {
	switch s.typ {
	case typeAudio, typeVideo, typeData, typeDataAMF3:
		return c.media(s.typ, s.timestamp, s.buf), nil
	case typeAggregate:
		if c.phase == PhasePublish && len(s.buf) > 0 {
			c.aggregate = &aggregate{rest: s.buf, timestamp: s.timestamp}
		}
		return Event{}, nil
	case typeCommand, typeCommandAMF3:
		cmd, err := parseCommand(s.typ, s.buf)
		if err != nil {
			return Event{}, err
		}
		return c.command(&cmd, s.streamID)
	}
	return Event{}, c.control(s)
}

// media makes an event of what a publisher sends. An empty message carries
// nothing; what comes outside of a publish is dropped.
func (c *ServerConn) media(typ uint8, timestamp uint32, body []byte) Event {
	if c.phase != PhasePublish {
		return Event{}
	}
	switch typ {
	case typeDataAMF3:
		if len(body) > 0 && body[0] == 0 {
			body = body[1:]
		}
		typ = typeData
		body = stripDataFrame(body)
	case typeData:
		body = stripDataFrame(body)
	case typeAudio, typeVideo:
	default:
		return Event{}
	}
	if len(body) == 0 {
		return Event{}
	}
	return Event{Kind: EventMessage, Message: Message{Type: media.Type(typ), Timestamp: timestamp, Body: body}}
}

// split takes messages off the aggregate up to an event. b is what is not yet
// consumed.
func (c *ServerConn) split(b []byte) (int, Event, error) {
	a := c.aggregate
	if a.held && len(b) == 0 {
		return 0, Event{}, nil
	}
	var ev Event
	for len(a.rest) > 0 && ev.Kind == EventNone {
		typ, timestamp, body, err := a.next()
		if err != nil {
			return 0, Event{}, err
		}
		ev = c.media(typ, timestamp, body)
	}
	if len(a.rest) > 0 {
		return 0, ev, nil
	}
	c.aggregate = nil
	if a.held {
		return 1, ev, nil
	}
	return 0, ev, nil
}

// control takes a protocol control or user control message (RTMP 1.0 sections
// 5.4 and 6.2); types that are unknown or have no use here are dropped.
func (c *ServerConn) control(s *chunkStream) error {
	if s.typ > typePeerBandwidth {
		return nil
	}
	v, err := controlValue(s)
	if err != nil {
		return err
	}
	switch s.typ {
	case typeSetChunkSize:
		return c.reader.setChunkSize(v)
	case typeAbort:
		c.reader.abort(v)
	case typeAck:
		c.ackedOut = v
	case typeUserControl:
		if binary.BigEndian.Uint16(s.buf) == userPingRequest {
			c.out.buf = appendUserControl(c.out.buf, userPingResponse, v)
		}
	case typeWindowAckSize:
		c.window = v
	case typePeerBandwidth:
		if v != c.sentWindow {
			c.sentWindow = v
			c.out.buf = appendControl(c.out.buf, typeWindowAckSize, v)
		}
	}
	return nil
}

// controlValue is the first 32-bit field of a control message; in a user
// control message it stands behind the event type. An event without one gives 0.
func controlValue(s *chunkStream) (uint32, error) {
	b := s.buf
	if s.typ == typeUserControl {
		if len(b) < 2 {
			return 0, fmt.Errorf("%w: user control message of %d bytes", ErrProtocol, len(b))
		}
		if b = b[2:]; len(b) < 4 {
			return 0, nil
		}
	}
	if len(b) < 4 {
		return 0, fmt.Errorf("%w: control message of type %d has %d bytes, not 4", ErrProtocol, s.typ, len(b))
	}
	return binary.BigEndian.Uint32(b), nil
}

// ackInterval is after how many bytes an acknowledgement is due: half a
// window, so that the peer never has to stop.
func ackInterval(window uint32) uint32 {
	if window == 0 {
		window = defaultWindow
	}
	return max(window/2, minAckInterval)
}

// minAckInterval keeps a tiny window from making us send more than we get.
const minAckInterval = 64

// overBudget is nil if a publisher can go on later.
func (c *ServerConn) overBudget(err error) error {
	if c.phase == PhasePublish && errors.Is(err, ErrBudget) {
		return nil
	}
	return err
}

func (c *ServerConn) send(streamID uint32, name string, transaction float64, args ...amf0.Value) {
	c.out.buf = appendCommand(c.out.buf, PlayChunkSize, streamID, command{name, transaction, args})
}

func (c *ServerConn) status(streamID uint32, level, code, description string) {
	c.send(streamID, "onStatus", 0, amf0.Null(), statusObject(level, code, description))
}
