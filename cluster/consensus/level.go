package consensus

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/raft"

	"tmms/cluster/fabric"
	"tmms/cluster/member"
	"tmms/cluster/state"
)

const (
	// maxLevel bounds what a node may tell of itself.
	maxLevel = 1 << 16
	// levelAsks is how many nodes are asked for their level at a time.
	levelAsks = 128
)

// Levels are the feature level of the cluster, and what its nodes know.
type Levels struct {
	Level int         `json:"level"` // see [state.RaiseLevel]
	Nodes []NodeLevel `json:"nodes"` // ordered by name
}

// NodeLevel is the highest feature level that a node knows: as it says now, or
// else as it has told the cluster when it last came.
type NodeLevel struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Version string `json:"version"` // of its release
	Level   int    `json:"level"`
	Answers bool   `json:"answers"` // it is there now
}

// Levels gives the feature levels of the cluster and its nodes, which the leader
// asks.
func (n *Node) Levels(ctx context.Context) (Levels, error) { return n.level(ctx, 0) }

// RaiseLevel lets the cluster use what comes with a feature level. It is refused
// with [ErrLevel] unless all nodes know the level, and names those that do not; it
// does not fall. The level that is in force already is no error.
func (n *Node) RaiseLevel(ctx context.Context, level int) (Levels, error) {
	if level <= 0 || level > maxLevel {
		return Levels{}, fmt.Errorf("%w: feature level %d, the limits are 1 and %d", ErrInvalid, level, maxLevel)
	}
	return n.level(ctx, level)
}

func (n *Node) level(ctx context.Context, level int) (Levels, error) {
	if n.peers == nil {
		return n.LeadLevel(ctx, level)
	}
	return member.Again(ctx, func(ctx context.Context) (Levels, error) {
		if n.leads() == nil {
			return n.peers.Level(ctx, level)
		}
		return n.LeadLevel(ctx, level)
	})
}

// LeadLevel is the leader's part of Levels, and with a level that is not 0 of
// RaiseLevel; it is ErrNotLeader elsewhere.
func (n *Node) LeadLevel(ctx context.Context, level int) (Levels, error) {
	l := n.leads()
	if l == nil {
		return Levels{}, ErrNotLeader
	}
	now := Levels{Level: n.FeatureLevel(), Nodes: l.levels(ctx)}
	switch {
	case level == 0, level == now.Level:
		return now, nil
	case level < now.Level || level > maxLevel:
		return now, fmt.Errorf("%w: feature level %d, the cluster is at %d, and it does not fall",
			ErrInvalid, level, now.Level)
	}
	if behind := now.behind(level); len(behind) > 0 {
		return now, fmt.Errorf("%w: feature level %d is not known to %s", ErrLevel, level, strings.Join(behind, ", "))
	}
	if err := n.command(l.raft, state.RaiseLevel{Level: level}); err != nil {
		return now, notLeader(err)
	}
	n.log.Info("the feature level was raised", slog.Int("from", now.Level), slog.Int("level", level))
	now.Level = level
	return now, nil
}

// behind names the nodes that do not know a level.
func (s Levels) behind(level int) (names []string) {
	for _, d := range s.Nodes {
		if d.Level >= level {
			continue
		}
		why := "which does not answer"
		if d.Answers {
			why = fmt.Sprintf("level %d", d.Level)
		}
		names = append(names, fmt.Sprintf("%s (%s)", cmp.Or(d.Name, d.ID), why))
	}
	return names
}

// levels asks all nodes, and the members of the group that are not among them.
func (l *leadership) levels(ctx context.Context) []NodeLevel {
	nodes := l.node.Nodes()
	for _, s := range l.servers() {
		if _, known := l.node.Node(string(s.ID)); !known {
			nodes = append(nodes, state.Node{ID: string(s.ID), Name: string(s.Address)})
		}
	}
	list := make([]NodeLevel, len(nodes))
	places := make(chan struct{}, levelAsks)
	var wg sync.WaitGroup
	for i, d := range nodes {
		places <- struct{}{}
		wg.Go(func() {
			list[i] = l.levelOf(ctx, d)
			<-places
		})
	}
	wg.Wait()
	slices.SortFunc(list, func(a, b NodeLevel) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	return list
}

func (l *leadership) levelOf(ctx context.Context, d state.Node) NodeLevel {
	n := l.node
	known := NodeLevel{ID: d.ID, Name: d.Name, Version: d.Version, Level: d.Level}
	if d.ID == n.ID() {
		known.Level, known.Answers = *n.cfg.Level, true
		return known
	}
	to, found := n.lookup(raft.ServerAddress(d.ID))
	if !found || n.peers == nil {
		return known
	}
	ctx, cancel := context.WithTimeout(ctx, helloTimeout)
	defer cancel()
	a := n.ask(ctx, fabric.Target{Name: to.Name, Addr: to.Addr})
	if a.err != nil || a.ID != d.ID {
		return known
	}
	known.Level, known.Answers = a.Level, true
	known.Version = cmp.Or(a.Version, known.Version)
	return known
}

// allowed refuses a command that the cluster's feature level does not have: nodes
// of an earlier release would stop at it.
func (n *Node) allowed(c state.Command) error {
	if need, at := state.Needs(c), n.FeatureLevel(); need > at {
		return fmt.Errorf("%w: %T needs feature level %d, the cluster is at %d (tmms raft level)", ErrLevel, c, need, at)
	}
	return nil
}

// firstLevel raises a group that this node has founded to what all founders know;
// it reports whether that is done.
func (n *Node) firstLevel(r *raft.Raft) bool {
	level := int(n.first.Load())
	if level <= n.FeatureLevel() {
		return true
	}
	err := n.command(r, state.RaiseLevel{Level: level})
	if err != nil {
		n.log.Warn("the feature level was not raised", slog.String("node", n.ID()), slog.Any("err", err))
	}
	return err == nil
}

// checkLevel ends this node when the cluster uses what its release does not know.
func (n *Node) checkLevel() {
	if err := state.FitsRelease(*n.cfg.Level, n.FeatureLevel()); err != nil {
		n.fail(err)
	}
}

// fits refuses to wait for a group that this release can't work in.
func (n *Node) fits(others map[string]answer) error {
	current := 0
	for _, a := range others {
		if a.err == nil && a.CAFingerprint == n.cfg.CAFingerprint {
			current = max(current, a.ClusterLevel)
		}
	}
	return state.FitsRelease(*n.cfg.Level, current)
}
