package fabric

import (
	"context"
	"sync"
	"time"

	"tmms/cluster/pki"
	"tmms/media"
)

// hearing is when something last came from each of the origins: what the death of
// one is judged by. It outlives the sessions.
type hearing struct {
	mu     sync.Mutex
	looked time.Time            // guarded by mu: at the sessions
	at     map[string]time.Time // guarded by mu; by name
	quiet  map[string]bool      // guarded by mu; it came on a quiet session
}

// ear is how many packets had come on a session when it was last looked at. It
// belongs to the goroutine that listens.
type ear map[*Session]uint64

// hearingLook is how often the sessions are looked at: what has come is known so
// much later at most.
const hearingLook = 100 * time.Millisecond

// Heard gives when something last came from an origin of that name on any session,
// and how long it was silent then until the sessions were last looked at, less what a
// quiet session is silent for anyway if it was one that it came on. Time in
// which this process did not run is not silence: it moves the first as it goes on.
// false: it never had a session with this node, or long ago.
func (f *Fabric) Heard(name string) (at time.Time, silent time.Duration, ok bool) {
	h := &f.hearing
	h.mu.Lock()
	defer h.mu.Unlock()
	if at, ok = h.at[name]; ok {
		silent = h.looked.Sub(at)
		if h.quiet[name] {
			silent -= media.FabricQuietKeepAlive
		}
		silent = max(silent, 0)
	}
	return at, silent, ok
}

// hear looks at the sessions with origins until ctx ends.
func (f *Fabric) hear(ctx context.Context) {
	ticker := time.NewTicker(hearingLook)
	defer ticker.Stop()
	ears := ear{}
	f.hearing.note(nil, time.Now())
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		ears = f.hearing.listen(ears, f.originSessions(), time.Now())
	}
}

// originSessions are those whose other end may own streams.
func (f *Fabric) originSessions() []*Session {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := f.sessions()
	origins := all[:0]
	for _, s := range all {
		if s.peer.Has(pki.RoleOrigin) {
			origins = append(origins, s)
		}
	}
	return origins
}

// listen looks at the sessions once.
func (h *hearing) listen(before ear, open []*Session, now time.Time) ear {
	ears, heard := make(ear, len(open)), make(map[string]bool, len(open))
	for _, s := range open {
		packets := s.conn.ConnectionStats().PacketsReceived
		ears[s] = packets
		if was, known := before[s]; !known || packets != was {
			lately, other := heard[s.peer.Name]
			heard[s.peer.Name] = s.quiet && (lately || !other)
		}
	}
	h.note(heard, now)
	return ears
}

// note takes the names of those of whom something has come since the last look, and
// whether that was on quiet sessions only. What
// this process has slept between two looks is taken off all silences: what the others
// have said meanwhile is still to be read.
func (h *hearing) note(heard map[string]bool, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	slept := time.Duration(0)
	if !h.looked.IsZero() {
		slept = now.Sub(h.looked) - hearingLook
	}
	h.looked = now
	for name, at := range h.at {
		if slept > hearingLook {
			h.at[name] = at.Add(slept)
		}
		if now.Sub(at) > peerForget {
			delete(h.at, name)
			delete(h.quiet, name)
		}
	}
	for name, quiet := range heard {
		if _, known := h.at[name]; known || len(h.at) < media.MaxNodes {
			h.at[name], h.quiet[name] = now, quiet
		}
	}
}
