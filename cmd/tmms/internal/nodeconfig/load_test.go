package nodeconfig

import (
	"errors"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"tmms/cluster/state"
	"tmms/media"
)

var update = flag.Bool("update", false, "rewrite docs/config.md and docs/samples/node.yaml")

const docsDir = "../../../../docs"

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "node.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDefaults(t *testing.T) {
	c, err := Load(Sources{})
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen != (Listen{RTMP: ":1935", HTTP: ":8080", Fabric: ":7400", Gossip: ":7946", Admin: "127.0.0.1:8090"}) {
		t.Errorf("listen = %+v", c.Listen)
	}
	if c.Cluster.Enabled() || c.Cluster.Lease != 10*time.Second || c.Cluster.GossipPreset != "lan" || !c.Cluster.Balance {
		t.Errorf("cluster = %+v", c.Cluster)
	}
	if !c.Node.Has(RoleOrigin) || !c.Node.Has(RoleEdge) || c.Node.Name == "" {
		t.Errorf("node = %+v", c.Node)
	}
	want := Log{Level: slog.LevelInfo, Format: "text", Rotate: Rotate{MaxSizeMB: 100, MaxBackups: 5, MaxAgeDays: 30}}
	if c.Log != want {
		t.Errorf("log = %+v, want %+v", c.Log, want)
	}
}

// TestBoolean: a key that is on or off is so in every layer, and is nothing else.
func TestBoolean(t *testing.T) {
	for _, tc := range []struct {
		name string
		src  Sources
		on   bool
	}{
		{"file", Sources{File: write(t, "cluster: {balance: false}\n")}, false},
		{"quoted", Sources{File: write(t, "cluster: {balance: \"false\"}\n")}, false},
		{"env", Sources{File: write(t, "cluster: {balance: false}\n"), Environ: []string{"TMMS_CLUSTER__BALANCE=true"}}, true},
		{"set", Sources{Environ: []string{"TMMS_CLUSTER__BALANCE=true"}, Set: []string{"cluster.balance=false"}}, false},
	} {
		if c, err := Load(tc.src); err != nil || c.Cluster.Balance != tc.on {
			t.Errorf("%s: %v, %v", tc.name, c, err)
		}
	}
	for _, bad := range []string{"1", "\"\"", "off", "[true]", "True"} {
		_, err := Load(Sources{File: write(t, "cluster: {balance: "+bad+"}\n")})
		if bad == "True" { // a boolean of YAML
			if err != nil {
				t.Error(err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), "cluster.balance") || !strings.Contains(err.Error(), "true or false") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// Requirement: S2 C2 (config: koanf loads the node's layers).
func TestPrecedence(t *testing.T) {
	const key, name = "listen.http", "TMMS_LISTEN__HTTP"
	file := write(t, "listen: {http: ':2'}\n")
	for _, tc := range []struct {
		name string
		src  Sources
		want string
	}{
		{"default", Sources{}, ":8080"},
		{"own-default", Sources{Defaults: map[string]string{key: ":1"}}, ":1"},
		{"file", Sources{Defaults: map[string]string{key: ":1"}, File: file}, ":2"},
		{"env", Sources{File: file, Environ: []string{name + "=:3", "PATH=/bin"}}, ":3"},
		{"set", Sources{File: file, Environ: []string{name + "=:3"}, Set: []string{key + "=:9", key + "=:4"}}, ":4"},
		{"flag", Sources{File: file, Environ: []string{name + "=:3"}, Set: []string{key + "=:4"}, Flags: []Flag{{"http", key, ":5"}}}, ":5"},
		{"empty-over", Sources{File: file, Environ: []string{name + "="}}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, err := Load(tc.src)
			if err != nil {
				t.Fatal(err)
			}
			if c.Listen.HTTP != tc.want {
				t.Errorf("listen.http = %q, want %q", c.Listen.HTTP, tc.want)
			}
		})
	}
}

func TestEveryKind(t *testing.T) {
	c, err := Load(Sources{
		SkipFiles: true,
		File: write(t, "cluster: {gossip_key_file: k, ca_file: a, cert_file: b, key_file: c, lease: 5s, gossip_preset: wan, balance: false}\n"+
			"node: {name: n1, roles: [origin], region: eu}\nlog: {level: debug, rotate: {max_backups: 7}}\ntls:\n"),
		Environ: []string{
			"TMMS_NODE__DATA_DIR=/x", "TMMS_LOG__ROTATE__MAX_SIZE_MB=9", "TMMS_CLUSTER__VOTERS=n1@a:1,n2@[::1]:2", "TMMS_CLUSTER__JOIN=",
			"TMMS_API=http://x", "TMMS_TOKEN=t",
		},
		Set: []string{"node.roles=edge, origin", "edge.flush=35ms", "edge.limits.conns_per_ip=9", "advertise.http=[2001:db8::1]:80"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.Node.Name != "n1" || c.Node.Region != "eu" || c.Node.DataDir != "/x" || c.Log.Level != slog.LevelDebug {
		t.Errorf("got %+v", c)
	}
	if c.Edge.Flush != 35*time.Millisecond || c.Edge.Limits.ConnsPerIP != 9 || c.Origin.Limits.Streams != media.MaxStreamsPerNode {
		t.Errorf("got %+v", c)
	}
	if !slices.Equal(c.Node.Roles, []Role{RoleEdge, RoleOrigin}) || !slices.Equal(c.Cluster.Voters, []Voter{{"n1", "a:1"}, {"n2", "[::1]:2"}}) {
		t.Errorf("lists: %+v", c)
	}
	if c.Cluster.Lease != 5*time.Second || c.Cluster.GossipPreset != "wan" || !c.Cluster.Enabled() || len(c.Warnings()) != 1 || c.Cluster.Balance {
		t.Errorf("cluster: %+v, %q", c.Cluster, c.Warnings())
	}
	if c.Log.Rotate != (Rotate{MaxSizeMB: 9, MaxBackups: 7, MaxAgeDays: 30}) || c.Advertise.HTTP != "[2001:db8::1]:80" {
		t.Errorf("got %+v", c)
	}
}

func TestListenAddresses(t *testing.T) {
	for addr, ok := range map[string]bool{
		":0": true, ":65535": true, "127.0.0.1:1": true, "[::]:1935": true, "[::1]:1935": true, "[fe80::1%eth0]:1": true,
		"localhost:1": true, "": true,
		":65536": false, ":-1": false, "1935": false, "::1:1935": false, "[::1]": false, "example.com:1": false, ":http": false,
		"[::1:1935": false, "1.2.3:1": false,
	} {
		_, err := Load(Sources{Set: []string{"listen.rtmp=" + addr}})
		if (err == nil) != ok {
			t.Errorf("%q: err = %v, want ok = %v", addr, err, ok)
		}
	}
}

// TestFaults: path, value, source and rule of every fault, all at once.
func TestFaults(t *testing.T) {
	for _, tc := range []struct {
		name string
		src  Sources
		want []string
	}{
		{"unknown", Sources{File: write(t, "nod: {name: x}\nlisten: {rtmp: ':1', rtmpx: 3}\nnode: 7\n")}, []string{
			`nod.name = "x" (`, `): unknown key`, `listen.rtmpx = 3 (`, "node = 7 (", "this is a section",
		}},
		{"dotted", Sources{File: write(t, "node.name: x\n")}, []string{`node.name = "x"`, "unknown key"}},
		{"env", Sources{Environ: []string{"TMMS_NODE__NICK=x", "TMMS_LOG=1", "TMMS_LOG__LEVEL=loud", "TMMS_node__name=y"}}, []string{
			`TMMS_NODE__NICK = "x" (environment): unknown key "node.nick"`, `TMMS_LOG = "1"`, `TMMS_node__name = "y"`,
			`log.level = "loud" (TMMS_LOG__LEVEL): want debug, info, warn or error`,
		}},
		{"set", Sources{Set: []string{"a.b", "x.y=1", "edge.loops=many", "edge=1"}}, []string{
			"a.b (--set): want --set KEY=VALUE", `x.y = "1" (--set): unknown key`, `edge.loops = "many" (--set): want a whole number from 0 to 1024`,
			"this is a section",
		}},
		{"flag", Sources{Flags: []Flag{{"rtmp", "listen.rtmp", "1935"}}}, []string{`listen.rtmp = "1935" (--rtmp): want [HOST]:PORT`}},
		{"types", Sources{File: write(t, "node: {zone: 1.10, name: [a], roles: [edgy]}\nedge: {loops: 1.5}\nlog: {file: {a: b}}\n")}, []string{
			"node.zone = 1.1 (", "put it in quotes", "node.name = [a] (", `node.roles = [edgy] (`, "origin, edge or both", "edge.loops = 1.5 (",
			`log.file.a = "b" (`,
		}},
		{"ranges", Sources{Set: []string{
			"edge.loops=1025", "edge.flush=7ms", "origin.limits.streams=0", "log.rotate.max_size_mb=0", "log.format=xml", "node.name=a b", "node.roles=", "node.roles=origin,origin",
		}}, []string{
			"edge.loops = \"1025\"", "edge.flush = \"7ms\"", "edge.flush = ", "a whole number from 1 to 10000", "text or json", "node.name = \"a b\"", "node.roles = \"origin,origin\"",
		}},
		{"tls", Sources{Set: []string{
			"listen.rtmps=:1936", "listen.https=:1936", "tls.certs=a.pem",
		}}, []string{
			"listen.rtmps = \":1936\": needs a certificate: set tls.certs", "listen.https = \":1936\": needs",
			"listen.https = \":1936\": is the same port as listen.rtmps", `tls.certs = "a.pem" (--set): want at most`,
		}},
		{"tls-items", Sources{File: write(t, "tls: {certs: [{cert_file: a, key_file: b, more: c}]}\n")}, []string{"tls.certs = "}},
		{"tls-twice", Sources{Set: []string{"tls.certs=a:b,a:b"}}, []string{"none twice"}},
		{"tls-files", Sources{Set: []string{"tls.certs=/nothing/a.pem:/nothing/a.key"}}, []string{
			"tls.certs[0]: open /nothing/a.pem: no such file", "/nothing/a.key: no such file",
		}},
		{"engine", Sources{Set: []string{"edge.engine=kqueue"}}, []string{`edge.engine = "kqueue" (--set)`, "auto, epoll or io_uring"}},
		{"cross", Sources{Set: []string{
			"listen.admin=:1935", "listen.rtmp=127.0.0.1:1935", "node.roles=edge",
		}}, []string{
			"listen.admin = \":1935\": without admin.tokens_file only a loopback address", "is the same port as listen.rtmp",
			"a node without the origin role",
		}},
		{"nothing", Sources{Set: []string{"listen.rtmp=", "listen.http="}}, []string{"the node would do nothing"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Load(tc.src)
			if err == nil {
				t.Fatal("no fault found")
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in:\n%v", want, err)
				}
			}
			var f FaultError
			if !errors.As(err, &f) || f.Path == "" || f.Rule == "" {
				t.Errorf("not a FaultError: %#v", err)
			}
		})
	}
}

func TestUnreadableFile(t *testing.T) {
	big := "# " + strings.Repeat("x", maxFile) + "\n"
	for name, path := range map[string]string{
		"missing":   filepath.Join(t.TempDir(), "no.yaml"),
		"folder":    t.TempDir(),
		"not-yaml":  write(t, "a: b: c"),
		"not-a-map": write(t, "- a\n- b\n"),
		"two":       write(t, "node: {name: a}\n---\nnode: {name: b}\n"),
		"twice":     write(t, "node: {name: a}\nnode: {zone: b}\n"),
		"large":     write(t, big),
	} {
		if _, err := LoadFile(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: err = %v, want one that names the file", name, err)
		}
	}
	for name, text := range map[string]string{"empty": "", "comment": "# nothing\n"} {
		if _, err := LoadFile(write(t, text)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzLoadFile(f *testing.F) {
	f.Add([]byte(Sample()))
	f.Add([]byte("node: {name: [a, {b: c}]}\n? {a: b}\n: c\n"))
	f.Add([]byte("listen:\n  rtmp: &a ':1'\n  http: *a\n"))
	f.Add([]byte("1: 2\ntrue: {3: 4}\n"))
	path := filepath.Join(f.TempDir(), "node.yaml")
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if c, err := LoadFile(path); (c == nil) == (err == nil) {
			t.Fatalf("config %v and error %v", c, err)
		}
	})
}

// TestSample: what is shipped and printed loads, and says what the code does.
func TestSample(t *testing.T) {
	c, err := LoadFile(write(t, Sample()))
	if err != nil {
		t.Fatalf("the sample does not load: %v", err)
	}
	d, err := Load(Sources{})
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen != d.Listen || c.Log != d.Log || c.Edge != d.Edge || c.Node.Region != d.Node.Region || c.Node.Name != d.Node.Name {
		t.Errorf("the sample is not the defaults: %+v, want %+v", c, d)
	}
	hold(t, filepath.Join(docsDir, "samples", "node.yaml"), func(string) string { return Sample() })
}

// TestDocs holds docs/config.md to the keys of the code.
func TestDocs(t *testing.T) {
	const begin, end = "<!-- keys: go test ./cmd/tmms/internal/nodeconfig -update -->\n", "<!-- end of keys -->"
	hold(t, filepath.Join(docsDir, "config.md"), func(old string) string {
		head, rest, ok := strings.Cut(old, begin)
		_, tail, ok2 := strings.Cut(rest, end)
		if !ok || !ok2 {
			t.Fatalf("docs/config.md lacks the marks %q and %q", begin, end)
		}
		return head + begin + Table() + end + tail
	})
}

// TestDomainDocs: every key that domains.yaml may have stands in docs/config.md.
func TestDomainDocs(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(docsDir, "config.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(b), "\n## domains.yaml")
	var walk func(path string, typ reflect.Type)
	walk = func(path string, typ reflect.Type) {
		switch {
		case typ.Kind() == reflect.Pointer:
			walk(path, typ.Elem())
		case typ.Kind() == reflect.Slice:
			walk(path+"[]", typ.Elem())
		case typ.Kind() != reflect.Struct:
			path = strings.Replace(path, "domains[].apps[].", "apps[].", 1)
			if path != "apps[].name" && !strings.Contains(text, "`"+path+"`") {
				t.Errorf("docs/config.md has no %s", path)
			}
		default:
			for f := range typ.Fields() {
				name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
				walk(strings.TrimPrefix(path+"."+name, "."), f.Type)
			}
		}
	}
	walk("", reflect.TypeFor[state.Document]())
}

// hold compares a file with what it should be, or rewrites it with -update.
func hold(t *testing.T, path string, want func(old string) string) {
	t.Helper()
	old, err := os.ReadFile(path)
	if err != nil && !*update {
		t.Fatal(err)
	}
	w := want(string(old))
	if w == string(old) {
		return
	}
	if !*update {
		t.Fatalf("%s is not what the code says: run go test ./cmd/tmms/internal/nodeconfig -update", path)
	}
	if err := os.WriteFile(path, []byte(w), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestSampleDomains: the shipped domains.yaml loads; faults come all at once.
func TestSampleDomains(t *testing.T) {
	doc, err := LoadDomains(filepath.Join(docsDir, "samples", "domains.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if len(doc.Domains) < 2 {
		t.Errorf("the sample shows %d domains", len(doc.Domains))
	}
	_, err = LoadDomains(write(t, "domains:\n- name: '*.b'\n  apps: [{name: 'x y', rtmpp: true, grace: soon}]\n"))
	if err == nil {
		t.Fatal("no fault found")
	}
	for _, want := range []string{"*.b", "x y", "rtmpp", "soon"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in:\n%v", want, err)
		}
	}
	if _, err := LoadDomains(write(t, "domains: []\n---\ndomains: []\n")); err == nil {
		t.Error("a second document was ignored")
	}
}
