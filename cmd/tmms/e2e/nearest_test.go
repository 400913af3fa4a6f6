package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tmms/bench/play"
	"tmms/bench/shape"
	"tmms/media/rtmp"
)

// realm is a cluster in two regions, each a network of its own, which a link of 60 ms
// joins. It needs root.
//
//	eu 10.99.1.0/16: o1 .1, e1 .11, e2 .12 == link == us 10.99.2.0/16: o2 .1, e3 .11, e4 .12
type realm struct {
	t     *testing.T
	dir   string
	link  *shape.Process
	in    map[string]*farNode // a client in each region
	nodes map[string]*farNode
	at    map[string]string // addresses of the nodes
}

const realmConfig = `
node: {name: %[1]s, roles: [%[2]s], region: %[3]s, data_dir: %[4]s/%[1]s}
listen: {rtmp: "%[5]s:1935", http: %[6]q, fabric: "%[5]s:7400", gossip: "%[5]s:7946", admin: "127.0.0.%[7]d:8090"}
cluster:
  voters: [o1@10.99.1.1:7400]
  join: [10.99.1.1:7946]
  ca_file: %[4]s/ca.crt
  cert_file: %[4]s/%[1]s.crt
  key_file: %[4]s/%[1]s.key
  gossip_key_file: %[4]s/gossip.key
edge: {redirect: region, limits: {viewers: %[8]d}}
origin: {redirect: region}
`

const realmDomains = `
domains: [{name: default, aliases: ['*'], apps: [{name: live}]}]
regions:
- {name: eu, networks: [10.99.1.0/24]}
- {name: us, networks: [10.99.2.0/24]}
`

// roomAtE3 is how many viewers may be at e3.
const roomAtE3 = 1

func startRealm(t *testing.T) *realm {
	t.Helper()
	r := &realm{
		t: t, dir: t.TempDir(), in: map[string]*farNode{"eu": {name: "eu"}, "us": {name: "us"}}, nodes: map[string]*farNode{},
		at: map[string]string{
			"o1": "10.99.1.1", "e1": "10.99.1.11", "e2": "10.99.1.12", "o2": "10.99.2.1", "e3": "10.99.2.11", "e4": "10.99.2.12",
		},
	}
	cfg := shape.Config{AtoB: shape.DefaultParams(), BtoA: shape.DefaultParams(), Seed: 1}
	if err := errors.Join(cfg.AtoB.Set("delay=30ms"), cfg.BtoA.Set("delay=30ms")); err != nil {
		t.Fatal(err)
	}
	for region, end := range map[string]*shape.End{"eu": &cfg.A, "us": &cfg.B} {
		r.in[region].enter(t)
		end.Namespace = r.in[region].net.Name()
		for _, name := range r.names(region) {
			end.Addresses = append(end.Addresses, netip.PrefixFrom(netip.MustParseAddr(r.at[name]), 16))
		}
	}
	link, err := shape.StartProcess(context.Background(), benchBinary, cfg)
	if err != nil {
		t.Fatal(err)
	}
	r.link = link
	t.Cleanup(r.stop)
	r.tmms("", "cert", "init", "--dir", r.dir)
	for _, name := range r.names("") {
		r.tmms("", "cert", "node", name, "--roles", roleOf(name), "--dir", r.dir)
		r.start(name)
	}
	for _, name := range r.names("") {
		r.awaitReady(name)
	}
	r.tmms("o1", "apply", "-f", writeFile(t, "domains.yaml", realmDomains))
	return r
}

// names are the nodes of a region; of all if it is "".
func (r *realm) names(region string) []string {
	switch region {
	case "eu":
		return []string{"o1", "e1", "e2"}
	case "us":
		return []string{"o2", "e3", "e4"}
	}
	return append(r.names("eu"), r.names("us")...)
}

func roleOf(name string) string {
	if name[0] == 'o' {
		return "origin"
	}
	return "edge"
}

func (r *realm) regionOf(name string) string {
	if slices.Contains(r.names("eu"), name) {
		return "eu"
	}
	return "us"
}

func (r *realm) admin(name string) string {
	return fmt.Sprintf("http://127.0.0.%d:8090", 10+slices.Index(r.names(""), name))
}

func (r *realm) start(name string) {
	r.t.Helper()
	web, room := "", 0
	if roleOf(name) == "edge" {
		web = r.at[name] + ":8080"
	}
	if name == "e3" {
		room = roomAtE3
	}
	region := r.regionOf(name)
	file := filepath.Join(r.dir, name+".yaml")
	text := fmt.Sprintf(realmConfig, name, roleOf(name), region, r.dir, r.at[name], web, 10+slices.Index(r.names(""), name), room)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
	n := &farNode{name: name, net: r.in[region].net, client: r.in[region].client}
	n.cmd = n.net.Command(context.Background(), binary, "run", "--config", file)
	n.cmd.Stdout, n.cmd.Stderr = &n.out, &n.out
	if err := n.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.nodes[name] = n
}

func (r *realm) awaitReady(name string) {
	r.t.Helper()
	waitFor(r.t, 60*time.Second, name+" to be ready", func() bool {
		code, _ := r.nodes[name].get(r.t, r.admin(name)+"/readyz")
		return code == http.StatusOK
	})
}

// tmms runs a client command, against a node if one is named.
func (r *realm) tmms(node string, args ...string) {
	r.t.Helper()
	f := &far{t: r.t}
	if node == "" {
		f.tmms(nil, args...)
		return
	}
	f.tmms(r.nodes[node], append(args, "--api", r.admin(node))...)
}

func (r *realm) stop() {
	for _, n := range r.nodes {
		_ = n.cmd.Process.Signal(syscall.SIGTERM)
	}
	for name, n := range r.nodes {
		kill := time.AfterFunc(15*time.Second, func() { _ = n.cmd.Process.Kill() })
		_ = n.cmd.Wait() // one of them was killed
		kill.Stop()
		if out := n.out.String(); r.t.Failed() || strings.Contains(out, "panic") || strings.Contains(out, "DATA RACE") {
			r.t.Logf("%s printed:\n%s", name, out)
			r.t.Fail()
		}
	}
	if status, err := r.link.Stop(); err != nil {
		r.t.Errorf("the link: %v, %v", err, status)
	}
}

// told is what /nearest says.
type told struct {
	Region, How string
	Nodes       []struct {
		Name, Role, Region string
		RTTMS              float64 `json:"rtt_ms"`
		URLs               map[string]string
	}
}

// regions are those of the nodes, in their order; names the nodes.
func (a *told) regions() (list []string) {
	for _, n := range a.Nodes {
		list = append(list, n.Region)
	}
	return list
}

func (a *told) names() (list []string) {
	for _, n := range a.Nodes {
		list = append(list, n.Name)
	}
	return list
}

// nearest asks an edge from a region.
func (r *realm) nearest(from, edge, query string) (a told) {
	r.t.Helper()
	code, body := r.in[from].get(r.t, "http://"+r.at[edge]+":8080/nearest?"+query)
	if code != http.StatusOK {
		return a
	}
	if err := json.Unmarshal([]byte(body), &a); err != nil {
		r.t.Fatalf("%v in %s", err, body)
	}
	return a
}

func (r *realm) awaitNearest(what, from, edge, query string, ok func(a *told) bool) (a told) {
	r.t.Helper()
	defer func() {
		if r.t.Failed() {
			r.t.Logf("%s: %+v", what, a)
		}
	}()
	waitFor(r.t, 60*time.Second, what, func() bool {
		a = r.nearest(from, edge, query)
		return ok(&a)
	})
	return a
}

// lands follows redirects from a URL as a client in a region, and gives the node that
// serves it, and how many there were.
func (r *realm) lands(from, at string) (node string, hops int, code int) {
	r.t.Helper()
	client := *r.in[from].client
	client.CheckRedirect = func(_ *http.Request, via []*http.Request) error {
		hops = len(via)
		return nil
	}
	ctx, cancel := context.WithTimeout(r.t.Context(), 15*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, http.NoBody)
	if err != nil {
		r.t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		r.t.Fatalf("%s from %s: %v", at, from, err)
	}
	resp.Body.Close()
	for name, address := range r.at {
		if resp.Request.URL.Hostname() == address {
			return name, hops, resp.StatusCode
		}
	}
	return "", hops, resp.StatusCode
}

// TestNearestNode: clients in two regions are told, and sent to, nodes of their own
// region first, and to the others when those are full, drained or dead.
//
// Requirement: C2 C5
func TestNearestNode(t *testing.T) {
	r := startRealm(t)
	all := func(a *told) bool {
		return len(a.Nodes) == 4 && a.Nodes[2].RTTMS > 20 && a.How == "network"
	}
	for _, edge := range []string{"e1", "e3"} {
		for from, want := range map[string][]string{"eu": {"eu", "eu", "us", "us"}, "us": {"us", "us", "eu", "eu"}} {
			a := r.awaitNearest(edge+" to know where all are", from, edge, "count=9", all)
			if !slices.Equal(a.regions(), want) || a.Region != from || a.Nodes[2].RTTMS > 500 {
				t.Errorf("%s tells a client in %s %+v", edge, from, a)
			}
		}
	}
	t.Run("what the client says counts more", r.saysWhere)
	t.Run("a publisher finds its origin", r.publisherFindsOrigin)
	t.Run("one stream is on few edges", r.oneStreamFewEdges)
	t.Run("viewers over HTTP are sent home", r.viewersAreSentHome)
	t.Run("full edges send on by RTMP", r.fullEdgesSendOn)
	t.Run("hostile questions leave nothing", r.hostileQuestions)
	t.Run("drained and dead nodes are left out", r.drainedAndDead)
}

func (r *realm) saysWhere(t *testing.T) {
	for region, first := range map[string]string{"us": "us", "eu": "eu", "mars": "eu"} { // which e1 stands for
		if a := r.nearest("eu", "e1", "region="+region); a.How != "parameter" || a.Region != region || a.Nodes[0].Region != first {
			t.Errorf("a client that says %s is told %+v", region, a)
		}
	}
}

// airAt publishes a stream at an origin until the test ends.
func (r *realm) airAt(t *testing.T, origin string) {
	t.Helper()
	cmd := r.nodes[origin].net.Command(context.Background(), "ffmpeg", "-nostdin", "-v", "error", "-re", "-stream_loop", "-1",
		"-i", filepath.Join(assets, "av.flv"), "-c", "copy", "-f", "flv", "rtmp://"+r.at[origin]+"/live/far")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

func (r *realm) publisherFindsOrigin(t *testing.T) {
	for from, want := range map[string]string{"eu": "rtmp://10.99.1.1:1935/live/far\n", "us": "rtmp://10.99.2.1:1935/live/far\n"} {
		_, got := r.in[from].get(t, "http://"+r.at["e1"]+":8080/nearest?role=origin&format=text&count=1&stream=live/far")
		if got != want {
			t.Errorf("a script in %s is told %q", from, got)
		}
	}
	// An edge, which takes no publishers, refuses them with the address of their origin;
	// an origin of another region asks those that can reconnect to, once.
	for _, c := range []struct {
		at, want string
		kind     rtmp.EventKind
	}{
		{"e1", "rtmp://10.99.2.1:1935/live/pub?via=1", rtmp.EventRefused},
		{"o1", "rtmp://10.99.2.1:1935/live?via=1", rtmp.EventReconnect},
		{"o1?via=1", "", rtmp.EventReady},
	} {
		node, query, _ := strings.Cut(c.at, "?")
		got, err := r.publishes("us", "rtmp://"+r.at[node]+"/live/pub?"+query, c.kind)
		if err != nil || got != c.want {
			t.Errorf("a publisher in us at %s is sent to %q, %v; want %q", c.at, got, err, c.want)
		}
	}
}

// publishes asks to publish from a region, up to an event of a kind, and gives where to
// the event sends it.
func (r *realm) publishes(from, at string, kind rtmp.EventKind) (to string, err error) {
	u, err := rtmp.ParseURL(strings.TrimSuffix(at, "?"))
	if err != nil {
		return "", err
	}
	err = r.in[from].net.Do(func() error {
		ctx, cancel := context.WithTimeout(r.t.Context(), 20*time.Second)
		defer cancel()
		c, failed := new(net.Dialer).DialContext(ctx, "tcp", u.Address())
		if failed != nil {
			return failed
		}
		defer c.Close()
		if failed = c.SetDeadline(time.Now().Add(20 * time.Second)); failed != nil {
			return failed
		}
		to, failed = publishUntil(c, u, kind)
		return failed
	})
	return to, err
}

// publishUntil asks to publish, up to an event of a kind.
func publishUntil(c net.Conn, u rtmp.URL, kind rtmp.EventKind) (to string, err error) {
	conn := rtmp.NewClientConn(rtmp.ClientConfig{URL: u, Role: rtmp.RolePublish, Caps: rtmp.CapsReconnect})
	b := make([]byte, 4096)
	for {
		if _, err = c.Write(conn.Output()); err != nil {
			return "", err
		}
		conn.Sent(len(conn.Output()))
		n, readErr := c.Read(b)
		for rest := b[:n]; len(rest) > 0; {
			k, ev, feedErr := conn.Feed(rest)
			rest = rest[k:]
			switch {
			case feedErr != nil:
				return "", feedErr
			case ev.Kind == kind && ev.Status != nil:
				return ev.Status.Redirect + ev.Status.TcURL, nil
			case ev.Kind == kind:
				return "", nil
			case ev.Kind != rtmp.EventNone:
				return "", fmt.Errorf("event %d: %+v", ev.Kind, ev.Status)
			}
		}
		if readErr != nil {
			return "", readErr
		}
	}
}

func (r *realm) oneStreamFewEdges(t *testing.T) {
	first := map[string]int{}
	for i := range 24 {
		query := fmt.Sprintf("stream=live/s%d&count=1", i)
		a, b := r.nearest("us", "e3", query), r.nearest("us", "e1", query)
		if len(a.Nodes) != 1 || !slices.Equal(a.names(), b.names()) || a.Nodes[0].Region != "us" {
			t.Fatalf("stream %d: e3 names %v, e1 %v", i, a.names(), b.names())
		}
		first[a.Nodes[0].Name]++
	}
	if first["e3"] == 0 || first["e4"] == 0 {
		t.Errorf("24 streams are spread as %v", first)
	}
}

func (r *realm) viewersAreSentHome(t *testing.T) {
	r.airAt(t, "o1")
	waitFor(t, 30*time.Second, "the stream to play", func() bool {
		code, _ := r.in["eu"].get(t, "http://"+r.at["e2"]+":8080/live/far.m3u8")
		return code == http.StatusOK
	})
	for _, path := range []string{"/live/far.m3u8", "/live/far.flv"} {
		for from, home := range map[string]string{"eu": "eu", "us": "us"} {
			for _, c := range []struct {
				at   string
				hops int
			}{
				{"http://" + r.at["e2"] + ":8080" + path, map[string]int{"eu": 0, "us": 1}[from]},
				{"http://" + r.at["e3"] + ":8080" + path, map[string]int{"eu": 1, "us": 0}[from]},
				{"http://" + r.at["e2"] + ":8080/nearest" + path, 1},
				{"http://" + r.at["e2"] + ":8080" + path + "?via=1", 0},
			} {
				node, hops, code := r.lands(from, c.at)
				marked := strings.HasSuffix(c.at, "via=1")
				if code != http.StatusOK || hops != c.hops || !marked && r.regionOf(node) != home || marked && node != "e2" {
					t.Errorf("%s from %s: %d at %s after %d redirects, want %d to %s", c.at, from, code, node, hops, c.hops, home)
				}
			}
		}
	}
	// A real player follows, and plays.
	out := filepath.Join(r.dir, "out.flv")
	b, err := r.in["us"].net.Command(t.Context(), "ffmpeg", "-nostdin", "-v", "error", "-y", "-t", "1",
		"-i", "http://"+r.at["e2"]+":8080/live/far.flv", "-c", "copy", out).CombinedOutput()
	if err != nil {
		t.Fatalf("ffmpeg: %v\n%s", err, b)
	}
	if b, err = os.ReadFile(out); err != nil || len(b) < 20_000 || string(b[:3]) != "FLV" {
		t.Errorf("ffmpeg got %d bytes, %v", len(b), err)
	}
	if n := r.nodes["e2"].metricAt(t, r.admin("e2"), "tmms_edge_diverted_total"); n < 3 {
		t.Errorf("e2 has sent %v viewers on", n)
	}
}

// metricAt is metric of a node whose admin port is at base.
func (n *farNode) metricAt(t *testing.T, base, name string) (value float64) {
	t.Helper()
	_, body := n.get(t, base+"/metrics")
	for line := range strings.Lines(body) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			_, _ = fmt.Sscan(rest, &value)
		}
	}
	return value
}

// fullEdgesSendOn: of two viewers at an edge with room for one the other is sent on by a
// redirect in RTMP, which the bench follows. Such an edge is full to all who ask.
func (r *realm) fullEdgesSendOn(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cmd := r.in["us"].net.Command(ctx, benchBinary, "play", "-url", "rtmp://"+r.at["e3"]+"/live/far",
		"-viewers", "2", "-verify", "1", "-connect-rate", "2", "-warmup", "500ms", "-laps", "-o", "json")
	var out lockedBuffer
	cmd.Stdout, cmd.Stderr = &out, &out
	laps, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err = cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := sync.OnceValue(cmd.Wait)
	defer func() {
		cancel()
		_ = ended()
	}()
	r.awaitNearest("e3 to be named behind all with room", "us", "e1", "count=9", func(a *told) bool {
		return len(a.Nodes) == 4 && a.Nodes[0].Name == "e4" && a.Nodes[3].Name == "e3"
	})
	_, err = laps.Write([]byte("\n"))
	if err = errors.Join(err, laps.Close(), ended()); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	var result play.Result
	if err := json.Unmarshal([]byte(out.String()), &result); err != nil || result.Viewers != 2 || result.Lost != 0 || result.Bytes == 0 {
		t.Errorf("%+v, %v\n%s", result, err, out.String())
	}
	if n := r.nodes["e3"].metricAt(t, r.admin("e3"), "tmms_edge_diverted_total"); n < 1 {
		t.Errorf("e3 has sent %v viewers on", n)
	}
}

// hostileQuestions: what is made up is refused, and whatever is asked leaves nothing.
func (r *realm) hostileQuestions(t *testing.T) {
	const rounds, limitMiB = 1500, 24
	e1, base := r.nodes["e1"], "http://"+r.at["e1"]+":8080/nearest?"
	before := e1.metricAt(t, r.admin("e1"), "process_resident_memory_bytes")
	for i := range rounds {
		junk := url.QueryEscape(strings.Repeat(string(rune(0x20+i%90)), i%1200))
		for query, want := range map[string]int{
			"region=" + fmt.Sprint("r", i):                 http.StatusOK,
			"stream=live/" + fmt.Sprint("s", i):            http.StatusOK,
			"region=" + junk + "x%2F":                      http.StatusBadRequest,
			"count=" + strconv.Itoa(1000+i) + "&x=" + junk: http.StatusBadRequest,
		} {
			if code, _ := r.in["eu"].get(t, base+query); code != want {
				t.Fatalf("%.80s: %d, want %d", query, code, want)
			}
		}
	}
	if grown := (e1.metricAt(t, r.admin("e1"), "process_resident_memory_bytes") - before) / (1 << 20); grown > limitMiB {
		t.Errorf("e1 has grown by %.1f MiB over %d questions, the limit is %d", grown, 4*rounds, limitMiB)
	}
}

func (r *realm) drainedAndDead(t *testing.T) {
	r.tmms("o1", "drain", "e3", "--wait", "1s")
	r.awaitNearest("e3, which is drained, to be left out", "us", "e2", "count=9", func(a *told) bool {
		return len(a.Nodes) == 3 && a.Nodes[0].Name == "e4"
	})
	if node, _, code := r.lands("us", "http://"+r.at["e2"]+":8080/live/far.m3u8"); node != "e4" || code != http.StatusOK {
		t.Errorf("a viewer in us is sent to %s, %d", node, code)
	}
	if err := r.nodes["e4"].cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	r.awaitNearest("e4, which is dead, to be left out", "us", "e2", "count=9", func(a *told) bool {
		return slices.Equal(a.regions(), []string{"eu", "eu"})
	})
	if node, hops, code := r.lands("us", "http://"+r.at["e2"]+":8080/live/far.m3u8"); node != "e2" || hops != 0 || code != http.StatusOK {
		t.Errorf("a viewer in us, where no edge is left, is sent to %s by %d redirects, %d", node, hops, code)
	}
}
