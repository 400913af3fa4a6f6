package relay

import (
	"sync"

	"tmms/media"
)

// tenants counts the streams that each node has open here, over all its sessions:
// one that has gone wrong, or is hostile, must not cost the others their memory.
type tenants struct {
	mu      sync.Mutex
	streams map[string]int // guarded by mu; by name, no zeros
}

func newTenants() *tenants { return &tenants{streams: make(map[string]int)} }

// enter lets a node have one stream more, unless it has too many; each needs one leave.
func (t *tenants) enter(name string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.streams[name] >= media.MaxRelayPeerStreams {
		return false
	}
	t.streams[name]++
	return true
}

func (t *tenants) leave(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.streams[name]--; t.streams[name] == 0 {
		delete(t.streams, name)
	}
}
