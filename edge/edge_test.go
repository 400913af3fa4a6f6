package edge

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"tmms/edge/viewer"
	"tmms/media"
	wire "tmms/media/rtmp"
)

// Requirement: S1
func TestPublisherIsHandedOverWithAllThatIsKnownOfIt(t *testing.T) {
	handed := make(chan Handover, 1)
	n := startNode(t, func(_ *Config, d *Deps) { d.Publish = func(h Handover) { handed <- h } })
	c := n.rtmpClient(wire.RolePublish, "rtmp://localhost/live/test?key=secret")
	ready := make(chan error, 1)
	go func() {
		for {
			ev, err := c.next()
			if err != nil || ev.Kind == wire.EventReady {
				ready <- err
				return
			}
		}
	}()
	h := <-handed
	defer h.Conn.Close()
	if h.Request.App != "live" || h.Request.Stream != "test" || h.Request.Param("key") != "secret" {
		t.Errorf("request %+v", h.Request)
	}
	if _, tcp := h.Conn.RemoteAddr().(interface{ Network() string }); !tcp || h.Conn.RemoteAddr().String() != c.conn.LocalAddr().String() {
		t.Errorf("remote %v, want %v", h.Conn.RemoteAddr(), c.conn.LocalAddr())
	}
	h.RTMP.AcceptPublish()
	writeOutput(t, h)
	if err := <-ready; err != nil {
		t.Fatal(err)
	}
	body := bytes.Repeat([]byte{0x27}, 100_000)
	c.c.Publish(wire.Message{Type: media.TypeVideo, Timestamp: 5, Body: body})
	if err := c.flush(); err != nil {
		t.Fatal(err)
	}
	msg := nextMessage(t, h)
	if msg.Type != media.TypeVideo || msg.Timestamp != 5 || !bytes.Equal(msg.Body, body) {
		t.Errorf("got %v at %d with %d bytes", msg.Type, msg.Timestamp, len(msg.Body))
	}
	if n.edge.reactor.Pending() != 0 {
		t.Error("the connection still counts as pending")
	}
}

func writeOutput(t *testing.T, h Handover) {
	t.Helper()
	out := h.RTMP.Output()
	k, err := h.Conn.Write(out)
	if err != nil {
		t.Fatal(err)
	}
	h.RTMP.Sent(k)
}

// nextMessage reads as an origin would: first what was unread.
func nextMessage(t *testing.T, h Handover) wire.Message {
	t.Helper()
	buf := make([]byte, 32<<10)
	for rest := h.Unread; ; {
		_, ev, err := h.RTMP.Feed(rest)
		if err != nil {
			t.Fatal(err)
		}
		if ev.Kind == wire.EventMessage {
			return ev.Message
		}
		if ev.Kind != wire.EventNone {
			t.Fatalf("event %v", ev.Kind)
		}
		k, err := h.Conn.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		rest = buf[:k]
	}
}

// A client that sends its first media together with the publish command: the
// bytes behind the command are handed over, none is lost.
func TestHandoverCarriesTheUnreadBytes(t *testing.T) {
	handed := make(chan Handover, 1)
	n := startNode(t, func(_ *Config, d *Deps) { d.Publish = func(h Handover) { handed <- h } })
	c := n.rtmpClient(wire.RolePublish, "rtmp://localhost/live/test")
	// Shake hands and connect by hand, then publish and media in one write.
	for {
		if err := c.flush(); err != nil {
			t.Fatal(err)
		}
		k, err := c.conn.Read(c.buf)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err = c.c.Feed(c.buf[:k]); err != nil {
			t.Fatal(err)
		}
		if out := c.c.Output(); bytes.Contains(out, []byte("\x07publish")) {
			payload := append(bytes.Clone(out), videoMessage(1, 300)...)
			if _, err := c.conn.Write(payload); err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	h := <-handed
	defer h.Conn.Close()
	h.RTMP.AcceptPublish()
	if msg := nextMessage(t, h); msg.Type != media.TypeVideo || len(msg.Body) != 300 {
		t.Errorf("got %v with %d bytes", msg.Type, len(msg.Body))
	}
}

// videoMessage is a chunk of type 0 on chunk stream 6 with n bytes; the peer's
// chunk size is 4,096.
func videoMessage(streamID byte, n int) []byte {
	head := []byte{6, 0, 0, 0, 0, byte(n >> 8), byte(n), 9, streamID, 0, 0, 0}
	return append(head, bytes.Repeat([]byte{0x27}, n)...)
}

func TestPublishIsRefusedWithoutAnOrigin(t *testing.T) {
	n := startNode(t, func(_ *Config, d *Deps) { d.PublishAt = func() string { return "origin.example.com:1935" } })
	c := n.rtmpClient(wire.RolePublish, "rtmp://localhost/live/test")
	for {
		ev, err := c.next()
		if err != nil {
			t.Fatal(err)
		}
		if ev.Kind == wire.EventRefused {
			if ev.Status.Code != "NetStream.Publish.BadName" ||
				!strings.HasSuffix(ev.Status.Description, "publish to rtmp://origin.example.com:1935") {
				t.Errorf("refused with %+v", ev.Status)
			}
			break
		}
	}
	if _, err := c.next(); !errors.Is(err, io.EOF) {
		t.Errorf("after the refusal: %v", err)
	}
}

func TestViewersAreListedAndCounted(t *testing.T) {
	n := startNode(t)
	p := n.publish(testKey("live", "test"))
	p.group()
	p.w.PublishIndex(index(1, 100, 1, false))
	player := n.rtmpClient(wire.RolePlay, "rtmp://localhost/live/test")
	player.tags(1)
	if _, err := io.ReadFull(n.get("/live/test.flv").Body, make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	readAll(t, n.get("/live/test/live.m3u8").Body)
	waiter := n.dial(n.http)
	if _, err := io.WriteString(waiter, "GET /live/later.flv HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all are there", func() bool { return n.viewers() == 3 })
	infos, err := n.edge.Viewers(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]Info{}
	for _, i := range infos {
		seen[i.Proto+" "+i.Key.String()+" "+i.State] = i
	}
	for _, want := range []string{
		"rtmp default/live/test playing", "flv default/live/test playing", "hls default/live/test playing", "flv default/live/later waiting",
	} {
		if i, ok := seen[want]; !ok || i.Remote.Addr().String() != "127.0.0.1" {
			t.Errorf("%s is not listed: %+v", want, infos)
		}
	}
	if len(infos) != 4 || seen["rtmp default/live/test playing"].Sent == 0 {
		t.Errorf("%d viewers: %+v", len(infos), infos)
	}
	metrics := n.gather()
	for proto, want := range map[string]float64{"flv": 2, "hls": 1, "rtmp": 1, "ws-flv": 0} {
		if got, ok := metrics["tmms_edge_viewers "+proto]; !ok || got != want {
			t.Errorf("tmms_edge_viewers{proto=%q} is %v, want %v", proto, got, want)
		}
	}
	for _, name := range []string{
		"tmms_edge_sent_bytes_total flv", "tmms_edge_sent_bytes_total rtmp", "tmms_edge_sent_bytes_total hls", "tmms_edge_flush_seconds ",
		"tmms_edge_loop_turn_seconds 0",
	} {
		if metrics[name] <= 0 {
			t.Errorf("%s is %v", name, metrics[name])
		}
	}
	for _, name := range []string{
		"tmms_edge_loop_busy_ratio 0", "tmms_edge_loop_busy_ratio 1", "tmms_edge_viewer_skips_total ", "tmms_edge_viewers_limit ", "tmms_edge_closed_total lag",
		"tmms_edge_loop_overruns_total close", "tmms_edge_loop_overdue_seconds 1", "tmms_edge_accept_errors_total 0",
		"tmms_edge_refused_total 1", "tmms_edge_accepted_total 0", "tmms_edge_loop_longest_turn_seconds 0",
	} {
		if _, ok := metrics[name]; !ok {
			t.Errorf("%s is not there", name)
		}
	}
}

// gather reads the metrics: "name label-value" to value, a histogram's count.
func (n *node) gather() map[string]float64 {
	n.tb.Helper()
	families, err := n.registry.Gather()
	if err != nil {
		n.tb.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			label := ""
			for _, l := range m.GetLabel() {
				label = l.GetValue()
			}
			values[f.GetName()+" "+label] = m.GetGauge().GetValue() + m.GetCounter().GetValue() +
				float64(m.GetHistogram().GetSampleCount())
		}
	}
	return values
}

func TestLimitOfViewers(t *testing.T) {
	n := startNode(t, func(c *Config, _ *Deps) { c.Limits.Viewers = 1 })
	p := n.publish(testKey("live", "test"))
	p.group()
	if resp := n.get("/live/test.flv"); resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status)
	}
	if resp := n.get("/live/test.flv"); resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
		t.Errorf("%s %v", resp.Status, resp.Header)
	}
	if ev := n.refused("rtmp://localhost/live/test"); ev.Status.Code != "NetStream.Play.Failed" {
		t.Errorf("refused with %+v", ev.Status)
	}
	eventually(t, "it is counted", func() bool { return n.edge.gate.EndedBy(viewer.ReasonFull) == 1 })
}

func TestDrainAsksEveryViewerToLeave(t *testing.T) {
	n := startNode(t)
	p := n.publish(testKey("live", "test"))
	p.group()
	resp := n.get("/live/test.flv")
	_, frames := n.ws("/live/test.flv")
	player := n.rtmpClient(wire.RolePlay, "rtmp://localhost/live/test")
	player.tags(len(p.want()))
	eventually(t, "all are there", func() bool { return n.viewers() == 3 })
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := n.edge.Drain(ctx); err != nil {
		t.Fatal(err)
	}
	sameTags(t, parseFLV(t, readAll(t, resp.Body)), p.want())
	if rest := player.tags(-1); len(rest) != 0 {
		t.Errorf("%d messages after the last", len(rest))
	}
	for {
		if opcode, payload := readFrame(t, frames); opcode == 8 {
			if payload[0] != 1001>>8 || payload[1] != 1001&0xFF {
				t.Errorf("close payload %x", payload)
			}
			break
		}
	}
	if c, err := http.Get(n.url + "/"); err == nil {
		c.Body.Close()
		t.Error("a drained edge accepts connections")
	}
}

func TestConfigFaultsAreToldAllAtOnce(t *testing.T) {
	c := Config{
		RTMP: "nonsense", HTTP: "also", Loops: 0, Flush: 7 * time.Millisecond, Limits: Limits{Viewers: -1, ConnsPerIP: -2},
	}
	err := c.Validate()
	if err == nil {
		t.Fatal("no fault")
	}
	for _, want := range []string{
		"listen.rtmp: nonsense", "listen.http: also", "edge.loops: 0", "edge.flush: 7ms", "edge.limits.viewers: -1", "edge.limits.conns_per_ip: -2",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not told in %q", want, err)
		}
	}
	if err = DefaultConfig().Validate(); err != nil {
		t.Errorf("the default config: %v", err)
	}
}

func TestABusyPortIsOneClearError(t *testing.T) {
	n := startNode(t)
	cfg := DefaultConfig()
	cfg.RTMP, cfg.HTTP = "127.0.0.1:0", n.http
	_, err := New(cfg, Deps{Hub: n.hub, Apps: newApps(t)})
	if err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("error %v", err)
	}
}
