package member

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"tmms/cluster/state"
	"tmms/media"
)

// View reads a node's local copy of the state. All its methods may be called
// from any goroutine at any time; none waits for the cluster.
type View struct {
	current atomic.Pointer[revision]
	revoked atomic.Pointer[revoked]

	mu       sync.RWMutex
	state    *state.State  // guarded by mu
	ring     ring          // guarded by mu
	restored int           // guarded by mu; how often the state was replaced
	moved    chan struct{} // guarded by mu; closed by the next change, nil until asked for

	snapMu sync.Mutex    // held while a snapshot is made, never with mu
	snap   savedSnapshot // guarded by snapMu
}

// revision is a config with the channel that its successor closes.
type revision struct {
	config *state.Config
	next   chan struct{}
}

// revoked is a list of revocations with the channel that its successor closes.
type revoked struct {
	list *state.Revocations
	next chan struct{}
}

// Config is the config in force here; never nil, and cheap enough for any path.
func (v *View) Config() *state.Config { return v.current.Load().config }

// Watch gives the config in force and a channel that is closed when there is a
// later one.
func (v *View) Watch() (*state.Config, <-chan struct{}) {
	r := v.current.Load()
	return r.config, r.next
}

// WatchRevocations gives the certificates that are revoked and a channel that is
// closed when that changes.
func (v *View) WatchRevocations() (*state.Revocations, <-chan struct{}) {
	r := v.revoked.Load()
	return r.list, r.next
}

// History lists the config revisions that are kept, oldest first.
func (v *View) History() []state.Revision {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.state.History()
}

// Placement says who owns a stream; nobody does if it is an orphan.
func (v *View) Placement(key media.StreamKey) (state.Placement, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.state.Placement(key)
}

// Placements lists all placements, ordered by key.
func (v *View) Placements() []state.PlacedStream {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.state.Placements()
}

// RangePlacements gives each placement to do, in no order, until that is false. do
// holds up all changes of the copy and must not call it.
func (v *View) RangePlacements(do func(key media.StreamKey, p state.Placement) bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	v.state.Range(do)
}

// PlacementCount is the number of placements.
func (v *View) PlacementCount() int {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.state.PlacementCount()
}

// WatchPlacements gives a channel that is closed at the next change of any
// placement or node; now and then there is no change. Ask for it first, then
// read, then wait.
func (v *View) WatchPlacements() <-chan struct{} {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.movedLocked()
}

func (v *View) movedLocked() <-chan struct{} {
	if v.moved == nil {
		v.moved = make(chan struct{})
	}
	return v.moved
}

// Owners lists the nodes that own a stream, in no order.
func (v *View) Owners() []string {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.state.Owners()
}

// Orphans lists the placements that have lost their owner, in no order.
func (v *View) Orphans() []state.PlacedStream {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.state.Orphans()
}

// StandbyOf lists the streams that a node is the standby of, in no order.
func (v *View) StandbyOf(node string) []state.PlacedStream {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.state.StandbyOf(node)
}

// Nodes lists the nodes of the cluster, ordered by id.
func (v *View) Nodes() []state.Node {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.state.Nodes()
}

// Draining reports whether a node is being drained.
func (v *View) Draining(id string) bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.state.Draining(id)
}

// Drains lists the nodes that are being drained, ordered by id.
func (v *View) Drains() []state.Drain {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.state.Drains()
}

// FeatureLevel is the level that the cluster was raised to.
func (v *View) FeatureLevel() int {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.state.FeatureLevel()
}

// JoinTokens lists the tokens by which nodes may get certificates, ordered by id.
func (v *View) JoinTokens() []state.JoinToken {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.state.JoinTokens()
}

// JoinToken gives the token with that id.
func (v *View) JoinToken(id string) (state.JoinToken, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.state.JoinToken(id)
}

// Node gives the node with that id.
func (v *View) Node(id string) (state.Node, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.state.Node(id)
}

// AppliedIndex is the index of the last command that the copy has applied.
func (v *View) AppliedIndex() uint64 {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.state.Index()
}

// ClusterID is the id that the cluster was given when it began; "" before.
func (v *View) ClusterID() string {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.state.ClusterID()
}

// Epoch is the highest epoch that the copy knows.
func (v *View) Epoch() uint64 {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.state.Epoch()
}

// Initialized reports whether the cluster has begun, as far as the copy knows.
func (v *View) Initialized() bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.state.Initialized()
}

// Backup gives the whole state as bytes, see [state.State.Snapshot]; they hold the
// hashes of publish keys.
func (v *View) Backup() ([]byte, error) {
	captured, _, err := v.capture()
	if err != nil {
		return nil, err
	}
	return captured.Encode()
}

// WaitIndex returns when the copy has applied the command at index, or with an
// error when ctx ends.
func (v *View) WaitIndex(ctx context.Context, index uint64) error {
	for {
		v.mu.Lock()
		at, moved := v.state.Index(), v.movedLocked()
		v.mu.Unlock()
		if at >= index {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return fmt.Errorf("the local copy is at index %d, not yet at %d: %w", at, index, context.Cause(ctx))
		}
	}
}
