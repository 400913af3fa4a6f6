package play

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"tmms/bench/signal"
	"tmms/media"
	"tmms/media/flv"
	"tmms/media/rtmp"
)

// errEOF says that the server ended the stream.
var errEOF = errors.New("play: end of stream")

// stream takes a viewer's bytes apart.
type stream interface {
	// feed takes what came; reply is what must be sent back, valid until the next call.
	feed(b []byte, now time.Time, see func(signalPacket)) (reply []byte, err error)
}

// signalPacket is one media packet and when it came.
type signalPacket struct {
	rtmp.Message
	now time.Time
}

// flvStream reads an HTTP response with an FLV body.
type flvStream struct {
	body bool   // the response head is behind
	file bool   // the FLV header is behind
	rest []byte // of an unfinished head or tag
}

func (s *flvStream) feed(b []byte, now time.Time, see func(signalPacket)) ([]byte, error) {
	if len(s.rest) > 0 {
		s.rest = append(s.rest, b...)
		b = s.rest
	}
	n, err := s.parse(b, now, see)
	s.rest = append(s.rest[:0], b[n:]...)
	return nil, err
}

// parse consumes whole parts of b and says how many bytes those were.
func (s *flvStream) parse(b []byte, now time.Time, see func(signalPacket)) (n int, err error) {
	if !s.body {
		if n, err = responseHead(b); n == 0 || err != nil {
			return 0, err
		}
		s.body = true
	}
	if !s.file {
		_, size, err := flv.ParseHeader(b[n:])
		if err != nil {
			return n, short(err)
		}
		n, s.file = n+size, true
	}
	for {
		tag, size, err := flv.ParseTag(b[n:])
		if err != nil {
			return n, short(err)
		}
		n += size
		see(signalPacket{rtmp.Message{Type: tag.Type, Timestamp: tag.Timestamp, Body: tag.Body}, now})
	}
}

func short(err error) error {
	if errors.Is(err, flv.ErrShort) {
		return nil
	}
	return err
}

// responseHead gives the length of a whole response head, 0 if it is not whole yet.
func responseHead(b []byte) (int, error) {
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 {
		return 0, nil
	}
	line, _, _ := bytes.Cut(b, []byte("\r\n"))
	if !bytes.Contains(line, []byte(" 200 ")) {
		return 0, fmt.Errorf("play: the server answered %q", line)
	}
	return end + 4, nil
}

// rtmpStream reads chunks.
type rtmpStream struct{ conn *rtmp.ClientConn }

func (s *rtmpStream) feed(b []byte, now time.Time, see func(signalPacket)) ([]byte, error) {
	s.conn.Sent(len(s.conn.Output()))
	for {
		n, ev, err := s.conn.Feed(b)
		if err != nil {
			return nil, err
		}
		b = b[n:]
		switch ev.Kind {
		case rtmp.EventNone:
			return s.conn.Output(), nil
		case rtmp.EventMessage:
			see(signalPacket{ev.Message, now})
		case rtmp.EventEOF:
			return nil, errEOF
		case rtmp.EventRefused:
			return nil, fmt.Errorf("play: refused: %s: %s", ev.Status.Code, ev.Status.Description)
		default:
		}
	}
}

// observer adds what one viewer sees to its check and the common delays.
func observer(c *signal.Check, delays *Histogram) func(signalPacket) {
	return func(p signalPacket) {
		if d, ok := c.See(p.Type, p.Timestamp, p.Body, p.now); ok {
			delays.Add(d)
		}
	}
}

// joiner adds the time from a viewer's beginning to its first keyframe.
func joiner(began time.Time, joins *Histogram, see func(signalPacket)) func(signalPacket) {
	joined := false
	return func(p signalPacket) {
		if !joined && keyframe(p.Message) {
			joined = true
			joins.Add(p.now.Sub(began))
		}
		see(p)
	}
}

// keyframe tells a picture that can be decoded alone (FLV 10.1 annex E.4.3.1).
func keyframe(m rtmp.Message) bool {
	const key, picture = 1, 1
	return m.Type == media.TypeVideo && len(m.Body) > 1 && m.Body[0]>>4 == key && m.Body[1] == picture
}
