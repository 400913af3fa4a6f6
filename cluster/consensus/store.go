package consensus

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"tmms/cluster/state"
	"tmms/media"
)

// Names in the data folder.
const (
	raftFile = "raft.db"
	snapDir  = "snapshots" // made by raft.FileSnapshotStore
)

// lockTimeout is how long we wait for another process to let go of the folder.
const lockTimeout = time.Second

// stores are what raft keeps its state in.
type stores struct {
	logs   raft.LogStore
	stable raft.StableStore
	snaps  raft.SnapshotStore
	disk   *disk // what logs and stable are
	close  func() error
}

// newStores puts the watch over the disk in front of a store.
func (n *Node) newStores(s Store, snaps raft.SnapshotStore, end func() error) *stores {
	if n.wrap != nil {
		s = n.wrap(s)
	}
	d := newDisk(s, n.log, n.cfg.SlowDisk, n.cutOff)
	d.written = n.raftTimes.wrote
	return &stores{logs: d, stable: d, snaps: snapshots{snaps, d}, disk: d, close: end}
}

// cutOff takes raft off the network, or puts it back.
func (n *Node) cutOff(off bool) {
	if n.layer != nil {
		n.layer.cutOff(off)
	}
}

// openStores opens the data folder. Where its newest snapshot can't be restored it
// takes an older one if the log reaches back to it, or refuses: raft itself would
// go on with a gap, or panic.
func (n *Node) openStores() (*stores, error) {
	dir := n.cfg.DataDir
	if dir == "" {
		return n.newStores(raft.NewInmemStore(), raft.NewInmemSnapshotStore(), func() error { return nil }), nil
	}
	path := filepath.Join(dir, raftFile)
	db, err := raftboltdb.New(raftboltdb.Options{Path: path, BoltOptions: &bbolt.Options{Timeout: lockTimeout}})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, fmt.Errorf("consensus: data folder %s is in use by another process", dir)
	}
	if err != nil {
		return nil, fmt.Errorf("consensus: open %s: %w", path, err)
	}
	snaps, err := raft.NewFileSnapshotStoreWithLogger(dir, retainedSnapshots, newRaftLog(n.log))
	if err == nil {
		err = errors.Join(sweep(dir), mend(dir, snaps, db, n.log))
	}
	if err == nil {
		err = checkReach(snaps, db)
	}
	switch {
	case errors.Is(err, errDamaged):
		return nil, errors.Join(n.forsake(err), db.Close())
	case err != nil:
		return nil, errors.Join(fmt.Errorf("consensus: data folder %s: %w", dir, err), db.Close())
	}
	return n.newStores(db, snaps, db.Close), nil
}

// checkReach refuses a log that does not reach back to the newest snapshot.
func checkReach(snaps raft.SnapshotStore, logs raft.LogStore) error {
	list, err := snaps.List()
	if err != nil {
		return err
	}
	var last uint64
	if len(list) > 0 {
		last = list[0].Index
	}
	first, err := logs.FirstIndex()
	if err != nil {
		return err
	}
	if first > last+1 {
		return fmt.Errorf("%w: the log starts at index %d, but the newest snapshot ends at %d", errDamaged, first, last)
	}
	return nil
}

func checkSnapshot(snaps raft.SnapshotStore, id string) error {
	_, r, err := snaps.Open(id) // compares raft's own checksum
	if err != nil {
		return err
	}
	b, err := readSnapshot(r)
	if err != nil {
		return err
	}
	return state.New().Restore(b)
}

func readSnapshot(r io.ReadCloser) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, media.MaxSnapshotBytes+1))
	if err = errors.Join(err, r.Close()); err != nil {
		return nil, err
	}
	if len(b) > media.MaxSnapshotBytes {
		return nil, fmt.Errorf("more than %d bytes", media.MaxSnapshotBytes)
	}
	return b, nil
}
