package edge

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"tmms/media"
	wire "tmms/media/rtmp"
)

// player is an RTMP player that announces codecs and capabilities.
func (n *node) player(caps wire.Caps, fourCCs ...string) *rtmpClient {
	n.tb.Helper()
	u, err := wire.ParseURL("rtmp://localhost/live/test")
	if err != nil {
		n.tb.Fatal(err)
	}
	cfg := wire.ClientConfig{URL: u, Role: wire.RolePlay, Caps: caps, FourCCs: fourCCs}
	return &rtmpClient{tb: n.tb, conn: n.dial(n.rtmp), c: wire.NewClientConn(cfg), buf: make([]byte, 64<<10)}
}

// until reads events up to one of a kind.
func (c *rtmpClient) until(kind wire.EventKind) wire.Event {
	c.tb.Helper()
	for {
		ev, err := c.next()
		if err != nil {
			c.tb.Fatalf("%v before event %v", err, kind)
		}
		if ev.Kind == kind {
			return ev
		}
	}
}

// closed reads up to the end of the connection, and gives the time of it.
func (c *rtmpClient) closed() time.Time {
	for {
		if _, err := c.next(); err != nil {
			return time.Now()
		}
	}
}

// Requirement: S18 (a codec that a player can't take is refused with a clear error,
// and passes where it can).
func TestRTMPPlayerWithoutTheCodec(t *testing.T) {
	n := startNode(t)
	p := n.publish(testKey("live", "test"))
	p.group()
	old := n.player(0)
	old.tags(10)
	p.push(media.TypeVideo, media.KindConfig, []byte("\x90av01av1C"))
	p.push(media.TypeVideo, media.KindKey, []byte("\x91av01key"))
	// In the middle of the stream: the end, why, and the end of the connection.
	old.until(wire.EventEOF)
	for name, c := range map[string]*rtmpClient{
		"that was there": old, "that announces nothing": n.player(0), "that announces another": n.player(0, "hvc1"),
	} {
		ev := c.until(wire.EventRefused)
		if ev.Status.Code != "NetStream.Play.Failed" || !strings.Contains(ev.Status.Description, "av01") {
			t.Errorf("the player %s is told %+v", name, ev.Status)
		}
		c.closed()
	}
	able := n.player(0, "av01", "mp4a")
	for {
		if ev := able.until(wire.EventMessage); strings.Contains(string(ev.Message.Body), "av01key") {
			break
		}
	}
	if resp := n.get("/live/test.flv"); resp.StatusCode != http.StatusOK {
		t.Errorf("FLV: %s", resp.Status)
	}
	eventually(t, "who was refused is no viewer", func() bool { return n.viewers() == 2 })
}

// CASES: ertmp-reconnect. Players that can reconnect are asked to and play on; those
// that do not go are closed after the drain time, the others at once.
func TestDrainAsksPlayersToReconnect(t *testing.T) {
	n := startNode(t, func(_ *Config, d *Deps) { d.PlayAt = func() string { return "10.0.0.7:1935" } })
	p := n.publish(testKey("live", "test"))
	p.group()
	old, stays, goes := n.player(0), n.player(wire.CapsReconnect, "hvc1"), n.player(wire.CapsReconnect)
	for _, c := range []*rtmpClient{old, stays, goes} {
		c.tags(len(p.want()))
	}
	if able := n.edge.Reconnectable(); able != 2 {
		t.Errorf("%d players can reconnect, want 2", able)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	began, drained := time.Now(), make(chan error, 1)
	go func() { drained <- n.edge.Drain(ctx) }()
	for _, c := range []*rtmpClient{stays, goes} {
		ev := c.until(wire.EventReconnect)
		if ev.Status.TcURL != "rtmp://10.0.0.7:1935/live" || ev.Status.Description == "" {
			t.Errorf("asked to reconnect with %+v", ev.Status)
		}
	}
	goes.conn.Close()
	old.until(wire.EventEOF)
	p.group() // it goes on meanwhile
	if got := stays.tags(50); len(got) != 50 {
		t.Errorf("%d messages after the request", len(got))
	}
	if at := stays.closed(); at.Sub(began) < media.ReconnectTimeout {
		t.Errorf("closed after %v, want %v", at.Sub(began), media.ReconnectTimeout)
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
	if able := n.edge.Reconnectable(); able != 0 {
		t.Errorf("%d players can still reconnect", able)
	}
}
