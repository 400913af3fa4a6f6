package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tmms/media/flv"
	"tmms/media/rtmp"
)

var originRTMP = map[string]string{"o1": "127.0.0.1:19351", "o2": "127.0.0.1:19352", "o3": "127.0.0.1:19353"}

// kill9 ends a node of the quickstart without a farewell.
func (s *shell) kill9(name string) {
	s.t.Helper()
	b, err := os.ReadFile(filepath.Join(s.dir, "run", name+".pid"))
	if err != nil {
		s.t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		s.t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		s.t.Fatalf("kill %s: %v", name, err)
	}
}

func (s *shell) restart(name string) {
	s.t.Helper()
	s.run(fmt.Sprintf("run/tmms run --config docs/samples/cluster/%[1]s.yaml >> run/%[1]s.log 2>&1 & echo $! > run/%[1]s.pid", name))
	waitFor(s.t, 20*time.Second, name+" to be ready again", func() bool {
		code, _ := get(s.t, "http://127.0.0.1:"+adminPort[name]+"/readyz")
		return code == http.StatusOK
	})
}

// leader is the node that leads, as e1 knows it.
func leader(t *testing.T) string {
	t.Helper()
	name := ""
	waitFor(t, 15*time.Second, "a leader", func() bool {
		name = leaderOf(t, adminPort["e1"])
		return name != ""
	})
	return name
}

// watcher collects what a viewer gets until the test ends it.
type watcher struct {
	url    string
	tags   []flv.Tag
	closed bool
	err    error
}

// TestClusterFaults kills each kind of node once under a running stream: a
// leader that owns nothing, an edge, and the owner, whose publisher comes back
// to another origin.
//
// Requirement: S6
func TestClusterFaults(t *testing.T) {
	blocks := quickstartBlocks(t)
	sh := startShell(t, copyProject(t))
	for _, b := range blocks[:3] {
		sh.run(b)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(sh.nodeLogs())
		}
	})
	first := leader(t)
	var owner, third string
	for name := range originRTMP {
		switch {
		case name == first:
		case owner == "":
			owner = name
		default:
			third = name
		}
	}
	tags := readFLV(t, "av.flv")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	watchers := []*watcher{
		{url: "http://" + edgeHTTP[0] + "/live/roam.flv"},
		{url: "http://" + edgeHTTP[1] + "/live/roam.flv"},
		{url: "rtmp://" + edgeRTMP[1] + "/live/roam"},
	}
	// A player waits 10 s for a publisher, so the publisher comes first.
	p, refused := dialPush(t, "rtmp://"+originRTMP[owner]+"/live/roam", rtmp.OrderFFmpeg)
	if refused != nil {
		t.Fatalf("refused: %+v", refused)
	}
	p.mayFail = true
	for _, w := range watchers {
		wg.Go(func() {
			if strings.HasPrefix(w.url, "rtmp") {
				w.tags, w.closed, w.err = watchRTMP(ctx, w.url)
			} else {
				w.tags, w.closed, w.err = watchFLV(ctx, w.url)
			}
		})
	}
	pushed := make(chan struct{})
	go func() {
		defer close(pushed)
		p.play(tags, 0, 14*time.Second)
	}()
	hls := watchPlaylist(ctx, t, "http://"+edgeHTTP[1]+"/live/roam/live.m3u8")
	waitFor(t, 10*time.Second, "the viewers", func() bool { return clusterViewers(t) >= len(watchers) })

	sh.kill9(first) // the leader, which owns no stream
	<-time.After(2 * time.Second)
	sh.kill9("e3") // an edge with nobody on it
	<-pushed
	sh.restart(first)
	sh.restart("e3")

	sh.kill9(owner)
	p.cut()
	var again *pusher
	waitFor(t, 40*time.Second, "another origin to take the stream", func() bool {
		next, no, err := tryPush(t, "rtmp://"+originRTMP[third]+"/live/roam", rtmp.OrderFFmpeg)
		if err != nil || no != nil {
			return false
		}
		again = next
		return true
	})
	again.play(tags, 0, 9*time.Second)
	sh.restart(owner)
	again.cut()
	cancel()
	wg.Wait()
	for _, w := range watchers {
		if w.err != nil || w.closed {
			t.Errorf("%s: closed %v, %v", w.url, w.closed, w.err)
			continue
		}
		const lost = 40_000 // ms between the owner's death and the new claim, at most
		checkOneClock(t, w.url, tags, w.tags, 2, lost)
	}
	hls.check(t)
	sh.run("kill $(cat run/[oe]?.pid)")
}

// playlists is what a playlist has listed over time.
type playlists struct {
	done     chan struct{}
	names    map[uint64]string // segment name by media sequence number
	marked   map[uint64]bool   // EXT-X-DISCONTINUITY in front of it
	faults   []string
	sequence uint64 // of the last playlist
}

// watchPlaylist reads a media playlist twice a second until ctx ends.
func watchPlaylist(ctx context.Context, t *testing.T, url string) *playlists {
	t.Helper()
	p := &playlists{done: make(chan struct{}), names: map[uint64]string{}, marked: map[uint64]bool{}}
	go func() {
		defer close(p.done)
		for ctx.Err() == nil {
			if code, body := get(t, url); code == http.StatusOK {
				p.read(string(body))
			}
			select {
			case <-time.After(500 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	}()
	return p
}

func (p *playlists) read(list string) {
	var msn uint64
	mark := false
	for line := range strings.Lines(list) {
		line = strings.TrimSpace(line)
		if n, ok := strings.CutPrefix(line, "#EXT-X-MEDIA-SEQUENCE:"); ok {
			msn, _ = strconv.ParseUint(n, 10, 64)
			if msn < p.sequence {
				p.faults = append(p.faults, fmt.Sprintf("MEDIA-SEQUENCE fell from %d to %d", p.sequence, msn))
			}
			p.sequence = msn
		}
		mark = mark || line == "#EXT-X-DISCONTINUITY"
		if strings.HasPrefix(line, "#") || line == "" {
			continue
		}
		if before, ok := p.names[msn]; ok && before != line {
			p.faults = append(p.faults, fmt.Sprintf("segment %d was %s and is %s", msn, before, line))
		}
		p.names[msn], p.marked[msn] = line, mark
		msn, mark = msn+1, false
	}
}

// check wants segments of two epochs, and one mark between them at most.
func (p *playlists) check(t *testing.T) {
	t.Helper()
	<-p.done
	epochs, marks := map[string]bool{}, 0
	for msn, name := range p.names {
		epoch, _, _ := strings.Cut(name, "-")
		epochs[epoch] = true
		if p.marked[msn] {
			marks++
		}
	}
	if len(p.faults) > 0 || len(epochs) != 2 || marks > 1 {
		t.Errorf("HLS: %d epochs, %d discontinuities, faults %q", len(epochs), marks, p.faults)
	}
}
