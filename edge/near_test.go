package edge

import (
	"encoding/json"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tmms/media"
	wire "tmms/media/rtmp"
)

// compass is a Near that says what it is told to, and notes what it is asked.
type compass struct {
	mu        sync.Mutex
	nodes     []NearNode        // guarded by mu
	elsewhere map[string]string // guarded by mu; by Visitor.Kind
	asked     []NearQuery       // guarded by mu
	visitors  []Visitor         // guarded by mu
}

func (c *compass) Nearest(q NearQuery) NearAnswer {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = append(c.asked, q)
	region, how := "eu", "network"
	if q.Region != "" {
		region, how = q.Region, "parameter"
	}
	return NearAnswer{Region: region, How: how, Nodes: c.nodes[:min(q.Count, len(c.nodes))]}
}

func (c *compass) Elsewhere(v Visitor) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.visitors = append(c.visitors, v)
	return c.elsewhere[v.Kind]
}

func (c *compass) set(nodes []NearNode, elsewhere map[string]string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nodes, c.elsewhere = nodes, elsewhere
}

func (c *compass) last() NearQuery {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked[len(c.asked)-1]
}

func (c *compass) seen() []Visitor {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.visitors)
}

// playerOf asks to play a path of this node.
func (d *diverted) playerOf(path string, caps wire.Caps) *rtmpClient {
	d.tb.Helper()
	u, err := wire.ParseURL("rtmp://localhost" + path)
	if err != nil {
		d.tb.Fatal(err)
	}
	cfg := wire.ClientConfig{URL: u, Role: wire.RolePlay, Caps: caps}
	return &rtmpClient{tb: d.tb, conn: d.dial(d.rtmp), c: wire.NewClientConn(cfg), buf: make([]byte, 64<<10)}
}

// startNear is a node that knows others.
func startNear(t *testing.T, change ...func(*Config, *Deps)) (*diverted, *compass) {
	t.Helper()
	c := &compass{}
	d := &diverted{}
	d.know("198.51.100.7:1935", "198.51.100.7:8080")
	d.node = startNode(t, func(cfg *Config, deps *Deps) {
		deps.Near = c
		for _, f := range change {
			f(cfg, deps)
		}
	})
	d.p = d.publish(testKey("live", "test"))
	d.p.group()
	d.p.w.PublishIndex(index(3, 100, 3, false))
	c.set([]NearNode{
		{
			ID: "id-2", Name: "e2", Region: "eu", Zone: "b", Load: 128, RTT: 1260 * time.Microsecond,
			Addresses: map[string]string{"rtmp": "198.51.100.7:1935", "http": "198.51.100.7:8080", "https": "e2.example:8443"},
		},
		{ID: "id-1", Name: "e1", Region: "eu", Zone: "a", Load: 255, Self: true, Addresses: map[string]string{"rtmp": "[::]:1935", "http": "0.0.0.0:8080"}},
	}, nil)
	return d, c
}

// fetched is the head of an answer whose body was read.
type fetched struct {
	StatusCode int
	Status     string
	Header     http.Header
}

// fetch gives the answer to a GET of a path at the name of a host.
func (d *diverted) fetch(path, host string) (fetched, string) {
	d.tb.Helper()
	r, err := http.NewRequestWithContext(d.tb.Context(), http.MethodGet, d.url+path, http.NoBody)
	if err != nil {
		d.tb.Fatal(err)
	}
	r.Host = host
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		d.tb.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		d.tb.Fatal(err)
	}
	return fetched{resp.StatusCode, resp.Status, resp.Header}, string(b)
}

// Who asks where to go is told the nodes in their order, with their addresses as it can
// use them.
func TestNearest(t *testing.T) {
	d, c := startNear(t)
	resp, body := d.fetch("/nearest?stream=live/test&count=2", "tv.example:99")
	const want = `{"region":"eu","how":"network","nodes":[` +
		`{"id":"id-2","name":"e2","role":"edge","region":"eu","zone":"b","load":0.5,"rtt_ms":1.2,"urls":{` +
		`"http":"http://198.51.100.7:8080/live/test.m3u8","https":"https://e2.example:8443/live/test.m3u8","rtmp":"rtmp://198.51.100.7:1935/live/test"}},` +
		`{"id":"id-1","name":"e1","role":"edge","region":"eu","zone":"a","load":1,"urls":{` +
		`"http":"http://tv.example:8080/live/test.m3u8","rtmp":"rtmp://tv.example:1935/live/test"}}]}` + "\n"
	if body != want || resp.StatusCode != http.StatusOK {
		t.Errorf("%s\n%s\nwant\n%s", resp.Status, body, want)
	}
	for name, value := range map[string]string{
		"Content-Type": "application/json", "Cache-Control": "no-store", "Access-Control-Allow-Origin": "*",
	} {
		if got := resp.Header.Get(name); got != value {
			t.Errorf("%s is %q, want %q", name, got, value)
		}
	}
	if q := c.last(); q.Stream != testKey("live", "test") || q.Origin || q.Count != 2 || q.Region != "" || q.From != netip.MustParseAddr("127.0.0.1") {
		t.Errorf("asked %+v", q)
	}
	for path, want := range map[string]string{
		"/nearest?role=origin&format=text":                          "rtmp://198.51.100.7:1935\nrtmp://tv.example:1935\n",
		"/nearest?role=origin&format=text&stream=live/test&count=1": "rtmp://198.51.100.7:1935/live/test\n",
		// The other host alone would mean another domain.
		"/nearest?format=text&stream=live/test&domain=other.example&count=1": "rtmp://198.51.100.7:1935/live/test?domain=other.example\n",
	} {
		if _, got := d.fetch(path, "tv.example"); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	var origins struct {
		Nodes []struct{ URLs map[string]string }
	}
	if _, body = d.fetch("/nearest?role=origin&region=us", ""); json.Unmarshal([]byte(body), &origins) != nil ||
		len(origins.Nodes) != 2 || origins.Nodes[0].URLs["http"] != "" || !strings.HasPrefix(body, `{"region":"us","how":"parameter"`) {
		t.Errorf("origins: %s", body)
	}
	if q := c.last(); !q.Origin || q.Count != 3 || q.Region != "us" {
		t.Errorf("asked %+v", q)
	}
	head := d.do(http.MethodHead, "/nearest", nil)
	if head.StatusCode != http.StatusOK || head.ContentLength <= 0 {
		t.Errorf("HEAD: %s, %d bytes", head.Status, head.ContentLength)
	}
	if resp := d.do(http.MethodOptions, "/nearest", nil); resp.StatusCode != http.StatusNoContent {
		t.Errorf("OPTIONS: %s", resp.Status)
	}
	c.set(nil, nil)
	if _, body = d.fetch("/nearest", ""); body != `{"region":"eu","how":"network","nodes":[]}`+"\n" {
		t.Errorf("without nodes: %s", body)
	}
	if resp, _ = d.fetch("/nearest?format=text", ""); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("without nodes, as text: %s", resp.Status)
	}
}

// What is no question is refused, and costs nothing that stays.
func TestNearestRefusesNonsense(t *testing.T) {
	d, _ := startNear(t)
	for query, want := range map[string]int{
		"role=shield": http.StatusBadRequest, "format=xml": http.StatusBadRequest, "count=0": http.StatusBadRequest,
		"count=17": http.StatusBadRequest, "count=-1": http.StatusBadRequest, "count=x": http.StatusBadRequest,
		"count=99999999999999999999": http.StatusBadRequest, "stream=test": http.StatusBadRequest,
		"stream=live/a/b": http.StatusBadRequest, "stream=live/": http.StatusBadRequest, "stream=none/test": http.StatusNotFound,
		"stream=live/test&domain=nowhere.example": http.StatusNotFound,
		"region=" + url.QueryEscape("e u"):        http.StatusBadRequest, "region=.eu": http.StatusBadRequest, "region=%00": http.StatusBadRequest,
		"region=" + strings.Repeat("x", media.MaxPlace+1): http.StatusBadRequest,
		"region=" + strings.Repeat("x", media.MaxQuery):   http.StatusRequestURITooLong,
		"region=%zz": http.StatusBadRequest,
	} {
		resp, _ := d.fetch("/nearest?"+query, "")
		if resp.StatusCode != want || resp.Header.Get("Access-Control-Allow-Origin") != "*" && want != http.StatusRequestURITooLong {
			t.Errorf("%.60s: %s, want %d", query, resp.Status, want)
		}
	}
	for path, want := range map[string]int{
		"/nearest/": http.StatusNotFound, "/nearest/live": http.StatusNotFound, "/nearest/live/test": http.StatusNotFound,
		"/nearest//test.flv": http.StatusNotFound, "/nearest/none/test.flv": http.StatusNotFound,
		"/nearest/live/test.flv?region=%20": http.StatusBadRequest, "/nearest/live/te%20st.flv": http.StatusBadRequest,
		"/nearest//evil.example/test.flv": http.StatusNotFound,
	} {
		if status, to, _ := d.ask(http.MethodGet, path, ""); status != want {
			t.Errorf("%s: %d to %q, want %d", path, status, to, want)
		}
	}
	alone := startNode(t)
	if resp := alone.get("/nearest"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("a node that knows no others: %s", resp.Status)
	}
}

// A path behind /nearest leads to where the nearest node has it, with its query.
func TestRedirectToTheNearest(t *testing.T) {
	d, c := startNear(t)
	const there = "http://198.51.100.7:8080"
	ask := func(path, host, want string) {
		t.Helper()
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			status, to, cache := d.ask(method, path, host)
			if status != http.StatusFound || to != want || cache != "no-store" {
				t.Errorf("%s %s of %q: %d to %q, %q; want %q", method, path, host, status, to, cache, want)
			}
		}
	}
	ask("/nearest/live/test.flv", "", there+"/live/test.flv?via=1")
	ask("/nearest/live/test.m3u8?token=a%20b", "", there+"/live/test.m3u8?token=a%20b&via=1")
	ask("/nearest/live/te%73t.ts?region=us&via=1", "", there+"/live/te%73t.ts?region=us&via=1")
	if q := c.last(); q.Region != "us" || q.Stream != testKey("live", "test") {
		t.Errorf("asked %+v", q)
	}
	ask("/nearest/live/test.flv", "other.example", there+"/live/test.flv?domain=other.example&via=1")
	c.set([]NearNode{{Self: true, Addresses: map[string]string{"http": ":8080"}}, {Addresses: map[string]string{"http": "x:1"}}}, nil)
	ask("/nearest/live/test.flv?x=1", "", "/live/test.flv?x=1&via=1")
	c.set([]NearNode{{Addresses: map[string]string{"rtmp": "x:1"}}, {Addresses: map[string]string{"http": "y:2"}}}, nil)
	ask("/nearest/live/test.flv", "", "http://y:2/live/test.flv?via=1")
	c.set(nil, nil)
	ask("/nearest/live/test.flv", "", "/live/test.flv?via=1")
}

// By policy those who begin are sent on, once, and nobody who is in the middle or can't
// follow.
func TestPolicySendsViewersOn(t *testing.T) {
	d, c := startNear(t)
	const there = "http://198.51.100.7:8080"
	elsewhere := map[string]string{"http": "198.51.100.7:8080"}
	c.set(nil, elsewhere)
	for path, to := range map[string]string{
		"/live/test.flv": there + "/live/test.flv?via=1", "/live/test.ts": there + "/live/test.ts?via=1",
		"/live/test.m3u8?token=1": there + "/live/test.m3u8?token=1&via=1",
		"/live/test/live.m3u8":    "", "/live/test/7-100.ts": "", "/live/test.m3u8?via=1": "", "/live/test.m3u8?x=1&via=": "",
	} {
		status, got, _ := d.ask(http.MethodGet, path, "")
		if got != to || status != http.StatusOK && to == "" || status != http.StatusFound && to != "" {
			t.Errorf("%s: %d to %q, want %q", path, status, got, to)
		}
	}
	if ws, _ := d.ws("/live/test.flv"); ws == nil {
		t.Error("a viewer over WebSocket, which can't follow, is not served")
	}
	if n := d.gather()["tmms_edge_diverted_total "]; n != 3 {
		t.Errorf("%v viewers are counted, want 3", n)
	}
	// The marker is not carried on, so that all viewers share the rendered playlist.
	if _, body := d.fetch("/live/test.m3u8?via=1", ""); strings.Contains(body, "via") {
		t.Errorf("the playlist carries the marker on:\n%s", body)
	}
	if _, body := d.fetch("/live/test.m3u8?via=1&token=1", ""); !strings.Contains(body, "live.m3u8?token=1\n") {
		t.Errorf("the playlist has lost the token:\n%s", body)
	}
	c.set(nil, nil)
	if resp := d.get("/live/test.m3u8"); resp.StatusCode != http.StatusOK {
		t.Errorf("without a better node: %s", resp.Status)
	}
	for _, v := range c.seen() {
		if v.Kind != "http" || v.Refused || v.Stream != testKey("live", "test") {
			t.Errorf("asked for %+v", v)
		}
	}
}

// RTMP players that can reconnect are asked to, and marked; no others are disturbed.
func TestPolicyAsksPlayersToReconnect(t *testing.T) {
	d, c := startNear(t)
	c.set(nil, map[string]string{"rtmp": "198.51.100.7:1935"})
	old, able := d.player(0), d.player(wire.CapsReconnect)
	if ev := able.until(wire.EventReconnect); ev.Status.TcURL != "rtmp://198.51.100.7:1935/live?via=1" {
		t.Errorf("asked with %+v", ev.Status)
	}
	for _, p := range []*rtmpClient{old, able} {
		p.tags(10)
	}
	sent := d.playerOf("/live/test?via=1", wire.CapsReconnect)
	sent.tags(10)
	if n := d.gather()["tmms_edge_diverted_total "]; n != 1 {
		t.Errorf("%v players are counted, want 1", n)
	}
}

// A node without room says where there is some, by HTTP and RTMP: who is refused is
// lost here anyway.
func TestFullNodeSaysWhereThereIsRoom(t *testing.T) {
	d, c := startNear(t, func(cfg *Config, _ *Deps) { cfg.Limits.Viewers = 1 })
	c.set(nil, map[string]string{"rtmp": "198.51.100.7:1935", "http": "198.51.100.7:8080"})
	d.playerOf("/live/test?via=1", 0).tags(10)
	ev := d.playerOf("/live/test?key=1", 0).until(wire.EventRefused)
	if ev.Status.Redirect != "rtmp://198.51.100.7:1935/live/test?key=1&via=1" {
		t.Errorf("refused with %+v", ev.Status)
	}
	if ev = d.playerOf("/live/test?via=1", 0).until(wire.EventRefused); ev.Status.Redirect != "" || ev.Status.Code != "NetStream.Play.Failed" {
		t.Errorf("who was sent here is refused with %+v", ev.Status)
	}
	if status, to, _ := d.ask(http.MethodGet, "/live/test.flv", ""); status != http.StatusFound || to != "http://198.51.100.7:8080/live/test.flv?via=1" {
		t.Errorf("%d to %q", status, to)
	}
	if status, _, _ := d.ask(http.MethodGet, "/live/test.flv?via=1", ""); status != http.StatusServiceUnavailable {
		t.Errorf("who was sent here: %d", status)
	}
	refused := func(v Visitor) bool { return v.Refused }
	if n := slices.IndexFunc(c.seen(), refused); n < 0 {
		t.Errorf("asked for %+v", c.seen())
	}
}

// A node that takes no publishers names the nearest that does.
func TestPublisherIsSentToTheNearestOrigin(t *testing.T) {
	d, c := startNear(t)
	ev := d.rtmpClient(wire.RolePublish, "rtmp://localhost/live/test?key=k").until(wire.EventRefused)
	if ev.Status.Redirect != "rtmp://198.51.100.7:1935/live/test?key=k&via=1" ||
		ev.Status.Description != "this node takes no publishers, publish to rtmp://198.51.100.7:1935" {
		t.Errorf("refused with %+v", ev.Status)
	}
	if q := c.last(); !q.Origin {
		t.Errorf("asked %+v", q)
	}
}
