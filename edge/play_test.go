package edge

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"tmms/cluster/relay"
	"tmms/edge/viewer"
	"tmms/media"
	"tmms/media/flv"
	wire "tmms/media/rtmp"
)

// reply is an answer whose body is read by the test and closed at its end.
type reply struct {
	StatusCode    int
	Status        string
	Header        http.Header
	ContentLength int64
	Close         bool
	Body          io.Reader
}

func (n *node) get(path string) *reply {
	n.tb.Helper()
	return n.do(http.MethodGet, path, nil)
}

func (n *node) do(method, path string, h http.Header) *reply {
	n.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	n.tb.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, method, n.url+path, http.NoBody)
	if err != nil {
		n.tb.Fatal(err)
	}
	if h != nil {
		r.Header = h
	}
	client := &http.Client{Transport: &http.Transport{DisableCompression: true, TLSClientConfig: clientTLS()}}
	n.tb.Cleanup(client.CloseIdleConnections)
	resp, err := client.Do(r)
	if err != nil {
		n.tb.Fatal(err)
	}
	n.tb.Cleanup(func() { resp.Body.Close() })
	return &reply{resp.StatusCode, resp.Status, resp.Header, resp.ContentLength, resp.Close, resp.Body}
}

func readAll(tb testing.TB, r io.Reader) []byte {
	tb.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// viewers is the number of streaming viewers that the loops count.
func (n *node) viewers() int64 { return n.edge.gate.Viewers() }

// ws opens FLV over WebSocket and returns what is behind the handshake.
func (n *node) ws(path string) (net.Conn, *bufio.Reader) {
	n.tb.Helper()
	c := n.dial(n.http)
	// The key and its answer are those of RFC 6455 section 1.3.
	_, err := io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	if err != nil {
		n.tb.Fatal(err)
	}
	br := bufio.NewReader(c)
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		n.tb.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusSwitchingProtocols ||
		resp.Header.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		n.tb.Fatalf("handshake: %s %v", resp.Status, resp.Header)
	}
	return c, br
}

// readFrame reads one unmasked frame of the server.
func readFrame(tb testing.TB, r io.Reader) (opcode byte, payload []byte) {
	tb.Helper()
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		tb.Fatal(err)
	}
	if head[0]&0x80 == 0 || head[1]&0x80 != 0 {
		tb.Fatalf("frame head %x: not final, or masked", head)
	}
	size := uint64(head[1])
	var ext [8]byte
	switch size {
	case 126:
		if _, err := io.ReadFull(r, ext[6:]); err != nil {
			tb.Fatal(err)
		}
		size = binary.BigEndian.Uint64(ext[:])
	case 127:
		if _, err := io.ReadFull(r, ext[:]); err != nil {
			tb.Fatal(err)
		}
		size = binary.BigEndian.Uint64(ext[:])
	}
	payload = make([]byte, size)
	if _, err := io.ReadFull(r, payload); err != nil {
		tb.Fatal(err)
	}
	return head[0] & 0x0F, payload
}

// Requirement: S1
// Requirement: S8
// Requirement: S9
// Requirement: S10
// Requirement: S11
func TestOneStreamPlaysByRTMPAndFLVAndWebSocket(t *testing.T) {
	n := startNode(t)
	p := n.publish(testKey("live", "test"))
	p.group()
	player := n.rtmpClient(wire.RolePlay, "rtmp://localhost/live/test")
	resp := n.get("/live/test.flv")
	socket, frames := n.ws("/live/test.flv")
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "video/x-flv" ||
		resp.ContentLength != -1 || !resp.Close {
		t.Fatalf("answer %s %v", resp.Status, resp.Header)
	}
	player.tags(1)
	if v := n.viewers(); v != 3 {
		t.Fatalf("%d viewers, want 3: exactly one for each", v)
	}
	p.size = 70_000 // more than one RTMP chunk, and a long WebSocket frame
	p.group()
	p.end()
	want := p.want()
	body := readAll(t, resp.Body)
	checkLayout(t, body)
	sameTags(t, parseFLV(t, body), want)
	sameTags(t, append(want[:1:1], player.tags(-1)...), want)
	var stream []byte
	for i := 0; ; i++ {
		opcode, payload := readFrame(t, frames)
		if opcode == 8 {
			if code := binary.BigEndian.Uint16(payload); code != 1000 {
				t.Errorf("close code %d", code)
			}
			break
		}
		if i > 0 {
			if _, k, err := flv.ParseTag(payload); err != nil || k != len(payload) {
				t.Fatalf("frame %d is not one tag: %d of %d bytes, %v", i, k, len(payload), err)
			}
		}
		stream = append(stream, payload...)
	}
	sameTags(t, parseFLV(t, stream), want)
	player.conn.Close()
	socket.Close()
	eventually(t, "all viewers are gone", func() bool { return n.viewers() == 0 })
	eventually(t, "two connections have ended with their stream", func() bool {
		return n.edge.gate.EndedBy(viewer.ReasonEnded) == 2
	})
}

// checkLayout looks at the bytes as FLV 10.1 E.3 and E.4.1 lay them out.
func checkLayout(t *testing.T, b []byte) {
	t.Helper()
	if string(b[:3]) != "FLV" || b[3] != 1 || b[4] != 5 || binary.BigEndian.Uint32(b[5:]) != 9 || binary.BigEndian.Uint32(b[9:]) != 0 {
		t.Fatalf("header %x", b[:13])
	}
	for b = b[13:]; len(b) > 0; {
		size := int(b[1])<<16 | int(b[2])<<8 | int(b[3])
		if prev := binary.BigEndian.Uint32(b[11+size:]); int(prev) != 11+size || b[8]|b[9]|b[10] != 0 {
			t.Fatalf("PreviousTagSize %d behind a tag of %d bytes, stream id %x", prev, 11+size, b[8:11])
		}
		b = b[15+size:]
	}
}

func TestTimestampsOver24BitsAreWholeInFLVAndRTMP(t *testing.T) {
	n := startNode(t)
	p := n.publish(testKey("live", "test"))
	p.dts = 0xFFFFFF - 100
	p.group()
	resp := n.get("/live/test.flv")
	player := n.rtmpClient(wire.RolePlay, "rtmp://localhost/live/test")
	first := player.tags(1)
	p.end()
	want := p.want()
	sameTags(t, parseFLV(t, readAll(t, resp.Body)), want)
	sameTags(t, append(first, player.tags(-1)...), want)
	if last := want[len(want)-1].Timestamp; last <= 0xFFFFFF {
		t.Fatalf("the last timestamp is %d", last)
	}
}

// Requirement: S11
func TestPlayersBeforeThePublisherStartWhenDataArrives(t *testing.T) {
	n := startNode(t)
	player := n.rtmpClient(wire.RolePlay, "rtmp://localhost/live/test")
	for ev := (wire.Event{}); ev.Kind != wire.EventReady; {
		var err error
		if ev, err = player.next(); err != nil {
			t.Fatal(err)
		}
	}
	raw := n.dial(n.http)
	if _, err := io.WriteString(raw, "GET /live/test.flv HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "both wait", func() bool { return n.viewers() == 2 })
	if err := raw.SetReadDeadline(time.Now().Add(150 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if k, err := raw.Read(make([]byte, 1)); k != 0 || err == nil {
		t.Fatal("the answer's head came before the stream")
	}
	if err := raw.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	p := n.publish(testKey("live", "test"))
	p.group()
	got := player.tags(1)
	resp, err := http.ReadResponse(bufio.NewReader(raw), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	p.end()
	want := p.want()
	sameTags(t, append(got, player.tags(-1)...), want)
	sameTags(t, parseFLV(t, readAll(t, resp.Body)), want)
}

func TestGraceKeepsViewersAndTheNextRunGoesOn(t *testing.T) {
	n := startNode(t)
	p := n.publish(testKey("live", "test"))
	p.group()
	resp := n.get("/live/test.flv")
	player := n.rtmpClient(wire.RolePlay, "rtmp://localhost/live/test")
	got := player.tags(len(p.want()))
	p.w.SetState(relay.StateGrace)
	p.w.SetState(relay.StateLive)
	p.group()
	got = append(got, player.tags(len(p.want())-len(got))...)
	sameTags(t, got, p.want())
	p.end()
	sameTags(t, parseFLV(t, readAll(t, resp.Body)), p.want())
}

// Requirement: S5
func TestUnknownAndSwitchedOffAreRefusedInTheViewersProtocol(t *testing.T) {
	n := startNode(t)
	for _, c := range []struct{ path, says string }{
		{"/nope/test.flv", `unknown app "nope"`},
		{"/live/test.flv?domain=nowhere.example", `unknown domain "nowhere.example"`},
		{"/live/test.m3u8?vhost=nowhere.example", `unknown domain "nowhere.example"`},
		{"/mute/test.flv", "FLV is switched off"},
		{"/mute/test.m3u8", "HLS is switched off"},
		{"/mute/test/live.m3u8", "HLS is switched off"},
		{"/mute/test/1-1.ts", "HLS is switched off"},
	} {
		resp := n.get(c.path)
		if body := string(readAll(t, resp.Body)); resp.StatusCode != http.StatusNotFound || !strings.Contains(body, c.says) ||
			resp.Header.Get("Access-Control-Allow-Origin") != "*" || resp.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %s %q %v", c.path, resp.Status, body, resp.Header)
		}
	}
	for _, c := range []struct{ url, says string }{
		{"rtmp://localhost/nope/test", `unknown app "nope"`},
		{"rtmp://localhost/live/test?vhost=nowhere.example", "unknown domain"},
		{"rtmp://localhost/mute/test", "RTMP is switched off"},
		{"rtmp://localhost/live/..", "stream"},
	} {
		ev := n.refused(c.url)
		if ev.Status == nil || ev.Status.Code != "NetStream.Play.StreamNotFound" || !strings.Contains(ev.Status.Description, c.says) {
			t.Errorf("%s: %+v", c.url, ev.Status)
		}
	}
	eventually(t, "the refused are gone", func() bool { return n.edge.gate.EndedBy(viewer.ReasonRefused) == 4 })
}

// refused plays a URL until it is refused and the connection is closed.
func (n *node) refused(url string) wire.Event {
	n.tb.Helper()
	c := n.rtmpClient(wire.RolePlay, url)
	for {
		ev, err := c.next()
		if err != nil {
			n.tb.Fatalf("%s: %v", url, err)
		}
		if ev.Kind == wire.EventRefused {
			if _, err = c.next(); !errors.Is(err, io.EOF) {
				n.tb.Errorf("%s: after the refusal: %v, want EOF", url, err)
			}
			c.conn.Close()
			return ev
		}
	}
}

func TestDomainsOfOneStreamNameAreApart(t *testing.T) {
	n := startNode(t)
	p := n.publish(media.StreamKey{Domain: "other.example", App: "live", Stream: "test"})
	p.group()
	resp := n.get("/live/test.flv?domain=other.example")
	player := n.rtmpClient(wire.RolePlay, "rtmp://OTHER.example:1935/live/test")
	first := player.tags(1)
	if resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status)
	}
	if head := n.do(http.MethodHead, "/live/test.flv", nil); head.StatusCode != http.StatusNotFound {
		t.Errorf("the default domain has the stream: %s", head.Status)
	}
	p.end()
	sameTags(t, parseFLV(t, readAll(t, resp.Body)), p.want())
	sameTags(t, append(first, player.tags(-1)...), p.want())
}

func TestPauseStopsAndResumesAtAKeyframe(t *testing.T) {
	n := startNode(t)
	p := n.publish(testKey("live", "test"))
	p.group()
	c := n.rtmpClient(wire.RolePlay, "rtmp://localhost/live/test")
	c.tags(len(p.want()))
	// pause, transaction 0, null, true, 0 on message stream 1
	c.command(1, "pause", []byte{0x05, 0x01, 0x01, 0x00, 0, 0, 0, 0, 0, 0, 0, 0})
	for ev, err := c.next(); ev.Kind != wire.EventEOF; ev, err = c.next() { // StreamEOF
		if err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the viewer has stopped", func() bool { return n.edge.engines[0].Stats().Viewers(1)+n.edge.engines[1].Stats().Viewers(1) == 0 })
	p.group()
	p.group()
	p.group()
	p.group()
	c.command(1, "pause", []byte{0x05, 0x01, 0x00, 0x00, 0, 0, 0, 0, 0, 0, 0, 0})
	got := c.tags(10)
	if got[0].Type != media.TypeData || got[3].Type != media.TypeVideo || got[3].Body[0] != 0x17 {
		t.Fatalf("resumed with %v, then %v %x", got[0].Type, got[3].Type, got[3].Body[:2])
	}
	if got[3].Timestamp < 1000 {
		t.Errorf("resumed at %d ms, the newest latency window begins later", got[3].Timestamp)
	}
}

func TestAStoppedPlayerMayPlayAnotherStreamOnItsConnection(t *testing.T) {
	n := startNode(t)
	p, other := n.publish(testKey("live", "test")), n.publish(testKey("live", "other"))
	p.size, other.size = 200_000, 100 // the stop comes in the middle of a message
	p.group()
	other.group()
	c := n.rtmpClient(wire.RolePlay, "rtmp://localhost/live/test")
	c.tags(5)
	c.command(1, "closeStream", []byte{0x05})
	c.command(1, "play", append([]byte{0x05, 0x02, 0, 5}, "other"...))
	for {
		got := c.tags(1)[0]
		if got.Type == media.TypeVideo && got.Body[0] == 0x17 && got.Body[1] == 1 && len(got.Body) == 5*other.size {
			break
		}
	}
	sameTags(t, c.tags(10), other.want()[4:14])
	if v := n.viewers(); v != 1 {
		t.Errorf("%d viewers, want 1", v)
	}
}

// A client that does not wait for any answer.
func TestAPlayerThatSendsEverythingAtOnceIsServed(t *testing.T) {
	n := startNode(t)
	p := n.publish(testKey("live", "test"))
	p.group()
	all := make([]byte, 1+2*1536)
	all[0] = 3
	text := func(s string) []byte { return append([]byte{0x02, 0, byte(len(s))}, s...) }
	connect := append([]byte{0x03, 0, 3}, "app"...)
	connect = append(append(connect, text("live")...), 0, 0, 9)
	all = append(all, command(0, "connect", connect)...)
	all = append(all, command(0, "createStream", []byte{0x05})...)
	all = append(all, command(1, "play", append([]byte{0x05}, text("test")...))...)
	c := n.dial(n.rtmp)
	if _, err := c.Write(all); err != nil {
		t.Fatal(err)
	}
	var want []byte
	for _, tag := range p.want() {
		want = wire.AppendMedia(want, wire.Message{Type: tag.Type, Timestamp: tag.Timestamp, Body: tag.Body})
	}
	var got []byte
	buf := make([]byte, 64<<10)
	for !bytes.HasSuffix(got, want) {
		k, err := c.Read(buf)
		if err != nil {
			t.Fatalf("after %d bytes: %v", len(got), err)
		}
		got = append(got, buf[:k]...)
	}
}

// command sends a raw AMF0 command; args follow the transaction id.
func (c *rtmpClient) command(streamID byte, name string, args []byte) {
	c.tb.Helper()
	if err := c.flush(); err != nil {
		c.tb.Fatal(err)
	}
	if _, err := c.conn.Write(command(streamID, name, args)); err != nil {
		c.tb.Fatal(err)
	}
}

// command is a chunk of type 0 with an AMF0 command of transaction 1.
func command(streamID byte, name string, args []byte) []byte {
	body := append([]byte{0x02, 0, byte(len(name))}, name...)
	body = append(body, 0x00, 0x3F, 0xF0, 0, 0, 0, 0, 0, 0)
	body = append(body, args...)
	return append([]byte{0x03, 0, 0, 0, 0, 0, byte(len(body)), 20, streamID, 0, 0, 0}, body...)
}

func TestWebSocketPingsAreAnsweredBetweenFramesAndCloseIsEchoed(t *testing.T) {
	n := startNode(t)
	p := n.publish(testKey("live", "test"))
	p.size = 50_000
	p.group()
	w, r := n.ws("/live/test.flv")
	ping := []byte{0x89, 0x84, 1, 2, 3, 4, 'p' ^ 1, 'i' ^ 2, 'n' ^ 3, 'g' ^ 4}
	for range 3 {
		if _, err := w.Write(ping); err != nil {
			t.Fatal(err)
		}
	}
	pongs := 0
	for pongs < 3 {
		switch opcode, payload := readFrame(t, r); opcode {
		case 0xA:
			if string(payload) != "ping" {
				t.Fatalf("pong with %q", payload)
			}
			pongs++
		case 2:
		default:
			t.Fatalf("opcode %d", opcode)
		}
	}
	if _, err := w.Write([]byte{0x88, 0x82, 0, 0, 0, 0, 0x03, 0xE8}); err != nil {
		t.Fatal(err)
	}
	for {
		if opcode, _ := readFrame(t, r); opcode == 8 {
			break
		}
	}
	if _, err := r.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("after the close frame: %v", err)
	}
	eventually(t, "the viewer is gone", func() bool { return n.viewers() == 0 })
}

func TestLaggardIsClosedAndOthersGoOn(t *testing.T) {
	n := startNode(t)
	p := n.publish(testKey("live", "test"))
	p.group()
	slow := n.dial(n.http)
	if _, err := io.WriteString(slow, "GET /live/test.flv HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	resp := n.get("/live/test.flv")
	body := make(chan []byte, 1)
	go func() {
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Error(err)
		}
		body <- b
	}()
	eventually(t, "both are there", func() bool { return n.viewers() == 2 })
	p.size = 40_000
	gate := n.edge.gate
	late := func() int64 {
		return gate.EndedBy(viewer.ReasonLag) + gate.EndedBy(viewer.ReasonOvertaken) + gate.EndedBy(viewer.ReasonStalled)
	}
	push := func() { p.frame(len(p.all)%75 == 0) }
	// The kernel buffers some megabytes for the slow one before it lags.
	eventually(t, "the log has dropped what it should get", func() bool {
		push()
		return len(p.all) > 1500
	})
	tick := time.NewTicker(40 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(3 * media.StallTimeout); late() == 0; push() {
		if <-tick.C; time.Now().After(end) {
			t.Error("the slow viewer is not closed")
			break
		}
	}
	p.end()
	got := parseFLV(t, <-body)
	sameTags(t, got, p.want())
	if !bytes.Equal(got[len(got)-1].Body, p.all[len(p.all)-1].Body) {
		t.Error("the healthy viewer lacks the end")
	}
}
