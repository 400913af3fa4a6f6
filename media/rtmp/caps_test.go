package rtmp

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"tmms/media"
	"tmms/media/amf0"
	"tmms/media/flv"
)

func prop(name string, v amf0.Value) amf0.Property { return amf0.Property{Name: name, Value: v} }

// announced is a connect command with more properties.
func announced(props ...amf0.Property) []byte {
	return call(0, "connect", 1, amf0.Object(append([]amf0.Property{
		prop("app", text("live")), prop("tcUrl", text("rtmp://example.com/live")),
	}, props...)...))
}

// capsCases feed TestAnnounced and the fuzz seeds.
func capsCases() []struct {
	name  string
	props []amf0.Property
	want  flv.FourCCs
} {
	set := func(names ...string) (s flv.FourCCs) {
		for _, name := range names {
			s |= flv.ParseFourCC(name)
		}
		return s
	}
	number := func(name string, v float64) amf0.Property { return prop(name, amf0.Number(v)) }
	many := make([]amf0.Value, media.MaxFourCCs)
	return []struct {
		name  string
		props []amf0.Property
		want  flv.FourCCs
	}{
		{"nothing", nil, 0},
		{"list", []amf0.Property{prop("fourCcList", amf0.StrictArray(text("hvc1"), text("Opus")))}, set("hvc1", "Opus")},
		{"everything", []amf0.Property{prop("fourCcList", amf0.StrictArray(text("*")))}, flv.AllFourCCs},
		{"all video", []amf0.Property{prop("videoFourCcInfoMap", amf0.Object(number("*", canDecode)))}, flv.VideoFourCCs},
		{"all audio, as a relay", []amf0.Property{prop("audioFourCcInfoMap", amf0.ECMAArray(number("*", canForward)))}, flv.AudioFourCCs},
		{"maps", []amf0.Property{
			prop("videoFourCcInfoMap", amf0.Object(number("av01", 7), number("hvc1", canForward), number("vp09", 2))),
			prop("audioFourCcInfoMap", amf0.Object(number("fLaC", 1), number("Opus", 0))),
		}, set("av01", "hvc1", "fLaC")},
		{"a map of the other type", []amf0.Property{prop("audioFourCcInfoMap", amf0.Object(number("av01", 7)))}, 0},
		{"one not known here", []amf0.Property{prop("fourCcList", amf0.StrictArray(text("vvc1")))}, set("zzzz")},
		{"nonsense", []amf0.Property{
			prop("fourCcList", amf0.StrictArray(text("hvc"), amf0.Number(3), amf0.Null())), prop("videoFourCcInfoMap", text("hvc1")),
		}, 0},
		{"more than there can be", []amf0.Property{prop("fourCcList", amf0.StrictArray(append(many, text("hvc1"))...))}, 0},
	}
}

// CASES: ertmp-caps, what a peer announces.
func TestAnnounced(t *testing.T) {
	for _, tt := range capsCases() {
		t.Run("ertmp-caps "+tt.name, func(t *testing.T) {
			p := newPeer(t, ServerConfig{})
			var got flv.FourCCs
			p.decide = func(ev Event) { got = ev.Request.FourCCs }
			p.feed(announced(tt.props...))
			p.feed(call(1, "play", 3, amf0.Null(), text("cam")))
			if got != tt.want {
				t.Errorf("takes %v, want %v", got, tt.want)
			}
		})
	}
}

// CASES: ertmp-caps, in both directions: what the server answers is what it does.
func TestCapsOverALink(t *testing.T) {
	all := append(flv.VideoNames(), flv.AudioNames()...)
	for _, cfg := range []ClientConfig{
		{Role: RolePublish, Caps: CapsReconnect | CapsMultitrack, FourCCs: []string{"hvc1", "Opus"}},
		{Role: RolePlay, Caps: CapsReconnect, FourCCs: all},
		{Role: RolePlay, FourCCs: []string{"*"}},
		{Role: RolePlay},
	} {
		t.Run(fmt.Sprintf("ertmp-caps %v", cfg.FourCCs), func(t *testing.T) {
			l := newLink(t, cfg, 4096)
			var asked *Request
			l.onServer = func(ev Event) {
				asked = ev.Request
				l.server.AcceptPublish()
				l.server.AcceptPlay()
			}
			l.run()
			var want flv.FourCCs
			for _, name := range cfg.FourCCs {
				want |= flv.ParseFourCC(name)
			}
			if asked == nil || asked.FourCCs != want || asked.Caps != cfg.Caps || l.server.Caps() != cfg.Caps {
				t.Fatalf("the server has read %+v, want %v and %v", asked, want, cfg.Caps)
			}
			wantCaps, wantTakes := ServerCaps, flv.AllFourCCs&^flv.ParseFourCC("vvc1")
			if len(cfg.FourCCs) == 0 { // an old client is told nothing that it does not know
				wantCaps, wantTakes = 0, 0
			}
			if caps, takes := l.client.ServerCaps(); caps != wantCaps || takes != wantTakes {
				t.Errorf("the client has read %v and %v, want %v and %v", caps, takes, wantCaps, wantTakes)
			}
		})
	}
}

// CASES: ertmp-reconnect, the request itself.
func TestReconnect(t *testing.T) {
	for _, tt := range []struct {
		name, parameter, address, want string
		caps                           Caps
		role                           Role
	}{
		{"a player that is marked", "via=1", "10.0.0.7:1935", "rtmp://10.0.0.7:1935/live?via=1", CapsReconnect, RolePlay},
		{"a player", "", "10.0.0.7:1935", "rtmp://10.0.0.7:1935/live", CapsReconnect, RolePlay},
		{"a publisher", "", "10.0.0.7:1935", "rtmp://10.0.0.7:1935/live", CapsReconnect | CapsModEx, RolePublish},
		{"to where it is", "", "", "rtmp://example.com/live", CapsReconnect, RolePlay},
		{"one that can't", "", "10.0.0.7:1935", "", CapsMultitrack, RolePlay},
	} {
		t.Run("ertmp-reconnect "+tt.name, func(t *testing.T) {
			l := newLink(t, ClientConfig{Role: tt.role, Caps: tt.caps, FourCCs: []string{"hvc1"}}, 100)
			var got *Status
			l.onServer = func(Event) {
				l.server.AcceptPublish()
				l.server.AcceptPlay()
			}
			l.onClient = func(ev Event) {
				if ev.Kind == EventReconnect {
					got = ev.Status
				}
			}
			l.run()
			asked := l.server.ReconnectWith(tt.address, tt.parameter, "maintenance")
			if asked != (tt.want != "") {
				t.Fatalf("asked: %v", asked)
			}
			l.run()
			if tt.want == "" {
				if got != nil {
					t.Errorf("got %+v", got)
				}
				return
			}
			if got == nil || got.TcURL != tt.want || got.Description != "maintenance" || !l.client.Ready() {
				t.Errorf("got %+v, ready %v, want %s", got, l.client.Ready(), tt.want)
			}
		})
	}
}

func TestReplaceHost(t *testing.T) {
	for _, tt := range []struct{ url, address, want string }{
		{"rtmp://a/live", "b:1", "rtmp://b:1/live"},
		{"RTMP://a:1935/live/x?key=k", "[::1]:7", "RTMP://[::1]:7/live/x?key=k"},
		{"rtmp://a", "b:1", "rtmp://b:1/"},
		{"rtmps://a:1936/live", "b:1", "rtmps://a:1936/live"}, // another port, and the certificate has a name
		{"rtmp://a/live", "", "rtmp://a/live"},
		{"", "b:1", ""},
	} {
		if got := replaceHost(tt.url, tt.address); got != tt.want {
			t.Errorf("%q with %q: %q, want %q", tt.url, tt.address, got, tt.want)
		}
	}
}

func TestFailPlay(t *testing.T) {
	p := playing(t, ServerConfig{})
	p.c.FailPlay("NetStream.Play.Failed", "no such codec")
	if got := p.replies(); !slices.Equal(got, []string{"user 1 1", "onStatus 0 NetStream.Play.Failed"}) {
		t.Errorf("replies %q", got)
	}
	p.c.FailPlay("NetStream.Play.Failed", "again")
	if p.c.Phase() != PhaseCommand || len(p.c.Output()) != 0 {
		t.Errorf("phase %v, %d bytes after the end", p.c.Phase(), len(p.c.Output()))
	}
}

// Players that said the same share a session; those that take other codecs do not.
func TestSessionsDifferByCaps(t *testing.T) {
	g := NewServerGroup(ServerConfig{})
	for _, tt := range capsCases() {
		c := handshaken(g.NewConn())
		in := announced(tt.props...)
		for len(in) > 0 {
			n, _, err := c.Feed(in)
			if err != nil {
				t.Fatal(err)
			}
			in = in[n:]
		}
		if got := c.session.info.FourCCs; got != tt.want {
			t.Errorf("%s: takes %v, want %v", tt.name, got, tt.want)
		}
		if out := string(c.Output()); strings.Contains(out, "capsEx") != (tt.want != 0) {
			t.Errorf("%s: the answer is %q", tt.name, out)
		}
	}
}
