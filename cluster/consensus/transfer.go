package consensus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/hashicorp/raft"

	"tmms/cluster/member"
)

// ErrTransfer says that the leadership stays where it is.
var ErrTransfer = errors.New("the leadership was not handed over")

// transferPatience is how many election timeouts a voter has to take over beyond the
// one that raft waits for.
const transferPatience = 4

// Transfer hands the leadership over to the voter that is called so, by name or
// id, or to whichever answers first if that is empty, and gives the name of who
// leads then. It waits for a leader until ctx ends. The error wraps [ErrTransfer], or [ErrInvalid] for who has no vote.
func (n *Node) Transfer(ctx context.Context, nameOrID string) (name string, err error) {
	if n.peers == nil {
		return n.LeadTransfer(ctx, nameOrID)
	}
	return member.Again(ctx, func(ctx context.Context) (string, error) {
		if n.leads() == nil {
			return n.peers.Transfer(ctx, nameOrID)
		}
		return n.LeadTransfer(ctx, nameOrID)
	})
}

// LeadTransfer is Transfer on the leader; it is ErrNotLeader elsewhere.
func (n *Node) LeadTransfer(ctx context.Context, nameOrID string) (name string, err error) {
	l := n.leads()
	if l == nil {
		return "", ErrNotLeader
	}
	to, err := l.heir(ctx, nameOrID)
	if err != nil {
		return "", err
	}
	if string(to.ID) == n.ID() {
		return string(to.Address), nil
	}
	_, err = await(ctx, n, func() (struct{}, error) {
		return struct{}{}, l.raft.LeadershipTransferToServer(to.ID, to.Address).Error()
	})
	switch {
	case errors.Is(err, raft.ErrNotLeader):
		return "", translate(err)
	case err != nil && !n.givenTo(ctx, to):
		return "", fmt.Errorf("%w to %s: %w", ErrTransfer, to.Address, err)
	}
	n.log.Info("leadership was given up", slog.String("node", n.ID()), slog.String("name", string(to.Address)))
	return string(to.Address), nil
}

// givenTo waits for a voter to lead that raft did not wait long enough for: it was told
// to stand, and does so once its disk has its vote.
func (n *Node) givenTo(ctx context.Context, to raft.Server) bool {
	patience := time.NewTimer(transferPatience * n.cfg.Heartbeat)
	defer patience.Stop()
	poll := time.NewTicker(readyPoll)
	defer poll.Stop()
	for {
		if id, _, known := n.Leader(); known && id != n.ID() {
			return id == string(to.ID)
		}
		select {
		case <-patience.C:
			return false
		case <-ctx.Done():
			return false
		case <-n.done:
			return false
		case <-poll.C:
		}
	}
}

// heir finds who is to lead.
func (l *leadership) heir(ctx context.Context, nameOrID string) (raft.Server, error) {
	if nameOrID == "" {
		to, ok := l.successor(ctx)
		if !ok {
			return to, fmt.Errorf("%w: no other voter answers", ErrTransfer)
		}
		return to, nil
	}
	for _, s := range l.servers() {
		if string(s.ID) != nameOrID && string(s.Address) != nameOrID {
			continue
		}
		if s.Suffrage != raft.Voter {
			return s, fmt.Errorf("%w: %s has no vote yet", ErrInvalid, s.Address)
		}
		return s, nil
	}
	return raft.Server{}, fmt.Errorf("%w: no member of the group is called %.64q", ErrInvalid, nameOrID)
}
