package edge

import (
	"io"
	"net/http"
	"sync/atomic"
	"testing"

	wire "tmms/media/rtmp"
)

// diverted is a node that sends viewers elsewhere, and what it knows of elsewhere.
type diverted struct {
	*node

	p    *publisher
	play atomic.Pointer[string] // HOST:PORT of RTMP; "" for none
	http atomic.Pointer[string]
}

func startDiverted(t *testing.T) *diverted {
	t.Helper()
	d := &diverted{}
	d.know("198.51.100.7:1935", "198.51.100.7:8080")
	d.node = startNode(t, func(_ *Config, deps *Deps) {
		deps.PlayAt = func() string { return *d.play.Load() }
		deps.WatchAt = func(secure bool) string {
			if secure {
				return ""
			}
			return *d.http.Load()
		}
	})
	d.p = d.publish(testKey("live", "test"))
	d.p.group()
	d.p.w.PublishIndex(index(3, 100, 3, false))
	return d
}

func (d *diverted) know(play, watch string) {
	d.play.Store(&play)
	d.http.Store(&watch)
}

// divert says so, on or off.
func (d *diverted) divert(on bool) {
	d.tb.Helper()
	if err := d.edge.Divert(d.tb.Context(), on); err != nil {
		d.tb.Fatal(err)
	}
}

// ask sends a request and gives the status and the Location of the answer's head.
func (d *diverted) ask(method, path, host string) (status int, location, cache string) {
	d.tb.Helper()
	ctx := d.tb.Context()
	r, err := http.NewRequestWithContext(ctx, method, d.url+path, http.NoBody)
	if err != nil {
		d.tb.Fatal(err)
	}
	r.Host = host
	client := &http.Client{
		Transport:     &http.Transport{},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	defer client.CloseIdleConnections()
	resp, err := client.Do(r)
	if err != nil {
		d.tb.Fatal(err)
	}
	resp.Body.Close()
	if resp.Header.Get("Access-Control-Allow-Origin") != "*" {
		d.tb.Errorf("%s: without CORS: %v", path, resp.Header)
	}
	return resp.StatusCode, resp.Header.Get("Location"), resp.Header.Get("Cache-Control")
}

// A node that is being drained sends viewers who come to another edge, if their
// protocol lets them follow, and nobody away who can't.
//
// Requirement: C5
func TestDivertedViewersGoElsewhere(t *testing.T) {
	d := startDiverted(t)
	d.publish(testKey("live", "other"))
	d.divert(true)
	const there = "http://198.51.100.7:8080"
	for _, c := range []struct{ path, host, to string }{
		{"/live/test.flv", "", "/live/test.flv"},
		{"/live/test.ts", "", "/live/test.ts"},
		{"/live/test.m3u8", "", "/live/test.m3u8"},
		{"/live/test/live.m3u8?token=a%20b&x=1", "", "/live/test/live.m3u8?token=a%20b&x=1"},
		{"/live/test/ll.m3u8?_HLS_msn=7&_HLS_part=2", "", "/live/test/ll.m3u8?_HLS_msn=7&_HLS_part=2"},
		{"/live/te%73t.flv", "", "/live/te%73t.flv"},
		// The other host alone would mean another domain.
		{"/live/test.flv", "other.example", "/live/test.flv?domain=other.example"},
		{"/live/test.flv?token=1", "other.example", "/live/test.flv?token=1&domain=other.example"},
		{"/live/test.flv?vhost=other.example", "", "/live/test.flv?vhost=other.example"},
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			status, to, cache := d.ask(method, c.path, c.host)
			if status != http.StatusFound || to != there+c.to || cache != "no-store" {
				t.Errorf("%s %s of %q: %d to %q, %q; want %q", method, c.path, c.host, status, to, cache, there+c.to)
			}
		}
	}
	for path, want := range map[string]int{
		"/live/test/7-100.ts": http.StatusOK, // its playlist came from here
		"/":                   http.StatusOK,
		"/none/test.flv":      http.StatusNotFound,
		"/mute/test.m3u8":     http.StatusNotFound,
	} {
		if status, _, _ := d.ask(http.MethodGet, path, ""); status != want {
			t.Errorf("%s: %d, want %d", path, status, want)
		}
	}
	if c, _ := d.ws("/live/test.flv"); c == nil {
		t.Error("a viewer over WebSocket, which can't follow, is not served")
	}
	if got := d.player(0).tags(10); len(got) != 10 {
		t.Error("an RTMP player, which can't follow, is not served")
	}
	if n := d.gather()["tmms_edge_diverted_total "]; n != 18 {
		t.Errorf("%v viewers are counted, want 18", n)
	}

	d.divert(false)
	if resp := d.get("/live/test.flv"); resp.StatusCode != http.StatusOK {
		t.Errorf("afterwards: %s", resp.Status)
	}
}

// Where there is no other edge a node that is being drained serves all who come.
func TestDivertedNodeServesWhenNobodyElseCan(t *testing.T) {
	d := startDiverted(t)
	d.know("", "")
	able := d.player(wire.CapsReconnect)
	able.tags(10)
	d.divert(true)
	for _, path := range []string{"/live/test.flv", "/live/test.ts", "/live/test.m3u8", "/live/test/live.m3u8"} {
		if resp := d.get(path); resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
	d.p.group()
	able.tags(50)
	if n := d.gather()["tmms_edge_diverted_total "]; n != 0 {
		t.Errorf("%v viewers were sent away", n)
	}
	d.know("198.51.100.7:1935", "198.51.100.7:8080")
	if status, _, _ := d.ask(http.MethodGet, "/live/test.flv", ""); status != http.StatusFound {
		t.Errorf("once another edge is there: %d", status)
	}
}

// CASES: ertmp-reconnect. Players that can reconnect are asked to, those that come
// too; whoever stays plays on.
func TestDivertAsksPlayersToReconnect(t *testing.T) {
	d := startDiverted(t)
	old, able := d.player(0), d.player(wire.CapsReconnect)
	for _, c := range []*rtmpClient{old, able} {
		c.tags(len(d.p.want()))
	}
	d.divert(true)
	later := d.player(wire.CapsReconnect)
	for name, c := range map[string]*rtmpClient{"was there": able, "came later": later} {
		if ev := c.until(wire.EventReconnect); ev.Status.TcURL != "rtmp://198.51.100.7:1935/live" {
			t.Errorf("who %s was asked with %+v", name, ev.Status)
		}
	}
	d.p.group()
	for _, c := range []*rtmpClient{old, able, later} {
		c.tags(50)
	}
	if n := d.viewers(); n != 3 {
		t.Errorf("%d viewers, want 3", n)
	}
	// In a domain that the other address does not mean nobody is asked.
	key := testKey("live", "test")
	key.Domain = "other.example"
	p := d.publish(key)
	p.group()
	other := d.rtmpClient(wire.RolePlay, "rtmp://other.example/live/test")
	other.tags(10)
	if n := d.gather()["tmms_edge_diverted_total "]; n != 2 {
		t.Errorf("%v viewers are counted, want 2", n)
	}
}

// Who watches over HTTP stays until the node lets go of it, and gets whole tags.
func TestReleaseEndsStreamsOverHTTP(t *testing.T) {
	d := startDiverted(t)
	flv, ts := d.get("/live/test.flv"), d.get("/live/test.ts")
	_, ws := d.ws("/live/test.flv")
	player := d.player(0)
	player.tags(10)
	d.divert(true)
	d.p.group()
	if n := d.viewers(); n != 4 {
		t.Fatalf("%d viewers, want 4", n)
	}
	if err := d.edge.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(flv.Body)
	if err != nil {
		t.Fatal(err)
	}
	if tags := parseFLV(t, body); len(tags) == 0 {
		t.Error("no tags")
	}
	if _, err := io.ReadAll(ts.Body); err != nil {
		t.Error(err)
	}
	eventually(t, "two viewers are left", func() bool { return d.viewers() == 2 })
	d.p.group()
	player.tags(20)
	for frames := 0; frames < len(d.p.want())-5; frames++ { // the header and the configs share some
		if opcode, _ := readFrame(t, ws); opcode != 2 {
			t.Fatalf("the viewer over WebSocket got a frame of kind %d", opcode)
		}
	}
}
