package rtmp

import (
	"errors"
	"strings"
	"testing"

	"tmms/media"
	"tmms/media/amf0"
)

func TestURL(t *testing.T) {
	cases := []struct {
		name, tcURL, app, stream       string
		host, wantApp, wantName, query string
	}{
		{"plain", "rtmp://example.com/live", "live", "cam", "example.com", "live", "cam", ""},
		{"port", "rtmp://example.com:1935/live", "live", "cam", "example.com", "live", "cam", ""},
		{"trailing slash", "rtmp://example.com/live/", "live/", "cam", "example.com", "live", "cam", ""},
		{"IPv4", "rtmp://10.0.0.1:19350/live", "live", "cam", "10.0.0.1", "live", "cam", ""},
		{"IPv6", "rtmp://[2001:db8::1]:1935/live", "live", "cam", "2001:db8::1", "live", "cam", ""},
		{"IPv6 without port", "rtmp://[::1]/live", "live", "cam", "::1", "live", "cam", ""},
		{"IPv6 without brackets", "rtmp://::1/live", "live", "cam", "::1", "live", "cam", ""},
		{"RTMPS", "rtmps://example.com/live", "live", "cam", "example.com", "live", "cam", ""},
		{"user information", "rtmp://me:secret@example.com:1935/live", "live", "cam", "example.com", "live", "cam", ""},
		{"query on stream", "rtmp://h/live", "live", "cam?key=1&token=x", "h", "live", "cam", "key=1&token=x"},
		{"query on app", "rtmp://h/live?key=1", "live?key=1", "cam", "h", "live", "cam", "key=1"},
		{"query on app, behind a slash", "rtmp://h/live/?key=a/b", "live/?key=a/b", "cam", "h", "live", "cam", "key=a/b"},
		{"query on tcUrl only", "rtmp://h/live?key=1", "live", "cam", "h", "live", "cam", "key=1"},
		{"stream's beats app's", "rtmp://h/live?key=1", "live?key=1", "cam?token=2", "h", "live", "cam", "token=2"},
		{"stream's empty one too", "rtmp://h/live?key=1", "live?key=1", "cam?", "h", "live", "cam", ""},
		{"vhost", "rtmp://10.0.0.1/live?vhost=a.example", "live?vhost=a.example", "cam", "10.0.0.1", "live", "cam", "vhost=a.example"},
		{"no app field", "rtmp://h/live", "", "cam", "h", "live", "cam", ""},
		{"no tcUrl", "", "live", "cam", "", "live", "cam", ""},
		{"flv:", "rtmp://h/vod", "vod", "flv:cam", "h", "vod", "cam", ""},
		{"mp4:", "rtmp://h/vod", "vod", "mp4:cam.mp4?k=1", "h", "vod", "cam.mp4", "k=1"},
		{"instance", "rtmp://h/live/one", "live/one", "cam", "h", "live/one", "cam", ""},
		{"default instance", "rtmp://h/live/_definst_", "live/_definst_", "cam", "h", "live", "cam", ""},
		{"slash in the stream", "rtmp://h/live", "live", "a/b", "h", "live", "a/b", ""},
	}
	for _, tc := range cases {
		t.Run("url/"+tc.name, func(t *testing.T) {
			r, err := requestOf(tc.tcURL, tc.app, tc.stream)
			if err != nil {
				t.Fatal(err)
			}
			if r.Host != tc.host || r.App != tc.wantApp || r.Stream != tc.wantName || r.Query != tc.query {
				t.Errorf("got host %q app %q stream %q query %q", r.Host, r.App, r.Stream, r.Query)
			}
		})
	}
}

func requestOf(tcURL, app, stream string) (*Request, error) {
	info, target, err := parseConnect(amf0.Object(
		amf0.Property{Name: "app", Value: amf0.String(app)},
		amf0.Property{Name: "tcUrl", Value: amf0.String(tcURL)},
	))
	if err != nil {
		return nil, err
	}
	return newRequest(info, target, stream, 1)
}

func TestURLLimits(t *testing.T) {
	long := strings.Repeat("x", media.MaxQuery+1)
	for _, tc := range [][3]string{{long, "live", "cam"}, {"rtmp://h/live", long, "cam"}, {"rtmp://h/live", "live", "cam?" + long}} {
		if _, err := requestOf(tc[0], tc[1], tc[2]); !errors.Is(err, ErrLimit) {
			t.Errorf("error %v, want %v", err, ErrLimit)
		}
	}
}

func TestParam(t *testing.T) {
	r := Request{Query: "key=a%20b+c&token=x=y&key=second&bad%zz=1&worse=%zz&empty=&flag"}
	for name, want := range map[string]string{
		"key": "a b c", "token": "x=y", "worse": "%zz", "empty": "", "flag": "", "missing": "",
	} {
		if got := r.Param(name); got != want {
			t.Errorf("Param(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestParseURL(t *testing.T) {
	cases := []struct {
		in            string
		want          URL
		address, tcup string
	}{
		{"rtmp://h/live/cam", URL{Host: "h", Port: 1935, App: "live", Stream: "cam"}, "h:1935", "rtmp://h/live"},
		{"RTMP://h:19350/live/cam?key=a/b", URL{Host: "h", Port: 19350, App: "live", Stream: "cam?key=a/b"}, "h:19350", "rtmp://h:19350/live"},
		{"rtmp://[::1]:1936/a/b/cam", URL{Host: "::1", Port: 1936, App: "a/b", Stream: "cam"}, "[::1]:1936", "rtmp://[::1]:1936/a/b"},
		{"rtmps://h/live/cam", URL{TLS: true, Host: "h", Port: 443, App: "live", Stream: "cam"}, "h:443", "rtmps://h/live"},
		{"rtmp://h/live?key=1/cam?x=2", URL{Host: "h", Port: 1935, App: "live?key=1", Stream: "cam?x=2"}, "h:1935", "rtmp://h/live?key=1"},
	}
	for _, tc := range cases {
		got, err := ParseURL(tc.in)
		if err != nil || got != tc.want || got.Address() != tc.address || got.TcURL() != tc.tcup {
			t.Errorf("%s: %+v, %v, address %s, tcUrl %s", tc.in, got, err, got.Address(), got.TcURL())
		}
	}
	for _, in := range []string{
		"", "h/live/cam", "http://h/live/cam", "rtmp://h/live", "rtmp:///live/cam", "rtmp://h/live/", "rtmp://h//cam",
		"rtmp://h:0/live/cam", "rtmp://h:99999/live/cam", "rtmp://h:x/live/cam", "rtmp://h/live?key=1",
	} {
		if u, err := ParseURL(in); !errors.Is(err, ErrURL) {
			t.Errorf("%q: %+v, error %v", in, u, err)
		}
	}
}
