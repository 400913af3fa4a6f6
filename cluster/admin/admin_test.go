package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"tmms/cluster/consensus"
	"tmms/cluster/gossip"
	"tmms/cluster/state"
	"tmms/media"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	adminToken = "an-admin-token-0123"
	readToken  = "a-reading-token-0123"
	tokensYAML = "- {name: ops, role: admin, token: " + adminToken + "}\n" +
		"- {name: eyes, role: read, hash: \"sha256:935cfd25e95626cf5c3dd172f64ee98e11de75d8456cac1e05c02b10b00adfc6\"}\n"
)

// node is a server with its neighbours: a real consensus node, lists of our own.
type node struct {
	t        *testing.T
	url      string
	level    slog.LevelVar
	notReady error
	configs  *consensus.Node
	group    *raftGroup
	drains   *drains
	rotate   func(skipAbsent bool) (gossip.Report, error)
}

// RotateGossipKey implements KeyRotator.
func (n *node) RotateGossipKey(_ context.Context, skipAbsent bool) (gossip.Report, error) {
	return n.rotate(skipAbsent)
}

func (n *node) Streams() []StreamInfo {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return []StreamInfo{
		{
			Key: "default/live/a", State: "live", Epoch: 1782579200000001, Run: 2, Owner: "n1",
			Publisher: &PublisherInfo{Remote: "192.0.2.9:5000", Encoder: "<b>obs</b>", Since: at, BitrateBPS: 2_000_000},
			Codecs:    []string{"h264", "aac"}, Width: 1280, Height: 720, FPS: 29.97,
			Viewers: map[string]int{"flv": 3, "hls": 1}, UptimeSeconds: 75,
			HLS: &HLSInfo{Segments: 6, MSN: 1700000010, TargetSeconds: 2},
		},
		{Key: "default/live/b", State: "grace", Codecs: []string{}, Viewers: map[string]int{}},
	}
}

func (n *node) Viewers(key string, limit int) ([]ViewerInfo, int) {
	var list []ViewerInfo
	for i := range min(limit, 5) {
		list = append(list, ViewerInfo{ID: strconv.Itoa(i), Key: key, Proto: "flv", Remote: "192.0.2.8:1"})
	}
	return list, 5
}

func (n *node) Config() *state.Config { return n.configs.Config() }

func (n *node) Why(media.StreamKey) NodeWhy { return NodeWhy{} }

func (n *node) Nodes() []NodeInfo {
	return []NodeInfo{{
		ID: "n1", Name: "one", Roles: []string{"origin", "edge"}, Self: true, Leader: true, State: "alive",
		Addresses: map[string]string{"http": "[::]:8080", "rtmp": "[::]:1935"},
	}}
}

func (n *node) deps() Deps {
	reg := prometheus.NewRegistry()
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "tmms_test", Help: "Seven."}, func() float64 { return 7 }))
	return Deps{
		Log: slog.New(slog.DiscardHandler), Level: &n.level, Gatherer: reg, Streams: n, Viewers: n, Why: n, Nodes: n,
		Placements: n.configs, Configs: n.configs, Group: n.group, Keys: n, Tokens: n.group, Revocations: n.group, Drains: n.drains, Ready: func() error { return n.notReady },
		Version: "test",
	}
}

// background runs run until the test's end, and fails the test if it fails.
func background(t *testing.T, run func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func newNode(t *testing.T) *node {
	t.Helper()
	cn, err := consensus.New(consensus.Config{}, consensus.Deps{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	background(t, cn.Run)
	<-cn.Ready()
	return &node{
		t: t, configs: cn, group: &raftGroup{Node: cn}, drains: &drains{},
		rotate: func(bool) (gossip.Report, error) {
			return gossip.Report{Nodes: []string{"one"}, Rounds: []gossip.Round{{Action: "add", Nodes: 1}}}, nil
		},
	}
}

// serve starts a server on a free port.
func serve(t *testing.T, cfg Config) *node {
	t.Helper()
	n := newNode(t)
	if cfg.Addr == "" {
		cfg.Addr = "127.0.0.1:0"
	}
	s, err := New(cfg, n.deps())
	if err != nil {
		t.Fatal(err)
	}
	addr, err := s.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n.url = "http://" + addr.String()
	background(t, s.Run)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	return n
}

func tokensFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tokens.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// answer is an answer with its body read.
type answer struct {
	*http.Response
	body []byte
}

// do sends a request; header lines are "Name: value".
func (n *node) do(method, path, body string, header ...string) answer {
	n.t.Helper()
	r, err := http.NewRequestWithContext(n.t.Context(), method, n.url+path, strings.NewReader(body))
	if err != nil {
		n.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		if name == "Host" {
			r.Host = value
			continue
		}
		r.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		n.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		n.t.Fatal(err)
	}
	return answer{Response: resp, body: b}
}

// want checks the status and decodes the body into out, if that is not nil.
func (a answer) want(t *testing.T, status int, out any) answer {
	t.Helper()
	if a.StatusCode != status {
		t.Fatalf("%s %s: status %d, want %d: %s", a.Request.Method, a.Request.URL.Path, a.StatusCode, status, a.body)
	}
	if out != nil {
		dec := json.NewDecoder(bytes.NewReader(a.body))
		dec.DisallowUnknownFields()
		if err := dec.Decode(out); err != nil {
			t.Fatalf("%s: %v: %s", a.Request.URL.Path, err, a.body)
		}
	}
	return a
}

// refused checks status and code of a refusal.
func (a answer) refused(t *testing.T, status int, code string) ErrorInfo {
	t.Helper()
	var e errorReply
	a.want(t, status, &e)
	if e.Error.Code != code || e.Error.Message == "" {
		t.Fatalf("got %+v, want code %s", e.Error, code)
	}
	return e.Error
}

func TestLists(t *testing.T) {
	n := serve(t, Config{})
	var streams streamsReply
	n.do("GET", "/api/v1/streams", "").want(t, 200, &streams)
	if streams.Total != 2 || len(streams.Streams) != 2 || streams.Streams[0].Publisher.BitrateBPS != 2_000_000 {
		t.Errorf("got %+v", streams)
	}
	n.do("GET", "/api/v1/streams?limit=1", "").want(t, 200, &streams)
	if streams.Total != 2 || len(streams.Streams) != 1 {
		t.Errorf("limited: %+v", streams)
	}
	n.do("GET", "/api/v1/streams?limit=x", "").refused(t, 400, "limit")
	n.do("GET", "/api/v1/streams?limit=20001", "").refused(t, 400, "limit")

	var viewers viewersReply
	n.do("GET", "/api/v1/viewers?limit=2&stream=default/live/a", "").want(t, 200, &viewers)
	if viewers.Total != 5 || len(viewers.Viewers) != 2 || viewers.Viewers[0].Key != "default/live/a" {
		t.Errorf("got %+v", viewers)
	}
	n.do("GET", "/api/v1/viewers?stream=../x", "").refused(t, 400, "stream")

	var nodes nodesReply
	n.do("GET", "/api/v1/nodes", "").want(t, 200, &nodes)
	if len(nodes.Nodes) != 1 || !nodes.Nodes[0].Self {
		t.Errorf("got %+v", nodes)
	}
}

func TestHealth(t *testing.T) {
	n := serve(t, Config{})
	n.do("GET", "/healthz", "").want(t, 200, &healthReply{})
	n.do("GET", "/readyz", "").want(t, 200, &healthReply{})
	n.do("HEAD", "/healthz", "").want(t, 200, nil)
	n.notReady = errors.New("no leader yet")
	if e := n.do("GET", "/readyz", "").refused(t, 503, "not_ready"); e.Message != "no leader yet" {
		t.Errorf("got %q", e.Message)
	}
	if a := n.do("GET", "/metrics", "").want(t, 200, nil); !strings.Contains(string(a.body), "tmms_test 7") {
		t.Errorf("got %s", a.body)
	}
}

const oneDomain = `"domains":[{"name":"a.example","aliases":["*"],"apps":[{"name":"live","hls":{"low_latency":true},
	"auth":{"publish":{"keys":["s3cret"]}}},{"name":"open","hls":{"enabled":false}}]}]`

// Requirement: S5 (domains and apps are set, read and refused through the API).
func TestApply(t *testing.T) {
	n := serve(t, Config{})
	put := func(method, body string) (reply applyReply, diff string) {
		t.Helper()
		n.do(method, "/api/v1/config", body).want(t, 200, &reply)
		var lines strings.Builder
		for _, c := range reply.Diff.Changes {
			lines.WriteString(c.String() + "\n")
		}
		reply.Diff = nil
		return reply, lines.String()
	}
	all := "+ a.example: aliases *\n+ a.example/live: 1 key\n+ a.example/open: open\n"
	done, diff := put("PUT", `{"dry_run":true,`+oneDomain+`}`)
	if done != (applyReply{Changed: true, DryRun: true}) || diff != all || n.configs.Config().Revision() != 0 {
		t.Fatalf("dry run: %+v, %s", done, diff)
	}
	if done, diff = put("PUT", `{"base_revision":0,`+oneDomain+`}`); done != (applyReply{Revision: 1, Changed: true}) || diff != all {
		t.Fatalf("got %+v, %s", done, diff)
	}
	if done, diff = put("POST", `{`+oneDomain+`}`); done != (applyReply{Revision: 1}) || diff != "" {
		t.Fatalf("the same again: %+v, %s", done, diff)
	}
	if done, diff = put("POST", `{"dry_run":true,`+oneDomain+`}`); done != (applyReply{Revision: 1, DryRun: true}) || diff != "" {
		t.Fatalf("dry run of the same: %+v, %s", done, diff)
	}

	var domains domainsReply
	n.do("GET", "/api/v1/domains", "").want(t, 200, &domains)
	if domains.Revision != 1 || len(domains.Domains) != 1 || len(domains.Domains[0].Apps) != 2 {
		t.Fatalf("got %+v", domains)
	}
	live, open := domains.Domains[0].Apps[0], domains.Domains[0].Apps[1]
	if live.Open || live.PublishKeys != 1 || !live.HLS || !live.LowLatency || !open.Open || open.HLS || open.LowLatency {
		t.Errorf("got %+v, %+v", live, open)
	}

	var config configReply
	shown := n.do("GET", "/api/v1/config", "").want(t, 200, &config)
	if config.Revision != 1 || config.Domains[0].Apps[0].Auth.Publish.Keys[0] != state.Redacted {
		t.Errorf("got %s", shown.body)
	}
	t.Run("what is shown can be applied back", func(t *testing.T) {
		b, err := json.Marshal(applyRequest{BaseRevision: &config.Revision, Domains: config.Domains})
		if err != nil {
			t.Fatal(err)
		}
		if done, diff := put("PUT", string(b)); done != (applyReply{Revision: 1}) || diff != "" {
			t.Errorf("got %+v, %s", done, diff)
		}
		config.Domains[0].Apps[0].Auth.Publish.Keys[0] = "s3cret"
		config.Domains[0].Apps[1].Auth = config.Domains[0].Apps[0].Auth
		if b, err = json.Marshal(applyRequest{Domains: config.Domains}); err != nil {
			t.Fatal(err)
		}
		marks := strings.Replace(string(b), `"s3cret"`, `"`+state.Redacted+`","`+state.Redacted+`"`, 1)
		e := n.do("PUT", "/api/v1/config", marks).refused(t, 422, "invalid")
		if len(e.Faults) != 1 || e.Faults[0].Path != "domains[0].apps[0].auth.publish.keys" {
			t.Errorf("got %+v", e)
		}
	})
	t.Run("conflict", func(t *testing.T) {
		n.do("PUT", "/api/v1/config", `{"base_revision":7,`+oneDomain+`}`).refused(t, 409, "conflict")
		n.do("PUT", "/api/v1/config", `{"dry_run":true,"base_revision":7,`+oneDomain+`}`).refused(t, 409, "conflict")
	})
}

func TestApplyRefuses(t *testing.T) {
	n := serve(t, Config{})
	faulty := `{"colour":1,"domains":[{"name":"!","apps":[{"name":"live","latency":"1h","acl":[]}]},{"name":7}]}`
	e := n.do("PUT", "/api/v1/config", faulty).refused(t, 422, "invalid")
	paths := map[string]bool{}
	for _, f := range e.Faults {
		paths[f.Path] = true
	}
	for _, path := range []string{
		"colour", "domains[0].name", "domains[0].apps[0].latency", "domains[0].apps[0].acl", "domains[1].name",
	} {
		if !paths[path] {
			t.Errorf("no fault at %s: %+v", path, e.Faults)
		}
	}
	for _, nothing := range []string{`{}`, `null`, `{"domains":null}`, `{"base_revision":0}`} {
		if got := n.do("PUT", "/api/v1/config", nothing).refused(t, 422, "invalid"); got.Faults[0].Path != "domains" {
			t.Errorf("%s: %+v", nothing, got)
		}
	}
	n.do("PUT", "/api/v1/config", `{`).refused(t, 400, "body")
	n.do("PUT", "/api/v1/config", ``, "Content-Type: application/json").refused(t, 400, "body")
	n.do("PUT", "/api/v1/config", `{}`, "Content-Type: text/plain").refused(t, 415, "media_type")
	n.do("PUT", "/api/v1/config", `{"domains":"`+strings.Repeat("x", media.MaxConfigBytes)+`"}`).refused(t, 413, "too_large")
	n.do("PUT", "/api/v1/log/level", `{"level":"`+strings.Repeat("x", 64<<10)+`"}`).refused(t, 413, "too_large")
	if n.configs.Config().Revision() != 0 {
		t.Error("something was applied")
	}
}

func TestLogLevel(t *testing.T) {
	n := serve(t, Config{})
	var level levelBody
	n.do("GET", "/api/v1/log/level", "").want(t, 200, &level)
	if level.Level != "info" {
		t.Errorf("got %q", level.Level)
	}
	n.do("PUT", "/api/v1/log/level", `{"level":"debug"}`).want(t, 200, &level)
	if level.Level != "debug" || n.level.Level() != slog.LevelDebug {
		t.Errorf("got %q, %v", level.Level, n.level.Level())
	}
	n.do("PUT", "/api/v1/log/level", `{"level":"loud"}`).refused(t, 422, "invalid")
	n.do("PUT", "/api/v1/log/level", `{"volume":3}`).refused(t, 422, "invalid")
}

func TestProfiles(t *testing.T) {
	n := serve(t, Config{})
	for _, path := range []string{"heap?gc=1", "goroutine", "profile?seconds=1"} {
		if a := n.do("GET", "/debug/pprof/"+path, "").want(t, 200, nil); !bytes.HasPrefix(a.body, []byte{0x1f, 0x8b}) {
			t.Errorf("%s is not a profile", path)
		}
	}
	n.do("GET", "/debug/pprof/secrets", "").refused(t, 404, "not_found")
}

func TestUnknownPathsAndMethods(t *testing.T) {
	n := serve(t, Config{})
	n.do("GET", "/api/v1/nothing", "").refused(t, 404, "not_found")
	n.do("GET", "/nothing", "").want(t, 404, nil)
	n.do("POST", "/", "").refused(t, 405, "method")
	a := n.do("DELETE", "/api/v1/config", "")
	a.refused(t, 405, "method")
	if got := a.Header.Get("Allow"); got != "GET, HEAD, PUT, POST" {
		t.Errorf("Allow: %s", got)
	}
	n.do("OPTIONS", "/api/v1/config", "", "Origin: http://evil.test").want(t, 403, nil)
}

func TestBusyPort(t *testing.T) {
	n := serve(t, Config{})
	addr := strings.TrimPrefix(n.url, "http://")
	s, err := New(Config{Addr: addr}, n.deps())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Run(t.Context()); err == nil || !strings.Contains(err.Error(), addr) {
		t.Errorf("got %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	n := newNode(t)
	for _, addr := range []string{":0", "0.0.0.0:0", "[::]:0", "192.0.2.1:8090", "example.com:8090", "8090"} {
		if _, err := New(Config{Addr: addr}, n.deps()); err == nil || !strings.Contains(err.Error(), addr) {
			t.Errorf("%s without tokens: %v", addr, err)
		}
	}
	if _, err := New(Config{}, Deps{}); err == nil || !strings.Contains(err.Error(), "Deps.Configs") {
		t.Errorf("without neighbours: %v", err)
	}
	if _, err := New(Config{TokensFile: "/nowhere"}, n.deps()); err == nil {
		t.Error("a tokens file that is not there is taken")
	}
	for _, addr := range []string{"", "127.0.0.1:0", "[::1]:0", "localhost:0"} {
		if _, err := New(Config{Addr: addr}, n.deps()); err != nil {
			t.Errorf("%q: %v", addr, err)
		}
	}
}
