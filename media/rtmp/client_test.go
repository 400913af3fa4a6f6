package rtmp

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"tmms/media"
	"tmms/media/amf0"
)

// link joins a client and a server in memory.
type link struct {
	t      *testing.T
	client *ClientConn
	server *ServerConn
	piece  int // bytes per Feed

	onServer func(ev Event)
	onClient func(ev Event)
}

func newLink(t *testing.T, cfg ClientConfig, piece int) *link {
	t.Helper()
	u, err := ParseURL("rtmp://example.com/live/cam?key=k")
	if err != nil {
		t.Fatal(err)
	}
	cfg.URL = u
	return &link{
		t: t, client: NewClientConn(cfg), server: NewServerConn(ServerConfig{}), piece: piece,
		onServer: func(Event) {}, onClient: func(Event) {},
	}
}

// run carries bytes both ways until nothing is left.
func (l *link) run() {
	l.t.Helper()
	for len(l.client.Output()) > 0 || len(l.server.Output()) > 0 {
		l.carry(l.client.Output(), l.client.Sent, l.server.Feed, l.onServer)
		l.carry(l.server.Output(), l.server.Sent, l.client.Feed, l.onClient)
	}
}

func (l *link) carry(out []byte, sent func(int), feed func([]byte) (int, Event, error), on func(Event)) {
	l.t.Helper()
	b := bytes.Clone(out)
	sent(len(out))
	for len(b) > 0 {
		n, ev, err := feed(b[:min(len(b), l.piece)])
		if err != nil {
			l.t.Fatal(err)
		}
		if ev.Kind != EventNone {
			on(ev)
		}
		b = b[n:]
	}
}

func clone(m Message) Message {
	m.Body = bytes.Clone(m.Body)
	return m
}

func testMessages() []Message {
	meta := amf0.AppendECMAArray(amf0.AppendString(nil, "onMetaData"), amf0.Property{Name: "width", Value: amf0.Number(640)})
	list := []Message{{Type: media.TypeData, Body: meta}, {Type: media.TypeData, Timestamp: 1, Body: amf0.AppendString(nil, "onTextData")}}
	// ts-wrap: the timestamps cross 2^24, 2^31 and 2^32.
	for i, ts := range []uint32{0, 0xFFFFFE, 0xFFFFFF, 0x1000000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0, 33} {
		list = append(list,
			Message{Type: media.TypeVideo, Timestamp: ts, Body: body(1 + i*9000)},
			Message{Type: media.TypeAudio, Timestamp: ts, Body: body(1 + i*100)})
	}
	return append(list, Message{Type: media.TypeVideo, Timestamp: 40, Body: body(300_000)})
}

// Every kind of client publishes to the server; each body comes out as it went in.
func TestPublishRoundTrip(t *testing.T) {
	kinds := []Handshake{HandshakeSimple, HandshakeDigest0, HandshakeDigest1}
	orders := []Order{OrderFFmpeg, OrderOBS, OrderMinimal}
	for i, kind := range kinds {
		for j, order := range orders {
			piece := []int{1 << 20, 1000, 1}[(i+j)%3]
			t.Run(fmt.Sprintf("handshake %d order %d pieces of %d", kind, order, piece), func(t *testing.T) {
				l := newLink(t, ClientConfig{Handshake: kind, Order: order}, piece)
				var got []Message
				var request *Request
				ready, unpublished := false, false
				l.onServer = func(ev Event) {
					switch ev.Kind {
					case EventPublish:
						request = ev.Request
						l.server.AcceptPublish()
					case EventMessage:
						got = append(got, clone(ev.Message))
					case EventUnpublish:
						unpublished = true
					default:
						t.Errorf("event %v", ev.Kind)
					}
				}
				l.onClient = func(ev Event) { ready = ready || ev.Kind == EventReady }
				l.run()
				if !ready || !l.client.Ready() || l.server.Phase() != PhasePublish {
					t.Fatalf("ready %v, phase %v", ready, l.server.Phase())
				}
				if request.Host != "example.com" || request.App != "live" || request.Stream != "cam" || request.Param("key") != "k" {
					t.Errorf("request %+v", request)
				}
				for _, m := range testMessages() {
					l.client.Publish(m)
				}
				l.run()
				if !reflect.DeepEqual(got, testMessages()) {
					t.Errorf("%d messages came of %d", len(got), len(testMessages()))
				}
				l.client.Stop()
				l.run()
				if !unpublished || l.server.Phase() != PhaseCommand {
					t.Errorf("unpublished %v, phase %v", unpublished, l.server.Phase())
				}
			})
		}
	}
}

// A player gets what AppendMedia writes, between control messages.
func TestPlayRoundTrip(t *testing.T) {
	for _, piece := range []int{1 << 20, 1000, 1} {
		t.Run(fmt.Sprintf("pieces of %d", piece), func(t *testing.T) {
			l := newLink(t, ClientConfig{Role: RolePlay, Handshake: HandshakeDigest1}, piece)
			l.onServer = func(ev Event) {
				if ev.Kind == EventPlay {
					l.server.AcceptPlay()
				}
			}
			var kinds []EventKind
			var got []Message
			l.onClient = func(ev Event) {
				kinds = append(kinds, ev.Kind)
				if ev.Kind == EventMessage {
					got = append(got, clone(ev.Message))
				}
			}
			l.run()
			if !slices.Equal(kinds, []EventKind{EventReady}) {
				t.Fatalf("events %v", kinds)
			}
			for i, m := range testMessages() {
				b := AppendMedia(nil, m)
				l.carry(b, func(int) {}, l.client.Feed, l.onClient)
				l.server.Ping(uint32(i))
				l.run()
			}
			if !reflect.DeepEqual(got, testMessages()) {
				t.Errorf("%d messages came of %d", len(got), len(testMessages()))
			}
			kinds = nil
			l.server.EndPlay()
			l.run()
			if !slices.Equal(kinds, []EventKind{EventEOF}) {
				t.Errorf("eof: events %v", kinds)
			}
		})
	}
}

// busy: a refusal comes out with its code.
func TestClientRefused(t *testing.T) {
	for _, role := range []Role{RolePublish, RolePlay} {
		l := newLink(t, ClientConfig{Role: role}, 100)
		l.onServer = func(Event) {
			l.server.RejectPublish("taken")
			l.server.RejectPlay("NetStream.Play.StreamNotFound", "no such app")
		}
		var got []Status
		l.onClient = func(ev Event) {
			if ev.Kind != EventRefused {
				t.Fatalf("event %v", ev.Kind)
			}
			got = append(got, *ev.Status)
		}
		l.run()
		want := []Status{{Code: "NetStream.Publish.BadName", Description: "taken"}}
		if role == RolePlay {
			want = []Status{{Code: "NetStream.Play.StreamNotFound", Description: "no such app"}}
		}
		if !slices.Equal(got, want) || l.client.Ready() {
			t.Errorf("role %d: %+v", role, got)
		}
	}
}

// connectedClient has shaken hands and drained its output.
func connectedClient(t *testing.T, cfg ClientConfig) *ClientConn {
	t.Helper()
	cfg.URL = URL{Host: "h", Port: 1935, App: "live", Stream: "cam"}
	c := NewClientConn(cfg)
	if n, _, err := c.Feed(append([]byte{3}, make([]byte, 2*handshakeSize)...)); err != nil || n != 1+2*handshakeSize {
		t.Fatalf("%d bytes, error %v", n, err)
	}
	c.Sent(len(c.Output()))
	return c
}

func TestClientAnswers(t *testing.T) {
	c := connectedClient(t, ClientConfig{})
	feed := func(b []byte) (Event, []byte) {
		t.Helper()
		n, ev, err := c.Feed(b)
		if err != nil || n != len(b) {
			t.Fatalf("%d of %d bytes, error %v", n, len(b), err)
		}
		out := bytes.Clone(c.Output())
		c.Sent(len(out))
		return ev, out
	}
	if _, out := feed(appendUserControl(nil, userPingRequest, 99)); !bytes.Equal(out, appendUserControl(nil, userPingResponse, 99)) {
		t.Errorf("ping: % x", out)
	}
	if _, out := feed(appendPeerBandwidth(nil, 77)); !bytes.Equal(out, control(typeWindowAckSize, 77)) {
		t.Errorf("set peer bandwidth: % x", out)
	}
	feed(control(typeWindowAckSize, 4000))
	if _, out := feed(videoMessage(1, 0, 3000)); len(out) != 16 || out[7] != typeAck {
		t.Errorf("acknowledgement: % x", out)
	}
	if feed(control(typeAck, 5)); c.Acked() != 5 {
		t.Errorf("acked %d", c.Acked())
	}
	c.Ping(8)
	if out := c.Output(); !bytes.Equal(out, appendUserControl(nil, userPingRequest, 8)) {
		t.Errorf("our ping: % x", out)
	}
	c.Sent(len(c.Output()))
	refusal := call(0, "_error", 1, amf0.Null(), statusObject(levelError, "NetConnection.Connect.Rejected", "no"))
	if ev, _ := feed(refusal); ev.Kind != EventRefused || *ev.Status != (Status{Code: "NetConnection.Connect.Rejected", Description: "no"}) {
		t.Errorf("event %v", ev)
	}
	if ev, _ := feed(call(0, "_error", 9, amf0.Null())); ev.Kind != EventNone {
		t.Errorf("the refusal of a call that does not matter: event %v", ev.Kind)
	}
	c.Stop()
	if len(c.Output()) != 0 {
		t.Error("Stop before the start sends something")
	}
	if _, _, err := c.Feed(chunk{format: 3, csid: 60}.append(nil)); !errors.Is(err, ErrProtocol) {
		t.Errorf("error %v", err)
	}
	if _, _, err := c.Feed([]byte{2}); !errors.Is(err, ErrProtocol) {
		t.Errorf("the error is not final: %v", err)
	}
}

// A publisher's steady state does not allocate, nor does a player's.
func TestClientAllocs(t *testing.T) {
	l := newLink(t, ClientConfig{}, 1<<20)
	l.onServer = func(Event) { l.server.AcceptPublish() }
	l.run()
	m := Message{Type: media.TypeVideo, Timestamp: 0x1000000, Body: body(20_000)}
	if n := testing.AllocsPerRun(100, func() {
		l.client.Publish(m)
		l.client.Sent(len(l.client.Output()))
	}); n != 0 {
		t.Errorf("Publish allocates %v times", n)
	}
	c := connectedClient(t, ClientConfig{Role: RolePlay})
	if _, _, err := c.Feed(control(typeSetChunkSize, PlayChunkSize)); err != nil {
		t.Fatal(err)
	}
	b := AppendMedia(nil, m)
	if n := testing.AllocsPerRun(100, func() {
		if n, ev, err := c.Feed(b); n != len(b) || ev.Kind != EventMessage || err != nil {
			t.Fatal(n, ev.Kind, err)
		}
		c.Sent(len(c.Output()))
	}); n != 0 {
		t.Errorf("Feed allocates %v times", n)
	}
}

// Output that is sent in small steps stays in order and does not pile up.
func TestOutbox(t *testing.T) {
	var o outbox
	var sent []byte
	want := body(10_000)
	rest := want
	for len(rest) > 0 || o.len() > 0 {
		o.compact()
		k := min(len(rest), 100)
		o.buf = append(o.buf, rest[:k]...)
		rest = rest[k:]
		n := min(o.len(), 70)
		sent = append(sent, o.bytes()[:n]...)
		o.sent(n, 1000)
		if len(o.buf) > 2*o.len()+200 {
			t.Fatalf("%d bytes held for %d", len(o.buf), o.len())
		}
	}
	if !bytes.Equal(sent, want) || o.buf != nil {
		t.Errorf("%d bytes sent, room for %d kept", len(sent), cap(o.buf))
	}
}
