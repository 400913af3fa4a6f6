package e2e

import (
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// TestLowLatencyIsTheSameOnEveryEdge has players that follow ll.m3u8 by blocking
// reload: some on one edge each, some on another one with each request. There is
// one playlist of each version, one content of each file, and nothing that a
// playlist lists or hints at is a 404 anywhere.
//
// Requirement: C6 (LL-HLS)
func TestLowLatencyIsTheSameOnEveryEdge(t *testing.T) {
	blocks := quickstartBlocks(t)
	sh := startCluster(t)
	sh.run(`sed -i 's/enabled: true/enabled: true, low_latency: true/' docs/samples/cluster/domains.yaml
run/tmms apply -f docs/samples/cluster/domains.yaml`)
	sh.run(blocks[3])
	seen := &lowSeen{t: t, playlists: map[string]string{}, files: map[string]string{}}
	var wg sync.WaitGroup
	for i := range edgeHTTP {
		wg.Go(func() { seen.follow(i, 0) })
		wg.Go(func() { seen.follow(i, 1) })
	}
	wg.Wait()
	if len(seen.playlists) < 50 || len(seen.files) < 50 {
		t.Errorf("%d playlists, %d files", len(seen.playlists), len(seen.files))
	}
	sh.run(blocks[5])
}

// lowSeen is what players have got.
type lowSeen struct {
	t *testing.T

	mu sync.Mutex
	// Guarded by mu.
	playlists map[string]string // by the part that they hint at
	files     map[string]string
}

var (
	hintTag  = regexp.MustCompile(`#EXT-X-PRELOAD-HINT:TYPE=PART,URI="(\d+-(\d+)\.(\d+)\.m4s)"`)
	fileName = regexp.MustCompile(`\d+-\d+(\.\d+)?\.m4s|init-\d+-\d+\.mp4`)
)

// follow plays from the edge, and with each request from the hop-th next one.
func (s *lowSeen) follow(edge, hop int) {
	at := func() string {
		edge = (edge + hop) % len(edgeHTTP)
		return "http://" + edgeHTTP[edge] + "/live/test/"
	}
	known := map[string]bool{}
	query := ""
	for range 60 {
		url := at() + "ll.m3u8" + query
		code, body := get(s.t, url)
		hint := hintTag.FindStringSubmatch(string(body))
		if code != http.StatusOK || hint == nil {
			s.t.Errorf("%s: %d\n%s", url, code, body)
			return
		}
		s.same(s.playlists, hint[1], url, string(body))
		query = "?_HLS_msn=" + hint[2] + "&_HLS_part=" + hint[3]
		for _, name := range fileName.FindAllString(string(body), -1) {
			if known[name] || name == hint[1] && hop == 0 { // they ask for the playlist at once
				continue
			}
			known[name] = true
			url := at() + name
			code, body := get(s.t, url)
			if code != http.StatusOK {
				s.t.Errorf("%s: %d %s", url, code, body)
			}
			s.same(s.files, name, url, string(body))
		}
	}
}

// same holds that there is one content of a name.
func (s *lowSeen) same(of map[string]string, name, url, content string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if before, ok := of[name]; ok && before != content {
		s.t.Errorf("%s differs from what another edge has:\n%.2000s\n%.2000s", url,
			strings.ToValidUTF8(before, "."), strings.ToValidUTF8(content, "."))
	}
	of[name] = content
}
