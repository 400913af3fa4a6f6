package fabric

import (
	"context"
	"sync"
	"time"

	"tmms/media"
)

const (
	// keepLook is how often it is looked whether there is a session with each.
	keepLook = time.Second
	// keepDial bounds the wait for one; the dial itself goes on without.
	keepDial = media.FabricHandshakeTimeout
)

// Keep has a session for control with each of the other nodes, dialed by either
// end, until ctx ends: who never had one can't tell that a node is silent. others
// gives them anew for each look; the first [media.MaxFabricKept] count.
func (f *Fabric) Keep(ctx context.Context, others func() []Target) error {
	ticker := time.NewTicker(keepLook)
	defer ticker.Stop()
	var dials sync.WaitGroup
	defer dials.Wait()
	dialing := make(chan struct{}, media.MaxFabricKept)
	for look := 0; ; look++ {
		for _, to := range f.missing(others(), look) {
			select {
			case dialing <- struct{}{}:
			default:
				continue // those before are still at it
			}
			dials.Go(func() {
				defer func() { <-dialing }()
				dial, cancel := context.WithTimeout(ctx, keepDial)
				defer cancel()
				_, _ = f.Session(dial, to, ALPNControl) // the next look tries again
			})
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// missing are the nodes with which there is no session. One with several addresses is
// tried at another one at each look.
func (f *Fabric) missing(others []Target, look int) (list []Target) {
	addresses := map[string][]Target{}
	var names []string
	for _, to := range others {
		if to.Name != f.Name() && (addresses[to.Name] != nil || len(names) < media.MaxFabricKept) {
			if addresses[to.Name] == nil {
				names = append(names, to.Name)
			}
			addresses[to.Name] = append(addresses[to.Name], to)
		}
	}
	for _, name := range names {
		if all := addresses[name]; !f.connected(name) {
			list = append(list, all[look%len(all)])
		}
	}
	return list
}

// connected reports whether there is a session for control with a node, dialed by
// either end.
func (f *Fabric) connected(name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := peerKey{name, ALPNControl}
	l := f.links[linkKey{key, 0}]
	return len(f.accepted[key]) > 0 || l != nil && l.session != nil && l.session.Context().Err() == nil
}
