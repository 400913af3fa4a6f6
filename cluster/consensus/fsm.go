package consensus

import (
	"errors"
	"fmt"
	"io"

	"github.com/hashicorp/raft"

	"tmms/cluster/state"
)

// fsm is the node as raft sees it; raft calls it from one goroutine.
type fsm struct{ n *Node }

// Apply implements raft.FSM.
func (f fsm) Apply(l *raft.Log) any { return f.n.applyEntry(l) }

// StoreConfiguration implements raft.ConfigurationStore. Raft keeps it itself; with
// this it counts changes of the group as applied, and can snapshot right after one.
func (f fsm) StoreConfiguration(uint64, raft.Configuration) {}

// Snapshot implements raft.FSM.
func (f fsm) Snapshot() (raft.FSMSnapshot, error) { return f.n.snapshotState() }

// Restore implements raft.FSM.
func (f fsm) Restore(r io.ReadCloser) error { return f.n.restoreState(r) }

func (n *Node) applyEntry(l *raft.Log) any {
	result, err := n.copy.Apply(l.Index, l.Data)
	if err != nil {
		n.fail(err)
		return err
	}
	n.checkLevel()
	return result
}

// fail makes Run end with err; the first one counts.
func (n *Node) fail(err error) {
	select {
	case n.failed <- err:
	default:
	}
}

func (n *Node) snapshotState() (raft.FSMSnapshot, error) {
	b, err := n.copy.Backup()
	return snapshot(b), err
}

func (n *Node) restoreState(r io.ReadCloser) error {
	b, err := readSnapshot(r)
	if err != nil {
		return fmt.Errorf("consensus: read snapshot: %w", err)
	}
	err = n.copy.Restore(b)
	switch {
	case errors.Is(err, state.ErrNewer): // the leader would send it again and again
		n.fail(err)
		fallthrough
	case err != nil:
		return fmt.Errorf("consensus: restore: %w", err)
	}
	n.checkLevel()
	return nil
}

// snapshot is the state's image on its way to a store.
type snapshot []byte

// Persist implements raft.FSMSnapshot.
func (s snapshot) Persist(sink raft.SnapshotSink) error {
	if _, err := sink.Write(s); err != nil {
		_ = sink.Cancel() // the write's error says more
		return fmt.Errorf("consensus: write snapshot %s: %w", sink.ID(), err)
	}
	return sink.Close()
}

// Release implements raft.FSMSnapshot.
func (s snapshot) Release() {}
