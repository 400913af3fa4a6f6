package watch

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// token is the one that Prometheus shows; admin is an operator's.
const (
	token = "a-token-that-may-only-read"
	admin = "a-token-that-may-do-everything"
)

// Three origins and an edge, each with a loopback address of its own.
var nodes = map[string]struct{ address, region, role string }{
	"o1": {"127.77.0.1", "eu", "origin"},
	"o2": {"127.77.0.2", "eu", "origin"},
	"o3": {"127.77.0.3", "us", "origin"},
	"e1": {"127.77.0.4", "us", "edge"},
}

const (
	adminPort = ":18090"
	rtmpPort  = ":11935"
	httpPort  = ":18080"
)

const nodeYAML = `
node: {name: %[1]s, roles: [%[2]s], region: %[3]s, data_dir: %[1]s}
listen: {rtmp: "%[4]s:11935", http: "%[5]s", fabric: "%[4]s:17400", gossip: "%[4]s:17946", admin: "%[4]s:18090"}
cluster:
  voters: [o1@127.77.0.1:17400, o2@127.77.0.2:17400, o3@127.77.0.3:17400]
  join: [127.77.0.1:17946, 127.77.0.2:17946]
  ca_file: pki/ca.crt
  cert_file: pki/%[1]s.crt
  key_file: pki/%[1]s.key
  gossip_key_file: pki/gossip.key
edge: {limits: {viewers: 1000}}
admin: {tokens_file: tokens.yaml}
`

// process is a program that runs until the test ends, or until it is killed.
type process struct {
	cmd *exec.Cmd
	log *output
}

// output keeps what a process writes. Safe from any goroutine.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

// tail is the end of what was written.
func (o *output) tail() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := o.text.String()
	return s[max(0, len(s)-4000):]
}

func begin(t *testing.T, dir, name string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(name, args...), log: &output{}}
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = dir, p.log, p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%s %s:\n%s", filepath.Base(name), strings.Join(args, " "), p.log.tail())
		}
	})
	return p
}

// kill ends it with SIGKILL, once.
func (p *process) kill() {
	if p.cmd.ProcessState == nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait() // it says that it was killed
	}
}

// startCluster starts all nodes, with tokens, puts a config in force, publishes
// live/test at o1 and plays it at e1.
func startCluster(t *testing.T) map[string]*process {
	t.Helper()
	dir := t.TempDir()
	binary := filepath.Join(dir, "tmms")
	do(t, dir, "go", "build", "-o", binary, "tmms/cmd/tmms")
	do(t, dir, binary, "cert", "init", "--dir", "pki")
	write(t, dir, "tokens.yaml", fmt.Sprintf("- {name: prometheus, role: read, token: %s}\n- {name: op, role: admin, token: %s}\n", token, admin))
	running := map[string]*process{}
	for name, n := range nodes {
		do(t, dir, binary, "cert", "node", name, "--roles", n.role, "--dir", "pki")
		web := ""
		if n.role == "edge" {
			web = n.address + httpPort
		}
		config := write(t, dir, name+".yaml", fmt.Sprintf(nodeYAML, name, n.role, n.region, n.address, web))
		running[name] = begin(t, dir, binary, "run", "--config", config)
	}
	for name, n := range nodes {
		waitFor(t, name+" to serve", func() bool {
			res, err := http.Get("http://" + n.address + adminPort + "/readyz")
			if err != nil {
				return false
			}
			_ = res.Body.Close()
			return res.StatusCode == http.StatusOK
		})
	}
	domains, err := filepath.Abs("../../docs/samples/cluster/domains.yaml")
	if err != nil {
		t.Fatal(err)
	}
	do(t, dir, "env", "TMMS_TOKEN="+admin, "TMMS_API=http://"+nodes["o2"].address+adminPort, binary, "apply", "-f", domains)
	begin(t, dir, "ffmpeg", "-nostdin", "-v", "error", "-re", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25",
		"-f", "lavfi", "-i", "sine=frequency=440", "-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-pix_fmt", "yuv420p",
		"-c:a", "aac", "-f", "flv", "rtmp://"+nodes["o1"].address+rtmpPort+"/live/test")
	play(t, "http://"+nodes["e1"].address+httpPort+"/live/test.flv")
	return running
}

// play reads a stream until the test ends, and returns when its first bytes are there.
func play(t *testing.T, url string) {
	t.Helper()
	var body io.ReadCloser
	waitFor(t, url, func() bool {
		res, err := http.Get(url)
		if err != nil {
			return false
		}
		if res.StatusCode != http.StatusOK {
			_ = res.Body.Close()
			return false
		}
		body = res.Body
		return true
	})
	if _, err := io.ReadFull(body, make([]byte, 1000)); err != nil {
		t.Fatalf("%s: %v", url, err)
	}
	var reading sync.WaitGroup
	reading.Go(func() { _, _ = io.Copy(io.Discard, body) })
	t.Cleanup(func() {
		_ = body.Close()
		reading.Wait()
	})
}

func do(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	if name != "go" {
		cmd.Dir = dir
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

// patience is how long a machine with much else to do may take.
const patience = 90 * time.Second

func waitFor(t *testing.T, what string, cond func() bool) {
	t.Helper()
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for end := time.Now().Add(patience); !cond(); <-ticker.C {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %s", what, patience)
		}
	}
}

// copyFile copies a file of the project into a folder, changed by edit.
func copyFile(t *testing.T, dir, from string, edit func(string) string) {
	t.Helper()
	write(t, dir, filepath.Base(from), edit(string(read(t, from))))
}
