package rtmp

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"testing"
	"unsafe"

	"tmms/media"
	"tmms/media/amf0"
)

// handshaken is c behind its handshake.
func handshaken(c *ServerConn) *ServerConn {
	c.handshake, c.phase = nil, PhaseCommand
	return c
}

// transcript is what became of an input: events, output, and the error's text.
type transcript struct {
	Events []string
	Out    string
	Err    string
}

// record feeds in to c in pieces, accepts what it asks for, reads its output,
// and calls between after each piece.
func record(c *ServerConn, in []byte, size func() int, between func()) (tr transcript) {
	for len(in) > 0 && tr.Err == "" {
		n, ev, err := c.Feed(in[:min(len(in), size())])
		in = in[n:]
		switch ev.Kind {
		case EventNone:
		case EventPublish, EventPlay:
			r := *ev.Request
			info := *r.ConnectInfo
			r.ConnectInfo = nil
			tr.Events = append(tr.Events, fmt.Sprintf("%d %+v %+v", ev.Kind, r, info))
			c.AcceptPublish()
			c.AcceptPlay()
		default:
			m := &ev.Message
			tr.Events = append(tr.Events, fmt.Sprintf("%d %v %v %d %q", ev.Kind, ev.Paused, m.Type, m.Timestamp, m.Body))
		}
		if err != nil {
			tr.Err = err.Error()
		}
		tr.Out += string(c.Output())
		c.Sent(len(c.Output()))
		between()
	}
	return tr
}

// compareGrouped feeds the same bytes to a connection of its own and to one of
// a group, in the same pieces, while another player of the group is in the
// middle of something else: neither must notice.
func compareGrouped(t *testing.T, in []byte, seed uint64) {
	t.Helper()
	sizes := func() func() int {
		rng := rand.New(rand.NewPCG(seed, 2))
		return func() int { return 1 + rng.IntN(19) }
	}
	all := func() int { return 1 << 20 }
	lone := handshaken(NewServerConn(ServerConfig{}))
	want := record(lone, in, sizes(), func() {})
	lone.EndPlay()
	want.Out += string(lone.Output())

	budget := NewBudget(1 << 20)
	group := NewServerGroup(ServerConfig{Budget: budget})
	other := handshaken(group.NewConn())
	record(other, slices.Concat(connectCall(), call(1, "play", 2, amf0.Null(), text("other"))), all, func() {})
	ping := appendUserControl(nil, userPingRequest, 77)
	pong := string(appendUserControl(nil, userPingResponse, 77))
	half := 0
	c := handshaken(group.NewConn())
	got := record(c, in, sizes(), func() {
		part := ping[half*9 : half*9+9]
		said := record(other, part, all, func() {})
		if want := map[int]string{1: pong}[half]; said.Out != want || said.Err != "" {
			t.Fatalf("the other player got %q, %s", said.Out, said.Err)
		}
		half = 1 - half
	})
	c.EndPlay()
	got.Out += string(c.Output())
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("in a group: %+v\nalone: %+v", got, want)
	}
	c.Close()
	other.Close()
	if budget.Used() != 0 || len(group.sessions) != 0 {
		t.Fatalf("%d bytes of budget and %d sessions leak", budget.Used(), len(group.sessions))
	}
}

// acknowledgement has a header of any type; with 1 to 3 it refers to an earlier one.
func acknowledgement(format uint8, v byte) []byte {
	return chunk{format: format, csid: csidControl, length: 4, typ: typeAck, payload: []byte{0, 0, 0, v}}.append(nil)
}

// playerScripts is what a player may say while it plays.
func playerScripts() []script {
	null := amf0.Null()
	stop := []string{"stop"}
	create := step{in: call(0, "createStream", 4, null), replies: []string{"_result 4 1"}}
	play := step{
		in: call(1, "play", 5, null, text("cam")), events: []string{"play live/cam"},
		replies: []string{"user 0 1", "onStatus 0 NetStream.Play.Reset", "onStatus 0 NetStream.Play.Start"},
	}
	again := func(name string) step {
		s := play
		s.in = call(1, "play", 9, null, text(name))
		s.events = []string{"play live/" + name}
		return s
	}
	ping := step{in: appendUserControl(nil, userPingRequest, 9), replies: []string{"user 7 9"}}
	pause := func(on bool, replies ...string) step {
		return step{
			in:     call(1, "pause", 0, null, amf0.Bool(on), amf0.Number(0)),
			events: []string{fmt.Sprintf("pause %v", on)}, replies: replies,
		}
	}
	acks := step{in: slices.Concat(acknowledgement(0, 1), acknowledgement(1, 2), acknowledgement(2, 3), acknowledgement(3, 4))}
	late := step{in: slices.Concat(acknowledgement(1, 5), acknowledgement(3, 6))}
	longName := text(string(make([]byte, 300)))
	return []script{
		{"acknowledgements", []step{connectStep(), create, play, acks, late, ping, late, ping}},
		{"pause", []step{
			connectStep(), create, play, acks, pause(true, "onStatus 0 NetStream.Pause.Notify", "user 1 1"), ping,
			pause(false, "user 0 1", "onStatus 0 NetStream.Unpause.Notify"), late, ping,
		}},
		{"closeStream, another play", []step{
			connectStep(), create, play, ping, {in: call(1, "closeStream", 0, null), events: stop}, again("two"), ping,
		}},
		{"deleteStream, another play", []step{
			connectStep(), create, play, ping,
			{in: call(0, "deleteStream", 0, null, amf0.Number(1)), events: stop},
			create, again("two"), acks,
		}},
		{"a publish after a play", []step{
			connectStep(), create, play, ping,
			{in: call(1, "closeStream", 0, null), events: stop},
			{in: publishCall(7), events: []string{"publish live/cam"}, replies: []string{"onStatus 0 NetStream.Publish.Start"}},
			{in: videoMessage(1, 10, 200), events: []string{"video 10 200b"}},
		}},
		{"chunk size", []step{
			connectStep(), create, play,
			{in: control(typeSetChunkSize, 50)},
			{
				in:      appendCommand(nil, 50, 1, command{"some", 8, []amf0.Value{null, longName}}),
				replies: []string{"_error 8 NetConnection.Call.Failed"},
			},
			ping,
		}},
		{"window", []step{
			connectStep(), create, play,
			{in: control(typeWindowAckSize, 4000), replies: []string{"ack 3241"}},
			{in: slices.Repeat(acknowledgement(0, 1), 126), replies: []string{"ack 5257"}},
		}},
		{"extended timestamps", []step{
			connectStep(), create, play,
			{in: chunk{csid: 2, ts: 0x2000000, length: 4, typ: typeAck, payload: []byte{0, 0, 0, 6}}.append(nil)},
			{in: chunk{format: 3, csid: 2, ts: 0x2000000, ext: true, payload: []byte{0, 0, 0, 7}}.append(nil)},
			ping,
		}},
		{"many chunk streams", []step{
			connectStep(), create, play,
			{in: slices.Concat(
				chunk{csid: 70, length: 4, typ: typeAck, payload: body(4)}.append(nil),
				chunk{csid: 65599, length: 4, typ: typeAck, payload: body(4)}.append(nil),
				chunk{csid: 9, length: 4, typ: typeAck, payload: body(4)}.append(nil),
			)},
			{in: chunk{format: 3, csid: 65599, payload: body(4)}.append(nil)},
			ping,
		}},
		{"large numbers", []step{
			connectStep(),
			{in: chunk{csid: 65599, sid: 1<<14 - 1, ts: 0xFFFFFFFF, length: 4, typ: typeAck, payload: body(4)}.append(nil)},
			create, play, ping,
			{in: chunk{format: 3, csid: 65599, ts: 0xFFFFFFFF, ext: true, payload: body(4)}.append(nil)},
			{in: chunk{format: 1, csid: 65599, ts: 1, length: 5, typ: 9, payload: body(5)}.append(nil)},
		}},
		{"a message stream that none of ours is", []step{
			connectStep(), create, play, ping,
			{in: chunk{csid: 70, sid: 0xFFFFFFFF, length: 4, typ: typeAck, payload: body(4)}.append(nil)},
			{in: chunk{format: 3, csid: 70, payload: body(4)}.append(nil)},
			ping,
		}},
	}
}

// What a player says comes through whether or not its state was dropped in
// between.
func TestParkedPlayerGoesOn(t *testing.T) {
	for _, sc := range playerScripts() {
		t.Run(sc.name, func(t *testing.T) {
			var in []byte
			p := newPeer(t, ServerConfig{})
			for i, s := range sc.steps {
				in = append(in, s.in...)
				if got := p.feed(s.in); !slices.Equal(got, s.events) {
					t.Fatalf("step %d: events %q, want %q", i, got, s.events)
				}
				if got := p.replies(); !slices.Equal(got, s.replies) {
					t.Fatalf("step %d: replies %q, want %q", i, got, s.replies)
				}
			}
			for seed := range uint64(20) {
				compareGrouped(t, in, seed)
			}
		})
	}
}

// A player that has nothing in hand is one object of 112 bytes, and holds none
// of what connect said for itself.
func TestPlayerIsSmall(t *testing.T) {
	group := NewServerGroup(ServerConfig{Budget: NewBudget(1 << 20)})
	first, p := group.playing(t), group.playing(t)
	p.feed(appendUserControl(nil, 3, 1000))
	p.feed(control(typeAck, 1000))
	p.replies()
	if n := unsafe.Sizeof(ServerConn{}); n > 112 {
		t.Errorf("a ServerConn has %d bytes, want at most 112", n)
	}
	if p.c.serverWork != nil {
		t.Error("a player that has nothing in hand keeps its working state")
	}
	if first.c.session != p.c.session {
		t.Error("two players that said the same have two sessions")
	}
	ping := appendUserControl(nil, userPingRequest, 5)
	p.feed(ping[:1])
	if p.c.serverWork == nil {
		t.Error("a player is parked inside a message")
	}
	p.feed(ping[1:])
	if len(p.c.Output()) == 0 || p.c.serverWork == nil {
		t.Error("a player is parked while an answer is not sent")
	}
	p.replies()
	if p.c.serverWork != nil || group.spare == nil {
		t.Error("a player keeps its working state after its answer")
	}
}

// playing is a player of the group.
func (g *ServerGroup) playing(t *testing.T) *peer {
	t.Helper()
	p := &peer{t: t, c: handshaken(g.NewConn()), reader: newChunkReader(nil, media.MaxPartialBytes)}
	p.decide = func(Event) { p.c.AcceptPlay() }
	p.feed(slices.Concat(connectCall(), call(0, "createStream", 2, amf0.Null()), call(1, "play", 3, amf0.Null(), text("cam"))))
	p.replies()
	return p
}

// Acknowledgements and pings of any number of players do not allocate.
func TestPlayerAllocs(t *testing.T) {
	group := NewServerGroup(ServerConfig{Budget: NewBudget(1 << 20)})
	players := []*ServerConn{group.playing(t).c, group.playing(t).c, group.playing(t).c}
	in := slices.Concat(acknowledgement(0, 1), appendUserControl(nil, userPingRequest, 7), acknowledgement(1, 2))
	answers := 0
	n := testing.AllocsPerRun(200, func() {
		for _, c := range players {
			for _, b := range [][]byte{in[:20], in[20:]} {
				if k, ev, err := c.Feed(b); k != len(b) || ev.Kind != EventNone || err != nil {
					t.Fatal(k, ev, err)
				}
			}
			answers += len(c.Output())
			c.Sent(len(c.Output()))
		}
	})
	if n != 0 || answers != 201*3*18 {
		t.Errorf("%v allocations, %d bytes of answers", n, answers)
	}
}

// A connection that is going to publish shares nothing with its group any more.
func TestPublisherLeavesItsGroup(t *testing.T) {
	p := newPeer(t, ServerConfig{})
	group := p.c.group
	p.feed(connectCall())
	if len(group.sessions) != 1 {
		t.Fatalf("%d sessions", len(group.sessions))
	}
	p.decide = func(Event) {
		if p.c.group != nil || len(group.sessions) != 0 {
			t.Error("a connection that asked to publish is still in its group")
		}
		p.c.AcceptPublish()
	}
	p.feed(publishCall(2))
	p.replies()
	if got := p.feed(videoMessage(1, 5, 100)); !slices.Equal(got, []string{"video 5 100b"}) {
		t.Errorf("events %q", got)
	}
	p.c.Close()
}

// Connects that differ don't share, and what nobody has any more is forgotten.
func TestSessionsAreSharedByEqualConnects(t *testing.T) {
	group := NewServerGroup(ServerConfig{})
	open := func(props ...amf0.Property) *ServerConn {
		c := handshaken(group.NewConn())
		record(c, call(0, "connect", 1, amf0.Object(props...)), func() int { return 1 << 20 }, func() {})
		return c
	}
	prop := func(name, s string) amf0.Property { return amf0.Property{Name: name, Value: text(s)} }
	app, url := prop("app", "live"), prop("tcUrl", "rtmp://h/live")
	codecs := func(list ...amf0.Value) amf0.Property {
		return amf0.Property{Name: "fourCcList", Value: amf0.StrictArray(list...)}
	}
	long := prop("pageUrl", string(slices.Repeat([]byte("x"), media.MaxName)))
	cases := [][]amf0.Property{
		{app, url},
		{app, prop("tcUrl", "rtmp://g/live")},
		{prop("app", "other"), url},
		{app, url, prop("flashVer", "LNX 1")},
		{app, url, prop("pageUrl", "p")},
		{app, url, prop("swfUrl", "p")},
		{app, url, codecs(text("av01"))},
		{app, url, codecs(text("av01"), text("hvc1"))},
		{app, url, {Name: "objectEncoding", Value: amf0.Number(3)}},
		{app, url, {Name: "capsEx", Value: amf0.Number(1)}},
	}
	var conns []*ServerConn
	for i, props := range cases {
		a, b := open(props...), open(props...)
		if a.session != b.session || len(group.sessions) != i+1 {
			t.Errorf("case %d: shared %v, %d sessions", i, a.session == b.session, len(group.sessions))
		}
		conns = append(conns, a, b)
	}
	big := []amf0.Property{long, app, prop("tcUrl", "rtmp://h/"+string(make([]byte, media.MaxSharedSession)))}
	if a, b := open(big...), open(big...); a.session == nil || a.session == b.session || len(group.sessions) != len(cases) {
		t.Error("a session over the limit is shared")
	}
	for i, c := range conns {
		if len(group.sessions) != len(cases)-i/2 {
			t.Errorf("%d sessions after %d connections have closed", len(group.sessions), i)
		}
		c.Close()
		c.Close() // a second time changes nothing
	}
	for i := range media.MaxSharedSessions + 5 {
		conns = append(conns, open(prop("app", strconv.Itoa(i))))
	}
	if n := len(group.sessions); n != media.MaxSharedSessions {
		t.Errorf("%d sessions, the limit is %d", n, media.MaxSharedSessions)
	}
	for _, c := range conns {
		c.Close()
	}
	if n := len(group.sessions); n != 0 {
		t.Errorf("%d sessions are left", n)
	}
}

// After Close nothing comes of a parked player, and nothing breaks.
func TestCloseOfAParkedPlayer(t *testing.T) {
	p := NewServerGroup(ServerConfig{}).playing(t)
	p.c.Close()
	if _, _, err := p.c.Feed([]byte{1}); err == nil {
		t.Error("fed after Close")
	}
	p.c.EndPlay()
	p.c.Ping(1)
	p.c.AcceptPlay()
	p.c.Sent(0)
	if n := len(p.c.Output()); n != 0 {
		t.Errorf("%d bytes of output after Close", n)
	}
}

// Every header that can be parked comes back as it was.
func TestParkedStreamIsWhole(t *testing.T) {
	streams := []chunkStream{
		{},
		{id: 2, length: 4, typ: typeAck},
		{id: 65599, timestamp: 0xFFFFFFFF, delta: 0xFFFFFFFE, ext: 0xFFFFFFFE, length: 0xFFFFFF, streamID: maxParkedID, typ: 255, hasExt: true},
		{id: 3, timestamp: 5, delta: 6, ext: 6, length: 7, streamID: 1, typ: 8},
	}
	for _, s := range streams {
		p := s.park()
		if got := p.resume(nil); !s.parkable() || !reflect.DeepEqual(got, s) {
			t.Errorf("%+v comes back as %+v", s, got)
		}
	}
	for _, s := range []chunkStream{{open: true}, {hasExt: true, ext: 1}, {streamID: maxParkedID + 1}} {
		if s.parkable() {
			t.Errorf("%+v can be parked", s)
		}
	}
}
