package terraform

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestRentedServers applies examples/bare-metal to three servers with an sshd: a stream
// is published at one and played at the others, a certificate is changed while all run, a
// new release goes through one by one under a viewer, and destroy leaves nothing.
//
// Requirement: C7.
func TestRentedServers(t *testing.T) {
	if !*full {
		return
	}
	r, ok := newRented(t)
	if !ok {
		return
	}
	r.tf.run(t, bareMetal, "init")
	r.stranger()
	t.Cleanup(r.destroy)
	r.apply()
	r.unchanged()
	first := r.region + "-o1"
	domains := write(t, r.dir, "domains.yaml", "domains: [{name: default, aliases: ['*'], apps: [{name: live}]}]\n")
	if err := r.eventually(func() error { _, err := r.tmms(first, "apply", "-f", domains); return err }); err != nil {
		t.Fatal(err)
	}
	r.publish(r.region, "cam")
	for _, node := range []string{r.region + "-o2", r.region + "-o3"} {
		if err := r.plays(node, "cam"); err != nil {
			t.Errorf("%s: %v", node, err)
		}
	}
	w := r.view("flv", r.region+"-o3", "cam")
	r.certify(r.region + "-o2")
	r.upgrade(w)
	r.unchanged()
	r.secretless()
}

// stranger holds the module to speak to no host, and to no bastion, with another key than
// it was told, and to leave nothing there.
func (r *rented) stranger() {
	r.t.Helper()
	first, second, third := r.servers[r.region+"-o1"], r.servers[r.region+"-o2"], r.servers[r.region+"-o3"]
	ssh := fmt.Sprintf("port = %d, key_file = %q, timeout = \"3s\"", sshPort, r.vars["ssh_key_file"])
	cases := map[string]string{
		"host": fmt.Sprintf("ssh = { host = %q, %s }\nhost_key = %q", first.Address, ssh, second.HostKey),
		"bastion": fmt.Sprintf("ssh = { host = %q, %s, bastion = { host = %q, port = %d, key_file = %q, host_key = %q } }\nhost_key = %q",
			third.Address, ssh, first.Address, sshPort, r.vars["ssh_key_file"], third.HostKey, third.HostKey),
	}
	for name, args := range cases {
		root := "stranger-" + name
		r.tf.root(r.t, root, fmt.Sprintf(`
module "host" {
  source  = "../modules/ssh-host"
  node    = { name = %q, region = "eu", zone = "a", roles = ["edge"] }
  cluster = { name = "l", voters = ["a@b:1"], join = [] }
  pki_dir = %q
  binary  = { file = %q }
  %s
}
`, r.region+"-o1", r.vars["pki_dir"], r.vars["tmms"], args), nil)
		out, err := r.tf.try(r.t, root, "apply", "-auto-approve")
		if err == nil || !strings.Contains(err.Error(), "key mismatch") {
			r.t.Errorf("a %s with another key: %v\n%s", name, err, out)
		}
	}
	if left, err := filepath.Glob("/root/.tmms-" + r.region + "-*"); err != nil || len(left) > 0 {
		r.t.Errorf("a host with another key got %q, %v", left, err)
	}
}

// certify gives a node a new certificate, which nothing is restarted for.
func (r *rented) certify(node string) {
	r.t.Helper()
	before := r.pids()
	command(r.t, r.vars["tmms"], "cert", "rotate", node, "--dir", r.vars["pki_dir"])
	r.apply()
	if now := r.pids(); fmt.Sprint(now) != fmt.Sprint(before) {
		r.t.Errorf("a new certificate: processes were %v, are %v", before, now)
	}
	want, err := os.ReadFile(filepath.Join(r.vars["pki_dir"], node+".crt"))
	if err != nil {
		r.t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(r.vars["root"], node, "etc/tmms/pki/node.crt"))
	if err != nil || string(got) != string(want) {
		r.t.Errorf("%s has another certificate than was made for it, %v", node, err)
	}
}

// upgrade gives all nodes another binary; no two of them are away at a time.
func (r *rented) upgrade(w *watch) {
	r.t.Helper()
	raw, err := os.ReadFile(r.vars["tmms"])
	if err != nil {
		r.t.Fatal(err)
	}
	next := write(r.t, r.dir, "next", string(raw)+"another release")
	command(r.t, "chmod", "0700", next)
	command(r.t, "mv", next, r.vars["tmms"])
	before, connections := r.pids(), w.connected()
	rounds := r.attend(r.apply)
	for i := range len(rounds) - 1 {
		if together := overlap(rounds[i], rounds[i+1]); len(together) > 0 {
			r.t.Errorf("away at the same time: %q", together)
		}
	}
	want := sumOf(r.t, r.vars["tmms"])
	for name, pid := range r.pids() {
		if sum := sumOf(r.t, fmt.Sprintf("/proc/%d/exe", pid)); sum != want || pid == before[name] {
			r.t.Errorf("%s, process %d before and %d now, runs %s: want %s", name, before[name], pid, sum, want)
		}
		if !slices.ContainsFunc(rounds, func(round []string) bool { return slices.Contains(round, name) }) {
			r.t.Errorf("%s was never away in %d rounds: want it drained", name, len(rounds))
		}
	}
	w.goesOn(r.lab, 100_000)
	// A drain sends the viewer to another node, whose turn may come later.
	if lost := w.connected() - connections; lost > len(r.nodes) {
		r.t.Errorf("the viewer has lost its connection %d times: want one at most for each of %d nodes", lost, len(r.nodes))
	}
}

// attend asks all nodes in turn, for as long as something is done, who is not ready, and
// gives these for each round.
func (r *rented) attend(do func()) (rounds [][]string) {
	ctx, cancel := context.WithCancel(r.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			var away []string
			for _, name := range r.of("", "") {
				err := r.in(ctx, name, "curl", "-sf", "-m", "5", "-o", "/dev/null", "http://127.0.0.1:8090/readyz").Run()
				if err != nil && ctx.Err() == nil {
					away = append(away, name)
				}
			}
			rounds = append(rounds, away)
		}
	}()
	do()
	cancel()
	<-done
	return rounds
}

// overlap names two nodes that were away at the same time: one in this round and the next,
// and so all the time between, and one behind it in this round.
func overlap(round, next []string) []string {
	for i, name := range round {
		if slices.Contains(next, name) && i+1 < len(round) {
			return []string{name, round[i+1]}
		}
	}
	return nil
}

// TestTurn holds turn.sh to give one turn at a time, to let those that wait give up when
// a node keeps its turn, and to forget the turns of runs that have ended.
func TestTurn(t *testing.T) {
	dir := t.TempDir()
	script, err := filepath.Abs("modules/ssh-host/turn.sh")
	if err != nil {
		t.Fatal(err)
	}
	// The test's process stands for Terraform: it is the scripts' parent.
	turn := func(node, patience, what string) (string, error) {
		cmd := exec.CommandContext(t.Context(), "bash", script, what)
		cmd.Env = append(os.Environ(), "TMPDIR="+dir, "NODE="+node, "PATIENCE="+patience)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	ended := exec.CommandContext(t.Context(), "true")
	if err := ended.Run(); err != nil {
		t.Fatal(err)
	}
	old := write(t, filepath.Join(dir, fmt.Sprintf("tmms-turn-%d", ended.Process.Pid)), "holder", "o9\n")
	if out, err := turn("o1", "60", "take"); err != nil {
		t.Fatalf("the first one: %v, %s", err, out)
	}
	if _, err := os.Stat(old); err == nil {
		t.Errorf("%s is of a run that has ended, and still there", old)
	}
	if out, err := turn("o2", "1", "take"); err == nil || !strings.Contains(out, "o1 has not finished its turn in 1 s: o2 is left as it is") {
		t.Errorf("a turn that is kept: %v, %s", err, out)
	}
	second := make(chan error, 1)
	go func() { _, err := turn("o2", "60", "take"); second <- err }()
	select {
	case err := <-second:
		t.Fatalf("two have the turn, %v", err)
	case <-time.After(700 * time.Millisecond): // some of its tries
	}
	if out, err := turn("o1", "60", "give"); err != nil {
		t.Fatalf("giving it back: %v, %s", err, out)
	}
	if err := <-second; err != nil {
		t.Errorf("the second one: %v", err)
	}
}

// TestSSHHostFaults holds each message of modules/ssh-host to its value and its rule.
func TestSSHHostFaults(t *testing.T) {
	tf, ok := newTerraform(t)
	if !ok {
		return
	}
	dir, err := filepath.Abs("modules/ssh-host/tests/pki")
	if err != nil {
		t.Fatal(err)
	}
	const key = `ssh-ed25519 AAAA`
	cases := []struct{ args, want string }{
		{`host_key = "SHA256:abc"`, `host_key "SHA256:abc": want lines`},
		{`ssh = { host = "a:22 b" }`, `ssh {"host":"a:22 b","port":22}: want an address`},
		{`ssh = { host = "a", port = 0 }`, `ssh {"host":"a","port":0}: want an address`},
		{`ssh = { host = "a", key_file = "/nowhere" }`, `ssh.key_file "/nowhere": there is no such file`},
		{`ssh = { host = "a", bastion = { host = "b", host_key = "x" } }`, `ssh.bastion.host_key "x": want lines`},
		{`pki_dir = "/nowhere"`, `pki_dir "/nowhere": it has no n1.crt, n1.key, ca.crt, gossip.key; tmms cert init and tmms cert node n1 --roles edge`},
		{`binary = {}`, `binary {"file":"","sha256":"","url":""}: want file or url`},
		{`binary = { file = "/nowhere" }`, `binary.file "/nowhere": there is no such file`},
		{`api = { url = "http://a; rm" }`, `api.url "http://a; rm": want http://HOST:PORT`},
		{`api = { token_file = "/nowhere" }`, `api.token_file "/nowhere": there is no such file`},
		{`tokens_file = "/nowhere"`, `tokens_file "/nowhere": there is no such file`},
	}
	defaults := map[string]string{
		"node":     `node = { name = "n1", region = "eu", zone = "a", roles = ["edge"] }`,
		"cluster":  `cluster = { name = "l", voters = ["a@b:1"], join = [] }`,
		"ssh":      `ssh = { host = "192.0.2.1" }`,
		"host_key": fmt.Sprintf("host_key = %q", key),
		"pki_dir":  fmt.Sprintf("pki_dir = %q", dir),
		"binary":   `binary = { url = "https://example.com/tmms", sha256 = sha256("") }`,
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
	faults(t, tf, "ssh-host", calls)
}
