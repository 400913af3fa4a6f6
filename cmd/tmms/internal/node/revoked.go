package node

import (
	"context"
	"log/slog"

	"tmms/cluster/member"
	"tmms/cluster/state"
)

// recallRevocations puts in force what the data folder remembers, for as long as
// the cluster's state is not known.
func (n *Node) recallRevocations() error {
	list, err := member.LoadRevocations(n.cfg.Node.DataDir)
	if err != nil {
		return err
	}
	n.backbone.identity.Revoke(list)
	return nil
}

// followRevocations keeps out who shows a certificate that is revoked, and
// remembers the list.
func (n *Node) followRevocations(ctx context.Context) error {
	select {
	case <-n.group.Ready():
	case <-ctx.Done():
		return nil
	}
	n.backbone.fabric.FollowRevocations(ctx, n.group, func(list *state.Revocations) {
		if err := member.SaveRevocations(n.cfg.Node.DataDir, list); err != nil {
			n.opt.Log.Error("revocations were not saved; this node forgets them when it ends", slog.Any("err", err))
		}
	})
	return nil
}
