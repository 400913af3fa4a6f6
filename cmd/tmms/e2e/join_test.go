package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tmms/cluster/pki"
)

// joining is a cluster of one origin that gives certificates, and edges that come with a
// token and nothing else.
type joining struct {
	t      *testing.T
	dir    string
	fabric string // of the origin
	gossip string
	origin *server
}

// tmms runs a command of the operator, who asks the origin; ok says whether it must succeed.
func (j *joining) tmms(ok bool, args ...string) (out, errOut string) {
	j.t.Helper()
	ctx, cancel := context.WithTimeout(j.t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	var o, e strings.Builder
	cmd.Stdout, cmd.Stderr = &o, &e
	if j.origin != nil {
		cmd.Env = append(os.Environ(), "TMMS_API=http://"+j.origin.admin)
	}
	if err := cmd.Run(); (err == nil) != ok {
		j.t.Fatalf("tmms %v: %v\n%s%s", args, err, o.String(), e.String())
	}
	return o.String(), e.String()
}

// config is a node's, with its files in a folder of its own.
func (j *joining) config(s *server, name, role, fabric, gossip string, more ...string) []string {
	dir := filepath.Join(j.dir, name)
	set := append([]string{
		"node.name=" + name, "node.roles=" + role, "node.region=eu", "node.data_dir=" + filepath.Join(dir, "data"),
		"listen.rtmp=" + s.rtmp, "listen.http=" + s.http, "listen.admin=" + s.admin, "listen.fabric=" + fabric, "listen.gossip=" + gossip,
		"cluster.voters=o1@" + j.fabric, "cluster.join=" + j.gossip,
		"cluster.ca_file=" + dir + "/pki/ca.crt", "cluster.cert_file=" + dir + "/pki/node.crt",
		"cluster.key_file=" + dir + "/pki/node.key", "cluster.gossip_key_file=" + dir + "/pki/gossip.key",
	}, more...)
	args := []string{"run"}
	for _, kv := range set {
		args = append(args, "--set", kv)
	}
	return args
}

func (j *joining) newServer(args func(s *server) []string) *server {
	s := &server{rtmp: freeAddr(j.t), http: freeAddr(j.t), admin: freeAddr(j.t), out: &lockedBuffer{}, exited: make(chan struct{})}
	s.cmd = exec.Command(binary, args(s)...)
	s.cmd.Stdout, s.cmd.Stderr = s.out, s.out
	return s
}

// edge makes one that has a token, in a file.
func (j *joining) edge(name, token string) *server {
	j.t.Helper()
	file := filepath.Join(j.dir, name+".token")
	if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
		j.t.Fatal(err)
	}
	return j.newServer(func(s *server) []string {
		return j.config(s, name, "edge", freeAddr(j.t), freeAddr(j.t), "cluster.join_token_file="+file)
	})
}

// refused starts an edge that must end with exit code 1 and say why.
func (j *joining) refused(name, token, want string) {
	j.t.Helper()
	s := j.edge(name, token)
	err := s.cmd.Run()
	if code := s.cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(s.out.String(), want) {
		j.t.Errorf("%s: exit code %d (%v), want 1 and %q:\n%s", name, code, err, want, s.out)
	}
	if parts := strings.Split(token, "."); len(parts) > 2 && strings.Contains(s.out.String(), parts[2]) {
		j.t.Errorf("%s shows the token's secret:\n%s", name, s.out)
	}
	if _, err := os.Stat(filepath.Join(j.dir, name, "pki", "node.crt")); err == nil {
		j.t.Errorf("%s has a certificate", name)
	}
}

func startJoining(t *testing.T) *joining {
	t.Helper()
	j := &joining{t: t, dir: t.TempDir(), fabric: freeAddr(t), gossip: freeAddr(t)}
	dir := filepath.Join(j.dir, "pki")
	j.tmms(true, "cert", "init", "--dir", dir)
	j.tmms(true, "cert", "node", "o1", "--roles", "origin", "--dir", dir)
	j.tmms(true, "cert", "issuer", "--dir", dir)
	j.give(dir, map[string]string{"ca.crt": "ca.crt", "o1.crt": "node.crt", "o1.key": "node.key", "gossip.key": "gossip.key", "issuer.key": "issuer.key"})
	o1 := j.newServer(func(s *server) []string {
		return j.config(s, "o1", "origin", j.fabric, j.gossip, "cluster.ca_key_file="+filepath.Join(j.dir, "o1", "pki", "issuer.key"))
	})
	o1.start(t)
	j.origin = o1
	j.tmms(true, "apply", "-f", filepath.Join("..", "..", "..", "docs", "samples", "cluster", "domains.yaml"))
	return j
}

// give copies files of the operator to the origin.
func (j *joining) give(from string, names map[string]string) {
	j.t.Helper()
	to := filepath.Join(j.dir, "o1", "pki")
	if err := os.MkdirAll(to, 0o700); err != nil {
		j.t.Fatal(err)
	}
	for name, as := range names {
		b, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			j.t.Fatal(err)
		}
		if err = os.WriteFile(filepath.Join(to, as), b, 0o600); err != nil {
			j.t.Fatal(err)
		}
	}
}

// TestJoinByToken: an edge that has a token and nothing else gets its certificate and
// plays; a token of one use lets in one node, also if that crashes before it has its
// certificate, a revoked one nobody; a certificate is renewed when two thirds of its life
// are over; an issuer that is replaced is followed.
//
// Requirement: C5 C7
func TestJoinByToken(t *testing.T) {
	t.Parallel()
	j := startJoining(t)
	out, warned := j.tmms(true, "token", "join", "--ttl", "10m", "--region", "eu")
	if warned != "" || strings.Count(out, "\n") != 1 || strings.Count(out, ".") != 3 {
		t.Fatalf("token join prints %d lines, and %q", strings.Count(out, "\n"), warned)
	}
	e1 := j.edge("e1", out)
	e1.start(t)
	push(t, "av.flv", "rtmp://"+j.origin.rtmp+"/live/joined")
	for _, url := range []string{"rtmp://" + e1.rtmp + "/live/joined", "http://" + e1.http + "/live/joined.flv"} {
		if got, err := decode(t, url, 2*time.Second); err != nil || got.video < 30 {
			t.Errorf("%s: %+v, %v", url, got, err)
		}
	}
	for file, mode := range map[string]os.FileMode{"node.crt": 0o600, "node.key": 0o600, "ca.crt": 0o600, "gossip.key": 0o600} {
		if info, err := os.Stat(filepath.Join(j.dir, "e1", "pki", file)); err != nil || info.Mode() != mode {
			t.Errorf("%s: %v, %v", file, info.Mode(), err)
		}
	}
	e9, due := j.shortLived("e9", 20*time.Second)
	e1 = j.crashed(e1, "e1", out)
	j.refused("e2", out, "is used up")
	j.refused("e3", strings.Replace(out, "tmms1", "tmms9", 1), "this is no token of tmms token join")
	many, _ := j.tmms(true, "token", "join", "--uses", "5", "--name-prefix", "e")
	j.refused("x4", many, `whose name begins with`)
	id := strings.Split(many, ".")[1]
	if list, _ := j.tmms(true, "token", "list"); strings.Count(list, "\n") != 3 || !strings.Contains(list, id) || !strings.Contains(list, "e1") {
		t.Errorf("token list:\n%s", list)
	}
	j.tmms(true, "token", "revoke", id)
	j.refused("e5", many, "is not known: it was revoked")
	if _, said := j.tmms(false, "token", "revoke", id); !strings.Contains(said, "is not known") {
		t.Errorf("revoked twice: %s", said)
	}
	j.renews(e9, "e9", due)
	j.replaceIssuer(e1)
	for _, log := range []string{j.origin.out.String(), e1.out.String()} {
		for _, token := range []string{out, many} {
			if strings.Contains(log, strings.Split(token, ".")[2]) {
				t.Errorf("a log shows a token:\n%s", log)
			}
		}
	}
}

// crashed ends a node and leaves it as one that has used its token and ended before it had
// its certificate, and starts it again.
func (j *joining) crashed(s *server, name, token string) *server {
	j.t.Helper()
	s.stop(j.t)
	key, cert := filepath.Join(j.dir, name, "pki", "node.key"), filepath.Join(j.dir, name, "pki", "node.crt")
	if err := errors.Join(os.Remove(cert), os.Rename(key, key+".next")); err != nil {
		j.t.Fatal(err)
	}
	again := j.edge(name, token)
	again.start(j.t)
	if _, err := os.Stat(key + ".next"); !errors.Is(err, os.ErrNotExist) {
		j.t.Errorf("the key with which it has asked stays: %v", err)
	}
	return again
}

// shortLived starts an edge with a certificate of which two thirds will be over then, and
// gives when that is.
func (j *joining) shortLived(name string, then time.Duration) (*server, time.Time) {
	j.t.Helper()
	read := func(path ...string) []byte {
		b, err := os.ReadFile(filepath.Join(append([]string{j.dir}, path...)...))
		if err != nil {
			j.t.Fatal(err)
		}
		return b
	}
	bundle := read("pki", "ca.crt")
	issuer, err := pki.LoadCA(bundle, read("pki", "issuer.key"))
	if err != nil {
		j.t.Fatal(err)
	}
	csr, key, err := pki.NewRequest(name)
	if err != nil {
		j.t.Fatal(err)
	}
	r, err := pki.ParseRequest(csr)
	if err != nil {
		j.t.Fatal(err)
	}
	// Of two minutes of life 80 s are to be over then.
	cert, err := issuer.Sign(r, pki.Grant{Name: name, Roles: []string{pki.RoleEdge}, Life: 2 * time.Minute}, time.Now().Add(then-80*time.Second))
	if err != nil {
		j.t.Fatal(err)
	}
	to := filepath.Join(j.dir, name, "pki")
	if err = os.MkdirAll(to, 0o700); err != nil {
		j.t.Fatal(err)
	}
	for file, b := range map[string][]byte{"node.crt": cert, "node.key": key, "ca.crt": bundle, "gossip.key": read("pki", "gossip.key")} {
		if err = os.WriteFile(filepath.Join(to, file), b, 0o600); err != nil {
			j.t.Fatal(err)
		}
	}
	id, err := pki.NewIdentity(cert, key, bundle)
	if err != nil {
		j.t.Fatal(err)
	}
	s := j.edge(name, "it is not read while there is a certificate")
	s.start(j.t)
	return s, id.NotBefore().Add(id.NotAfter().Sub(id.NotBefore()) * 2 / 3)
}

// renews waits until the edge has another certificate, which it gets no sooner than due,
// while it runs.
func (j *joining) renews(s *server, name string, due time.Time) {
	j.t.Helper()
	file := filepath.Join(j.dir, name, "pki")
	load := func() (*pki.Identity, error) {
		return pki.LoadIdentity(filepath.Join(file, "node.crt"), filepath.Join(file, "node.key"), filepath.Join(file, "ca.crt"))
	}
	waitFor(j.t, 90*time.Second, "a new certificate", func() bool {
		id, err := load()
		return err == nil && time.Until(id.NotAfter()) > 29*24*time.Hour
	})
	info, err := os.Stat(filepath.Join(file, "node.crt"))
	if err != nil || info.ModTime().Before(due) {
		j.t.Errorf("renewed at %v, %v: not due before %v", info.ModTime(), err, due)
	}
	waitFor(j.t, 30*time.Second, "the edge to show it", func() bool { return strings.Contains(s.out.String(), "certificate was renewed") })
	if code, _ := get(j.t, "http://"+s.admin+"/readyz"); code != http.StatusOK {
		j.t.Errorf("%s with its new certificate answers %d", name, code)
	}
}

// replaceIssuer replaces the issuer and sees the edge go over to a certificate of the
// new one, while it runs.
func (j *joining) replaceIssuer(edge *server) {
	j.t.Helper()
	cert := filepath.Join(j.dir, "e1", "pki", "node.crt")
	before, err := os.ReadFile(cert)
	if err != nil {
		j.t.Fatal(err)
	}
	dir := filepath.Join(j.dir, "pki")
	j.tmms(true, "cert", "issuer", "--dir", dir)
	j.give(dir, map[string]string{"ca.crt": "ca.crt", "issuer.key": "issuer.key"})
	waitFor(j.t, 90*time.Second, "a certificate of the new issuer", func() bool {
		now, err := os.ReadFile(cert)
		return err == nil && string(now) != string(before)
	})
	waitFor(j.t, 30*time.Second, "the edge to be in the cluster", func() bool {
		code, body := get(j.t, "http://"+edge.admin+"/api/v1/raft")
		var info struct {
			ClusterID string `json:"cluster_id"`
		}
		return code == http.StatusOK && json.Unmarshal(body, &info) == nil && info.ClusterID != ""
	})
	if got, err := decode(j.t, fmt.Sprintf("http://%s/live/joined.flv", edge.http), time.Second); err != nil || got.video == 0 {
		j.t.Errorf("after it: %+v, %v", got, err)
	}
}
