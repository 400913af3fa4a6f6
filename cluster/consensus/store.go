package consensus

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
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
	close  func() error
}

func memoryStores() *stores {
	s := raft.NewInmemStore()
	return &stores{logs: s, stable: s, snaps: raft.NewInmemSnapshotStore(), close: func() error { return nil }}
}

// openStores opens the data folder and refuses one whose newest snapshot this
// node could not restore, or whose log does not reach back to it: raft itself
// would fall back to an older state or panic.
func (n *Node) openStores() (*stores, error) {
	dir := n.cfg.DataDir
	if dir == "" {
		return memoryStores(), nil
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
		err = checkSnapshots(dir, snaps, db)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("consensus: data folder %s: %w", dir, err), db.Close())
	}
	return &stores{logs: db, stable: db, snaps: snaps, close: db.Close}, nil
}

func checkSnapshots(dir string, snaps raft.SnapshotStore, logs raft.LogStore) error {
	list, err := snaps.List()
	if err != nil {
		return err
	}
	if err = checkListed(dir, list); err != nil {
		return err
	}
	var last uint64
	if len(list) > 0 {
		last = list[0].Index
		if err = checkSnapshot(snaps, list[0].ID); err != nil {
			return fmt.Errorf("snapshot %s: %w", filepath.Join(dir, snapDir, list[0].ID), err)
		}
	}
	first, err := logs.FirstIndex()
	if err != nil {
		return err
	}
	if first > last+1 {
		return fmt.Errorf("the log starts at index %d, but the newest snapshot ends at %d", first, last)
	}
	return nil
}

// checkListed refuses a snapshot that raft cannot list, and so would pass over.
func checkListed(dir string, list []*raft.SnapshotMeta) error {
	entries, err := os.ReadDir(filepath.Join(dir, snapDir))
	if err != nil {
		return err
	}
	oldest := "" // ids are TERM-INDEX-TIME; raft lists the newest only
	known := map[string]bool{}
	for _, m := range list {
		known[m.ID] = true
		oldest = m.ID
	}
	for _, e := range entries {
		name := e.Name()
		if !e.IsDir() || strings.HasSuffix(name, ".tmp") || known[name] {
			continue
		}
		if len(list) < retainedSnapshots || name > oldest {
			return fmt.Errorf("snapshot %s: its meta.json cannot be read", filepath.Join(dir, snapDir, name))
		}
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
