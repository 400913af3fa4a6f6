package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// shell is one bash that runs the quickstart's blocks as a newcomer types them.
type shell struct {
	t   *testing.T
	dir string
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
	log strings.Builder
}

func startShell(t *testing.T, dir string) *shell {
	t.Helper()
	s := &shell{t: t, dir: dir, cmd: exec.Command("bash", "-e")}
	s.cmd.Dir = dir
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	in, err := s.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.cmd.Stderr = s.cmd.Stdout
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.in, s.out = in, bufio.NewReader(out)
	t.Cleanup(func() {
		s.kill() // whatever a failed test left
		_ = s.cmd.Wait()
	})
	return s
}

func (s *shell) kill() { _ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL) }

// blockLimit bounds a block: the first builds the binary.
const blockLimit = 2 * time.Minute

// run runs a block and returns what it printed. A block that takes longer than
// blockLimit fails the test.
func (s *shell) run(block string) string {
	s.t.Helper()
	defer time.AfterFunc(blockLimit, s.kill).Stop()
	const mark = "== done =="
	if _, err := io.WriteString(s.in, block+"\necho '"+mark+"'\n"); err != nil {
		s.t.Fatalf("%s: %v\n%s", block, err, s.log.String())
	}
	var printed strings.Builder
	for {
		line, err := s.out.ReadString('\n')
		if strings.TrimSpace(line) == mark {
			return printed.String()
		}
		printed.WriteString(line)
		s.log.WriteString(line)
		if err != nil {
			s.t.Fatalf("the shell ended in:\n%s\nafter printing:\n%s%s", block, s.log.String(), s.nodeLogs())
		}
	}
}

func (s *shell) nodeLogs() string {
	var b strings.Builder
	logs, _ := filepath.Glob(filepath.Join(s.dir, "run", "*.log"))
	for _, f := range logs {
		text, _ := os.ReadFile(f)
		fmt.Fprintf(&b, "--- %s\n%s", filepath.Base(f), text[max(0, len(text)-4000):])
	}
	return b.String()
}

// nodeLog is all that a node has logged.
func (s *shell) nodeLog(name string) string {
	text, _ := os.ReadFile(filepath.Join(s.dir, "run", name+".log"))
	return string(text)
}

// copyProject copies what a fresh clone has.
func copyProject(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command("bash", "-c",
		`tar -C ../../.. --exclude=.git --exclude=.tools --exclude=node_modules --exclude=./run -cf - . | tar -C "$0" -xf -`, dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("copy: %v\n%s", err, out)
	}
	return dir
}

func quickstartBlocks(t *testing.T) []string {
	t.Helper()
	b, err := os.ReadFile("../../../docs/quickstart-cluster.md")
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for _, m := range regexp.MustCompile("(?s)```sh\n(.*?)\n```").FindAllStringSubmatch(string(b), -1) {
		blocks = append(blocks, m[1])
	}
	if len(blocks) != 6 {
		t.Fatalf("docs/quickstart-cluster.md has %d blocks, want 6", len(blocks))
	}
	return blocks
}

// buildFast makes "go build", as the quickstart has it, a copy of the binary
// that TestMain has built; TestQuickstart does the real thing.
const buildFast = `go() { cp %q run/tmms; }`

// startCluster runs the quickstart's blocks until its domain is in force and
// all six nodes serve. The nodes' logs are shown if the test fails.
func startCluster(t *testing.T) *shell {
	t.Helper()
	blocks := quickstartBlocks(t)
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "docs/samples"), os.DirFS("../../../docs/samples")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "run"), 0o755); err != nil {
		t.Fatal(err)
	}
	sh := startShell(t, dir)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(sh.nodeLogs())
		}
	})
	sh.run(fmt.Sprintf(buildFast, binary))
	for _, b := range blocks[:3] {
		sh.run(b)
	}
	for name := range adminPort {
		sh.waitReady(name)
	}
	return sh
}

func (s *shell) waitReady(name string) {
	s.t.Helper()
	waitFor(s.t, 20*time.Second, name+" to be ready", func() bool {
		code, _ := get(s.t, "http://127.0.0.1:"+adminPort[name]+"/readyz")
		return code == http.StatusOK
	})
}

// signal sends a signal to a node.
func (s *shell) signal(name string, sig syscall.Signal) {
	s.t.Helper()
	b, err := os.ReadFile(filepath.Join(s.dir, "run", name+".pid"))
	if err != nil {
		s.t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		s.t.Fatal(err)
	}
	if err := syscall.Kill(pid, sig); err != nil {
		s.t.Fatalf("%v to %s: %v", sig, name, err)
	}
}

// kill9 ends a node without a farewell.
func (s *shell) kill9(name string) {
	s.t.Helper()
	s.signal(name, syscall.SIGKILL)
	s.exit(name)
}

// exit waits for the end of a node and gives its exit code.
func (s *shell) exit(name string) int {
	s.t.Helper()
	out := s.run(fmt.Sprintf(`code=0; wait $(cat run/%s.pid) || code=$?; echo "exit $code"`, name))
	n, err := strconv.Atoi(strings.TrimSpace(out[strings.LastIndex(out, "exit ")+len("exit "):]))
	if err != nil {
		s.t.Fatalf("%s ended with %q", name, out)
	}
	return n
}

// start starts a node that has ended.
func (s *shell) start(name string) {
	s.t.Helper()
	s.launch(name, released)
	s.waitReady(name)
}

// launch starts the process of a node, which has ended, of a release.
func (s *shell) launch(name, release string) {
	s.t.Helper()
	s.run(fmt.Sprintf("run/%[2]s run --config docs/samples/cluster/%[1]s.yaml >> run/%[1]s.log 2>&1 & echo $! > run/%[1]s.pid", name, release))
}
