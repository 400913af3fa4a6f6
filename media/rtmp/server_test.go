package rtmp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"tmms/media"
	"tmms/media/amf0"
	"tmms/media/flv"
)

func TestConnectInfo(t *testing.T) {
	p := newPeer(t, ServerConfig{})
	var got *Request
	p.decide = func(ev Event) { got = ev.Request }
	p.feed(call(0, "connect", 1, amf0.Object(
		amf0.Property{Name: "app", Value: text("live?key=k1")},
		amf0.Property{Name: "tcUrl", Value: text("rtmp://example.com:1935/live?key=k1")},
		amf0.Property{Name: "flashVer", Value: text("FMLE/3.0")},
		amf0.Property{Name: "objectEncoding", Value: amf0.Number(3)},
		amf0.Property{Name: "fourCcList", Value: amf0.StrictArray(text("av01"), text("hvc1"), text("too long"), amf0.Number(1))},
		amf0.Property{Name: "videoFourCcInfoMap", Value: amf0.Object(amf0.Property{Name: "*", Value: amf0.Number(1)})},
		amf0.Property{Name: "capsEx", Value: amf0.Number(7)},
	)))
	p.feed(call(5, "play", 3, amf0.Null(), text("flv:cam"), amf0.Number(-1)))
	want := &Request{
		ConnectInfo: &ConnectInfo{
			TcURL: "rtmp://example.com:1935/live?key=k1", FlashVer: "FMLE/3.0", ObjectEncoding: 3,
			FourCCs: flv.VideoFourCCs, Caps: CapsReconnect | CapsMultitrack | CapsModEx,
		},
		Host: "example.com", App: "live", Stream: "cam", Query: "key=k1", StreamID: 5, Start: -1,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v %+v\nwant %+v %+v", got, got.ConnectInfo, want, want.ConnectInfo)
	}
	if got.Param("key") != "k1" {
		t.Errorf("key %q", got.Param("key"))
	}
}

func TestReject(t *testing.T) {
	p := connected(t, ServerConfig{})
	p.decide = func(Event) { p.c.RejectPublish("busy") }
	p.feed(publishCall(3))
	if got := p.replies(); !slices.Equal(got, []string{"onStatus 0 NetStream.Publish.BadName"}) {
		t.Errorf("busy: replies %q", got)
	}
	if got := p.feed(videoMessage(1, 0, 5)); got != nil || p.c.Phase() != PhaseCommand {
		t.Errorf("events %q, phase %v after a refusal", got, p.c.Phase())
	}
	p = connected(t, ServerConfig{})
	p.decide = func(Event) { p.c.RejectPlay("NetStream.Play.StreamNotFound", "no such app") }
	p.feed(call(1, "play", 3, amf0.Null(), text("cam")))
	if got := p.replies(); !slices.Equal(got, []string{"onStatus 0 NetStream.Play.StreamNotFound"}) {
		t.Errorf("replies %q", got)
	}
	p.c.AcceptPlay()
	p.c.AcceptPublish()
	p.c.RejectPublish("late")
	p.c.EndPlay()
	if len(p.c.Output()) != 0 || p.c.Phase() != PhaseCommand {
		t.Errorf("a decision without a request has an effect")
	}
}

func TestEndPlay(t *testing.T) {
	p := playing(t, ServerConfig{})
	p.c.EndPlay()
	if got := p.replies(); !slices.Equal(got, []string{"user 1 1", "onStatus 0 NetStream.Play.UnpublishNotify"}) {
		t.Errorf("eof: replies %q", got)
	}
	if p.c.Phase() != PhaseCommand {
		t.Errorf("phase %v", p.c.Phase())
	}
}

func TestDataMessages(t *testing.T) {
	meta := amf0.AppendECMAArray(amf0.AppendString(nil, "onMetaData"), amf0.Property{Name: "width", Value: amf0.Number(640)})
	framed := append(amf0.AppendString(nil, "@setDataFrame"), meta...)
	other := amf0.AppendString(amf0.AppendString(nil, "onTextData"), "hello")
	cases := []struct {
		name     string
		typ      uint8
		in, want []byte
	}{
		{"setDataFrame", typeData, framed, meta},
		{"bare onMetaData", typeData, meta, meta},
		{"AMF3", typeDataAMF3, append([]byte{0}, framed...), meta},
		{"other data", typeData, other, other},
		{"other data, AMF3", typeDataAMF3, append([]byte{0}, other...), other},
		{"setDataFrame alone", typeData, amf0.AppendString(nil, "@setDataFrame"), nil},
		{"empty", typeData, nil, nil},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			p := publishing(t, ServerConfig{})
			in := appendMessage(nil, csidData, header{typ: tc.typ, timestamp: 7, streamID: 1}, tc.in, defaultChunkSize)
			_, ev, err := p.c.Feed(in)
			if err != nil {
				t.Fatal(err)
			}
			if len(tc.want) == 0 {
				if ev.Kind != EventNone {
					t.Errorf("event %v", ev.Kind)
				}
				return
			}
			want := Message{Type: media.TypeData, Timestamp: 7, Body: tc.want}
			if ev.Kind != EventMessage || !reflect.DeepEqual(ev.Message, want) {
				t.Errorf("event %v, message %+v, want %+v", ev.Kind, ev.Message, want)
			}
		})
	}
}

func aggregateBody(tags ...Message) []byte {
	var b []byte
	for _, m := range tags {
		n := len(m.Body)
		b = append(b, byte(m.Type), byte(n>>16), byte(n>>8), byte(n),
			byte(m.Timestamp>>16), byte(m.Timestamp>>8), byte(m.Timestamp), byte(m.Timestamp>>24), 0, 0, 0)
		b = binary.BigEndian.AppendUint32(append(b, m.Body...), uint32(11+n))
	}
	return b
}

func TestAggregate(t *testing.T) {
	whole := aggregateBody(
		Message{Type: media.TypeVideo, Timestamp: 0xFFFFFF00, Body: body(5)},
		Message{Type: media.TypeAudio, Timestamp: 0xFFFFFF10, Body: body(6)},
		Message{Type: 77, Timestamp: 0xFFFFFF11, Body: body(1)},
		Message{Type: media.TypeVideo, Timestamp: 0x00000010, Body: body(7)},
		Message{Type: 77, Timestamp: 0x00000011, Body: body(1)},
	)
	want := []string{"video 1000 5b", "audio 1016 6b", "video 1272 7b"}
	send := func(b []byte) []byte {
		return appendMessage(nil, csidVideo, header{typ: typeAggregate, timestamp: 1000, streamID: 1}, b, defaultChunkSize)
	}
	after := videoMessage(1, 2000, 3)
	t.Run("aggregate-22/whole", func(t *testing.T) {
		p := publishing(t, ServerConfig{})
		if got := p.feed(send(whole)); !slices.Equal(got, want) {
			t.Errorf("events %q, want %q", got, want)
		}
		if got := p.feed(after); !slices.Equal(got, []string{"video 2000 3b"}) {
			t.Errorf("afterwards %q", got)
		}
	})
	t.Run("aggregate-22/with more behind", func(t *testing.T) {
		p := publishing(t, ServerConfig{})
		got := p.feed(slices.Concat(send(whole), after))
		if !slices.Equal(got, append(slices.Clone(want), "video 2000 3b")) {
			t.Errorf("events %q", got)
		}
	})
	t.Run("aggregate-22/one byte at a time", func(t *testing.T) {
		p := publishing(t, ServerConfig{})
		var got []string
		for _, c := range slices.Concat(send(whole), after) {
			got = append(got, p.feed([]byte{c})...)
		}
		if !slices.Equal(got, append(slices.Clone(want), "video 2000 3b")) {
			t.Errorf("events %q", got)
		}
	})
	t.Run("aggregate-22/last trailer left out", func(t *testing.T) {
		p := publishing(t, ServerConfig{})
		if got := p.feed(send(whole[:len(whole)-4])); !slices.Equal(got, want) {
			t.Errorf("events %q, want %q", got, want)
		}
	})
	t.Run("aggregate-22/nothing inside", func(t *testing.T) {
		p := publishing(t, ServerConfig{})
		if got := p.feed(slices.Concat(send(aggregateBody(Message{Type: 77})), send(nil), after)); !slices.Equal(got, []string{"video 2000 3b"}) {
			t.Errorf("events %q", got)
		}
	})
	for _, cut := range []int{1, 10, 12, 15, 25} {
		t.Run(fmt.Sprintf("aggregate-22/cut to %d bytes", cut), func(t *testing.T) {
			p := publishing(t, ServerConfig{})
			got, err := p.tryFeed(send(whole[:cut]))
			if !errors.Is(err, ErrProtocol) {
				t.Errorf("events %q, error %v", got, err)
			}
		})
	}
}

func TestAcknowledgement(t *testing.T) {
	feedBytes := func(p *peer, total int) []string {
		var acks []string
		m := videoMessage(1, 0, 50_000)
		for ; total > 0; total -= len(m) {
			p.feed(m)
			acks = append(acks, p.replies()...)
		}
		return acks
	}
	t.Run("without a window", func(t *testing.T) {
		p := publishing(t, ServerConfig{})
		acks := feedBytes(p, 3*defaultWindow)
		if len(acks) < 3 || !strings.HasPrefix(acks[0], "ack 12") {
			t.Errorf("acks %q", acks)
		}
	})
	t.Run("with a window", func(t *testing.T) {
		p := publishing(t, ServerConfig{})
		p.feed(control(typeWindowAckSize, 100_000))
		if acks := feedBytes(p, 1_000_000); len(acks) < 10 {
			t.Errorf("acks %q", acks)
		}
	})
	t.Run("ack-4GiB", func(t *testing.T) {
		p := publishing(t, ServerConfig{})
		p.c.received += 0xFFFF0000 - p.c.received // as after 4 GiB less 64 KiB
		p.c.ackedIn = p.c.received
		p.feed(control(typeWindowAckSize, 100_000))
		acks := feedBytes(p, 200_000)
		var last uint32
		for i, a := range acks {
			var n uint32
			if _, err := fmt.Sscanf(a, "ack %d", &n); err != nil || i > 0 && n-last > 110_000 {
				t.Errorf("%q behind ack %d", a, last)
			}
			last = n
		}
		if len(acks) < 3 || last < 100_000 || last > 200_000 {
			t.Errorf("acks %q do not go on behind 2^32", acks)
		}
	})
	t.Run("of players are read", func(t *testing.T) {
		p := playing(t, ServerConfig{})
		p.feed(control(typeAck, 0xFFFFFFF0))
		if p.c.Acked() != 0xFFFFFFF0 {
			t.Errorf("acked %d", p.c.Acked())
		}
	})
	t.Run("set peer bandwidth", func(t *testing.T) {
		p := connected(t, ServerConfig{})
		p.feed(appendPeerBandwidth(nil, 5000))
		p.feed(appendPeerBandwidth(nil, 5000))
		if got := p.replies(); !slices.Equal(got, []string{"window 5000"}) {
			t.Errorf("replies %q", got)
		}
	})
}

func TestPaused(t *testing.T) {
	p := playing(t, ServerConfig{})
	for _, want := range []bool{true, false} {
		p.feed(call(1, "pauseRaw", 0, amf0.Null(), amf0.Bool(want), amf0.Number(0)))
		if p.c.Paused() != want {
			t.Errorf("paused %v", !want)
		}
	}
	p.feed(call(1, "pause", 0, amf0.Null(), amf0.Bool(true), amf0.Number(0)))
	p.feed(call(1, "closeStream", 0, amf0.Null()))
	if p.c.Paused() || p.c.Phase() != PhaseCommand {
		t.Errorf("paused %v in phase %v after closeStream", p.c.Paused(), p.c.Phase())
	}
}

func TestPing(t *testing.T) {
	p := playing(t, ServerConfig{})
	p.feed(appendUserControl(nil, userPingRequest, 0xDEADBEEF))
	if got := p.replies(); !slices.Equal(got, []string{fmt.Sprintf("user 7 %d", uint32(0xDEADBEEF))}) {
		t.Errorf("ping: replies %q", got)
	}
	p.c.Ping(77)
	if got := p.replies(); !slices.Equal(got, []string{"user 6 77"}) {
		t.Errorf("our ping: %q", got)
	}
	p.feed(appendUserControl(nil, userPingResponse, 77))
	p.feed(appendMessage(nil, 2, header{typ: typeUserControl}, []byte{0, 9}, 128)) // without a value
	if got := p.replies(); got != nil {
		t.Errorf("an answer is answered: %q", got)
	}
}

func TestServerRefuses(t *testing.T) {
	deep := amf0.Value{}
	for range media.MaxAMFDepth {
		deep = amf0.StrictArray(deep)
	}
	cases := []struct {
		name string
		in   []byte
		want error
	}{
		{"publish before connect", publishCall(1), ErrProtocol},
		{"play before connect", call(1, "play", 1, amf0.Null(), text("cam")), ErrProtocol},
		{"command without a name", appendMessage(nil, 3, header{typ: typeCommand}, amf0.AppendNumber(nil, 1), 128), ErrProtocol},
		{"empty command", appendMessage(nil, 3, header{typ: typeCommand}, nil, 128), ErrProtocol},
		{"command cut short", appendMessage(nil, 3, header{typ: typeCommand}, connectCall()[12:60], 128), ErrProtocol},
		{"too deep", call(0, "connect", 1, deep), amf0.ErrLimit},
		{"short control message", appendMessage(nil, 2, header{typ: typeAck}, []byte{1}, 128), ErrProtocol},
		{"short user control", appendMessage(nil, 2, header{typ: typeUserControl}, []byte{1}, 128), ErrProtocol},
		{"chunk size 0", control(typeSetChunkSize, 0), ErrProtocol},
		{"a large message before publish", chunk{csid: 4, length: media.MaxPreAuthBytes + 1, typ: typeVideo}.append(nil), ErrLimit},
		{"tcUrl too long", call(0, "connect", 1, amf0.Object(
			amf0.Property{Name: "tcUrl", Value: text(strings.Repeat("x", 5000))})), ErrLimit},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			budget := NewBudget(media.MaxPartialBytesProcess)
			p := newPeer(t, ServerConfig{Budget: budget})
			if _, err := p.tryFeed(tc.in); !errors.Is(err, tc.want) {
				t.Errorf("error %v, want %v", err, tc.want)
			}
			if _, _, err := p.c.Feed([]byte{1}); !errors.Is(err, tc.want) {
				t.Errorf("the error is not final: %v", err)
			}
			if budget.Used() != 0 {
				t.Errorf("%d bytes of budget held after an error", budget.Used())
			}
		})
	}
}

// A peer that asks and does not read is closed, before it costs 64 KiB.
func TestServerBoundsAnswers(t *testing.T) {
	for _, limited := range []struct {
		p   *peer
		max int
	}{{connected(t, ServerConfig{}), media.MaxPreAuthBytes}, {publishing(t, ServerConfig{}), media.MaxControlOutput}} {
		ping := appendUserControl(nil, userPingRequest, 1)
		var err error
		n := 0
		for ; err == nil && n < 10_000; n++ {
			_, err = limited.p.tryFeed(ping)
		}
		if !errors.Is(err, ErrLimit) || n > limited.max/len(ping)+2 {
			t.Errorf("phase %v: error %v after %d pings", limited.p.c.Phase(), err, n)
		}
	}
}

func TestOverBudget(t *testing.T) {
	budget := NewBudget(64 << 10)
	a, b := publishing(t, ServerConfig{Budget: budget}), publishing(t, ServerConfig{Budget: budget})
	message := videoMessage(1, 5, 50_000)
	a.feed(message[:40_000])
	if got := b.feed(message[:30_000]); !slices.Equal(got, []string{"over budget"}) {
		t.Fatalf("events %q", got)
	}
	a.c.Close()
	if _, _, err := a.c.Feed([]byte{1}); err == nil {
		t.Error("Feed after Close works")
	}
	c := publishing(t, ServerConfig{Budget: budget})
	b.c.Close()
	if used := budget.Used(); used != 0 {
		t.Fatalf("%d bytes held by nobody", used)
	}
	// A paused publisher goes on with the bytes that were not consumed.
	hog := publishing(t, ServerConfig{Budget: budget})
	hog.feed(message[:40_000])
	rest := message
	for {
		n, ev, err := c.c.Feed(rest)
		if err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
		if ev.Kind == EventOverBudget {
			hog.c.Close()
			continue
		}
		if ev.Kind != EventMessage || !bytes.Equal(ev.Message.Body, body(50_000)) {
			t.Fatalf("event %v with %d bytes", ev.Kind, len(ev.Message.Body))
		}
		break
	}
	// A player or stranger over the budget is closed.
	hog = publishing(t, ServerConfig{Budget: budget})
	hog.feed(message[:40_000])
	stranger := newPeer(t, ServerConfig{Budget: budget})
	big := appendMessage(nil, 4, header{typ: typeVideo}, body(60_000), 128)
	if _, err := stranger.tryFeed(big); !errors.Is(err, ErrBudget) {
		t.Errorf("stranger: error %v", err)
	}
}

// Feeding a publisher's messages does not allocate.
func TestFeedAllocs(t *testing.T) {
	p := publishing(t, ServerConfig{Budget: NewBudget(media.MaxPartialBytesProcess)})
	p.feed(control(typeSetChunkSize, 4096))
	in := slices.Concat(
		appendMessage(nil, csidVideo, header{typ: typeVideo, timestamp: 0x1000000, streamID: 1}, body(20_000), 4096),
		appendMessage(nil, csidAudio, header{typ: typeAudio, timestamp: 0x1000000, streamID: 1}, body(300), 4096),
	)
	messages := 0
	n := testing.AllocsPerRun(200, func() {
		for b := in; len(b) > 0; {
			n, ev, err := p.c.Feed(b)
			if err != nil {
				t.Fatal(err)
			}
			if ev.Kind == EventMessage {
				messages++
			}
			b = b[n:]
		}
		p.c.Sent(len(p.c.Output()))
	})
	if n != 0 || messages != 402 {
		t.Errorf("%v allocations, %d messages", n, messages)
	}
}
