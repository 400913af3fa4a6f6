package rtmp

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"tmms/media"
	"tmms/media/amf0"
)

// peer is the other end of a ServerConn: it sends spelled-out commands and
// reads the answers back.
type peer struct {
	t      *testing.T
	c      *ServerConn
	reader chunkReader
	decide func(ev Event) // default: accept everything
}

// newPeer has shaken hands.
func newPeer(t *testing.T, cfg ServerConfig) *peer {
	t.Helper()
	p := &peer{t: t, c: NewServerGroup(cfg).NewConn(), reader: newChunkReader(nil, media.MaxPartialBytes)}
	p.decide = func(Event) {
		p.c.AcceptPublish()
		p.c.AcceptPlay()
	}
	hello := append(slices.Clone(clientHello(t, HandshakeSimple)), make([]byte, handshakeSize)...)
	p.feed(hello)
	if n := len(p.c.Output()); n != 1+2*handshakeSize {
		t.Fatalf("%d bytes of handshake", n)
	}
	p.c.Sent(1 + 2*handshakeSize)
	return p
}

// feed returns what the server made of b; the script of events reads
// "publish live/cam", "video 10 5b" (timestamp, length), "unpublish" ...
func (p *peer) feed(b []byte) []string {
	p.t.Helper()
	events, err := p.tryFeed(b)
	if err != nil {
		p.t.Fatalf("Feed: %v", err)
	}
	return events
}

func (p *peer) tryFeed(b []byte) ([]string, error) {
	p.t.Helper()
	var events []string
	for len(b) > 0 {
		n, ev, err := p.c.Feed(b)
		b = b[n:]
		if err != nil {
			return events, err
		}
		switch ev.Kind {
		case EventNone:
			if len(b) > 0 {
				p.t.Fatalf("EventNone with %d bytes left", len(b))
			}
		case EventPublish, EventPlay:
			verb := map[EventKind]string{EventPublish: "publish", EventPlay: "play"}[ev.Kind]
			events = append(events, fmt.Sprintf("%s %s/%s", verb, ev.Request.App, ev.Request.Stream))
			p.decide(ev)
		case EventMessage:
			events = append(events, fmt.Sprintf("%s %d %db", ev.Message.Type, ev.Message.Timestamp, len(ev.Message.Body)))
		case EventPause:
			events = append(events, fmt.Sprintf("pause %v", ev.Paused))
		default:
			events = append(events, map[EventKind]string{
				EventUnpublish: "unpublish", EventStop: "stop", EventOverBudget: "over budget",
			}[ev.Kind])
			if ev.Kind == EventOverBudget {
				return events, nil
			}
		}
	}
	return events, nil
}

// replies reads the output: "_result 4 1" is name, transaction id and first
// argument behind the command object, or the code of a status object; control
// messages are "window 2500000" and the like.
func (p *peer) replies() []string {
	p.t.Helper()
	var list []string
	b := p.c.Output()
	for len(b) > 0 {
		n, s, err := p.reader.next(b)
		if err != nil {
			p.t.Fatalf("output: %v", err)
		}
		b = b[n:]
		if s != nil {
			list = append(list, p.reply(s))
		}
	}
	p.c.Sent(len(p.c.Output()))
	return list
}

func (p *peer) reply(s *chunkStream) string {
	p.t.Helper()
	if s.typ == typeCommand {
		cmd, err := parseCommand(s.typ, s.buf)
		if err != nil {
			p.t.Fatal(err)
		}
		out := fmt.Sprintf("%s %v", cmd.name, cmd.transaction)
		switch a := cmd.arg(0); a.Kind {
		case amf0.KindObject:
			return out + " " + a.Get("code").Text()
		case amf0.KindNumber:
			return fmt.Sprintf("%s %v", out, a.Num)
		default:
			return out
		}
	}
	v := binary.BigEndian.Uint32(s.buf[len(s.buf)-4:])
	switch s.typ {
	case typeSetChunkSize:
		if err := p.reader.setChunkSize(v); err != nil {
			p.t.Fatal(err)
		}
		return fmt.Sprintf("chunk size %d", v)
	case typeAck:
		return fmt.Sprintf("ack %d", v)
	case typeWindowAckSize:
		return fmt.Sprintf("window %d", v)
	case typePeerBandwidth:
		return fmt.Sprintf("bandwidth %d", binary.BigEndian.Uint32(s.buf))
	case typeUserControl:
		return fmt.Sprintf("user %d %d", binary.BigEndian.Uint16(s.buf), v)
	}
	return fmt.Sprintf("type %d", s.typ)
}

// call is a command as a peer sends it, on message stream sid.
func call(sid uint32, name string, transaction float64, args ...amf0.Value) []byte {
	return appendCommand(nil, defaultChunkSize, sid, command{name, transaction, args})
}

func text(s string) amf0.Value { return amf0.String(s) }

func connectCall() []byte {
	return call(0, "connect", 1, amf0.Object(
		amf0.Property{Name: "app", Value: text("live")},
		amf0.Property{Name: "tcUrl", Value: text("rtmp://example.com/live")},
	))
}

func publishCall(transaction float64) []byte {
	return call(1, "publish", transaction, amf0.Null(), text("cam"), text("live"))
}

func videoMessage(sid, ts uint32, n int) []byte {
	h := header{typ: typeVideo, timestamp: ts, streamID: sid}
	return appendMessage(nil, csidVideo, h, body(n), defaultChunkSize)
}

func control(typ uint8, v uint32) []byte { return appendControl(nil, typ, v) }

// connected has connected and read the answers.
func connected(t *testing.T, cfg ServerConfig) *peer {
	t.Helper()
	p := newPeer(t, cfg)
	p.feed(connectCall())
	p.replies()
	return p
}

// publishing has begun to publish live/cam on message stream 1.
func publishing(t *testing.T, cfg ServerConfig) *peer {
	t.Helper()
	p := connected(t, cfg)
	p.feed(call(0, "createStream", 2, amf0.Null()))
	if got := p.feed(publishCall(3)); !slices.Equal(got, []string{"publish live/cam"}) {
		t.Fatalf("events %q", got)
	}
	p.replies()
	return p
}

func playing(t *testing.T, cfg ServerConfig) *peer {
	t.Helper()
	p := connected(t, cfg)
	p.feed(call(0, "createStream", 2, amf0.Null()))
	p.feed(call(1, "play", 3, amf0.Null(), text("cam")))
	p.replies()
	return p
}
