package edge

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"

	"tmms/media/hls"
)

// answer reads one answer.
func answer(t *testing.T, r *bufio.Reader) (status int, body []byte) {
	t.Helper()
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Error(err)
		return 0, nil
	}
	defer resp.Body.Close()
	if body, err = io.ReadAll(resp.Body); err != nil {
		t.Error(err)
	}
	return resp.StatusCode, body
}

// Many requests that come at once are answered in pieces, in order, all of them.
func TestPipelinedRequests(t *testing.T) {
	n := startNode(t)
	const requests = 300
	var raw strings.Builder
	for range requests {
		raw.WriteString("GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
	}
	c := n.dial(n.http)
	if _, err := io.WriteString(c, raw.String()); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(c)
	for i := range requests {
		if status, _ := answer(t, r); status != http.StatusNotFound {
			t.Fatalf("answer %d: %d", i, status)
		}
	}
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if status, _ := answer(t, r); status != http.StatusOK {
		t.Fatalf("the request after them: %d", status)
	}
}

// One that sends requests without end is closed, and was not answered without end.
func TestFloodOfRequests(t *testing.T) {
	n := startNode(t)
	c := n.dial(n.http)
	go func() {
		flood := []byte(strings.Repeat("GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n", 4096))
		for {
			if _, err := c.Write(flood); err != nil {
				return
			}
		}
	}()
	_, err := io.Copy(io.Discard, c)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("it ended with %v", err)
	}
	eventually(t, "it is gone", func() bool { return conns(n) == 0 })
}

func conns(n *node) (all int64) {
	for _, l := range n.edge.reactor.Loops() {
		all += l.Stats().Conns
	}
	return all
}

// Answers that take more than a connection's share of a turn, of many
// connections at once, all get through.
func TestManyLongAnswers(t *testing.T) {
	n := startNode(t)
	p := n.publish(testKey("live", "test"))
	x := index(1, 100, 1, false)
	s := x.Segments[0]
	s.TS = &hls.Media{Chunks: [][]byte{bytes.Repeat([]byte{7}, 3<<20)}, Size: 3 << 20}
	p.w.PublishIndex(x)
	var wg sync.WaitGroup
	for range 60 {
		c := n.dial(n.http)
		wg.Go(func() {
			if _, err := fmt.Fprintf(c, "GET /live/test/%s HTTP/1.1\r\nHost: x\r\n\r\n", hls.SegmentName(7, 100)); err != nil {
				t.Error(err)
				return
			}
			if _, b := answer(t, bufio.NewReader(c)); len(b) != s.TS.Size {
				t.Errorf("%d bytes", len(b))
			}
		})
	}
	wg.Wait()
	p.end()
}

// Thousands of requests that wait for a stream are answered when it comes.
func TestManyParkedRequests(t *testing.T) {
	n := startNode(t)
	conns := make([]net.Conn, 1000)
	for i := range conns {
		conns[i] = n.dial(n.http)
		if _, err := io.WriteString(conns[i], "GET /live/test/live.m3u8 HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	p := n.publish(testKey("live", "test"))
	x := index(1, 100, 1, false)
	p.w.PublishIndex(x)
	want := string(x.AppendMedia(nil, ""))
	for i, c := range conns {
		if status, body := answer(t, bufio.NewReader(c)); string(body) != want {
			t.Fatalf("request %d: %d, %q", i, status, body)
		}
	}
	p.end()
}

// A request that waits for a stream and goes on sending is closed, and forgotten:
// the node looks for it no more when the stream comes.
func TestParkedRequestThatGoesOnSending(t *testing.T) {
	n := startNode(t)
	c := n.dial(n.http)
	if _, err := io.WriteString(c, "GET /live/test/live.m3u8 HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			if _, err := c.Write(make([]byte, 8<<10)); err != nil {
				return
			}
		}
	}()
	_, err := io.Copy(io.Discard, c)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("it ended with %v", err)
	}
	eventually(t, "it is gone", func() bool { return conns(n) == 0 })
	others := make([]net.Conn, 8) // on both loops, which look for what is parked
	for i := range others {
		others[i] = n.dial(n.http)
		if _, err := io.WriteString(others[i], "GET /live/other/live.m3u8 HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "others wait", func() bool { return conns(n) == int64(len(others)) })
	p := n.publish(testKey("live", "other"))
	p.w.PublishIndex(index(1, 100, 1, false))
	for _, c := range others {
		if status, _ := answer(t, bufio.NewReader(c)); status != http.StatusOK {
			t.Errorf("another request: %d", status)
		}
	}
	p.end()
}
