package terraform

import (
	"encoding/base64"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// rendered are the outputs of modules/user-data.
type rendered struct {
	CloudInit     string `json:"cloud_init"`
	CloudInitGzip string `json:"cloud_init_gzip"`
	NodeYAML      string `json:"node_yaml"`
	InstallScript string `json:"install_script"`
	Unit, Sysctl  string
	Files         map[string]string
	Paths         map[string]string
}

const userDataRoot = `
locals { cases = jsondecode(file("${path.module}/cases.json")) }
module "plan" {
  source  = "../modules/plan"
  cluster = "live"
  domain  = "live.example.com"
  regions = {
    eu = { provider = "local", zones = ["1", "b"], cidr = "10.1.0.0/16", origins = 2, edges = 1 }
    us = { provider = "ssh", origins = 1, edges = 1, origins_serve = true, hosts = { us-o1 = { address = "203.0.113.1" }, us-e1 = { address = "203.0.113.2" } } }
  }
  addresses = { us-o1 = "2001:db8::1" }
}
module "host" {
  for_each     = local.cases
  source       = "../modules/user-data"
  node         = try(each.value.node, module.plan.nodes[each.value.name])
  cluster      = module.plan.cluster
  binary       = try(each.value.binary, { url = "https://example.com/tmms", sha256 = sha256("") })
  config       = try(each.value.config, {})
  secrets      = try(each.value.secrets, { method = "files" })
  data_disk    = try(each.value.data_disk, "")
  tokens       = try(each.value.tokens, false)
  admin_listen = try(each.value.admin_listen, "127.0.0.1:8090")
  tls_certs    = try(each.value.tls_certs, [])
  init         = try(each.value.init, "systemd")
  root         = try(each.value.root, "")
  logs         = try(each.value.logs, null)
}
output "hosts" { value = module.host }
`

// hosts renders modules/user-data for many nodes in one apply.
func hosts(t *testing.T, tf *terraform, name string, cases map[string]map[string]any) (all map[string]rendered) {
	t.Helper()
	tf.root(t, name, userDataRoot, map[string]any{"cases.json": cases})
	tf.outputs(t, name, "hosts", &all)
	if len(all) != len(cases) {
		t.Fatalf("%d hosts of %d", len(all), len(cases))
	}
	return all
}

// pki makes the files that a node's configuration names, with the CA of the test.
func pki(t *testing.T, tmms, dir, name string, roles string) {
	t.Helper()
	ca := filepath.Join(t.TempDir(), "pki")
	command(t, tmms, "cert", "init", "--dir", ca)
	command(t, tmms, "cert", "node", name, "--roles", roles, "--dir", ca)
	command(t, "mkdir", "-p", dir)
	for to, from := range map[string]string{"ca.crt": "ca.crt", "gossip.key": "gossip.key", "node.crt": name + ".crt", "node.key": name + ".key"} {
		command(t, "cp", filepath.Join(ca, from), filepath.Join(dir, to))
	}
}

// TestUserData holds everything that is rendered for a host to the program that will
// read it there: cloud-init, systemd, tmms.
//
// Requirement: C7.
func TestUserData(t *testing.T) {
	tf, ok := newTerraform(t)
	if !ok {
		return
	}
	tmms := binary(t)
	root := t.TempDir()
	certs := []map[string]string{{"cert_file": root + "/web.crt", "key_file": root + "/web.key"}}
	cases := map[string]map[string]any{
		"origin": {"name": "eu-o1", "data_disk": "/dev/disk/by-id/vol-1", "secrets": map[string]any{"method": "command", "command": "fetch \"$PKI\" 'x'"}},
		"edge":   {"name": "eu-e1"},
		"both":   {"name": "us-o1", "tls_certs": certs},
		"tokens": {"name": "us-e1", "tokens": true, "admin_listen": ":8090"},
		"config": {"name": "eu-o2", "config": map[string]any{
			"listen": map[string]any{"rtmp": "127.0.0.1:1"}, "edge": map[string]any{"limits": map[string]any{"viewers": 5}},
		}},
	}
	for name, c := range maps.Clone(cases) { // as it would be on the host, but below a folder
		below := maps.Clone(c)
		below["init"], below["root"] = "none", filepath.Join(root, name)
		cases[name+" below"] = below
	}
	cases["logs"] = map[string]any{"name": "eu-e1", "logs": map[string]any{
		"command": `exec ship --place="$STATE_DIRECTORY/state"`, "setup": "command -v ship", "files": map[string]string{"/etc/ship.yaml": "a: 1\n"},
	}}
	all := hosts(t, tf, "hosts", cases)
	for name, h := range all {
		if strings.HasSuffix(name, " below") {
			checkConfig(t, tmms, name, h)
			continue
		}
		checkCloudInit(t, name, h)
	}
	unit := write(t, t.TempDir(), "tmms.service", strings.ReplaceAll(all["edge"].Unit, "/usr/local/bin/tmms", tmms))
	command(t, "systemd-analyze", "verify", "--man=no", unit)
	command(t, "systemd-analyze", "verify", "--man=no",
		write(t, t.TempDir(), "tmms-logs.service", all["logs"].Files["/etc/systemd/system/tmms-logs.service"]))
}

// checkConfig lets tmms read a rendered node.yaml.
func checkConfig(t *testing.T, tmms, name string, h rendered) {
	t.Helper()
	var doc struct {
		Node struct {
			Name  string
			Roles []string
		}
		TLS struct {
			Certs []struct {
				Cert string `yaml:"cert_file"`
				Key  string `yaml:"key_file"`
			}
		}
	}
	if err := yaml.Unmarshal([]byte(h.NodeYAML), &doc); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	pki(t, tmms, h.Paths["pki"], doc.Node.Name, strings.Join(doc.Node.Roles, ","))
	write(t, h.Paths["etc"], "tokens.yaml", "- {name: a, role: admin, token: a-long-random-word}\n")
	for _, c := range doc.TLS.Certs {
		command(t, "cp", filepath.Join(h.Paths["pki"], "node.crt"), c.Cert)
		command(t, "cp", filepath.Join(h.Paths["pki"], "node.key"), c.Key)
	}
	command(t, "mkdir", "-p", h.Paths["data"])
	path := write(t, h.Paths["etc"], "node.yaml", h.NodeYAML)
	want := fmt.Sprintf("ok: node %s, roles %v", doc.Node.Name, doc.Node.Roles)
	if out := command(t, tmms, "config", "check", "--config", path); !strings.Contains(out, want) {
		t.Errorf("%s: %q, want %q", name, out, want)
	}
}

// checkCloudInit holds user data to cloud-init's schema and to its own files.
func checkCloudInit(t *testing.T, name string, h rendered) {
	t.Helper()
	path := write(t, t.TempDir(), "user-data", h.CloudInit)
	if out := command(t, "cloud-init", "schema", "--config-file", path); !strings.Contains(strings.ToLower(out), "valid") {
		t.Errorf("%s: cloud-init schema: %s", name, out)
	}
	var doc struct {
		Files []struct{ Path, Content, Permissions string } `yaml:"write_files"`
	}
	if err := yaml.Unmarshal([]byte(h.CloudInit), &doc); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, f := range doc.Files {
		got[f.Path] = f.Content
	}
	if !maps.Equal(got, h.Files) || len(got) < 4 {
		t.Errorf("%s: cloud-init writes %q, files are %q", name, slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(h.Files)))
	}
	zipped, err := base64.StdEncoding.DecodeString(h.CloudInitGzip)
	if err != nil || len(zipped) > 16384 {
		t.Errorf("%s: %d bytes of compressed user data, %v: want at most 16384", name, len(zipped), err)
	}
	command(t, "bash", "-n", write(t, t.TempDir(), "install.sh", h.InstallScript))
	command(t, "shellcheck", write(t, t.TempDir(), "install.sh", h.InstallScript))
}

// TestJoinedNode holds the configuration of a node that joins by a token to that of one
// with files: the token's file is all that it has more.
func TestJoinedNode(t *testing.T) {
	tf, ok := newTerraform(t)
	if !ok {
		return
	}
	node := map[string]any{"name": "", "region": "eu", "zone": "b", "roles": []string{"edge"}}
	all := hosts(t, tf, "joined", map[string]map[string]any{
		"files": {"node": node},
		"join":  {"node": node, "secrets": map[string]any{"method": "join", "command": "fetch join.token"}},
	})
	const line = "  \"join_token_file\": \"/etc/tmms/join.token\"\n"
	if got := all["join"].NodeYAML; !strings.Contains(got, line) || strings.Replace(got, line, "", 1) != all["files"].NodeYAML {
		t.Errorf("got\n%swant %q beside\n%s", got, line, all["files"].NodeYAML)
	}
	if got := all["join"].Files["/usr/local/lib/tmms/fetch-secrets"]; got != "fetch join.token\n" {
		t.Errorf("fetch-secrets is %q", got)
	}
}

// TestUserDataFaults holds each message to its value and its rule.
func TestUserDataFaults(t *testing.T) {
	tf, ok := newTerraform(t)
	if !ok {
		return
	}
	cases := []struct{ args, want string }{
		{`config = { nodes = {} }`, `config ["nodes"]: want sections of node.yaml`},
		{`binary = { sha256 = "abc" }`, `binary.sha256 "abc": want 64 hexadecimal digits`},
		{`binary = { sha256 = sha256(""), url = "https://a/'x" }`, `binary.url "https://a/'x": want`},
		{`secrets = { method = "vault" }`, `secrets.method "vault": want files, command or join`},
		{`secrets = { method = "command" }`, `secrets.command is empty`},
		{`data_disk = "sdb; rm"`, `data_disk "sdb; rm": want a path below /dev/`},
		{`admin_listen = ":8090"`, `admin_listen ":8090": without tokens only a loopback address`},
		{`drain_wait = "soon"`, `drain_wait "soon": want seconds or minutes`},
		{`init = "runit"`, `init "runit": want systemd or none`},
		{`logs = { command = " " }`, `logs {"command":" ","files":{},"setup":""}: want a command`},
		{"logs = { command = \"ship\" }\ninit = \"none\"", `logs want a journal, so init systemd, not none`},
		{`root = "/srv"`, `root "/srv": want an absolute path`},
		{`node = { name = "A b", region = "eu", zone = "a", roles = ["edge"] }`, `node.name "A b": want 1 to 63`},
		{`node = { name = "a", region = "eu", zone = "a", roles = ["shield"] }`, `node.roles ["shield"]: want origin, edge or both`},
		{`cluster = { name = "l", voters = [], join = [] }`, `cluster.voters []: want 1, 3 or 5`},
		{`cluster = { name = "l", voters = ["a@b:1"], join = [], gossip_preset = "man" }`, `cluster.gossip_preset "man": want lan or wan`},
	}
	defaults := map[string]string{
		"node":    `node = { name = "a", region = "eu", zone = "a", roles = ["edge"] }`,
		"cluster": `cluster = { name = "l", voters = ["a@b:1"], join = [] }`,
		"binary":  `binary = { sha256 = sha256("") }`,
	}
	calls := map[string]string{}
	for _, c := range cases {
		calls[c.want] = c.args
		for name, line := range defaults {
			if !strings.HasPrefix(c.args, name+" ") {
				calls[c.want] += "\n" + line
			}
		}
	}
	if len(calls) != len(cases) {
		t.Fatalf("%d messages for %d cases: want one each", len(calls), len(cases))
	}
	faults(t, tf, "user-data", calls)
}
