package terraform

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// rented are servers as one rents them: network namespaces on one bridge, each with an
// sshd of its own. The last one is reached through the first.
type rented struct {
	*lab
	region  string
	servers map[string]server
	places  []string // network namespaces, the operator's first
}

type server struct {
	Address string   `json:"address"`
	Zone    string   `json:"zone"`
	HostKey string   `json:"host_key"`
	Port    int      `json:"ssh_port"`
	Bastion *bastion `json:"bastion,omitempty"`
}

type bastion struct {
	Host    string `json:"host"`
	Port    int    `json:"port"`
	KeyFile string `json:"key_file"`
	HostKey string `json:"host_key"`
}

const (
	sshPort   = 2222
	sshFolder = "/run/sshd" // which sshd wants to be there, and empty
)

// sshdConfig lets root in with the key of the test, and nobody else.
const sshdConfig = `
Port %d
ListenAddress %s
HostKey %s-ecdsa
HostKey %[3]s-ed25519
AuthorizedKeysFile %[4]s
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
`

// newRented makes the servers and what an operator has: a binary, certificates, a key.
func newRented(t *testing.T) (*rented, bool) {
	t.Helper()
	tf, ok := newTerraform(t)
	if !ok {
		return nil, false
	}
	dir := t.TempDir()
	// The names of nodes are this run's own: they are also names of files in root's home.
	r := &rented{region: fmt.Sprintf("r%d", os.Getpid()), servers: map[string]server{}}
	r.lab = &lab{t: t, tf: tf, cluster: "s" + r.region, dir: dir, nodes: map[string]labNode{}, vars: map[string]string{
		"region": r.region, "root": filepath.Join(dir, "hosts"), "pki_dir": filepath.Join(dir, "pki"), "drain_wait": "5s",
		"tmms": filepath.Join(dir, "tmms"), "bench": filepath.Join(dir, "tmms-bench"), "ssh_key_file": filepath.Join(dir, "key"),
	}}
	command(t, "cp", binary(t), r.vars["tmms"])
	command(t, "go", "build", "-o", r.vars["bench"], "tmms/cmd/tmms-bench")
	command(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", r.vars["ssh_key_file"])
	command(t, r.vars["tmms"], "cert", "init", "--dir", r.vars["pki_dir"])
	if err := os.Mkdir(sshFolder, 0o755); err == nil { //nolint:gosec // as sshd wants it
		t.Cleanup(func() { _ = os.Remove(sshFolder) })
	} else if !errors.Is(err, os.ErrExist) {
		t.Fatal(err)
	}
	r.network()
	for i := range 3 {
		r.rent(i + 1)
	}
	// The operator works in the network of the region's clients.
	tf.path = write(t, dir, "terraform", fmt.Sprintf("#!/bin/sh\nexec nsenter --net=/run/netns/%s %s \"$@\"\n", r.places[0], tf.path))
	if err := os.Chmod(tf.path, 0o700); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	raw, err := json.Marshal(r.servers)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(tf.dir, "examples/bare-metal"), "servers.auto.tfvars.json", fmt.Sprintf(`{"servers": %s}`, raw))
	return r, true
}

// place makes a network namespace, which goes with the test.
func (r *rented) place(name string) string {
	r.t.Helper()
	space := r.cluster + "-" + name
	command(r.t, "ip", "netns", "add", space)
	r.t.Cleanup(func() { _ = exec.CommandContext(context.Background(), "ip", "netns", "del", space).Run() })
	command(r.t, "ip", "-n", space, "link", "set", "lo", "up")
	r.places = append(r.places, space)
	return space
}

// network makes the bridge, in the namespace of the operator and of all clients.
func (r *rented) network() {
	r.t.Helper()
	space := r.place(r.region)
	command(r.t, "ip", "-n", space, "link", "add", "br0", "type", "bridge")
	command(r.t, "ip", "-n", space, "addr", "add", "10.84.0.1/24", "dev", "br0")
	command(r.t, "ip", "-n", space, "link", "set", "br0", "up")
}

// rent makes server n with its node's name and certificate.
func (r *rented) rent(n int) {
	r.t.Helper()
	name, device, address := fmt.Sprintf("%s-o%d", r.region, n), fmt.Sprintf("v%d", n), fmt.Sprintf("10.84.0.%d", 10+n)
	space := r.place(name)
	command(r.t, "ip", "-n", space, "link", "add", "eth0", "type", "veth", "peer", "name", device, "netns", r.places[0])
	command(r.t, "ip", "-n", r.places[0], "link", "set", device, "master", "br0", "up")
	command(r.t, "ip", "-n", space, "addr", "add", address+"/24", "dev", "eth0")
	command(r.t, "ip", "-n", space, "link", "set", "eth0", "up")
	key := filepath.Join(r.dir, "host-"+name)
	s := server{Address: address, Zone: string(rune('a' + n - 1)), Port: sshPort}
	for _, kind := range []string{"ed25519", "ecdsa"} {
		command(r.t, "ssh-keygen", "-q", "-t", kind, "-N", "", "-C", name, "-f", key+"-"+kind)
		raw, err := os.ReadFile(key + "-" + kind + ".pub")
		if err != nil {
			r.t.Fatal(err)
		}
		s.HostKey += string(raw)
	}
	if n == 3 {
		first := r.servers[r.region+"-o1"]
		s.Bastion = &bastion{first.Address, sshPort, r.vars["ssh_key_file"], first.HostKey}
	}
	r.servers[name] = s
	// Every one of them serves viewers, and so is an edge to the lab.
	r.nodes[name] = labNode{Namespace: space, Region: r.region, Zone: s.Zone, Kind: "edge", Address: address}
	command(r.t, r.vars["tmms"], "cert", "node", name, "--roles", "origin,edge", "--dir", r.vars["pki_dir"])
	r.listen(name, key)
}

// listen starts a server's sshd, which ends with the test.
func (r *rented) listen(name, key string) {
	r.t.Helper()
	address := r.nodes[name].Address
	config := write(r.t, r.dir, "sshd-"+name, fmt.Sprintf(sshdConfig, sshPort, address, key, r.vars["ssh_key_file"]+".pub"))
	ctx, cancel := context.WithCancel(context.Background())
	cmd := r.in(ctx, name, "/usr/sbin/sshd", "-D", "-e", "-f", config)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
		if r.t.Failed() {
			r.t.Logf("sshd of %s: %s", name, said.String())
		}
	})
	if err := r.eventually(func() error {
		return r.in(r.t.Context(), name, "ssh-keyscan", "-T", "2", "-p", strconv.Itoa(sshPort), address).Run()
	}); err != nil {
		r.t.Fatalf("%s: no sshd: %v (make deploy-deps installs it)", name, err)
	}
}

// args are lab's, for the example and with the variables that it has.
func (r *rented) args(command string, more ...string) []string {
	args := []string{command}
	if command != "plan" {
		args = append(args, "-auto-approve")
	}
	for _, name := range slices.Sorted(maps.Keys(r.vars)) {
		if name != "bench" {
			args = append(args, "-var", name+"="+r.vars[name])
		}
	}
	return append(args, more...)
}

const bareMetal = "examples/bare-metal"

// apply brings the servers to what the variables say.
func (r *rented) apply() {
	r.t.Helper()
	if out, err := r.tf.try(r.t, bareMetal, r.args("apply")...); err != nil {
		r.t.Fatalf("%v\n%s\n%s", err, out, r.logs())
	}
}

// logs are the last lines of every node.
func (r *rented) logs() string {
	var all strings.Builder
	for name := range r.nodes {
		raw, err := os.ReadFile(filepath.Join(r.vars["root"], name, "run/tmms.log"))
		fmt.Fprintf(&all, "%s: %v\n%s\n", name, err, raw[max(0, len(raw)-2000):])
	}
	return all.String()
}

// unchanged holds a plan to want nothing.
func (r *rented) unchanged() {
	r.t.Helper()
	if out, err := r.tf.try(r.t, bareMetal, r.args("plan", "-detailed-exitcode", "-out=plan.tfplan")...); err != nil {
		r.t.Errorf("a second plan wants something: %v\n%s", err, out)
	}
}

// pids are the processes of all nodes.
func (r *rented) pids() map[string]int {
	r.t.Helper()
	pids := map[string]int{}
	for name := range r.nodes {
		pids[name] = (&machine{dir: filepath.Join(r.vars["root"], name)}).pid(r.t)
	}
	return pids
}

// secretless holds plan and state to have nothing of what is secret.
func (r *rented) secretless() {
	r.t.Helper()
	texts := map[string][]byte{"the plan": []byte(r.tf.run(r.t, bareMetal, "show", "-json", "plan.tfplan"))}
	for _, name := range []string{"terraform.tfstate", "terraform.tfstate.backup"} {
		raw, err := os.ReadFile(filepath.Join(r.tf.dir, bareMetal, name))
		if err != nil {
			r.t.Fatal(err)
		}
		texts[name] = raw
	}
	secrets := r.secrets()
	for where, text := range texts {
		for _, secret := range secrets {
			if bytes.Contains(text, secret) {
				r.t.Errorf("%s has a secret of %d bytes", where, len(secret))
			}
		}
	}
}

// secrets are the lines of all files that are, those of 20 bytes and more, and what private
// keys begin with.
func (r *rented) secrets() [][]byte {
	r.t.Helper()
	paths := []string{r.vars["ssh_key_file"], filepath.Join(r.vars["pki_dir"], "gossip.key"), filepath.Join(r.vars["pki_dir"], "ca.key")}
	for name := range r.nodes {
		paths = append(paths, filepath.Join(r.vars["pki_dir"], name+".key"))
	}
	secrets := [][]byte{[]byte("PRIVATE KEY")}
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			r.t.Fatal(err)
		}
		for line := range bytes.Lines(raw) {
			if line = bytes.TrimSpace(line); len(line) >= 20 {
				secrets = append(secrets, line)
			}
		}
	}
	return secrets
}

// destroy ends the cluster, and holds it to leave nothing.
func (r *rented) destroy() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, r.tf.path, r.args("destroy")...)
	cmd.Dir, cmd.Env = filepath.Join(r.tf.dir, bareMetal), r.tf.env
	if out, err := cmd.CombinedOutput(); err != nil {
		r.t.Errorf("terraform destroy: %v\n%s\n%s", err, out, r.logs())
	}
	left := map[string]bool{}
	for _, pattern := range []string{r.vars["root"] + "/*", "/root/.tmms-" + r.region + "-*"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			r.t.Fatal(err)
		}
		for _, path := range found {
			left[path] = true
		}
	}
	for _, process := range r.processes() {
		if !strings.Contains(process, "sshd") {
			left[process] = true
		}
	}
	if len(left) > 0 {
		r.t.Errorf("destroy has left %q", slices.Collect(maps.Keys(left)))
	}
	// Whatever was left, the next test is not to find it.
	for name := range r.nodes {
		raw, err := os.ReadFile(filepath.Join(r.vars["root"], name, "run/tmms.pid"))
		var pid int
		if _, wrong := fmt.Sscan(string(raw), &pid); err == nil && wrong == nil {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}
