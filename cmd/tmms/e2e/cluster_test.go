package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
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
		_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL) // whatever a failed test left
		_ = s.cmd.Wait()
	})
	return s
}

// run runs a block and returns what it printed.
func (s *shell) run(block string) string {
	s.t.Helper()
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

// Addresses of the quickstart's table.
var (
	edgeHTTP  = []string{"127.0.0.1:8084", "127.0.0.1:8085", "127.0.0.1:8086"}
	edgeRTMP  = []string{"127.0.0.1:19354", "127.0.0.1:19355", "127.0.0.1:19356"}
	adminPort = map[string]string{"o1": "8191", "o2": "8192", "o3": "8193", "e1": "8194", "e2": "8195", "e3": "8196"}
)

// TestQuickstart runs docs/quickstart-cluster.md block by block and watches on
// every edge by every protocol.
//
// Requirement: C1 C2 C4 C5 C6
func TestQuickstart(t *testing.T) {
	blocks := quickstartBlocks(t)
	sh := startShell(t, copyProject(t))
	sh.run(blocks[0])
	sh.run(blocks[1])
	nodes := sh.run(blocks[2])
	for name := range adminPort {
		if !strings.Contains(nodes, name) {
			t.Errorf("get nodes does not list %s:\n%s", name, nodes)
		}
	}
	sh.run(blocks[3])
	t.Run("every edge plays by every protocol", func(t *testing.T) { watchEverywhere(t, "test") })
	t.Run("HLS is the same on every edge", func(t *testing.T) { sameHLS(t, "test") })
	t.Run("every node shows the same cluster", sameMembers)
	listing := sh.run(blocks[4])
	if !strings.Contains(listing, "default/live/test") {
		t.Errorf("get streams on an edge does not list the stream:\n%s", listing)
	}
	sh.run(blocks[5])
	exits := sh.run(`for p in run/[oe]?.pid; do code=0; wait $(cat $p) || code=$?; echo "$(basename $p .pid) exit $code"; done`)
	if strings.Count(exits, "exit 0") != len(adminPort) {
		t.Errorf("after SIGTERM:\n%s%s", exits, sh.nodeLogs())
	}
	if t.Failed() {
		t.Log(sh.nodeLogs())
	}
}

func watchEverywhere(t *testing.T, stream string) {
	t.Helper()
	var wg sync.WaitGroup
	for i := range edgeHTTP {
		for _, url := range []string{
			"rtmp://" + edgeRTMP[i] + "/live/" + stream,
			"http://" + edgeHTTP[i] + "/live/" + stream + ".flv",
			"http://" + edgeHTTP[i] + "/live/" + stream + ".m3u8",
		} {
			wg.Go(func() {
				got, err := decode(t, url, 4*time.Second)
				if err != nil || got.video < 80 || got.audio < 120 {
					t.Errorf("%s: %+v, %v", url, got, err)
				}
			})
		}
	}
	wg.Wait()
}

// sameHLS compares playlists with an equal last segment, and all their
// segments, over the edges, asking them in turn.
func sameHLS(t *testing.T, stream string) {
	t.Helper()
	playlists := map[string]string{} // by the last segment's name
	segments := map[string]string{}
	for round := range 6 {
		host := edgeHTTP[round%len(edgeHTTP)]
		base := "http://" + host + "/live/" + stream + "/"
		code, body := get(t, base+"live.m3u8")
		if code != http.StatusOK {
			t.Fatalf("%slive.m3u8: %d", base, code)
		}
		names := regexp.MustCompile(`(?m)^[0-9-]+\.ts$`).FindAllString(string(body), -1)
		if len(names) == 0 {
			t.Fatalf("no segments in\n%s", body)
		}
		last := names[len(names)-1]
		if before, ok := playlists[last]; ok && before != string(body) {
			t.Errorf("two playlists end with %s:\n%s\n%s", last, before, body)
		}
		playlists[last] = string(body)
		for i, name := range names {
			other := "http://" + edgeHTTP[(round+i)%len(edgeHTTP)] + "/live/" + stream + "/" + name
			code, segment := get(t, other)
			if code != http.StatusOK {
				t.Errorf("%s: %d", other, code)
			}
			if before, ok := segments[name]; ok && before != string(segment) {
				t.Errorf("%s differs between edges", name)
			}
			segments[name] = string(segment)
		}
	}
}

// members are the names and states that a node lists.
func members(t *testing.T, port string) []string {
	t.Helper()
	code, body := get(t, "http://127.0.0.1:"+port+"/api/v1/nodes")
	if code != http.StatusOK {
		return []string{fmt.Sprintf("status %d", code)}
	}
	var list struct {
		Nodes []struct {
			Name  string `json:"name"`
			State string `json:"state"`
		} `json:"nodes"`
	}
	if err := json.Unmarshal(body, &list); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, n := range list.Nodes {
		names = append(names, n.Name+" "+n.State)
	}
	slices.Sort(names)
	return names
}

func sameMembers(t *testing.T) {
	want := []string{"e1 alive", "e2 alive", "e3 alive", "o1 alive", "o2 alive", "o3 alive"}
	for name, port := range adminPort {
		waitFor(t, 15*time.Second, name+" to see all members alive", func() bool {
			return slices.Equal(members(t, port), want)
		})
	}
}

// clusterViewers is the number of viewers that e1 counts over the cluster.
func clusterViewers(t *testing.T) int {
	t.Helper()
	_, body := get(t, "http://127.0.0.1:"+adminPort["e1"]+"/api/v1/viewers")
	var list struct {
		Total int `json:"total"`
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return 0
	}
	return list.Total
}

// leaderOf is the leader that a node's admin port names; "" if it knows none.
func leaderOf(t *testing.T, port string) string {
	t.Helper()
	_, body := get(t, "http://127.0.0.1:"+port+"/api/v1/nodes")
	var list struct {
		Nodes []struct {
			Name   string `json:"name"`
			Leader bool   `json:"leader"`
		} `json:"nodes"`
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return ""
	}
	for _, n := range list.Nodes {
		if n.Leader {
			return n.Name
		}
	}
	return ""
}
