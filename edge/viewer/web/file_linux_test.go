package web

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tmms/media"
	"tmms/media/hls"
)

// largeIndex makes an index of n segments from msn on, each of size bytes that
// differ from one another's, in chunks.
func largeIndex(version, msn uint64, n, size int) *hls.Index {
	x := testIndex(version, msn, n)
	for i, seg := range x.Segments {
		all := make([]byte, size)
		for at := range all {
			all[at] = byte(at ^ at>>8 ^ at>>16 + i)
		}
		seg.TS = &hls.Media{Chunks: [][]byte{all[:size/3], all[size/3 : size/2], all[size/2:]}, Size: size}
	}
	return x
}

func bytesOf(seg *hls.Segment) []byte { return bytes.Join(seg.TS.Chunks, nil) }

// openFiles counts this process's descriptors of segments' files.
func openFiles(t *testing.T) (n int) {
	t.Helper()
	links, err := filepath.Glob("/proc/self/fd/*")
	if err != nil || len(links) == 0 {
		t.Fatalf("%d descriptors, %v", len(links), err)
	}
	for _, l := range links {
		if to, err := os.Readlink(l); err == nil && strings.HasPrefix(to, "/memfd:segment") {
			n++
		}
	}
	return n
}

// gone waits until all files but so many are closed.
func (b *fileBudget) gone(t *testing.T, files int, held int64) {
	t.Helper()
	until(t, fmt.Sprintf("%d files are left", files), func() bool {
		return b.held.Load() == held && openFiles(t) == files
	})
}

// Files are bounded, and closed by the last who holds them.
func TestFileBudget(t *testing.T) {
	var b fileBudget
	seg := &hls.Media{Chunks: [][]byte{[]byte("abc"), {}, []byte("de")}, Size: 5}
	f := b.file(seg)
	if f == nil || b.held.Load() != 5 || openFiles(t) != 1 {
		t.Fatalf("%+v, %d bytes, %d open", f, b.held.Load(), openFiles(t))
	}
	whole, err := os.ReadFile(fmt.Sprintf("/proc/self/fd/%d", f.fd))
	if err != nil || string(whole) != "abcde" || f.size != 5 {
		t.Errorf("the file has %q, %v", whole, err)
	}
	b.held.Add(media.MaxHLSFileBytes - 9)
	if over := b.file(seg); over != nil || b.held.Load() != media.MaxHLSFileBytes-4 {
		t.Errorf("over the limit: %+v, %d bytes", over, b.held.Load())
	}
	b.held.Add(-1)
	last := b.file(seg)
	if last == nil || b.held.Load() != media.MaxHLSFileBytes {
		t.Errorf("up to the limit: %+v, %d bytes", last, b.held.Load())
	}
	b.held.Add(10 - media.MaxHLSFileBytes)
	f.hold()
	f.release()
	if n := openFiles(t); n != 2 || b.held.Load() != 10 {
		t.Errorf("%d files, %d bytes, while both are held", n, b.held.Load())
	}
	f.release()
	last.release()
	if n := openFiles(t); n != 0 || b.held.Load() != 0 {
		t.Errorf("%d files, %d bytes, when nobody holds one", n, b.held.Load())
	}
}

// The rest of a body is the same bytes, wherever it is.
func TestTheRestOfABodyOutOfAFile(t *testing.T) {
	chunks := [][]byte{[]byte("abc"), {}, []byte("defg"), []byte("h")}
	f := &segmentFile{size: 8, fd: -1, budget: &fileBudget{}}
	for from := range int64(8) {
		for to := from + 1; to <= 8; to++ {
			for done := range int(to - from) {
				b := newBody(chunks, byteRange{from, to})
				for n := done; n > 0; {
					k := len(b.next(n))
					b.sent(k)
					n -= k
				}
				r := f.hold().rest(b)
				if at := from + int64(done); r.file != f || r.chunks != nil || int64(r.off) != at || int64(r.left) != to-at {
					t.Fatalf("%d-%d after %d: %d bytes from %d", from, to, done, r.left, r.off)
				}
				r.sent(1)
				if at := from + int64(done) + 1; at < to && int64(r.off) != at || int64(r.left) != to-at {
					t.Fatalf("%d-%d after %d and 1: %d bytes from %d", from, to, done, r.left, r.off)
				}
				if held := f.holders.Load() == 1; held != (r.left > 0) {
					t.Fatalf("%d-%d after %d and 1: %d bytes left, held %v", from, to, done, r.left, held)
				}
				f.holders.Store(0)
			}
		}
	}
}

// request asks for a path on a connection of its own.
func (st *station) request(method, path, fields string) (int, []byte) {
	st.t.Helper()
	c, br := st.ask(method + " " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + fields + "\r\n")
	defer c.Close()
	resp, err := http.ReadResponse(br, &http.Request{Method: method})
	if err != nil {
		st.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		st.t.Fatalf("%s %s: %d bytes, %v", method, path, len(b), err)
	}
	return resp.StatusCode, b
}

// From some request on a segment is sent from a file: the same bytes, whole and
// in part. Answers without a body do not count.
func TestWantedSegmentsAreSentFromAFile(t *testing.T) {
	const size, path = 700_000, "/live/test/7-100.ts"
	st := startStation(t)
	x := largeIndex(1, 100, 1, size)
	st.publish("test").PublishIndex(x)
	whole, files := bytesOf(x.Segments[0]), &st.web.server.streams.files
	for range 2 * wantedOften {
		if status, _ := st.request("HEAD", path, ""); status != http.StatusOK {
			t.Fatalf("HEAD: %d", status)
		}
		if status, _ := st.request("GET", path, "If-None-Match: \"7-100\"\r\n"); status != http.StatusNotModified {
			t.Fatalf("unchanged: %d", status)
		}
	}
	for i := 1; i < wantedOften+3; i++ {
		if status, b := st.request("GET", path, ""); status != http.StatusOK || !bytes.Equal(b, whole) {
			t.Fatalf("request %d: %d, %d bytes, or others", i, status, len(b))
		}
		want := 0
		if i >= wantedOften {
			want = 1
		}
		if n := openFiles(t); n != want || files.held.Load() != int64(want*size) {
			t.Errorf("after request %d: %d files, %d bytes", i, n, files.held.Load())
		}
	}
	for _, r := range [][2]int{{0, 1}, {0, size}, {size - 1, size}, {100, 20_000}, {size/3 - 1, size/2 + 1}, {size / 2, size}} {
		status, b := st.request("GET", path, fmt.Sprintf("Range: bytes=%d-%d\r\n", r[0], r[1]-1))
		if status != http.StatusPartialContent || !bytes.Equal(b, whole[r[0]:r[1]]) {
			t.Errorf("bytes %d to %d: %d, %d bytes, or others", r[0], r[1], status, len(b))
		}
	}
}

// Small segments are not worth a file, and the making of large ones takes too long.
func TestSomeSegmentsGetNoFile(t *testing.T) {
	st := startStation(t)
	w := st.publish("test")
	version := uint64(0)
	for _, size := range []int{minFileSize - 1, maxFileSize + 1} {
		version++
		x := largeIndex(version, 100*version, 1, size)
		w.PublishIndex(x)
		for range wantedOften + 1 {
			if status, b := st.request("GET", "/live/test/"+hls.SegmentName(7, 100*version), ""); status != http.StatusOK ||
				!bytes.Equal(b, bytesOf(x.Segments[0])) {
				t.Fatalf("%d bytes: %d, %d bytes, or others", size, status, len(b))
			}
		}
		if n := openFiles(t); n != 0 {
			t.Errorf("%d bytes: %d files", size, n)
		}
	}
}

// Where there is no room for a file, segments are copied as ever.
func TestSegmentsWithoutRoomForAFile(t *testing.T) {
	st := startStation(t)
	x := largeIndex(1, 100, 1, minFileSize)
	st.publish("test").PublishIndex(x)
	const full = media.MaxHLSFileBytes - minFileSize + 1
	files := &st.web.server.streams.files
	files.held.Add(full)
	defer files.held.Add(-full)
	for i := range wantedOften + 2 {
		if status, b := st.request("GET", "/live/test/7-100.ts", ""); status != http.StatusOK || !bytes.Equal(b, bytesOf(x.Segments[0])) {
			t.Fatalf("request %d: %d, %d bytes, or others", i+1, status, len(b))
		}
	}
	if n := openFiles(t); n != 0 {
		t.Errorf("%d files", n)
	}
}

// conns is how many connections the loop has; it must not be called on it.
func (st *station) conns() int64 { return st.loop.Stats().Conns }

// reader is a client with a small receive buffer.
func (st *station) reader(raw string) (net.Conn, *bufio.Reader) {
	st.t.Helper()
	c, br := st.ask("")
	if err := c.(*net.TCPConn).SetReadBuffer(16 << 10); err != nil {
		st.t.Fatal(err)
	}
	if err := writeAll(c, raw); err != nil {
		st.t.Fatal(err)
	}
	return c, br
}

// A reader that stalls in the middle gets the rest when it goes on, even if the
// index has moved on: the file stays open for as long, and no longer.
func TestAFileGoesWithItsSegmentAndItsLastReader(t *testing.T) {
	const path = "/live/test/7-100.ts"
	st := startStation(t)
	w := st.publish("test")
	x := largeIndex(1, 100, 1, maxFileSize)
	w.PublishIndex(x)
	whole, files := bytesOf(x.Segments[0]), &st.web.server.streams.files
	for range wantedOften {
		st.request("GET", path, "")
	}
	files.gone(t, 1, maxFileSize)

	short := st.loop.Stats().ShortSends
	c, br := st.reader("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\nGET /favicon.ico HTTP/1.1\r\nHost: x\r\n\r\n")
	gone, first := st.reader("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n")
	for _, r := range []*bufio.Reader{br, first} {
		if _, err := r.Peek(1); err != nil { // its answer is under way
			t.Fatal(err)
		}
	}
	until(t, "the readers are behind", func() bool { return st.loop.Stats().ShortSends > short })
	w.PublishIndex(largeIndex(2, 200, 1, 1000))
	until(t, "the segment is gone", func() bool {
		status, _ := st.request("GET", path, "")
		return status == http.StatusNotFound
	})
	until(t, "the stream has forgotten the file", func() bool {
		s := st.web.server.streams
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, stream := range s.streams.All() {
			if len(stream.wanted) > 0 {
				return false
			}
		}
		return s.streams.Len() == 1
	})
	gone.Close() // a reader that leaves does not take it along
	until(t, "one reader has gone", func() bool { return st.conns() == 1 })
	if n := openFiles(t); n != 1 || files.held.Load() != maxFileSize {
		t.Fatalf("%d files, %d bytes, while one reads", n, files.held.Load())
	}
	if status, b := st.answer(br); status != http.StatusOK || !bytes.Equal([]byte(b), whole) {
		t.Errorf("the slow reader got %d, %d bytes, or others", status, len(b))
	}
	if status, b := st.answer(br); status != http.StatusOK || !strings.HasSuffix(b, "</svg>\n") {
		t.Errorf("the request behind: %d, %d bytes", status, len(b))
	}
	files.gone(t, 0, 0)
	c.Close()
}
