package member

import (
	"context"
	"fmt"

	"tmms/cluster/state"
	"tmms/media"
)

// restoreRoom is what a restore command has beside its backup, in bytes.
const restoreRoom = 4 << 10

// RestoreOptions are who asks for a restore, and how far it may go.
type RestoreOptions struct {
	By string // for the history
	// Foreign allows the backup of another cluster for one that has a config.
	Foreign bool
}

// Restored is what came of a restore.
type Restored struct {
	state.RestoreResult

	// Whole is false if placements and old revisions of the backup were left out,
	// since they did not fit into the log.
	Whole bool `json:"whole"`
}

// Restore brings back what a backup, the bytes of [View.Backup], has and the
// cluster has not; see [state.Restore]. Live streams go on. The error wraps
// [ErrInvalid] for what is no backup, is that of another cluster, or was made with a
// feature level above this cluster's. Asking twice does no harm.
func (w *Writes) Restore(ctx context.Context, backup []byte, opt RestoreOptions) (Restored, error) {
	if len(backup) > media.MaxBackupBytes {
		return Restored{}, fmt.Errorf("%w: a backup of %d bytes, the limit is %d",
			ErrInvalid, len(backup), media.MaxBackupBytes)
	}
	c, whole, err := state.NewRestore(backup, media.MaxConfigBytes-restoreRoom)
	if err != nil {
		return Restored{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	old, err := c.Open()
	if err != nil {
		return Restored{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if !opt.Foreign && old.ClusterID() != w.view.ClusterID() && w.view.Config().Revision() > 0 {
		return Restored{}, fmt.Errorf("%w: the backup is of cluster %.64q, this is %q and has a config of its own",
			ErrInvalid, old.ClusterID(), w.view.ClusterID())
	}
	c.AtUnixMS, c.By = w.now().UnixMilli(), opt.By
	result, err := w.Propose(ctx, c)
	if err != nil {
		return Restored{}, fmt.Errorf("restore: %w", err)
	}
	r, err := resultOf[state.RestoreResult](result)
	return Restored{RestoreResult: r, Whole: whole}, err
}
