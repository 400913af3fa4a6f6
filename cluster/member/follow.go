package member

import (
	"sort"

	"tmms/cluster/state"
)

const (
	// ringEntries is how many commands are kept for those who follow.
	ringEntries = 8192
	// ringBytes bounds the commands that are kept; configs may be large.
	ringBytes = 64 << 20
	// batchEntries and batchBytes bound what Since gives at once.
	batchEntries = 256
	batchBytes   = 1 << 20
)

// Change is a step of the state: the command at Index, or the whole state as of
// Index if Snapshot is set. Neither may be modified.
type Change struct {
	Index    uint64
	Command  []byte
	Snapshot []byte
}

// Since gives what a copy of the cluster clusterID at index from has to apply
// next, in order, a bounded part of it at a time: the commands, if they are all
// still known, or else a snapshot. If there is nothing yet, next is closed as
// soon as there may be. A copy of another cluster gets a snapshot.
func (v *View) Since(clusterID string, from uint64) (changes []Change, next <-chan struct{}, err error) {
	changes, next, ok := v.known(clusterID, from)
	if ok {
		return changes, next, nil
	}
	c, err := v.snapshot()
	if err != nil {
		return nil, nil, err
	}
	return []Change{c}, nil, nil
}

// known is Since without a snapshot; false if one is needed.
func (v *View) known(clusterID string, from uint64) (changes []Change, next <-chan struct{}, ok bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	stranger := from > 0 && clusterID != v.state.ClusterID() && v.state.Initialized()
	switch {
	case stranger, from < v.ring.floor:
		return nil, nil, false
	case from >= v.state.Index():
		return nil, v.movedLocked(), true
	}
	return v.ring.after(from), nil, true
}

// savedSnapshot is the last snapshot that was given; many who begin to follow
// at once share it, and take the commands since from the ring.
type savedSnapshot struct {
	index    uint64
	restored int
	bytes    []byte
}

// snapshot gives the whole state, of now or of a little while ago. It is made while
// nobody waits for the state, by one at a time.
func (v *View) snapshot() (Change, error) {
	v.snapMu.Lock()
	defer v.snapMu.Unlock()
	if !v.snapshotServes() {
		captured, restored, err := v.capture()
		if err != nil {
			return Change{}, err
		}
		b, err := captured.Encode()
		if err != nil {
			return Change{}, err
		}
		v.snap = savedSnapshot{index: captured.Index(), restored: restored, bytes: b}
	}
	return Change{Index: v.snap.index, Snapshot: v.snap.bytes}, nil
}

// snapshotServes tells whether the saved snapshot will do. v.snapMu is held.
func (v *View) snapshotServes() bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	s := v.snap
	known := s.bytes != nil && s.restored == v.restored
	return known && s.index >= v.ring.floor && v.state.Index()-s.index <= ringEntries/8
}

// capture gives the state of this moment, and how often it was replaced before.
func (v *View) capture() (c state.Capture, restored int, err error) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	c, err = v.state.Capture()
	return c, v.restored, err
}

// ring keeps the last commands: all after floor.
type ring struct {
	floor   uint64
	entries []entry // in the order of their indexes
	bytes   int
}

type entry struct {
	index   uint64
	command []byte
}

func (r *ring) add(e entry) {
	r.entries = append(r.entries, e)
	r.bytes += len(e.command)
	for len(r.entries) > ringEntries || r.bytes > ringBytes {
		r.floor = r.entries[0].index
		r.bytes -= len(r.entries[0].command)
		r.entries[0] = entry{}
		r.entries = r.entries[1:]
	}
}

// after gives the first commands after an index that is not below floor.
func (r *ring) after(index uint64) []Change {
	first := sort.Search(len(r.entries), func(i int) bool { return r.entries[i].index > index })
	var list []Change
	size := 0
	for _, e := range r.entries[first:] {
		if len(list) == batchEntries || (size > 0 && size+len(e.command) > batchBytes) {
			break
		}
		list = append(list, Change{Index: e.index, Command: e.command})
		size += len(e.command)
	}
	return list
}
