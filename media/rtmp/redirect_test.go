package rtmp

import (
	"strings"
	"testing"

	"tmms/media"
	"tmms/media/amf0"
)

// Who is refused with a redirect learns the whole URL, in both forms that servers send;
// over TLS, and for what is no name, it is a plain refusal.
func TestRedirect(t *testing.T) {
	const there = "10.0.0.7:1935"
	for _, tt := range []struct{ name, url, want string }{
		{"a stream", "rtmp://example.com/live/cam", "rtmp://10.0.0.7:1935/live/cam?via=1"},
		{"with a query", "rtmp://example.com:99/live/cam?key=a%20b", "rtmp://10.0.0.7:1935/live/cam?key=a%20b&via=1"},
		{"with a query on the app", "rtmp://example.com/live?domain=x/cam", "rtmp://10.0.0.7:1935/live/cam?domain=x&via=1"},
		{"over TLS", "rtmps://example.com/live/cam", ""},
		{"what is no name", "rtmp://example.com/live/" + strings.Repeat("s", media.MaxName+1), ""},
	} {
		for _, role := range []Role{RolePlay, RolePublish} {
			u, err := ParseURL(tt.url)
			if err != nil {
				t.Fatal(err)
			}
			l := newLink(t, ClientConfig{}, 100)
			l.client = NewClientConn(ClientConfig{URL: u, Role: role})
			l.onServer = func(Event) { l.server.Redirect(there, "via=1", "full") }
			var got *Status
			l.onClient = func(ev Event) {
				if ev.Kind == EventRefused {
					got = ev.Status
				}
			}
			l.run()
			if got == nil || got.Code != "NetConnection.Connect.Rejected" || got.Description != "full" || got.Redirect != tt.want {
				t.Errorf("%s: refused with %+v, want %q", tt.name, got, tt.want)
			}
		}
	}
}

func TestRedirectOf(t *testing.T) {
	ex := func(code float64, props ...amf0.Property) amf0.Value {
		return amf0.Object(amf0.Property{Name: "ex", Value: amf0.Object(append(props, amf0.Property{Name: "code", Value: amf0.Number(code)})...)})
	}
	text := func(name, s string) amf0.Property { return amf0.Property{Name: name, Value: amf0.String(s)} }
	for name, tt := range map[string]struct {
		info amf0.Value
		want string
	}{
		"none":           {amf0.Object(), ""},
		"another code":   {ex(301, text("redirect2", "rtmp://x/a/cam")), ""},
		"whole":          {ex(302, text("redirect", "rtmp://x/a"), text("redirect2", "rtmp://x/b/cam")), "rtmp://x/b/cam"},
		"tcUrl":          {ex(302, text("redirect", "rtmp://x/a")), "rtmp://x/a/cam?k=1"},
		"as it was once": {ex(302, text("redirect", "rtmp://x/a/cam?vhost=v")), "rtmp://x/a/cam?vhost=v"},
		"nothing in it":  {ex(302), ""},
	} {
		if got := redirectOf(tt.info, "cam?k=1"); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
