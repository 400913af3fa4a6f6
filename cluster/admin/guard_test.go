package admin

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"tmms/cluster/state"
	"tmms/media"
)

func TestRoles(t *testing.T) {
	n := serve(t, Config{TokensFile: tokensFile(t, tokensYAML)})
	const ops, eyes = "Authorization: Bearer " + adminToken, "Authorization: bearer " + readToken
	for _, path := range []string{"/", "/app.js", "/healthz", "/readyz", "/api/v1/openapi.json"} {
		n.do("GET", path, "").want(t, 200, nil)
	}
	for _, path := range []string{
		"/metrics", "/api/v1/streams", "/api/v1/viewers", "/api/v1/nodes", "/api/v1/domains", "/api/v1/config",
		"/api/v1/history", "/api/v1/log/level",
	} {
		a := n.do("GET", path, "")
		a.refused(t, 401, "token")
		if a.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: no challenge", path)
		}
		n.do("GET", path, "", "Authorization: Bearer wrong-token-0123456").refused(t, 401, "token")
		n.do("GET", path, "", "Authorization: Basic "+adminToken).refused(t, 401, "token")
		n.do("GET", path, "", eyes).want(t, 200, nil)
		n.do("GET", path, "", ops).want(t, 200, nil)
	}
	body := `{` + oneDomain + `}`
	n.do("PUT", "/api/v1/config", body).refused(t, 401, "token")
	n.do("PUT", "/api/v1/config", body, eyes).refused(t, 403, "role")
	n.do("PUT", "/api/v1/log/level", `{"level":"debug"}`, eyes).refused(t, 403, "role")
	n.do("PUT", "/api/v1/config", body, ops).want(t, 200, nil)
	if by := n.configs.History()[0].By; by != "ops" {
		t.Errorf("the history says %q", by)
	}
	for _, who := range []string{eyes, ops} {
		if a := n.do("GET", "/api/v1/config", "", who); !strings.Contains(string(a.body), state.Redacted) ||
			strings.Contains(string(a.body), "pbkdf2") {
			t.Errorf("%s sees hashes: %s", who, a.body)
		}
	}
}

func TestTokensFile(t *testing.T) {
	hash := "sha256:" + strings.Repeat("ab", 32)
	for name, c := range map[string]struct{ text, want string }{
		"empty":      {"", "the list is empty"},
		"no list":    {"name: x", "must be a list"},
		"short":      {"- {name: a, role: read, token: short}", "at least 16 bytes"},
		"both":       {"- {name: a, role: read, token: 0123456789abcdef, hash: \"" + hash + "\"}", "either token or hash"},
		"neither":    {"- {name: a, role: read}", "either token or hash"},
		"role":       {"- {name: a, role: root, hash: \"" + hash + "\"}", "role must be read or admin"},
		"hash":       {"- {name: a, role: read, hash: \"sha256:12\"}", "64 hex digits"},
		"scheme":     {"- {name: a, role: read, hash: \"" + hash[7:] + "\"}", "64 hex digits"},
		"no name":    {"- {role: read, hash: \"" + hash + "\"}", "name is empty"},
		"twice":      {strings.Repeat("- {name: a, role: read, hash: \""+hash+"\"}\n", 2), "used already"},
		"unknown":    {"- {name: a, role: read, hash: \"" + hash + "\", expires: never}", "unknown key"},
		"not a text": {"- {name: a, role: read, token: [x]}", "must be a text"},
	} {
		if _, err := parseTokens([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
	}
	tokens, err := parseTokens([]byte(tokensYAML))
	if err != nil {
		t.Fatal(err)
	}
	for secret, want := range map[string]caller{
		adminToken: {"ops", roleAdmin}, readToken: {"eyes", roleRead}, "": {}, "other": {},
	} {
		if got := identify(tokens, secret); got != want {
			t.Errorf("%q is %+v", secret, got)
		}
	}
}

func TestHostAndOrigin(t *testing.T) {
	n := serve(t, Config{Hosts: []string{"Console.Example"}})
	port := n.url[strings.LastIndex(n.url, ":"):]
	for host, status := range map[string]int{
		"127.0.0.1" + port: 200, "localhost" + port: 200, "LOCALHOST": 200, "[::1]:1": 200, "192.0.2.3": 200,
		"console.example:80": 200, "CONSOLE.example.": 200,
		"evil.test": 421, "evil.test" + port: 421, "127.0.0.1.evil.test": 421, "localhost.evil.test": 421,
	} {
		n.do("GET", "/api/v1/streams", "", "Host: "+host).want(t, status, nil)
	}
	for origin, status := range map[string]int{
		n.url: 200, "http://evil.test": 403, "null": 403, "http://127.0.0.1": 403, "file://": 403, "%": 403,
	} {
		a := n.do("PUT", "/api/v1/log/level", `{"level":"info"}`, "Origin: "+origin).want(t, status, nil)
		if a.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Error("CORS is on")
		}
		n.do("GET", "/api/v1/streams", "", "Origin: "+origin).want(t, status, nil)
	}
	for site, status := range map[string]int{"same-origin": 200, "none": 200, "cross-site": 403, "same-site": 403} {
		n.do("GET", "/api/v1/streams", "", "Sec-Fetch-Site: "+site).want(t, status, nil)
	}
	n.do("GET", "/", "", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate").want(t, 200, nil)
}

func TestAnyNameWithTokens(t *testing.T) {
	n := serve(t, Config{TokensFile: tokensFile(t, tokensYAML)})
	n.do("GET", "/healthz", "", "Host: some.name").want(t, 200, nil)
}

func TestHeaders(t *testing.T) {
	n := serve(t, Config{})
	for _, path := range []string{"/", "/app.js", "/api/v1/streams", "/nothing", "/api/nothing"} {
		h := n.do("GET", path, "").Header
		if csp := h.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") ||
			strings.Contains(csp, "unsafe") {
			t.Errorf("%s: policy %q", path, csp)
		}
		if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("X-Frame-Options") != "DENY" {
			t.Errorf("%s: headers %v", path, h)
		}
	}
}

// Hostile heads end in an answer or a closed connection, and the server lives.
func TestHostileHeads(t *testing.T) {
	n := serve(t, Config{})
	for name, head := range map[string]string{
		"noise":     "\x03\x00\xff\xfe\x00\x00\r\n\r\n",
		"long line": "GET /" + strings.Repeat("a", media.MaxHTTPHead*2) + " HTTP/1.1\r\nHost: x\r\n\r\n",
		"long head": "GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("a", media.MaxHTTPHead*2) + "\r\n\r\n",
		"smuggling": "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"no host":   "GET / HTTP/1.1\r\n\r\n",
		"dots":      "GET /../../etc/passwd HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
		"%2e":       "GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			c, err := net.Dial("tcp", strings.TrimPrefix(n.url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			if err = c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
				t.Fatal(err)
			}
			_, _ = io.WriteString(c, head) // may be refused half way
			b, _ := io.ReadAll(io.LimitReader(c, 1<<20))
			if strings.Contains(string(b), "root:") || strings.HasPrefix(string(b), "HTTP/1.1 200") {
				t.Errorf("got %.200q", b)
			}
		})
	}
	n.do("GET", "/healthz", "").want(t, 200, nil)
}

func TestConnectionsAreBounded(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &boundedListener{Listener: inner, free: make(chan struct{}, 2), done: make(chan struct{})}
	accepted := make(chan net.Conn)
	ended := make(chan error, 1)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				ended <- err
				return
			}
			accepted <- c
		}
	}()
	for range 3 {
		c, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
	}
	first, second := <-accepted, <-accepted
	select {
	case <-accepted:
		t.Fatal("a third connection was accepted")
	default:
	}
	if len(l.free) != 2 {
		t.Fatalf("%d places are taken", len(l.free))
	}
	_ = first.Close()
	_ = first.Close() // gives its place back once
	third := <-accepted
	_ = l.Close()
	if err := <-ended; err == nil {
		t.Error("Accept goes on after Close")
	}
	_, _ = second.Close(), third.Close()
}
