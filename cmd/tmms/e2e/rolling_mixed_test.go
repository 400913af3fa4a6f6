package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What the two releases know.
const (
	levelBefore, levelNext = 2, 3 // feature levels
	relayBefore, relayNext = 2, 3 // versions of the relay's protocol
)

// Why a node of the release before ends.
const (
	laterSnapshot = "made by a later release"
	laterLevel    = "this release is too old for the cluster: it knows feature level 2, the cluster is at 3"
)

// mixed wants nothing of the next release to come into force while nodes of the one
// before are there, who are named, and streams to go between the two.
func (r *rolling) mixed() {
	r.t.Helper()
	for name, release := range r.runs {
		if release != nextRelease || !strings.HasPrefix(name, "o") { // edges may not ask for it
			continue
		}
		code, body := putNotice(r.t, name, "too early")
		if code != http.StatusConflict || !strings.Contains(body, "feature_level") {
			r.t.Errorf("%s answers the new command with %d %s", name, code, body)
		}
		said := r.sh.run(fmt.Sprintf("run/tmms raft level %d --api http://127.0.0.1:%s 2>&1 && echo raised || true", levelNext, adminPort[name]))
		for other, runs := range r.runs {
			behind := fmt.Sprintf("%s (level %d)", other, levelBefore)
			if strings.Contains(said, "raised") || strings.Contains(said, behind) != (runs == released) {
				r.t.Errorf("asked to raise the level %s says %q, %s runs %s", name, said, other, runs)
			}
		}
	}
	r.relays()
}

// relays waits until every edge has every stream, and each hop speaks what both of
// its ends know.
func (r *rolling) relays() {
	r.t.Helper()
	for _, p := range r.publishers {
		var wrong []string
		r.t.Cleanup(func() {
			if r.t.Failed() {
				r.t.Logf("%s, at last: %q", p.stream, wrong)
			}
		})
		waitFor(r.t, 30*time.Second, "all edges to have "+p.stream, func() bool {
			wrong = r.hopsOf(p.stream)
			for _, at := range edgeHTTP {
				if code, _ := get(r.t, "http://"+at+"/live/"+p.stream+"/live.m3u8"); code != http.StatusOK {
					wrong = append(wrong, fmt.Sprintf("%s answers %d", at, code))
				}
			}
			return len(wrong) == 0
		})
	}
}

// hopsOf notes which way a stream goes; it says what is not right there yet.
func (r *rolling) hopsOf(stream string) (wrong []string) {
	_, body := get(r.t, "http://127.0.0.1:"+adminPort["o1"]+"/api/v1/why?key=default/live/"+stream)
	var why struct {
		Nodes []struct {
			Name string `json:"name"`
			Pull *struct {
				State   string `json:"state"`
				Source  string `json:"source"`
				Version int    `json:"version"`
			} `json:"pull"`
		} `json:"nodes"`
	}
	if err := json.Unmarshal(body, &why); err != nil {
		return []string{err.Error()}
	}
	pulls := 0
	for _, n := range why.Nodes {
		if n.Pull == nil || n.Pull.State != "live" {
			continue
		}
		if strings.HasPrefix(n.Name, "e") {
			pulls++
		}
		want := relayBefore
		if r.runs[n.Name] == nextRelease && r.runs[n.Pull.Source] == nextRelease {
			want = relayNext
		}
		if n.Pull.Version != want {
			wrong = append(wrong, fmt.Sprintf("%s gets it from %s by version %d, not %d", n.Name, n.Pull.Source, n.Pull.Version, want))
			continue
		}
		r.hops[[2]string{r.runs[n.Pull.Source], r.runs[n.Name]}] = true
	}
	if pulls != len(edgeNames) {
		wrong = append(wrong, fmt.Sprintf("%d edges get it", pulls))
	}
	return wrong
}

// raise raises the level when all nodes know it: then the new command is there, and
// every node has what it says.
func (r *rolling) raise() {
	r.t.Helper()
	r.relays()
	api := " --api http://127.0.0.1:" + adminPort["o2"]
	if code, body := putNotice(r.t, "o1", "still too early"); code != http.StatusConflict {
		r.t.Errorf("before the level is raised the new command is answered with %d %s", code, body)
	}
	if list := r.sh.run("run/tmms.next raft level" + api); !strings.Contains(list, "at feature level 2") ||
		strings.Count(list, "+next") != len(adminPort) {
		r.t.Errorf("raft level:\n%s", list)
	}
	if list := r.sh.run(fmt.Sprintf("run/tmms.next raft level %d%s", levelNext, api)); !strings.Contains(list, "at feature level 3") {
		r.t.Errorf("raised:\n%s", list)
	}
	r.announce("maintenance at noon")
}

// announce puts a notice up, which every node must have then.
func (r *rolling) announce(text string) {
	r.t.Helper()
	if code, body := putNotice(r.t, "o1", text); code != http.StatusOK {
		r.t.Fatalf("the new command is answered with %d %s", code, body)
	}
	for name, port := range adminPort {
		waitFor(r.t, 30*time.Second, name+" to have the notice", func() bool {
			code, body := get(r.t, "http://127.0.0.1:"+port+"/api/v1/notice")
			return code == http.StatusOK && strings.Contains(string(body), text)
		})
	}
}

func putNotice(t *testing.T, node, text string) (code int, body string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://127.0.0.1:"+adminPort[node]+"/api/v1/notice",
		strings.NewReader(fmt.Sprintf(`{"notice":%q}`, text)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	var b bytes.Buffer
	_, _ = b.ReadFrom(res.Body)
	return res.StatusCode, b.String()
}

// refuseOld starts nodes of the release before, with what the next one has left them
// and with nothing: each ends, says why, and changes nothing.
func (r *rolling) refuseOld() {
	r.t.Helper()
	r.sh.run("run/tmms raft snapshot --api http://127.0.0.1:" + adminPort["o3"])
	id := r.stopped("o3")
	r.refused("o3", laterSnapshot)
	if _, err := os.Stat(filepath.Join(r.sh.dir, "run/o3/damaged")); err == nil {
		r.t.Error("o3 has set its state aside")
	}
	r.sh.run("mv run/o3 run/o3.kept")
	r.refused("o3", laterLevel)
	r.sh.run("rm -r run/o3 && mv run/o3.kept run/o3")
	r.stopped("e3")
	r.refused("e3", laterSnapshot, laterLevel) // whichever comes first
	for _, name := range []string{"o3", "e3"} {
		r.sh.launch(name, nextRelease)
		r.sh.waitReady(name)
	}
	if now := nodeID(r.t, r.sh, "o3"); now != id {
		r.t.Errorf("o3 was %s and is %s", id, now)
	}
	r.announce("all is well")
}

// stopped ends a node, and gives its id.
func (r *rolling) stopped(name string) (id string) {
	r.t.Helper()
	id = nodeID(r.t, r.sh, name)
	r.sh.signal(name, syscall.SIGTERM)
	if code := r.sh.exit(name); code != 0 {
		r.t.Errorf("%s exited with %d", name, code)
	}
	return id
}

func nodeID(t *testing.T, sh *shell, name string) string {
	t.Helper()
	id, err := os.ReadFile(filepath.Join(sh.dir, "run", name, "node.id"))
	if err != nil {
		t.Fatal(err)
	}
	return string(id)
}

// refused starts a node of the release before, which must end and say why: one of
// some reasons.
func (r *rolling) refused(name string, why ...string) {
	r.t.Helper()
	before := len(r.sh.nodeLog(name))
	r.sh.launch(name, released)
	code := r.sh.exit(name)
	said := r.sh.nodeLog(name)[before:]
	if code == 0 || !slices.ContainsFunc(why, func(w string) bool { return strings.Contains(said, w) }) {
		r.t.Errorf("%s of the release before exited with %d and said\n%s", name, code, said)
	}
}
