package consensus

import (
	"crypto/rand"
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
	idFile   = "node.id"
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

// identity gives the node's id: the one in the data folder, which is made and
// given an id if it has none.
func identity(cfg Config) (string, error) {
	if cfg.DataDir == "" {
		return orMinted(cfg.ID), nil
	}
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return "", fmt.Errorf("consensus: data folder %s cannot be made: %w", cfg.DataDir, err)
	}
	path := filepath.Join(cfg.DataDir, idFile)
	b, err := os.ReadFile(path)
	if err == nil {
		return checkIdentity(path, strings.TrimSpace(string(b)), cfg.ID)
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("consensus: data folder %s cannot be read: %w", cfg.DataDir, err)
	}
	id := orMinted(cfg.ID)
	if err := writeFileSync(path, []byte(id+"\n")); err != nil {
		return "", fmt.Errorf("consensus: data folder %s cannot be written: %w", cfg.DataDir, err)
	}
	return id, nil
}

func checkIdentity(path, found, wanted string) (string, error) {
	if found == "" || len(found) > media.MaxName {
		return "", fmt.Errorf("consensus: %s holds no node id", path)
	}
	if wanted != "" && wanted != found {
		return "", fmt.Errorf("consensus: %s belongs to node %s, not to %s", path, found, wanted)
	}
	return found, nil
}

// writeFileSync writes a small file so that it is whole or not there.
func writeFileSync(path string, b []byte) error {
	f, err := os.OpenFile(path+".tmp", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}

func orMinted(id string) string {
	if id != "" {
		return id
	}
	return newUUID()
}

// newUUID gives a random UUID (RFC 9562 section 5.4).
func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand since Go 1.24)
	b[6], b[8] = b[6]&0x0F|0x40, b[8]&0x3F|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func newSalt() []byte {
	b := make([]byte, state.KeySaltSize)
	_, _ = rand.Read(b) // as above
	return b
}
