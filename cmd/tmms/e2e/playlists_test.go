package e2e

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// playlists is what a playlist has listed over time.
type playlists struct {
	url      string
	done     chan struct{}
	names    map[uint64]string // segment name by media sequence number
	marked   map[uint64]bool   // EXT-X-DISCONTINUITY in front of it
	faults   []string
	sequence uint64 // of the last playlist
}

// watchPlaylist reads a media playlist twice a second until ctx ends.
func watchPlaylist(ctx context.Context, t *testing.T, url string) *playlists {
	t.Helper()
	p := &playlists{url: url, done: make(chan struct{}), names: map[uint64]string{}, marked: map[uint64]bool{}}
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

// check wants segments of that many epochs, at most one mark at each seam between
// them and none elsewhere.
func (p *playlists) check(t *testing.T, epochs int) {
	t.Helper()
	<-p.done
	seen := map[string]bool{}
	var before string
	for _, msn := range slices.Sorted(maps.Keys(p.names)) {
		epoch, _, _ := strings.Cut(p.names[msn], "-")
		if p.marked[msn] && (before == "" || epoch == before) {
			p.faults = append(p.faults, fmt.Sprintf("segment %s is a discontinuity", p.names[msn]))
		}
		if seen[epoch] && epoch != before {
			p.faults = append(p.faults, fmt.Sprintf("segment %s comes after one of epoch %s", p.names[msn], before))
		}
		seen[epoch], before = true, epoch
	}
	if len(p.faults) > 0 || len(seen) != epochs {
		t.Errorf("%s: %d epochs, want %d; faults %q", p.url, len(seen), epochs, p.faults)
	}
}
