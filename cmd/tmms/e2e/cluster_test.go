package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Addresses of the quickstart's table.
var (
	edgeHTTP = []string{"127.0.0.1:8084", "127.0.0.1:8085", "127.0.0.1:8086"}
	edgeRTMP = []string{"127.0.0.1:19354", "127.0.0.1:19355", "127.0.0.1:19356"}

	originRTMP = map[string]string{"o1": "127.0.0.1:19351", "o2": "127.0.0.1:19352", "o3": "127.0.0.1:19353"}
	adminPort  = map[string]string{"o1": "8191", "o2": "8192", "o3": "8193", "e1": "8194", "e2": "8195", "e3": "8196"}
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
	t.Run("every node says why it plays", func(t *testing.T) { whyEverywhere(t, sh) })
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

// whyEverywhere asks each node about the stream that all edges have just played.
func whyEverywhere(t *testing.T, sh *shell) {
	t.Helper()
	owner := regexp.MustCompile(`(?m)^placement: owner (o[1-3]) \(alive\), epoch [0-9]+,`)
	pulls := regexp.MustCompile(`(?m)^e[1-3]:\n(  .*\n)*  pulls it from (o[1-3]|e[1-3], a shield) \(live\).*\n  hop [12]: way [0-9.]+ ms ± `)
	owners := map[string]bool{}
	for name, port := range adminPort {
		out := sh.run("run/tmms why live/test --api http://127.0.0.1:" + port)
		match := owner.FindStringSubmatch(out)
		if !strings.HasPrefix(out, "default/live/test is playing\n") || match == nil || !pulls.MatchString(out) ||
			strings.Contains(out, "problem:") || strings.Contains(out, "no answer from") {
			t.Errorf("%s says\n%s", name, out)
			continue
		}
		owners[match[1]] = true
	}
	if len(owners) != 1 {
		t.Errorf("the owners are %v", owners)
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
		var got []string
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("%s sees %q", name, got)
			}
		})
		waitFor(t, 15*time.Second, name+" to see all members alive", func() bool {
			got = members(t, port)
			return slices.Equal(got, want)
		})
	}
}

// sentAt is what a node has sent to its viewers of a protocol, in bytes.
func sentAt(t *testing.T, name, proto string) (bytes int64) {
	t.Helper()
	_, body := get(t, "http://127.0.0.1:"+adminPort[name]+"/api/v1/viewers?local=true")
	var list struct {
		Viewers []struct {
			Proto string `json:"proto"`
			Sent  int64  `json:"sent_bytes"`
		} `json:"viewers"`
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return 0 // it has just been killed, or starts
	}
	for _, v := range list.Viewers {
		if v.Proto == proto {
			bytes += v.Sent
		}
	}
	return bytes
}

// placed is a stream as a node's API lists it.
type placed struct {
	Key       string `json:"key"`
	State     string `json:"state"`
	Epoch     uint64 `json:"epoch"`
	Run       uint32 `json:"run"`
	Owner     string `json:"owner_name"`
	Publisher *struct {
		Remote string `json:"remote"`
	} `json:"publisher"`
}

// stream is default/live/NAME as a node's API lists it; the zero value if not.
func stream(t *testing.T, node, name string) placed {
	t.Helper()
	_, body := get(t, "http://127.0.0.1:"+adminPort[node]+"/api/v1/streams")
	var list struct {
		Streams []placed `json:"streams"`
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return placed{}
	}
	for _, s := range list.Streams {
		if s.Key == "default/live/"+name {
			return s
		}
	}
	return placed{}
}

// leaderOf is the leader that a node's admin port names; "" if it knows none.
func leaderOf(t *testing.T, port string) string {
	t.Helper()
	_, body := get(t, "http://127.0.0.1:"+port+"/api/v1/nodes?local=true")
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
