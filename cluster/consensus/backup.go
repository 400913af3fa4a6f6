package consensus

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/raft"

	"tmms/cluster/state"
	"tmms/media"
)

// SnapshotInfo is a snapshot of the raft log that a node has written.
type SnapshotInfo struct {
	ID    string `json:"id"`
	Index uint64 `json:"index"` // the log is needed from here on only
	Term  uint64 `json:"term"`
	Bytes int64  `json:"bytes"`
}

// Snapshot writes a snapshot of this node now and shortens its log. Nothing to
// write is no error, and gives no id.
func (n *Node) Snapshot(ctx context.Context) (SnapshotInfo, error) {
	r, err := n.whenReady(ctx)
	if err != nil {
		return SnapshotInfo{}, err
	}
	info, err := await(ctx, n, func() (SnapshotInfo, error) {
		f := r.Snapshot()
		if fault := f.Error(); fault != nil {
			return SnapshotInfo{}, fault
		}
		meta, body, fault := f.Open()
		if fault != nil {
			return SnapshotInfo{}, fault
		}
		return SnapshotInfo{ID: meta.ID, Index: meta.Index, Term: meta.Term, Bytes: meta.Size}, body.Close()
	})
	if err != nil && !errors.Is(err, raft.ErrNothingNewToSnapshot) {
		return SnapshotInfo{}, fmt.Errorf("consensus: snapshot: %w", err)
	}
	return info, nil
}

// Bounds of a backup that is restored.
const (
	maxRestoredEpoch  = 1 << 62 // epochs go on above it
	maxRestoredUnixMS = 1 << 52 // shifted into an epoch it stays below that
)

// checkRestore refuses a backup that the other replicas may not understand, or
// that is more than a cluster may have.
func (n *Node) checkRestore(c state.Restore) error {
	old, err := c.Open()
	if err != nil {
		return err
	}
	revoked, _ := n.WatchRevocations()
	switch {
	case old.FeatureLevel() > n.FeatureLevel():
		return fmt.Errorf("the backup was made with feature level %d, the cluster is at %d: raise it first",
			old.FeatureLevel(), n.FeatureLevel())
	case old.Epoch() >= maxRestoredEpoch, c.AtUnixMS >= maxRestoredUnixMS:
		return fmt.Errorf("the backup's epoch %d, or its time %d, is not of this world", old.Epoch(), c.AtUnixMS)
	case old.NodeCount()+len(n.Nodes()) > media.MaxNodes && old.ClusterID() != n.ClusterID():
		return fmt.Errorf("the backup has %d nodes, the cluster %d, the limit is %d",
			old.NodeCount(), len(n.Nodes()), media.MaxNodes)
	case old.Revocations().Len()+revoked.Len() > 2*media.MaxRevocations:
		return fmt.Errorf("the backup has %d revocations, the cluster %d, the limit is %d",
			old.Revocations().Len(), revoked.Len(), media.MaxRevocations)
	}
	return checkName(c.By)
}
