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
		resp, err := http.ReadResponse(r, nil)
		if err != nil || resp.StatusCode != http.StatusNotFound {
			t.Fatalf("answer %d: %v, %v", i, resp, err)
		}
		readAll(t, resp.Body)
	}
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if resp, err := http.ReadResponse(r, nil); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("the request after them: %v, %v", resp, err)
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
	s.Chunks = [][]byte{bytes.Repeat([]byte{7}, 3<<20)}
	s.Size = 3 << 20
	p.w.PublishIndex(x)
	var wg sync.WaitGroup
	for range 60 {
		c := n.dial(n.http)
		wg.Go(func() {
			if _, err := fmt.Fprintf(c, "GET /live/test/%s HTTP/1.1\r\nHost: x\r\n\r\n", hls.SegmentName(7, 100)); err != nil {
				t.Error(err)
				return
			}
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Error(err)
				return
			}
			if b, err := io.ReadAll(resp.Body); err != nil || len(b) != s.Size {
				t.Errorf("%d bytes, %v", len(b), err)
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
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
		if body := string(readAll(t, resp.Body)); body != want {
			t.Fatalf("request %d: %s, %q", i, resp.Status, body)
		}
	}
	p.end()
}
