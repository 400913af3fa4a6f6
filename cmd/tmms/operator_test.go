package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tmms/cmd/tmms/internal/nodeconfig"
)

// fleet is processes of a cluster on this machine, by node.
type fleet struct {
	t     *testing.T // of the part that runs
	whole *testing.T // processes live as long
	dir   string
	nodes map[string]*member
}

// member is a node of a fleet; each has files of its own.
type member struct {
	name, role, dir       string
	admin, fabric, gossip string
	voters                []string
	cmd                   *exec.Cmd
}

// newFleet makes certificates and configs of three voters and an edge.
func newFleet(t *testing.T) *fleet {
	t.Helper()
	f := &fleet{t: t, whole: t, dir: t.TempDir(), nodes: map[string]*member{}}
	f.tmms("cert", "init", "--dir", f.dir)
	for _, name := range []string{"o1", "o2", "o3", "e1"} {
		f.add(name)
	}
	for _, m := range f.nodes {
		m.voters = []string{"o1", "o2", "o3"}
	}
	return f
}

// add makes the files of a node; an e is an edge, all others are origins.
func (f *fleet) add(name string) *member {
	f.t.Helper()
	m := &member{
		name: name, role: "origin", dir: filepath.Join(f.dir, "node-"+name),
		admin: freePort(f.t), gossip: freePort(f.t), fabric: freePort(f.t),
	}
	if name[0] == 'e' {
		m.role = "edge"
	}
	f.tmms("cert", "node", name, "--roles", m.role, "--dir", f.dir)
	if err := os.MkdirAll(filepath.Dir(m.key()), 0o700); err != nil {
		f.t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(f.dir, "gossip.key"))
	if err != nil {
		f.t.Fatal(err)
	}
	if err = os.WriteFile(m.key(), b, 0o600); err != nil {
		f.t.Fatal(err)
	}
	f.nodes[name] = m
	return m
}

func (m *member) key() string { return filepath.Join(m.dir, "keys", "gossip.key") }
func (m *member) log() string { return filepath.Join(m.dir, "node.log") }

// api is the flag by which a command asks that node.
func (m *member) api() string { return "--api=http://" + m.admin }

// start starts a node.
func (f *fleet) start(name string) {
	f.t.Helper()
	m := f.nodes[name]
	args := []string{"run"}
	voters := make([]string, len(m.voters))
	for i, v := range m.voters {
		voters[i] = v + "@" + f.nodes[v].fabric
	}
	for k, v := range map[string]string{
		"node.name": name, "node.roles": m.role, "node.data_dir": filepath.Join(m.dir, "data"),
		"listen.rtmp": "127.0.0.1:0", "listen.http": "127.0.0.1:0", "listen.admin": m.admin, "listen.fabric": m.fabric,
		"listen.gossip": m.gossip, "cluster.voters": strings.Join(voters, ","),
		"cluster.join":            f.nodes["o1"].gossip + "," + f.nodes["o2"].gossip,
		"cluster.gossip_key_file": m.key(), "cluster.ca_file": filepath.Join(f.dir, "ca.crt"),
		"cluster.cert_file": filepath.Join(f.dir, name+".crt"), "cluster.key_file": filepath.Join(f.dir, name+".key"),
		"log.file": m.log(),
	} {
		args = append(args, "--set", k+"="+v)
	}
	m.cmd = program(f.whole.Context(), nil, args...)
	m.cmd.Stderr = os.Stderr
	if err := m.cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	f.whole.Cleanup(func() { _ = m.cmd.Process.Kill() })
}

// end ends a node with a signal.
func (f *fleet) end(name string, sig os.Signal) {
	f.t.Helper()
	m := f.nodes[name]
	if err := m.cmd.Process.Signal(sig); err != nil {
		f.t.Fatal(err)
	}
	if err := m.cmd.Wait(); err != nil && sig != syscall.SIGKILL {
		f.t.Errorf("%s: %v", name, err)
	}
}

// tmms runs a command that must succeed and gives what it says.
func (f *fleet) tmms(args ...string) string {
	f.t.Helper()
	r := runProgram(f.t, nil, args...)
	if r.code != 0 {
		f.t.Fatalf("tmms %v: %+v\n%s", args, r, f.logs())
	}
	return r.out
}

// refused runs a command that must fail with one line that has want in it.
func (f *fleet) refused(want string, args ...string) {
	f.t.Helper()
	r := runProgram(f.t, nil, args...)
	if r.code != 1 || !strings.Contains(r.errOut, want) || strings.Count(r.errOut, "\n") != 1 {
		f.t.Errorf("tmms %v: %+v; want %q", args, r, want)
	}
}

func (f *fleet) logs() string {
	var b strings.Builder
	for name, m := range f.nodes {
		text, _ := os.ReadFile(m.log())
		fmt.Fprintf(&b, "--- %s\n%s", name, text[max(0, len(text)-4000):])
	}
	return b.String()
}

// ready waits until nodes serve.
func (f *fleet) ready(names ...string) {
	f.t.Helper()
	for _, name := range names {
		waitFor(f.t, name, func() bool {
			resp, err := http.Get("http://" + f.nodes[name].admin + "/readyz")
			if err != nil {
				return false
			}
			_ = resp.Body.Close()
			return resp.StatusCode == http.StatusOK
		})
	}
}

// alive waits until every one of the nodes sees all of them alive in the gossip.
func (f *fleet) alive(names ...string) {
	f.t.Helper()
	for _, name := range names {
		waitFor(f.t, "the members at "+name, func() bool {
			var reply struct {
				Nodes []struct{ Name, State string }
			}
			f.get(name, "/api/v1/nodes?consistency=local", &reply)
			n := 0
			for _, d := range reply.Nodes {
				if d.State == "alive" && slices.Contains(names, d.Name) {
					n++
				}
			}
			return n == len(names)
		})
	}
}

// get asks a node's API.
func (f *fleet) get(name, path string, out any) http.Header {
	f.t.Helper()
	resp, err := http.Get("http://" + f.nodes[name].admin + path)
	if err != nil {
		f.t.Fatal(err)
	}
	defer resp.Body.Close()
	if err = json.NewDecoder(resp.Body).Decode(out); err != nil || resp.StatusCode != http.StatusOK {
		f.t.Fatalf("%s at %s: %s, %v", path, name, resp.Status, err)
	}
	return resp.Header
}

// keys are those in a node's file.
func (f *fleet) keys(name string) [][]byte {
	f.t.Helper()
	keys, err := nodeconfig.LoadGossipKeys(f.nodes[name].key())
	if err != nil {
		f.t.Fatal(err)
	}
	return keys
}

// oneKey checks that the files of nodes have the same one key, and gives it.
func (f *fleet) oneKey(names ...string) []byte {
	f.t.Helper()
	first := f.keys(names[0])[0]
	for _, name := range names {
		if k := f.keys(name); len(k) != 1 || !bytes.Equal(k[0], first) {
			f.t.Errorf("%s has %d keys, the first the same: %v", name, len(k), bytes.Equal(k[0], first))
		}
	}
	return first
}

// raft says who is in the group, as "o1 o2 o3*", a star for one without a vote.
func (f *fleet) raft(at string) string {
	f.t.Helper()
	var info struct {
		Servers []struct {
			Name  string
			Voter bool
		}
	}
	f.get(at, "/api/v1/raft", &info)
	var all []string
	for _, s := range info.Servers {
		if !s.Voter {
			s.Name += "*"
		}
		all = append(all, s.Name)
	}
	return strings.Join(all, " ")
}

// TestOperator is what operators do to a cluster of real processes.
//
// Requirement: C5 (members of the group come and go; reads see every write that
// was acknowledged).
func TestOperator(t *testing.T) {
	if testing.Short() {
		t.Skip("five processes for 30 s")
	}
	f := newFleet(t)
	all := []string{"o1", "o2", "o3", "e1"}
	for _, name := range all {
		f.start(name)
	}
	f.ready(all...)
	f.alive(all...)
	t.Run("read-your-writes", func(t *testing.T) { f.t = t; f.readYourWrites() })
	t.Run("drain", func(t *testing.T) { f.t = t; f.drain() })
	t.Run("rotate-key", func(t *testing.T) { f.t = t; f.rotateKey() })
	t.Run("rotate-key-refused", func(t *testing.T) { f.t = t; f.rotateKeyRefused() })
	t.Run("raft-backup", func(t *testing.T) { f.t = t; f.raftBackup() })
	t.Run("raft-transfer", func(t *testing.T) { f.t = t; f.raftTransfer() })
	t.Run("raft-level", func(t *testing.T) { f.t = t; f.raftLevel() })
	t.Run("revoke", func(t *testing.T) { f.t = t; f.revoke() })
	t.Run("raft-members", func(t *testing.T) { f.t = t; f.raftMembers() })
	t.Run("raft-quorum", func(t *testing.T) { f.t = t; f.raftQuorum() })
}

func (f *fleet) readYourWrites() {
	names := []string{"o1", "o2", "o3", "e1"}
	for i := range 24 {
		body := fmt.Sprintf(`{"domains":[{"name":"a.example","apps":[{"name":"live","grace":"%ds"}]}]}`, i+1)
		req, err := http.NewRequestWithContext(f.t.Context(), http.MethodPut,
			"http://"+f.nodes[names[i%3]].admin+"/api/v1/config", strings.NewReader(body))
		if err != nil {
			f.t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			f.t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		var wrote, read struct{ Revision int }
		if json.Unmarshal(b, &wrote) != nil || resp.StatusCode != http.StatusOK {
			f.t.Fatalf("%s: %s", resp.Status, b)
		}
		for j := 1; j < 4; j++ {
			at := names[(i+j)%4]
			if h := f.get(at, "/api/v1/domains", &read); read.Revision != wrote.Revision || h.Get("X-Tmms-Stale") != "" {
				f.t.Errorf("%s shows revision %d, %d was applied before (%q)", at, read.Revision, wrote.Revision, h.Get("X-Tmms-Stale"))
			}
		}
	}
}

func (f *fleet) rotateKey() {
	all := []string{"o1", "o2", "o3", "e1"}
	before := f.oneKey(all...)
	out := f.tmms("gossip", "rotate-key", f.nodes["o2"].api())
	if !strings.Contains(out, "4 nodes forgot the old key") || !strings.Contains(out, "rotated on 4 nodes: e1 o1 o2 o3") {
		f.t.Errorf("it says %s", out)
	}
	after := f.oneKey(all...)
	if bytes.Equal(before, after) || len(after) != 32 {
		f.t.Errorf("the key has %d bytes, the same as before: %v", len(after), bytes.Equal(before, after))
	}
	for _, name := range all {
		if info, err := os.Stat(f.nodes[name].key()); err != nil || info.Mode().Perm() != 0o600 {
			f.t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	secret, err := os.ReadFile(f.nodes["o1"].key())
	if err != nil {
		f.t.Fatal(err)
	}
	if text := strings.TrimSpace(string(secret)); strings.Contains(f.logs()+out, text) {
		f.t.Error("the key is in a log or an answer")
	}
	for _, name := range []string{"o3", "e1"} { // each starts with the file that it was left
		f.end(name, syscall.SIGTERM)
		f.start(name)
		f.ready(name)
	}
	f.alive(all...)

	// Some at once, from two nodes: they do not mix.
	var wg sync.WaitGroup
	results := make(chan result, 6)
	for i := range cap(results) {
		wg.Go(func() { results <- runProgram(f.t, nil, "gossip", "rotate-key", f.nodes[all[i%2]].api()) })
	}
	wg.Wait()
	close(results)
	busy := 0
	for r := range results {
		if r.code != 0 && strings.Contains(r.errOut, "another rotation") {
			busy++
		} else if r.code != 0 {
			f.t.Errorf("%+v", r)
		}
	}
	if f.oneKey(all...); busy == 0 {
		f.t.Error("none of six rotations at once was refused")
	}
	f.t.Logf("%d of six at once were refused", busy)
}

func (f *fleet) rotateKeyRefused() {
	all := []string{"o1", "o2", "o3", "e1"}
	before := f.oneKey(all...)
	f.refused("role origin", "gossip", "rotate-key", f.nodes["e1"].api())

	keys := filepath.Dir(f.nodes["e1"].key())
	if err := os.Rename(keys, keys+".away"); err != nil {
		f.t.Fatal(err)
	}
	f.refused("nothing has changed: e1: ", "gossip", "rotate-key", f.nodes["o1"].api())
	if err := os.Rename(keys+".away", keys); err != nil {
		f.t.Fatal(err)
	}
	if !bytes.Equal(f.oneKey(all...), before) {
		f.t.Error("the key has changed")
	}

	f.end("o3", syscall.SIGKILL)
	began := time.Now()
	f.refused("o3", "gossip", "rotate-key", f.nodes["o1"].api())
	f.t.Logf("refused after %s, with a node that was killed", time.Since(began))
	if !bytes.Equal(f.oneKey(all...), before) {
		f.t.Error("the key has changed")
	}
	f.start("o3")
	f.ready("o3")
	f.alive(all...)
	f.tmms("gossip", "rotate-key", f.nodes["o1"].api())
	if bytes.Equal(f.oneKey(all...), before) {
		f.t.Error("the key has not changed")
	}
}

// revoke takes an edge out of the cluster, and lets it back in.
func (f *fleet) revoke() {
	origins := []string{"o1", "o2", "o3"}
	f.refused("role origin", "cert", "revoke", "o3", f.nodes["e1"].api())
	f.refused("ask another node", "cert", "revoke", "o2", f.nodes["o2"].api())
	out := f.tmms("cert", "revoke", "e1", f.nodes["o1"].api())
	if !strings.Contains(out, "e1 is out of the cluster") {
		f.t.Errorf("it says %s", out)
	}
	waitFor(f.t, "e1 on its own", func() bool {
		r := runProgram(f.t, nil, "get", "domains", f.nodes["e1"].api())
		return strings.Contains(r.errOut, "out of date")
	})
	if list := f.tmms("cert", "revoked", f.nodes["o3"].api()); !strings.Contains(list, "e1 ") {
		f.t.Errorf("revoked:\n%s", list)
	}
	for _, name := range origins {
		waitFor(f.t, "the list on the disk of "+name, func() bool {
			b, err := os.ReadFile(filepath.Join(f.nodes[name].dir, "data", "revoked.json"))
			return err == nil && bytes.Contains(b, []byte(`"e1"`))
		})
	}
	// It still gossips, but is not asked to take part, and does not get the key.
	if out = f.tmms("gossip", "rotate-key", f.nodes["o2"].api()); !strings.Contains(out, "rotated on 3 nodes: o1 o2 o3") {
		f.t.Errorf("it says %s", out)
	}
	after := f.oneKey(origins...)
	if bytes.Equal(f.keys("e1")[0], after) {
		f.t.Error("e1 has the new key")
	}
	f.end("e1", syscall.SIGTERM)
	f.tmms("cert", "rotate", "e1", "--dir", f.dir)
	key, err := os.ReadFile(f.nodes["o1"].key())
	if err != nil {
		f.t.Fatal(err)
	}
	if err = os.WriteFile(f.nodes["e1"].key(), key, 0o600); err != nil {
		f.t.Fatal(err)
	}
	f.start("e1")
	f.ready("e1")
	f.alive("o1", "o2", "o3", "e1")
}

// raftBackup saves the state through an edge and brings it back through an origin.
func (f *fleet) raftBackup() {
	file := filepath.Join(f.t.TempDir(), "state")
	var before, after struct{ Revision int }
	f.get("o1", "/api/v1/domains", &before)
	out := f.tmms("raft", "snapshot", file, f.nodes["e1"].api())
	if !strings.Contains(out, fmt.Sprintf("config revision %d", before.Revision)) {
		f.t.Errorf("it says %s", out)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		f.t.Errorf("the file: %v, %v", info, err)
	}
	domains := filepath.Join(f.t.TempDir(), "domains.yaml")
	if err := os.WriteFile(domains, []byte("domains: []\n"), 0o600); err != nil {
		f.t.Fatal(err)
	}
	f.tmms("apply", "-f", domains, f.nodes["o1"].api())
	out = f.tmms("raft", "restore", file, f.nodes["o3"].api())
	if want := fmt.Sprintf("config revision %d is in force", before.Revision+2); !strings.Contains(out, want) {
		f.t.Errorf("it says %s, want %s", out, want)
	}
	f.get("e1", "/api/v1/domains", &after)
	if after.Revision != before.Revision+2 {
		f.t.Errorf("the edge is at revision %d", after.Revision)
	}
	f.refused("role origin", "raft", "restore", file, f.nodes["e1"].api())
	f.refused("bad snapshot", "raft", "restore", domains, f.nodes["o1"].api())
	if out = f.tmms("raft", "snapshot", f.nodes["o2"].api()); !strings.Contains(out, "entry ") || !strings.Contains(out, " bytes") {
		f.t.Errorf("it says %s", out)
	}
	f.refused("no raft log", "raft", "snapshot", f.nodes["e1"].api())
}

func (f *fleet) raftTransfer() {
	for _, to := range []string{"o2", "o3", "o2"} {
		if out := f.tmms("raft", "transfer", to, f.nodes["o1"].api()); out != to+" leads\n" {
			f.t.Errorf("it says %s", out)
		}
		waitFor(f.t, to+" in the status", func() bool {
			for line := range strings.Lines(f.tmms("raft", "status", f.nodes["e1"].api())) {
				if strings.HasPrefix(line, to+" ") {
					return strings.Contains(line, "leader")
				}
			}
			return false
		})
	}
	f.refused("is called", "raft", "transfer", "nobody", f.nodes["o1"].api())
}

func (f *fleet) raftLevel() {
	out := f.tmms("raft", "level", f.nodes["e1"].api())
	if !strings.Contains(out, "feature level 2\n") || strings.Count(out, "\n") != 7 || strings.Contains(out, "does not answer") {
		f.t.Errorf("it says %s", out)
	}
	f.refused("feature level 1000 is not known to e1", "raft", "level", "1000", f.nodes["o1"].api())
	f.refused("role origin", "raft", "level", "2", f.nodes["e1"].api())
	f.tmms("raft", "level", "2", f.nodes["o1"].api())
}

func (f *fleet) raftMembers() {
	if got := f.raft("e1"); got != "o1 o2 o3" {
		f.t.Fatalf("the group is %s", got)
	}
	status := f.tmms("raft", "status", f.nodes["e1"].api())
	if strings.Count(status, "voter") != 2 || strings.Count(status, "leader") != 1 || !strings.Contains(status, f.nodes["o3"].fabric) {
		f.t.Errorf("status:\n%s", status)
	}
	for want, args := range map[string][]string{
		"does not vote":   {"add", "e1", f.nodes["e1"].fabric},
		"does not answer": {"add", "nobody", freePort(f.t)},
		"HOST:PORT":       {"add", "o4", "here"},
		"is called":       {"remove", "nobody"},
	} {
		f.refused(want, append([]string{"raft", args[0], f.nodes["o2"].api()}, args[1:]...)...)
	}
	f.refused("role origin", "raft", "remove", "o3", f.nodes["e1"].api())

	o4 := f.add("o4")
	o4.voters = []string{"o1", "o2", "o3", "o4"}
	key, err := os.ReadFile(f.nodes["o1"].key())
	if err != nil {
		f.t.Fatal(err)
	}
	if err = os.WriteFile(o4.key(), key, 0o600); err != nil {
		f.t.Fatal(err)
	}
	f.start("o4")
	waitFor(f.t, "o4's admission", func() bool {
		r := runProgram(f.t, nil, "raft", "add", "o4", o4.fabric, f.nodes["o2"].api())
		return r.code == 0
	})
	waitFor(f.t, "o4's vote", func() bool { return f.raft("o3") == "o1 o2 o3 o4" })
	f.ready("o4")
	waitFor(f.t, "o4 as a voter in the list of nodes", func() bool {
		for line := range strings.Lines(f.tmms("get", "nodes", f.nodes["o1"].api())) {
			if strings.HasPrefix(line, "o4 ") {
				return strings.Contains(line, "voter") || strings.Contains(line, "leader")
			}
		}
		return false
	})
	f.tmms("raft", "remove", "o4", f.nodes["o1"].api())
	waitFor(f.t, "the group without o4", func() bool { return f.raft("o2") == "o1 o2 o3" })

	// A member that was removed hears of nothing any more, and says so.
	body := "domains:\n- name: after.example\n  apps: [{name: live}]\n"
	file := filepath.Join(f.t.TempDir(), "domains.yaml")
	if err = os.WriteFile(file, []byte(body), 0o600); err != nil {
		f.t.Fatal(err)
	}
	f.tmms("apply", "-f", file, f.nodes["o1"].api())
	r := runProgram(f.t, nil, "get", "domains", o4.api())
	if r.code != 0 || !strings.Contains(r.errOut, "out of date") || strings.Contains(r.out, "after.example") {
		f.t.Errorf("at o4: %+v", r)
	}
	f.end("o4", syscall.SIGTERM)

	// As one without a vote it comes back.
	f.refused("o4: not there", "gossip", "rotate-key", f.nodes["o1"].api())
	out := f.tmms("gossip", "rotate-key", "--skip-absent", f.nodes["o1"].api())
	if !strings.Contains(out, "not on o4") {
		f.t.Errorf("it says %s", out)
	}
	if key, err = os.ReadFile(f.nodes["e1"].key()); err != nil {
		f.t.Fatal(err)
	}
	if err = os.WriteFile(o4.key(), key, 0o600); err != nil {
		f.t.Fatal(err)
	}
	o4.voters = []string{"o1", "o2", "o3"}
	f.start("o4")
	f.ready("o4")
	f.alive("o1", "o2", "o3", "o4", "e1")
	if got := runProgram(f.t, nil, "get", "domains", o4.api()); !strings.Contains(got.out, "after.example") || got.errOut != "" {
		f.t.Errorf("at o4: %+v", got)
	}
	f.refused("does not vote", "raft", "add", "o4", o4.fabric, f.nodes["o1"].api())
}

func (f *fleet) raftQuorum() {
	f.end("o2", syscall.SIGKILL)
	waitFor(f.t, "a leader", func() bool { return runProgram(f.t, nil, "raft", "status", f.nodes["o1"].api()).errOut == "" })
	f.refused("no quorum", "raft", "remove", "o3", f.nodes["o1"].api())
	if got := f.raft("o1"); got != "o1 o2 o3" {
		f.t.Errorf("the group is %s", got)
	}
	f.end("o3", syscall.SIGKILL)
	waitFor(f.t, "the loss of the leader", func() bool {
		r := runProgram(f.t, nil, "get", "domains", "--local", f.nodes["o1"].api())
		return r.code == 0 && strings.Contains(r.errOut, "no leader is known")
	})
	began := time.Now()
	r := runProgram(f.t, nil, "get", "domains", f.nodes["o1"].api())
	if r.code != 0 || !strings.Contains(r.out, "after.example") || !strings.Contains(r.errOut, "out of date") {
		f.t.Errorf("without a leader: %+v", r)
	}
	if took := time.Since(began); took > 5*time.Second {
		f.t.Errorf("it took %s", took)
	}
	f.refused("leader", "raft", "remove", "o3", f.nodes["o1"].api())
	f.start("o2")
	f.start("o3")
	f.ready("o2", "o3")
	if got := f.raft("o2"); got != "o1 o2 o3" {
		f.t.Errorf("the group is %s", got)
	}
}
