package multiplex

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"tmms/edge/viewer/web"
	"tmms/media"
)

// answer is what a client sees of one.
type answer struct {
	status int
	header http.Header
	length int64
	body   string
}

func take(t *testing.T, resp *response, err error) answer {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	a := answer{status: resp.code, header: resp.header.Clone(), length: resp.length}
	a.body = string(readAll(t, resp.body))
	for _, own := range []string{"Date", "Alt-Svc", "Connection"} { // the protocol's
		a.header.Del(own)
	}
	return a
}

// Every answer over HTTP/2 and HTTP/3 is that of HTTP/1.1 on the loops, by
// status, headers and every byte.
func TestAnswersAreThoseOfHTTP1(t *testing.T) {
	w := newWorld(t)
	p := w.publish("test")
	p.group()
	x := lowLatency(index(3), 2)
	p.w.PublishIndex(x)
	one := &client{tb: t, proto: "HTTP/1.1", base: "http://" + w.h1, http: &http.Client{
		Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true},
	}}
	both := w.both()
	etag := x.ETag()
	const segment, list, low = "/live/test/7-101.ts", "/live/test/live.m3u8", "/live/test/ll.m3u8"
	for _, c := range []struct {
		method, path, header, value string
		status                      int
	}{
		{"GET", "/live/test.m3u8", "", "", 200},
		{"HEAD", "/live/test.m3u8", "", "", 200},
		{"GET", list, "", "", 200},
		{"HEAD", list, "", "", 200},
		{"GET", list + "?token=a%0A%22b%2B&domain=default", "", "", 200},
		{"GET", "/live/test.m3u8?token=1", "", "", 200},
		{"GET", list, "If-None-Match", etag, 304},
		{"GET", list, "If-None-Match", `"x"`, 200},
		{"GET", segment, "", "", 200},
		{"HEAD", segment, "", "", 200},
		{"GET", segment, "If-None-Match", `"x", W/"7-101"`, 304},
		{"GET", segment, "Range", "bytes=0-99", 206},
		{"GET", segment, "Range", "bytes=199999-200000", 206},
		{"GET", segment, "Range", "bytes=-10", 206},
		{"GET", segment, "Range", "bytes=0-1,5-6", 200},
		{"HEAD", segment, "Range", "bytes=0-99", 206},
		{"GET", segment, "Range", "bytes=700000-", 416},
		{"GET", low, "", "", 200},
		{"HEAD", low, "", "", 200},
		{"GET", low + "?token=1&_HLS_msn=103&_HLS_part=1&_HLS_skip=YES", "", "", 200},
		{"GET", low + "?_HLS_msn=102", "If-None-Match", etag, 304},
		{"GET", low + "?_HLS_part=1", "", "", 400},
		{"GET", low + "?_HLS_msn=105", "", "", 400},
		{"GET", "/live/test/7-103.1.m4s", "", "", 200},
		{"GET", "/live/test/7-103.1.m4s", "Range", "bytes=5-", 206},
		{"GET", "/live/test/7-103.1.m4s", "If-None-Match", `"7-103.1.m4s"`, 304},
		{"GET", "/live/test/7-103.9.m4s", "", "", 404},
		{"GET", "/live/test/7-102.m4s", "", "", 404},
		{"GET", "/live/test/init-7-1.mp4", "", "", 200},
		{"GET", "/live/test/7-99.ts", "", "", 404},
		{"GET", "/live/test/x.ts", "", "", 404},
		{"GET", "/live/none/7-100.ts", "", "", 404},
		{"GET", "/nobody/test.flv", "", "", 404},
		{"GET", "/mute/test.flv", "", "", 404},
		{"GET", "/mute/test.m3u8", "", "", 404},
		{"GET", "/live/test.flv?domain=elsewhere", "", "", 404},
		{"GET", "/live/a;b$(c).flv", "", "", 400},
		{"GET", "/live/%2e%2e.flv", "", "", 400},
		{"GET", "/live%2Ftest.flv", "", "", 400},
		{"GET", "/?a=%zz", "", "", 400},
		{"GET", "/?" + strings.Repeat("a", media.MaxQuery+1), "", "", 414},
		{"HEAD", "/live/test.flv", "", "", 200},
		{"HEAD", "/live/none.flv", "", "", 404},
		{"GET", "/nothing", "", "", 404},
		{"HEAD", "/nothing", "", "", 404},
		{"OPTIONS", list, "", "", 204},
		{"PUT", list, "", "", 405},
		{"GET", "/", "", "", 200},
		{"GET", "/watch/live/test", "", "", 200},
		{"GET", "/favicon.ico", "", "", 200},
		{"GET", "/assets/hls.min.js", "", "", 200},
		{"GET", "/assets/watch.css", "Range", "bytes=5-9", 206},
	} {
		t.Run(c.method+" "+c.path[:min(40, len(c.path))]+" "+c.value, func(t *testing.T) {
			h := http.Header{}
			if c.header != "" {
				h.Set(c.header, c.value)
			}
			resp, err := one.do(t.Context(), c.method, c.path, h)
			want := take(t, resp, err)
			if want.status != c.status || want.header.Get("Access-Control-Allow-Origin") != "*" {
				t.Fatalf("HTTP/1.1: %d %v", want.status, want.header)
			}
			for _, other := range both {
				resp, err := other.do(t.Context(), c.method, c.path, h)
				got := take(t, resp, err)
				if resp.proto != other.proto {
					t.Errorf("answered by %s, want %s", resp.proto, other.proto)
				}
				if c.status == http.StatusNotModified {
					got.length = want.length // there is none, which clients tell differently
				}
				if got.status != want.status || got.length != want.length || got.body != want.body {
					t.Errorf("%s: %d with %d bytes of %d, want %d with %d bytes of %d", other.proto,
						got.status, len(got.body), got.length, want.status, len(want.body), want.length)
				}
				if !maps.EqualFunc(got.header, want.header, func(a, b []string) bool { return strings.Join(a, "\n") == strings.Join(b, "\n") }) {
					t.Errorf("%s: %v, want %v", other.proto, got.header, want.header)
				}
			}
		})
	}
	if n := w.web.HLSViewers(); n != 1 { // all of them are 127.0.0.1
		t.Errorf("%d HLS viewers, want 1", n)
	}
	if list := w.web.HLSInfo(0, 1); len(list) != 1 || list[0].Sent < 3*2*700_000 {
		t.Errorf("the HLS viewer is %+v", list)
	}
}

func TestAnswersAreCounted(t *testing.T) {
	w := newWorld(t)
	p := w.publish("test")
	p.group()
	p.w.PublishIndex(index(3))
	for i, c := range w.both() {
		c.get("/live/test/7-101.ts")
		c.get("/live/test/7-1.ts")
		if ok, not := w.web.Answered(web.KindSegment, 2), w.web.Answered(web.KindSegment, 4); ok != uint64(i+1) || not != uint64(i+1) {
			t.Errorf("%s: %d segments and %d refusals after %d of each", c.proto, ok, not, i+1)
		}
	}
}

// A body is refused, and one that lies about its length is no harm.
func TestBodiesAreNotTaken(t *testing.T) {
	w := newWorld(t)
	for _, c := range w.both() {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.base+"/", bytes.NewReader([]byte("hello")))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.http.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if body := readAll(t, resp.Body); resp.StatusCode != http.StatusRequestEntityTooLarge || !bytes.Contains(body, []byte("body")) {
			t.Errorf("%s: %s %q", c.proto, resp.Status, body)
		}
		resp.Body.Close()
	}
}

func TestAltSvc(t *testing.T) {
	w := newWorld(t)
	_, port, _ := strings.Cut(w.udp, ":")
	want := `h3=":` + port + `"; ma=3600`
	if got := w.server.AltSvc(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := w.h2().get("/").header.Get("Alt-Svc"); got != want {
		t.Errorf("over HTTP/2: %q, want %q", got, want)
	}
	if got := w.h3().get("/").header.Get("Alt-Svc"); got != "" {
		t.Errorf("over HTTP/3: %q", got)
	}
}

func TestParkedRequests(t *testing.T) {
	w := newWorld(t)
	both := w.both()
	answers := make(chan string, 2*len(both))
	for _, c := range both {
		for _, path := range []string{"/live/test.m3u8", "/live/test/live.m3u8"} {
			go func() {
				resp, err := c.do(t.Context(), http.MethodGet, path, nil)
				if err != nil {
					answers <- err.Error()
					return
				}
				body, err := io.ReadAll(resp.body)
				if err != nil {
					body = []byte(err.Error())
				}
				answers <- path + " " + string(body)
			}()
		}
	}
	eventually(t, "the feed is held", func() bool { return w.hub.Len() == 1 })
	p := w.publish("test")
	p.group()
	select {
	case a := <-answers:
		t.Fatalf("answered without an index: %s", a)
	default:
	}
	x := index(1)
	p.w.PublishIndex(x)
	got := map[string]int{}
	for range cap(answers) {
		got[<-answers]++
	}
	want := map[string]int{
		"/live/test.m3u8 " + string(x.AppendMultivariant(nil, "test", "")): len(both),
		"/live/test/live.m3u8 " + string(x.AppendMedia(nil, "")):           len(both),
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	// A segment that another node may have listed already.
	late := make(chan int, 1)
	go func() {
		resp, err := both[0].do(t.Context(), http.MethodGet, "/live/test/7-101.ts", nil)
		if err != nil {
			late <- -1
			return
		}
		late <- resp.code
	}()
	select {
	case status := <-late:
		t.Fatalf("the coming segment was answered with %d", status)
	case <-both[0].tick():
	}
	p.w.PublishIndex(index(2))
	if status := <-late; status != http.StatusOK {
		t.Errorf("the coming segment: %d", status)
	}
}

// LL-HLS: blocking reload really blocks, and so does the preload hint, over HTTP/2
// and HTTP/3 too.
func TestBlockingReload(t *testing.T) {
	w := newWorld(t)
	both := w.both()
	p := w.publish("test")
	p.group()
	x := lowLatency(index(3), 2)
	x.Target = 20 * time.Second
	p.w.PublishIndex(x)
	x = lowLatency(index(3), 3)
	x.Target = 20 * time.Second
	x.Version++
	list := string(x.AppendLowLatency(nil, "", false))
	wants := map[string]string{
		"/live/test/ll.m3u8?_HLS_msn=103&_HLS_part=2": list,
		"/live/test/ll.m3u8?_HLS_msn=103&_HLS_part=1": "", // is there
		"/live/test/7-103.2.m4s":                      string(x.Open.MP4.Chunks[2]),
	}
	type got struct {
		path string
		answer
	}
	answers := make(chan got, len(wants)*len(both))
	for _, c := range both {
		for path, want := range wants {
			if want == "" {
				if resp := c.get(path); resp.code != http.StatusOK {
					t.Errorf("%s: %s: %d", c.proto, path, resp.code)
				}
				continue
			}
			go func() {
				resp, err := c.do(t.Context(), http.MethodGet, path, nil)
				if err != nil {
					answers <- got{path: path + " " + err.Error()}
					return
				}
				body, _ := io.ReadAll(resp.body)
				answers <- got{path, answer{status: resp.code, header: resp.header, body: string(body)}}
			}()
		}
	}
	select {
	case a := <-answers:
		t.Fatalf("%s was answered with %d %s before it was there", a.path, a.status, a.body)
	case <-both[0].tick():
	}
	p.w.PublishIndex(x)
	for range (len(wants) - 1) * len(both) {
		if a := <-answers; a.status != http.StatusOK || a.body != wants[a.path] {
			t.Errorf("%s: %d\n%s\nwant\n%s", a.path, a.status, a.body, wants[a.path])
		}
	}
	short := lowLatency(index(3), 3)
	short.Version += 2
	p.w.PublishIndex(short)
	for _, c := range both { // waiting has a limit
		resp := c.get("/live/test/ll.m3u8?_HLS_msn=103&_HLS_part=3")
		if body := readAll(t, resp.body); resp.code != http.StatusServiceUnavailable || resp.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %v %s", c.proto, resp.code, resp.header, body)
		}
	}
}

func TestParkedRequestsGiveUpOrGo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range w.both() {
		ctx, cancel := contextOf(t)
		gone := make(chan error, 1)
		go func() {
			_, err := c.do(ctx, http.MethodGet, "/live/gone.m3u8", nil)
			gone <- err
		}()
		eventually(t, "the request waits", func() bool { return w.hub.Len() == 1 })
		cancel()
		if err := <-gone; err == nil {
			t.Errorf("%s: an answer to one who has gone", c.proto)
		}
		eventually(t, "nothing is held for it", func() bool { return w.hub.Len() == 0 })
		resp := c.get("/live/test.m3u8")
		if body := readAll(t, resp.body); resp.code != http.StatusServiceUnavailable ||
			resp.header.Get("Retry-After") != "1" || string(body) != "the stream has not started\n" {
			t.Errorf("%s: %d %v %q", c.proto, resp.code, resp.header, body)
		}
	}
}
