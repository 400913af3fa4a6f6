package edge

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"tmms/edge/viewer"
	"tmms/media/hls"
)

// index makes an index of n segments of two chunks each, from msn on.
func index(version, msn uint64, n int, ended bool) *hls.Index {
	x := &hls.Index{Version: version, Listing: version, Epoch: 7, Target: 2 * time.Second, Listed: n, Independent: true, Ended: ended}
	for i := range uint64(n) {
		chunks := [][]byte{
			bytes.Repeat([]byte{byte(msn + i), 1}, 100_000),
			bytes.Repeat([]byte{byte(msn + i), 2}, 250_000),
		}
		x.Segments = append(x.Segments, &hls.Segment{
			Epoch: 7, MSN: msn + i, Duration: 2 * time.Second, ProgramTime: time.Unix(1_700_000_000+int64(i), 0),
			TS: &hls.Media{Chunks: chunks, Size: len(chunks[0]) + len(chunks[1])},
		})
	}
	return x
}

func segmentBytes(s *hls.Segment) []byte { return bytes.Join(s.TS.Chunks, nil) }

func TestPlaylistsAndSegmentsAreServedFromTheIndex(t *testing.T) {
	n := startNode(t)
	p := n.publish(testKey("live", "test"))
	x := index(3, 100, 3, false)
	p.w.PublishIndex(x)

	multi := n.get("/live/test.m3u8")
	if body := string(readAll(t, multi.Body)); body != string(x.AppendMultivariant(nil, "test", "")) ||
		multi.Header.Get("Content-Type") != "application/vnd.apple.mpegurl" {
		t.Errorf("multivariant: %s %v\n%s", multi.Status, multi.Header, body)
	}
	list := n.get("/live/test/live.m3u8")
	if body := string(readAll(t, list.Body)); body != string(x.AppendMedia(nil, "")) || list.Header.Get("Cache-Control") != "max-age=1" ||
		list.Header.Get("Access-Control-Allow-Origin") != "*" || list.Header.Get("ETag") != x.ETag() {
		t.Errorf("media playlist: %s %v\n%s", list.Status, list.Header, body)
	}
	for _, s := range x.Segments {
		resp := n.get("/live/test/" + hls.SegmentName(s.Epoch, s.MSN))
		if body := readAll(t, resp.Body); !bytes.Equal(body, segmentBytes(s)) || resp.ContentLength != int64(s.TS.Size) ||
			resp.Header.Get("Cache-Control") != "public, max-age=31536000, immutable" || resp.Header.Get("Content-Type") != "video/mp2t" {
			t.Errorf("segment %d: %s %v, %d bytes", s.MSN, resp.Status, resp.Header, len(body))
		}
	}
	for _, path := range []string{"/live/test/7-99.ts", "/live/test/6-100.ts", "/live/test/x.ts", "/live/none/7-100.ts"} {
		resp := n.get(path)
		if resp.StatusCode != http.StatusNotFound || resp.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %s %v", path, resp.Status, resp.Header)
		}
	}
	if v := n.edge.web.HLSViewers(); v != 1 {
		t.Errorf("%d HLS viewers, want 1", v)
	}
	if sent := n.edge.web.HLSSent(); sent < 3*700_000 {
		t.Errorf("%d bytes counted", sent)
	}
	// All but the multivariant playlist, which came before it was a viewer.
	if list := n.edge.web.HLSInfo(0, 1); len(list) != 1 || list[0].Sent < 3*700_000 {
		t.Errorf("the viewer is %+v", list)
	}
}

func TestConditionalAndRangeRequests(t *testing.T) {
	n := startNode(t)
	p := n.publish(testKey("live", "test"))
	x := index(3, 100, 1, false)
	p.w.PublishIndex(x)
	whole := segmentBytes(x.Segments[0])
	const segment = "/live/test/7-100.ts"
	for _, c := range []struct {
		method, path, header, value string
		status                      int
		body                        []byte
		rang                        string
	}{
		{"GET", segment, "Range", "bytes=0-99", 206, whole[:100], "bytes 0-99/700000"},
		{"GET", segment, "Range", "bytes=199999-200000", 206, whole[199999:200001], "bytes 199999-200000/700000"},
		{"GET", segment, "Range", "bytes=699990-", 206, whole[699990:], "bytes 699990-699999/700000"},
		{"GET", segment, "Range", "bytes=-10", 206, whole[699990:], "bytes 699990-699999/700000"},
		{"GET", segment, "Range", "bytes=0-9999999999", 206, whole, "bytes 0-699999/700000"},
		{"GET", segment, "Range", "bytes=0-99999999999999999999999", 206, whole, "bytes 0-699999/700000"},
		{"GET", segment, "Range", "bytes=700000-", 416, nil, "bytes */700000"},
		{"GET", segment, "Range", "bytes=-0", 416, nil, "bytes */700000"},
		{"GET", segment, "Range", "bytes=5-1", 200, whole, ""},
		{"GET", segment, "Range", "bytes=0-1,5-6", 200, whole, ""},
		{"GET", segment, "Range", "chunks=0-1", 200, whole, ""},
		{"HEAD", segment, "", "", 200, nil, ""},
		{"HEAD", segment, "Range", "bytes=0-99", 206, nil, "bytes 0-99/700000"},
		{"GET", segment, "If-None-Match", `"7-100"`, 304, nil, ""},
		{"GET", segment, "If-None-Match", `"x", W/"7-100"`, 304, nil, ""},
		{"GET", segment, "If-None-Match", `"x"`, 200, whole, ""},
		{"GET", "/live/test/live.m3u8", "If-None-Match", x.ETag(), 304, nil, ""},
		{"GET", "/live/test.m3u8", "If-None-Match", "*", 304, nil, ""},
		{"HEAD", "/live/test/live.m3u8", "", "", 200, nil, ""},
	} {
		t.Run(c.method+" "+c.header+" "+c.value, func(t *testing.T) {
			h := http.Header{}
			if c.header != "" {
				h.Set(c.header, c.value)
			}
			resp := n.do(c.method, c.path, h)
			body := readAll(t, resp.Body)
			if resp.StatusCode != c.status || resp.Header.Get("Content-Range") != c.rang ||
				resp.Header.Get("Access-Control-Allow-Origin") != "*" {
				t.Fatalf("%s %v", resp.Status, resp.Header)
			}
			if c.status != 416 && !bytes.Equal(body, c.body) {
				t.Errorf("%d bytes, want %d", len(body), len(c.body))
			}
		})
	}
}

func TestPlaylistsCarryTheRequestsQueryEscaped(t *testing.T) {
	n := startNode(t)
	p := n.publish(testKey("live", "test"))
	x := index(3, 100, 2, false)
	p.w.PublishIndex(x)
	body := string(readAll(t, n.get("/live/test/live.m3u8?token=a%0A%22b%2B&domain=default").Body))
	if want := string(x.AppendMedia(nil, "?domain=default&token=a%0A%22b%2B")); body != want {
		t.Errorf("got\n%s\nwant\n%s", body, want)
	}
	body = string(readAll(t, n.get("/live/test.m3u8?token=1").Body))
	if !strings.Contains(body, "\ntest/live.m3u8?token=1\n") {
		t.Errorf("got\n%s", body)
	}
	if body = string(readAll(t, n.get("/live/test/live.m3u8").Body)); strings.Contains(body, "?") {
		t.Errorf("a suffix without a query:\n%s", body)
	}
}

func TestPlaylistBeforeTheStreamIsParked(t *testing.T) {
	n := startNode(t)
	answers := make(chan string, 2)
	for _, path := range []string{"/live/test.m3u8", "/live/test/live.m3u8"} {
		go func() {
			resp := n.get(path)
			body, err := io.ReadAll(resp.Body)
			answers <- fmt.Sprintf("%s %s %v", resp.Status, body, err)
		}()
	}
	eventually(t, "the feed is held", func() bool { return n.hub.Len() == 1 })
	p := n.publish(testKey("live", "test"))
	p.group()
	select {
	case a := <-answers:
		t.Fatalf("answered without an index: %s", a)
	case <-time.After(100 * time.Millisecond):
	}
	p.w.PublishIndex(index(1, 100, 1, false))
	for range 2 {
		if a := <-answers; !strings.HasPrefix(a, "200 OK #EXTM3U") {
			t.Errorf("answer %q", a)
		}
	}
}

func TestAnEndedStreamCanBePlayedToItsEnd(t *testing.T) {
	n := startNode(t)
	p := n.publish(testKey("live", "test"))
	x := index(3, 100, 2, false)
	p.w.PublishIndex(x)
	readAll(t, n.get("/live/test/live.m3u8").Body)
	final := index(4, 100, 3, true)
	p.w.PublishIndex(final)
	p.end()
	if body := string(readAll(t, n.get("/live/test/live.m3u8").Body)); body != string(final.AppendMedia(nil, "")) {
		t.Errorf("after the end:\n%s", body)
	}
	if resp := n.get("/live/test/7-102.ts"); resp.StatusCode != http.StatusOK {
		t.Errorf("the last segment: %s", resp.Status)
	}
	// A new life begins: its playlist is waited for, the old segments stay.
	p2 := n.publish(testKey("live", "test"))
	p2.w.PublishIndex(index(1, 200, 1, false))
	if body := string(readAll(t, n.get("/live/test/live.m3u8").Body)); !strings.Contains(body, "7-200.ts") {
		t.Errorf("the new life:\n%s", body)
	}
}

func TestPlaylistsThatNeverComeLeaveNothing(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	type result struct {
		status int
		after  time.Duration
		header http.Header
	}
	results := make(chan result, 2)
	for _, path := range []string{"/live/none.m3u8", "/live/none.flv"} {
		go func() {
			start := time.Now()
			resp := n.get(path)
			results <- result{resp.StatusCode, time.Since(start), resp.Header}
		}()
	}
	for range 2 {
		r := <-results
		if r.after < 9*time.Second || r.after > 12*time.Second {
			t.Errorf("%d after %v", r.status, r.after)
		}
		switch r.status {
		case http.StatusServiceUnavailable:
			if r.header.Get("Retry-After") != "1" || r.header.Get("Cache-Control") != "no-store" {
				t.Errorf("503 with %v", r.header)
			}
		case http.StatusNotFound:
		default:
			t.Errorf("status %d", r.status)
		}
	}
	if n.hub.Len() != 0 || n.viewers() != 0 {
		t.Errorf("%d feeds and %d viewers are left", n.hub.Len(), n.viewers())
	}
}

func TestSegmentIsSentUnderBackpressure(t *testing.T) {
	n := startNode(t)
	p := n.publish(testKey("live", "test"))
	x := index(3, 100, 1, false)
	big := x.Segments[0]
	big.TS = &hls.Media{}
	for i := range 40 {
		big.TS.Chunks = append(big.TS.Chunks, bytes.Repeat([]byte{byte(i)}, 400_000))
		big.TS.Size += 400_000
	}
	p.w.PublishIndex(x)
	c := n.dial(n.http)
	if _, err := io.WriteString(c, "GET /live/test/7-100.ts HTTP/1.1\r\nHost: x\r\n\r\nGET /favicon.ico HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	all := readAll(t, c)
	head, rest, _ := bytes.Cut(all, []byte("\r\n\r\n"))
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 200 ")) || len(rest) < big.TS.Size || !bytes.Equal(rest[:big.TS.Size], segmentBytes(big)) {
		t.Fatalf("%d bytes behind %s", len(rest), head)
	}
	if !bytes.HasPrefix(rest[big.TS.Size:], []byte("HTTP/1.1 200 ")) || !bytes.HasSuffix(rest, []byte("</svg>\n")) {
		t.Errorf("the pipelined request was answered with %.60q", rest[big.TS.Size:])
	}
	eventually(t, "it is counted as done", func() bool { return n.edge.gate.EndedBy(viewer.ReasonDone) == 1 })
}

// TestASegmentThatIsAboutToComeIsWaitedFor: another edge may have listed it a
// moment earlier.
func TestASegmentThatIsAboutToComeIsWaitedFor(t *testing.T) {
	n := startNode(t)
	p := n.publish(testKey("live", "test"))
	p.w.PublishIndex(index(1, 100, 2, false))
	type answer struct {
		status int
		body   []byte
	}
	answers := make(chan answer, 1)
	go func() {
		resp := n.get("/live/test/7-102.ts")
		body, _ := io.ReadAll(resp.Body)
		answers <- answer{resp.StatusCode, body}
	}()
	if resp := n.get("/live/test/7-105.ts"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("one far ahead: %s", resp.Status)
	}
	select {
	case a := <-answers:
		t.Fatalf("answered at once: %d", a.status)
	case <-time.After(50 * time.Millisecond):
	}
	x := index(2, 100, 3, false)
	p.w.PublishIndex(x)
	if a := <-answers; a.status != http.StatusOK || !bytes.Equal(a.body, segmentBytes(x.Segments[2])) {
		t.Errorf("%d, %d bytes", a.status, len(a.body))
	}
}
