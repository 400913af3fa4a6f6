package web

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"testing"

	"tmms/media"
)

func parseHead(t *testing.T, head string) *request {
	t.Helper()
	r, err := newParser().parse([]byte(head))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestHeadLength(t *testing.T) {
	full := "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
	for i := range len(full) {
		if n, err := headLength([]byte(full[:i])); n != 0 || err != nil {
			t.Errorf("cut at %d: %d, %v", i, n, err)
		}
	}
	if n, err := headLength([]byte(full + "GET")); n != len(full) || err != nil {
		t.Errorf("whole: %d, %v", n, err)
	}
	atLimit := "GET /" + strings.Repeat("a", media.MaxHTTPHead-len("GET / HTTP/1.1\r\n\r\n")) + " HTTP/1.1\r\n\r\n"
	if n, err := headLength([]byte(atLimit)); n != media.MaxHTTPHead || err != nil {
		t.Errorf("at the limit: %d, %v", n, err)
	}
	if _, err := headLength([]byte(strings.Replace(atLimit, "a", "aa", 1))); err == nil {
		t.Error("one byte over the limit is accepted")
	}
}

func TestSuffixIsTheQueryInASafeForm(t *testing.T) {
	for query, want := range map[string]string{
		"":                    "",
		"?":                   "",
		"?token=abc":          "?token=abc",
		"?b=2&a=1":            "?a=1&b=2",
		"?t=a%0A%23EXT&x=%22": "?t=a%0A%23EXT&x=%22",
		"?t=a+b":              "?t=a+b",
	} {
		r := parseHead(t, "GET /live/test.m3u8"+query+" HTTP/1.1\r\nHost: x\r\n\r\n")
		if got := r.suffix(); got != want {
			t.Errorf("%q gives %q, want %q", query, got, want)
		}
	}
}

func TestOverridePrefersDomain(t *testing.T) {
	r := parseHead(t, "GET /a/b.flv?vhost=v&domain=d HTTP/1.1\r\nHost: x\r\n\r\n")
	if got := r.override(); got != "d" {
		t.Errorf("override %q", got)
	}
}

func TestParseRoute(t *testing.T) {
	files := map[string]bool{"/": true, "/assets/hls.min.js": true}
	for path, want := range map[string]route{
		"/":                      {want: wantAsset, asset: "/"},
		"/assets/hls.min.js":     {want: wantAsset, asset: "/assets/hls.min.js"},
		"/watch":                 {want: wantAsset, asset: "/"},
		"/watch/live/test":       {want: wantAsset, asset: "/"},
		"/watch/live/test/":      {want: wantAsset, asset: "/"},
		"/watch/live.flv":        {want: wantFLV, app: "watch", stream: "live"},
		"/watch/s/live.m3u8":     {want: wantMedia, app: "watch", stream: "s"},
		"/live/test.flv":         {want: wantFLV, app: "live", stream: "test"},
		"/live/a.b.flv":          {want: wantFLV, app: "live", stream: "a.b"},
		"/live/test.ts":          {want: wantTS, app: "live", stream: "test"},
		"/live/test.m3u8":        {want: wantMultivariant, app: "live", stream: "test"},
		"/live/test/live.m3u8":   {want: wantMedia, app: "live", stream: "test"},
		"/live/test/1-2.ts":      {want: wantFile, app: "live", stream: "test", name: "1-2.ts"},
		"/live/.flv":             {want: wantFLV, app: "live"},
		"/live/test":             {},
		"/live/test/ll.m3u8":     {want: wantLow, app: "live", stream: "test"},
		"/a/b/c/d":               {},
		"//live/test.flv":        {},
		"/live/test/live.m3u8/x": {},
	} {
		if got := parseRoute(path, func(p string) bool { return files[p] }); got != want {
			t.Errorf("%s gives %+v, want %+v", path, got, want)
		}
	}
}

// FuzzRequest feeds bytes as a connection would. What is accepted has one
// reading, and nothing of it can break a playlist or a head.
func FuzzRequest(f *testing.F) {
	for _, s := range []string{
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /live/test.m3u8?token=a%0Ab HTTP/1.1\r\nHost: x:8080\r\nRange: bytes=1-2\r\nIf-None-Match: \"a\", W/\"b\"\r\n\r\n",
		"GET http://h/live/test.flv HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
		"GET /%2e%2e/a HTTP/1.0\r\n\r\n",
		"GET / HTTP/1.1\nHost: x\n\n",
	} {
		f.Add([]byte(s))
	}
	p := newParser()
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := headLength(b)
		if err != nil || n == 0 {
			return
		}
		r, err := p.parse(b[:n])
		if err != nil {
			if _, ok := errors.AsType[*refusal](err); !ok {
				t.Fatalf("error %T", err)
			}
			return
		}
		if strings.ContainsAny(r.suffix(), " \r\n\"<>#") {
			t.Errorf("suffix %q", r.suffix())
		}
		if r.ContentLength != 0 || countHeader(b[:n], "transfer-encoding") > 0 {
			t.Error("a request with a body is accepted")
		}
		to := parseRoute(r.URL.Path, func(string) bool { return false })
		if media.CheckName("stream", to.stream) == nil && strings.Contains(to.stream, "/") {
			t.Errorf("stream %q", to.stream)
		}
		if part, _, ok := parseRange(r.Header.Get("Range"), 1000); ok && (part.from < 0 || part.from > part.to || part.to > 1000) {
			t.Errorf("range %+v of %q", part, r.Header.Get("Range"))
		}
		_, _, _ = r.override(), r.keepAlive(), matches(r.Header.Get("If-None-Match"), `"x"`)
		if wsWanted(r) {
			_ = wsCheck(r)
		}
	})
}

func TestBodyPieces(t *testing.T) {
	chunks := [][]byte{[]byte("abc"), {}, []byte("defg"), []byte("h")}
	for from := range int64(9) {
		for to := from; to <= 8; to++ {
			for limit := 1; limit < 5; limit++ {
				var got bytes.Buffer
				for b := newBody(chunks, byteRange{from, to}); ; {
					piece := b.next(limit)
					if len(piece) == 0 {
						if b.left != 0 {
							t.Fatalf("%d-%d by %d: %d left", from, to, limit, b.left)
						}
						break
					}
					got.Write(piece)
					b.sent(len(piece))
				}
				if want := "abcdefgh"[from:to]; got.String() != want {
					t.Fatalf("%d-%d by %d: %q, want %q", from, to, limit, got.String(), want)
				}
			}
		}
	}
}

func TestHasToken(t *testing.T) {
	h := http.Header{"Connection": {"keep-alive, Upgrade", "x"}}
	if !hasToken(h, "Connection", "upgrade") || !hasToken(h, "Connection", "x") || hasToken(h, "Connection", "keep") {
		t.Error("tokens of a list header")
	}
}
