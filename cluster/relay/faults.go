package relay

import (
	"sync"
	"time"

	"tmms/media"
)

// A node that failed as a shield is not asked for a while, longer each time.
const (
	faultFirst  = 2 * time.Second
	faultCap    = time.Minute
	faultForget = 5 * time.Minute // behind the last one
)

// faults are the nodes that failed as shields, as this node saw it. It is safe for
// concurrent use.
type faults struct {
	mu    sync.Mutex
	nodes map[string]fault // guarded by mu; by id
}

type fault struct {
	until   time.Time
	strikes int
}

// note notes that a node has failed. All its streams fail at once, which is one fault.
func (f *faults) note(id string, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	last := f.nodes[id]
	if now.Before(last.until) {
		return
	}
	if now.Sub(last.until) > faultForget {
		last.strikes = 0
	}
	if f.nodes == nil || len(f.nodes) >= media.MaxNodes {
		f.nodes = map[string]fault{}
	}
	pause := min(faultFirst<<min(last.strikes, 16), faultCap)
	f.nodes[id] = fault{until: now.Add(pause), strikes: last.strikes + 1}
}

// barred tells that a node has failed a short while ago.
func (f *faults) barred(id string, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return now.Before(f.nodes[id].until)
}
