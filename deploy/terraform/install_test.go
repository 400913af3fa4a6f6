package terraform

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// machine is a host below a folder, on which the install script runs a node for real.
type machine struct {
	dir, lib string
}

// install runs the script as it was rendered, for another binary if sum is not empty.
func (m *machine) install(t *testing.T, sum, url string, args ...string) (string, error) {
	t.Helper()
	script := filepath.Join(m.lib, "install.sh")
	raw, err := os.ReadFile(script)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.SplitSeq(string(raw), "\n") {
		switch {
		case strings.HasPrefix(line, "SHA256='"):
			line = "SHA256='" + sum + "'"
		case strings.HasPrefix(line, "URL='"):
			line = "URL='" + url + "'"
		}
		lines = append(lines, line)
	}
	write(t, m.lib, "install.sh", strings.Join(lines, "\n"))
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "bash", append([]string{script}, args...)...).CombinedOutput()
	return string(out), err
}

func (m *machine) must(t *testing.T, sum, url string, args ...string) {
	t.Helper()
	if out, err := m.install(t, sum, url, args...); err != nil {
		log, _ := os.ReadFile(filepath.Join(m.dir, "run/tmms.log"))
		t.Fatalf("install.sh %s: %v\n%s\n%s", strings.Join(args, " "), err, out, log)
	}
}

// pid is the node's process.
func (m *machine) pid(t *testing.T) int {
	t.Helper()
	pid, err := m.process()
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func (m *machine) process() (int, error) {
	raw, err := os.ReadFile(filepath.Join(m.dir, "run/tmms.pid"))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(raw)))
}

// kill ends the node, if there is one.
func (m *machine) kill() {
	if pid, err := m.process(); err == nil {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// freePorts gives n ports of the loopback that nobody has at the moment, for UDP and TCP.
func freePorts(t *testing.T, n int) (ports []int) {
	t.Helper()
	for len(ports) < n {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		port := l.Addr().(*net.TCPAddr).Port
		u, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		defer closing(u)
		ports = append(ports, port)
	}
	return ports
}

func closing(c io.Closer) { _ = c.Close() }

func sumOf(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer closing(f)
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// newMachine renders a cluster of one origin, puts its files below a folder and gives
// it a certificate.
func newMachine(t *testing.T, tf *terraform, tmms, sum string) *machine {
	t.Helper()
	p := freePorts(t, 4)
	m := &machine{dir: filepath.Join(t.TempDir(), "n1")}
	tf.root(t, "machine", fmt.Sprintf(`
module "host" {
  source       = "../modules/user-data"
  init         = "none"
  drain_wait   = "1s"
  root         = %q
  node         = { name = "n1", region = "eu", zone = "a", roles = ["origin", "edge"], address = "127.0.0.1", host = "127.0.0.1" }
  cluster      = { name = "live", voters = ["n1@127.0.0.1:%d"], join = ["127.0.0.1:%d"], gossip_preset = "lan" }
  binary       = { sha256 = %q }
  admin_listen = "127.0.0.1:%d"
  config = {
    listen    = { rtmp = "127.0.0.1:0", http = "127.0.0.1:%d", fabric = "127.0.0.1:%d", gossip = "127.0.0.1:%d" }
    advertise = { rtmp = "", http = "", fabric = "127.0.0.1:%d", gossip = "127.0.0.1:%d" }
  }
}
output "host" { value = module.host }
`, m.dir, p[0], p[1], sum, p[2], p[3], p[0], p[1], p[0], p[1]), nil)
	var h rendered
	tf.outputs(t, "machine", "host", &h)
	for path, content := range h.Files {
		write(t, "/", path, content)
	}
	m.lib = h.Paths["lib"]
	pki(t, tmms, h.Paths["pki"], "n1", "origin,edge")
	t.Cleanup(m.kill)
	return m
}

// TestInstall runs the install script for real: a first start, a second run that touches
// nothing, a new release over HTTP that is drained for, and faults that leave the
// running node alone.
//
// Requirement: C7.
func TestInstall(t *testing.T) {
	tf, ok := newTerraform(t)
	if !ok {
		return
	}
	first := binary(t)
	raw, err := os.ReadFile(first)
	if err != nil {
		t.Fatal(err)
	}
	second := write(t, t.TempDir(), "tmms", string(raw)+"another release")
	m := newMachine(t, tf, first, sumOf(t, first))

	m.must(t, sumOf(t, first), "", "--binary", first, "--wait", "120")
	pid := m.pid(t)
	m.must(t, sumOf(t, first), "", "--wait", "120")
	if now := m.pid(t); now != pid {
		t.Errorf("a second run has replaced process %d by %d", pid, now)
	}

	// Case: a file that is not what was asked for.
	wrong := strings.Repeat("0", 64)
	if out, failed := m.install(t, wrong, "", "--binary", first); failed == nil || !strings.Contains(out, "want "+wrong) {
		t.Errorf("a wrong binary: %v, %s", failed, out)
	}
	if err = syscall.Kill(pid, 0); err != nil {
		t.Errorf("a wrong binary has ended the node: %v", err)
	}

	answers := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if answers++; answers == 1 { // the first try fails
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		http.ServeFile(w, r, second)
	}))
	defer server.Close()
	m.must(t, sumOf(t, second), server.URL+"/tmms", "--drain", "--wait", "120")
	if now := m.pid(t); now == pid {
		t.Errorf("a new release has left process %d", pid)
	}
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", m.pid(t)))
	if err != nil || sumOf(t, exe) != sumOf(t, second) {
		t.Errorf("the node runs %s, %v: want the new release", exe, err)
	}
	kept, err := filepath.Glob(filepath.Join(m.lib, "tmms-*"))
	if err != nil || len(kept) != 2 {
		t.Errorf("releases %q, %v: want the new one and the one before", kept, err)
	}

	pid = m.pid(t)
	node := filepath.Join(m.dir, "etc/tmms/node.yaml")
	if raw, err = os.ReadFile(node); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Dir(node), "node.yaml", strings.Replace(string(raw), `"zone": "a"`, `"zone": ".a"`, 1))
	if out, err := m.install(t, sumOf(t, second), ""); err == nil || !strings.Contains(out, "the running node was not touched") {
		t.Errorf("a faulty node.yaml: %v, %s", err, out)
	}
	if err := syscall.Kill(pid, 0); err != nil {
		t.Errorf("a faulty node.yaml has ended the node: %v", err)
	}
}
