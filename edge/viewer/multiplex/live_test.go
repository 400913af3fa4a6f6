package multiplex

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"tmms/edge/viewer"
	"tmms/media"
	"tmms/media/flv"
)

func TestLiveFLV(t *testing.T) {
	w := newWorld(t)
	p := w.publish("test")
	p.group()
	var bodies []io.Reader
	for _, c := range w.both() {
		resp := c.get("/live/test.flv")
		if resp.code != http.StatusOK || resp.header.Get("Content-Type") != "video/x-flv" ||
			resp.header.Get("Cache-Control") != "no-store" || resp.header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: %d %v", c.proto, resp.code, resp.header)
		}
		bodies = append(bodies, resp.body)
	}
	eventually(t, "they are counted", func() bool { return w.viewers() == 2 && w.gate.Viewers() == 2 })
	for range 4 { // more than a pipe holds, and less than one is late after
		p.size = 5000
		p.group()
	}
	p.end()
	for _, b := range bodies {
		sameTags(t, parseFLV(t, readAll(t, b)), p.want())
	}
	eventually(t, "they have left", func() bool { return w.viewers() == 0 && w.gate.Viewers() == 0 })
	if n := w.gate.EndedBy(viewer.ReasonEnded); n != 2 {
		t.Errorf("%d ended with the stream, want 2", n)
	}
}

// Bytes come when they are flushed, not when a buffer is full.
func TestLiveFLVComesAtOnce(t *testing.T) {
	w := newWorld(t)
	p := w.publish("test")
	p.size = 60
	p.group()
	for _, c := range w.both() {
		r := bufio.NewReader(c.get("/live/test.flv").body)
		head := len(flv.AppendHeader(nil, true, true))
		if _, err := r.Discard(head); err != nil {
			t.Fatal(err)
		}
		for range p.want() { // the last of which is at the log's head
			nextTag(t, r)
		}
	}
}

// nextTag reads a tag of a body.
func nextTag(tb testing.TB, r *bufio.Reader) flv.Tag {
	tb.Helper()
	for n := flv.TagSize(0); ; {
		b, err := r.Peek(n)
		if err != nil {
			tb.Fatal(err)
		}
		tag, size, err := flv.ParseTag(b)
		if errors.Is(err, flv.ErrShort) {
			n = flv.TagSize(int(b[1])<<16 | int(b[2])<<8 | int(b[3]))
			continue
		}
		if err != nil {
			tb.Fatal(err)
		}
		tag.Body = bytes.Clone(tag.Body)
		if _, err = r.Discard(size); err != nil {
			tb.Fatal(err)
		}
		return tag
	}
}

func TestLiveFLVWaitsForAPublisher(t *testing.T) {
	w := newWorld(t)
	bodies := make(chan []byte, 2)
	for _, c := range w.both() {
		go func() {
			resp, err := c.do(t.Context(), http.MethodGet, "/live/test.flv", nil)
			if err != nil {
				bodies <- []byte(err.Error())
				return
			}
			b, _ := io.ReadAll(resp.body) // what is missing is seen
			bodies <- b
		}()
	}
	eventually(t, "they wait", func() bool { return w.viewers() == 2 })
	p := w.publish("test")
	p.group()
	eventually(t, "they play", func() bool { return w.sent() >= 2*30_000 })
	p.end()
	for range 2 {
		sameTags(t, parseFLV(t, <-bodies), p.want())
	}
}

func TestLiveFLVWithoutAPublisher(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range w.both() {
		start := time.Now()
		resp := c.get("/live/test.flv")
		if body := readAll(t, resp.body); resp.code != http.StatusNotFound || string(body) != "nobody publishes this stream\n" {
			t.Errorf("%s: %d %q", c.proto, resp.code, body)
		}
		if d := time.Since(start); d < media.ParkTimeout-time.Second {
			t.Errorf("%s: given up after %v", c.proto, d)
		}
	}
	eventually(t, "nobody waits", func() bool { return w.viewers() == 0 })
}

// A client that goes, waiting or playing, is taken out at once.
func TestCancelDetachesTheViewer(t *testing.T) {
	w := newWorld(t)
	p := w.publish("test")
	p.group()
	for _, path := range []string{"/live/test.flv", "/live/none.flv"} {
		for _, c := range w.both() {
			ctx, cancel := contextOf(t)
			gone := make(chan struct{})
			go func() {
				defer close(gone)
				if resp, err := c.do(ctx, http.MethodGet, path, nil); err == nil {
					_, _ = io.Copy(io.Discard, resp.body) // until the cancel
				}
			}()
			eventually(t, "the viewer is there", func() bool { return w.viewers() == 1 && w.gate.Viewers() == 1 })
			cancel()
			<-gone
			eventually(t, "the viewer is gone", func() bool { return w.viewers() == 0 && w.gate.Viewers() == 0 })
		}
	}
	if n := w.gate.EndedBy(viewer.ReasonPeer); n != 4 {
		t.Errorf("%d went by themselves, want 4", n)
	}
}

// A viewer who does not read costs a pipe and what the protocol has on the way,
// and skips to the newest keyframe when he reads again, with his clock going on.
func TestSlowReaderSkips(t *testing.T) {
	w := newWorld(t)
	p := w.publishIn("quick", "test")
	p.size = 8000
	p.group()
	for _, c := range w.both() {
		before, skips := w.sent(), w.skips()
		r := bufio.NewReaderSize(c.get("/quick/test.flv").body, 128<<10)
		for range 30 {
			p.group() // 30 s, 7 MB
		}
		eventually(t, "its pipe is full", func() bool { return w.sent()-before >= media.MaxViewerPipe })
		// 64 KiB of window in the client, as much again in buffers on the way.
		if sent := w.sent() - before; sent > media.MaxViewerPipe+8*window {
			t.Errorf("%s: a viewer who does not read was sent %d bytes", c.proto, sent)
		}
		<-time.After(3 * quickLatency) // what comes in a burst makes nobody late, but this does
		if _, err := r.Discard(len(flv.AppendHeader(nil, true, true))); err != nil {
			t.Fatal(err)
		}
		newest := p.all[len(p.all)-50] // the newest keyframe
		var last uint32
		for seen := 0; ; seen++ {
			tag := nextTag(t, r)
			if tag.Timestamp < last && seen > 0 || seen > 3 && tag.Timestamp-last > 100 {
				t.Fatalf("%s: the clock goes from %d to %d", c.proto, last, tag.Timestamp)
			}
			last = tag.Timestamp
			if tag.Type == media.TypeVideo && bytes.Equal(tag.Body, newest.Body) {
				break
			}
		}
		if w.skips() == skips {
			t.Errorf("%s: no skip was counted", c.proto)
		}
		if last > uint32(newest.DTS)-15_000 {
			t.Errorf("%s: the clock stands at %d, the stream at %d: nothing was skipped", c.proto, last, newest.DTS)
		}
	}
}

// A viewer who never reads again is cut, as on HTTP/1.1.
func TestStalledReaderIsCut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.publish("test")
	p.size = 20_000
	p.group()
	var bodies []io.Reader
	for _, c := range w.both() {
		bodies = append(bodies, c.get("/live/test.flv").body)
	}
	for range 5 {
		p.group()
	}
	eventually(t, "they are cut", func() bool { return w.viewers() == 0 && w.gate.Viewers() == 0 })
	if n := w.gate.EndedBy(viewer.ReasonStalled); n != 2 {
		t.Errorf("%d stalled, want 2", n)
	}
	for _, b := range bodies {
		if _, err := io.Copy(io.Discard, b); err == nil {
			t.Error("an answer that was cut looks whole")
		}
	}
}

// A drain lets viewers leave after a whole tag, and waits for nobody else.
func TestDrain(t *testing.T) {
	w := newWorld(t)
	p := w.publish("test")
	p.group()
	var bodies []io.Reader
	both := w.both()
	for _, c := range both {
		bodies = append(bodies, c.get("/live/test.flv").body)
	}
	eventually(t, "they play", func() bool { return w.sent() >= 2*30_000 })
	w.gate.Drain()
	w.server.Drain()
	for i, l := range w.reactor.Loops() {
		if !l.Post(w.engines[i].StopAll) {
			t.Fatal("a loop has no room")
		}
	}
	for _, b := range bodies {
		if tags := parseFLV(t, readAll(t, b)); len(tags) < 50 {
			t.Errorf("only %d tags", len(tags))
		}
	}
	eventually(t, "the gate is empty", func() bool { return w.gate.Viewers() == 0 })
	if n := w.gate.EndedBy(viewer.ReasonDrain); n != 2 {
		t.Errorf("%d left for the drain, want 2", n)
	}
	eventually(t, "the connections are closed", func() bool {
		h2, h3 := w.server.Conns()
		return h2 == 0 && h3 == 0
	})
	for _, c := range both {
		if resp, err := c.do(t.Context(), http.MethodGet, "/", nil); err == nil {
			t.Errorf("%s: %d after the drain", c.proto, resp.code)
		}
	}
}

// A viewer whose request overtakes the drain on another goroutine is refused.
func TestViewersAreRefusedWhileDraining(t *testing.T) {
	w := newWorld(t)
	p := w.publish("test")
	p.group()
	w.gate.Drain()
	for _, c := range w.both() {
		resp := c.get("/live/test.flv")
		if body := readAll(t, resp.body); resp.code != http.StatusServiceUnavailable ||
			string(body) != viewer.ErrDraining.Error()+"\n" {
			t.Errorf("%s: %d %q", c.proto, resp.code, body)
		}
	}
}

// The end of the node ends everything that it serves.
func TestShutdownWhilePlaying(t *testing.T) {
	w := newWorld(t)
	p := w.publish("test")
	p.group()
	var bodies []io.Reader
	for _, c := range w.both() {
		bodies = append(bodies, c.get("/live/test.flv").body)
		go func() {
			// Waits, until it is cut.
			if resp, err := c.do(t.Context(), http.MethodGet, "/live/none.m3u8", nil); err == nil {
				t.Errorf("%s: %d", c.proto, resp.code)
			}
		}()
	}
	eventually(t, "all are there", func() bool { return w.viewers() == 2 && w.hub.Len() == 2 })
	w.stop()
	for _, b := range bodies {
		if _, err := io.Copy(io.Discard, b); err == nil {
			t.Error("an answer that was cut looks whole")
		}
	}
	eventually(t, "the viewers have left", func() bool { return w.viewers() == 0 && w.gate.Viewers() == 0 })
}

// 200 requests at once share one connection.
func TestManyStreamsOnOneConnection(t *testing.T) {
	const many = 200
	w := newWorld(t)
	p := w.publish("test")
	p.group()
	for _, c := range w.both() {
		c.get("/favicon.ico") // the connection is there before they come
		bodies := make(chan []byte, many)
		for range many {
			go func() {
				resp, err := c.do(t.Context(), http.MethodGet, "/live/test.flv", nil)
				if err != nil {
					bodies <- []byte(err.Error())
					return
				}
				b := make([]byte, 20_000)
				n, _ := io.ReadFull(resp.body, b) // what is missing is seen
				bodies <- b[:n]
				resp.body.Close()
			}()
		}
		var first []byte
		for range many {
			b := <-bodies
			if first == nil {
				first = b
			}
			if len(b) != 20_000 || !bytes.Equal(b, first) {
				t.Fatalf("%s: %d bytes: %.60q", c.proto, len(b), b)
			}
		}
		if h2, h3 := w.server.Conns(); h2+h3 != 1 {
			t.Errorf("%s: %d connections", c.proto, h2+h3)
		}
		eventually(t, "they have left", func() bool { return w.viewers() == 0 && w.gate.Viewers() == 0 })
		c.http.CloseIdleConnections()
		if closer, ok := c.http.Transport.(io.Closer); ok {
			closer.Close()
		}
		eventually(t, "the connection is closed", func() bool {
			h2, h3 := w.server.Conns()
			return h2+h3 == 0
		})
	}
}
