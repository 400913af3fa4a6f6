package consensus

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/raft"

	"tmms/cluster/state"
)

// Names in the data folder, once something there was damaged.
const (
	damagedDir = "damaged" // what was set aside
	rejoinFile = "rejoin"  // this node had a state and has lost it: it never begins a group
	idFile     = "node.id" // made by package member
)

// errDamaged refuses a data folder whose snapshot can't be read and whose log does
// not make up for it.
var errDamaged = errors.New("the state is damaged")

// mend sets snapshots aside that can't be restored. Raft then takes an older one,
// if the log has everything since; else the state is lost, and the error says so.
func mend(dir string, snaps raft.SnapshotStore, logs raft.LogStore, log *slog.Logger) error {
	bad, err := damagedSnapshots(dir, snaps)
	if err != nil || len(bad) == 0 {
		return err
	}
	lost := uint64(0) // index that the damaged ones reached
	for _, d := range bad {
		log.Error("a snapshot is damaged and is set aside", slog.String("path", filepath.Join(dir, snapDir, d.id)),
			slog.Any("err", d.err))
		lost = max(lost, d.index)
	}
	good := uint64(0)
	list, err := snaps.List()
	if err != nil {
		return err
	}
	for _, m := range list {
		if !slices.ContainsFunc(bad, func(d damaged) bool { return d.id == m.ID }) {
			good = max(good, m.Index)
		}
	}
	first, last, err := logRange(logs)
	if err != nil {
		return err
	}
	if good < lost && (first == 0 || first > good+1 || last < lost) {
		return fmt.Errorf("%w: snapshot %s: %w; the log has entries %d to %d, and the older snapshot ends at %d",
			errDamaged, filepath.Join(dir, snapDir, bad[0].id), bad[0].err, first, last, good)
	}
	for _, d := range bad {
		if err := setAside(dir, filepath.Join(snapDir, d.id)); err != nil {
			return err
		}
	}
	log.Warn("the state comes from an older snapshot and the log", slog.Uint64("snapshot", good),
		slog.Uint64("first", first), slog.Uint64("last", last))
	return nil
}

func logRange(logs raft.LogStore) (first, last uint64, err error) {
	first, err = logs.FirstIndex()
	if err != nil {
		return 0, 0, err
	}
	last, err = logs.LastIndex()
	return first, last, err
}

// damaged is a snapshot that can't be restored.
type damaged struct {
	id    string
	index uint64
	err   error
}

// damagedSnapshots finds them, the newest first, among those that raft would take.
func damagedSnapshots(dir string, snaps raft.SnapshotStore) (bad []damaged, err error) {
	list, err := snaps.List()
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	oldest := "" // ids are TERM-INDEX-TIME; raft lists the newest only
	for _, m := range list {
		known[m.ID], oldest = true, m.ID
		fault := checkSnapshot(snaps, m.ID)
		if errors.Is(fault, state.ErrNewer) { // nothing is wrong with it
			return nil, fmt.Errorf("snapshot %s: %w", filepath.Join(dir, snapDir, m.ID), fault)
		}
		if fault != nil {
			bad = append(bad, damaged{m.ID, m.Index, fault})
		}
	}
	entries, err := os.ReadDir(filepath.Join(dir, snapDir))
	if err != nil {
		return nil, err
	}
	for _, e := range slices.Backward(entries) {
		name := e.Name()
		if !e.IsDir() || strings.HasSuffix(name, ".tmp") || known[name] {
			continue
		}
		if len(list) < retainedSnapshots || name > oldest { // raft can't list it, and would pass over it
			var term, index uint64
			_, _ = fmt.Sscanf(name, "%d-%d-", &term, &index)
			bad = append(bad, damaged{name, index, errors.New("its meta.json cannot be read")})
		}
	}
	return bad, nil
}

// setAside moves a file or folder of the data folder out of the way.
func setAside(dir, name string) error {
	to := filepath.Join(dir, damagedDir, fmt.Sprintf("%d-%s", time.Now().UnixNano(), filepath.Base(name)))
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	return os.Rename(filepath.Join(dir, name), to)
}

// forsake sets everything aside that makes this node what it was, so that it comes
// back as one that has lost its disk: with another id, for its former self may have
// acknowledged what it does not know any more. The stores are closed.
func (n *Node) forsake(why error) error {
	dir := n.cfg.DataDir
	if n.cfg.alone() {
		return fmt.Errorf("consensus: data folder %s: %w; there is no other node to have it from: "+
			"move the folder away, start, and restore a backup", dir, why)
	}
	if err := os.WriteFile(filepath.Join(dir, rejoinFile), []byte(why.Error()+"\n"), 0o600); err != nil {
		return errors.Join(why, err)
	}
	for _, name := range []string{idFile, raftFile, snapDir} {
		if err := setAside(dir, name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return errors.Join(why, err)
		}
	}
	return fmt.Errorf("consensus: data folder %s: %w; it was set aside in %s: "+
		"start the node again, and it comes back as a new member with the leader's state",
		dir, why, filepath.Join(dir, damagedDir))
}

// rejoins reports whether this node has lost its state.
func (n *Node) rejoins() bool {
	if n.cfg.DataDir == "" {
		return false
	}
	_, err := os.Stat(filepath.Join(n.cfg.DataDir, rejoinFile))
	return err == nil
}

// sweep removes snapshots that were never finished: a full disk leaves them.
func sweep(dir string) error {
	names, err := filepath.Glob(filepath.Join(dir, snapDir, "*.tmp"))
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := os.RemoveAll(name); err != nil {
			return err
		}
	}
	return nil
}
