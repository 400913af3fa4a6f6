package consensus

import (
	"log/slog"
	"time"

	"tmms/cluster/state"
)

// forgetAfter is how long a node that is no voter is remembered without a sign of
// life.
const forgetAfter = time.Hour

// tidy forgets nodes that are no members of the group and have not been heard
// of for long, or whose name a later node has taken over.
func (l *leadership) tidy(now time.Time) error {
	l.court.forget(forgetAfter, now)
	members := l.members()
	latest := map[string]state.Node{}
	nodes := l.node.Nodes()
	for _, d := range nodes {
		if old, ok := latest[d.Name]; !ok || d.AtUnixMS > old.AtUnixMS {
			latest[d.Name] = d
		}
	}
	for _, d := range nodes {
		age := l.age(d.ID, now)
		replaced := latest[d.Name].ID != d.ID && !l.alive(d.ID, now)
		if members[d.ID] || (age <= forgetAfter && !replaced) {
			continue
		}
		if err := l.node.command(l.raft, state.RemoveNode{Node: d.ID, AtUnixMS: l.node.now().UnixMilli()}); err != nil {
			return err
		}
		l.node.log.Info("a node was forgotten", slog.String("node", d.ID), slog.String("name", d.Name),
			slog.Duration("silent", age))
	}
	return nil
}
