package consensus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/hashicorp/raft"
)

// errNoSuccessor says that this node leads on.
var errNoSuccessor = errors.New("no other voter that is in service answers")

// GiveUp hands the leadership over to another voter that answers and is not being
// drained itself; it does nothing on a node that does not lead. The error says that
// nobody has taken it.
func (n *Node) GiveUp(ctx context.Context) error {
	l := n.leading.Load()
	if l == nil || n.peers == nil {
		return nil
	}
	to, ok := l.inService(ctx, true)
	if !ok {
		to, ok = l.inService(ctx, false)
	}
	if !ok {
		return fmt.Errorf("consensus: leadership was not handed over: %w", errNoSuccessor)
	}
	if err := l.raft.LeadershipTransferToServer(to.ID, to.Address).Error(); err != nil {
		return fmt.Errorf("consensus: leadership was not handed over to %s: %w", to.Address, err)
	}
	n.log.Info("leadership was given up", slog.String("node", n.ID()), slog.String("name", string(to.Address)))
	return nil
}

// inService is another voter that answers and is not being drained; if quick, one whose
// disk is not slow.
func (l *leadership) inService(ctx context.Context, quick bool) (to raft.Server, ok bool) {
	for _, s := range l.servers() {
		id := string(s.ID)
		if s.Suffrage != raft.Voter || id == l.node.ID() || l.node.Draining(id) {
			continue
		}
		ask, cancel := context.WithTimeout(ctx, l.node.cfg.Heartbeat)
		h, answers := l.hello(ask, s)
		cancel()
		if answers && !(quick && h.Slow) {
			return s, true
		}
	}
	return raft.Server{}, false
}
