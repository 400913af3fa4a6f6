package rtmp

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"tmms/media"
	"tmms/media/amf0"
)

// feedAll feeds in to a server in pieces, accepts what it asks for, reads all
// of its output, and returns its events.
func feedAll(t *testing.T, c *ServerConn, in []byte, size func() int) ([]string, error) {
	t.Helper()
	var events []string
	for len(in) > 0 {
		n, ev, err := c.Feed(in[:min(len(in), size())])
		if err != nil {
			return events, err
		}
		in = in[n:]
		if ev.Kind != EventNone {
			events = append(events, fmt.Sprintf("%d %d %d %q", ev.Kind, ev.Message.Type, ev.Message.Timestamp, ev.Message.Body))
		}
		switch ev.Kind {
		case EventPublish:
			c.AcceptPublish()
		case EventPlay:
			c.AcceptPlay()
		default:
		}
		if have := len(c.Output()); have > media.MaxControlOutput {
			t.Fatalf("%d bytes of output", have)
		}
		c.Sent(len(c.Output()))
	}
	return events, nil
}

// compare feeds the same bytes whole and in pieces: the same must come of it.
func compare(t *testing.T, budget *Budget, open func() *ServerConn, in []byte, seed uint64) {
	t.Helper()
	a := open()
	whole, err := feedAll(t, a, in, func() int { return 4096 })
	a.Close()
	rng := rand.New(rand.NewPCG(seed, 1))
	b := open()
	pieces, err2 := feedAll(t, b, in, func() int { return 1 + rng.IntN(9) })
	b.Close()
	if (err == nil) != (err2 == nil) || !slices.Equal(whole, pieces) {
		t.Fatalf("whole: %q, %v\npieces: %q, %v", whole, err, pieces, err2)
	}
	if budget.Used() != 0 {
		t.Fatalf("%d bytes of budget leak", budget.Used())
	}
}

func FuzzServerHandshake(f *testing.F) {
	for _, kind := range []Handshake{HandshakeSimple, HandshakeDigest0, HandshakeDigest1} {
		c := NewClientConn(ClientConfig{Handshake: kind, Rand: fixedRand()})
		f.Add(slices.Concat(c.Output(), make([]byte, handshakeSize), connectCall()), uint64(1))
	}
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"), uint64(1))
	f.Fuzz(func(t *testing.T, in []byte, seed uint64) {
		budget := NewBudget(1 << 20)
		compare(t, budget, func() *ServerConn {
			return NewServerConn(ServerConfig{Budget: budget, Rand: fixedRand()})
		}, in, seed)
	})
}

func FuzzServerConn(f *testing.F) {
	for _, sc := range append(commandScripts(), playerScripts()...) {
		var in []byte
		for _, s := range sc.steps {
			in = append(in, s.in...)
		}
		f.Add(in, uint64(1))
	}
	for _, tc := range capsCases() {
		f.Add(slices.Concat(announced(tc.props...), call(1, "play", 3, amf0.Null(), text("cam"))), uint64(1))
	}
	aggregate := aggregateBody(Message{Type: 9, Timestamp: 5, Body: body(3)}, Message{Type: 8, Timestamp: 6, Body: body(3)})
	for _, tc := range chunkCases() {
		f.Add(slices.Concat(connectCall(), publishCall(2), tc.in), uint64(1))
	}
	f.Add(slices.Concat(connectCall(), publishCall(2),
		appendMessage(nil, csidVideo, header{typ: typeAggregate}, aggregate, 128)), uint64(1))
	f.Fuzz(func(t *testing.T, in []byte, seed uint64) {
		budget := NewBudget(1 << 20)
		compare(t, budget, func() *ServerConn {
			return handshaken(NewServerConn(ServerConfig{Budget: budget, Rand: fixedRand()}))
		}, in, seed)
		compareGrouped(t, in, seed)
	})
}

func FuzzClientConn(f *testing.F) {
	s := NewServerConn(ServerConfig{})
	s.handshake, s.phase = nil, PhaseCommand
	if err := s.connect(&command{transaction: 1}); err != nil {
		f.Fatal(err)
	}
	s.createStream(&command{transaction: 4})
	s.pending, s.wanted = &Request{StreamID: 1}, PhasePlay
	s.AcceptPlay()
	s.Ping(5)
	s.out.buf = AppendMedia(s.out.buf, Message{Type: 9, Timestamp: 0x1000000, Body: body(500)})
	s.EndPlay()
	f.Add(s.Output(), true)
	f.Add(s.Output(), false)
	f.Fuzz(func(t *testing.T, in []byte, play bool) {
		cfg := ClientConfig{URL: URL{Host: "h", App: "live", Stream: "cam"}, Rand: fixedRand()}
		if play {
			cfg.Role = RolePlay
		}
		c := NewClientConn(cfg)
		c.handshake, c.phase = nil, clientConnecting
		for len(in) > 0 {
			n, ev, err := c.Feed(in)
			if err != nil {
				return
			}
			if n == 0 && ev.Kind == EventNone {
				t.Fatal("nothing consumed")
			}
			in = in[n:]
			c.Sent(len(c.Output()))
		}
	})
}

func FuzzParseURL(f *testing.F) {
	for _, s := range []string{"rtmp://h/live/cam", "rtmps://[::1]:1/a/b/c?d=e/f", "rtmp://h/live?key=1/cam?x=2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := ParseURL(s)
		if err == nil && (u.Host == "" || u.App == "" || u.Stream == "" || u.Port == 0) {
			t.Errorf("%q: %+v", s, u)
		}
		if target, err := parseTarget(s, s); err == nil && len(target.host)+len(target.app)+len(target.query) > 2*len(s) {
			t.Errorf("%q: %+v", s, target)
		}
		queryParam(s, "key")
	})
}
