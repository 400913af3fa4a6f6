package consensus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/hashicorp/raft"

	"tmms/cluster/fabric"
	"tmms/cluster/state"
)

const (
	memberPause  = 2 * time.Second
	memberChange = 10 * time.Second
	// caughtUp is how many commands a new member may lack to become a voter.
	caughtUp = 64
)

// ErrQuorum refuses to remove a member without which the group could not decide.
var ErrQuorum = errors.New("the rest of the group would have no quorum")

// Status gives the raft group as the leader knows it, or as this node does
// while there is none.
func (n *Node) Status(ctx context.Context) (Status, error) {
	if n.peers != nil && n.leads() == nil {
		if s, err := n.peers.Status(ctx); err == nil {
			return s, nil
		}
	}
	return n.LocalStatus()
}

// LocalStatus gives the raft group as this node knows it.
func (n *Node) LocalStatus() (Status, error) {
	r := n.raft.Load()
	if r == nil {
		return Status{}, fmt.Errorf("consensus: %w", errStarting)
	}
	leader, _, _ := n.Leader()
	s := Status{
		ClusterID: n.ClusterID(), Leader: leader, By: n.ID(),
		Term: r.CurrentTerm(), Committed: r.CommitIndex(), LastIndex: r.LastIndex(),
		Level: n.FeatureLevel(),
	}
	if err := n.Trouble(); err != nil {
		s.Trouble = err.Error()
	}
	l := n.leads()
	for _, m := range r.GetConfiguration().Configuration().Servers {
		to, _ := n.lookup(raft.ServerAddress(m.ID))
		d := Server{
			ID: string(m.ID), Name: string(m.Address), Address: to.Addr,
			Voter: m.Suffrage == raft.Voter, Leader: string(m.ID) == leader,
		}
		if l != nil {
			d.RenewedAgo = l.age(d.ID, time.Now())
		}
		s.Servers = append(s.Servers, d)
	}
	return s, nil
}

// Join adds a running node that is not in the group, first without a vote; the
// leader gives it one when it has caught up. One that runs without raft, since
// its own config does not have it among the voters, is refused.
func (n *Node) Join(ctx context.Context, name, address string) error {
	l := n.leads()
	if l == nil {
		if n.peers == nil {
			return ErrNotLeader
		}
		return n.peers.Join(ctx, name, address)
	}
	return l.join(ctx, fabric.Target{Name: name, Addr: address})
}

// Remove takes a member, by name or id, out of the group. It refuses with
// [ErrQuorum] what would leave the group unable to decide.
func (n *Node) Remove(ctx context.Context, nameOrID string) error {
	l := n.leads()
	if l == nil {
		if n.peers == nil {
			return ErrNotLeader
		}
		return n.peers.Remove(ctx, nameOrID)
	}
	for _, s := range l.servers() {
		if string(s.ID) == nameOrID || string(s.Address) == nameOrID {
			return l.remove(ctx, s)
		}
	}
	return fmt.Errorf("%w: no member of the group is called %.64q", ErrInvalid, nameOrID)
}

func (l *leadership) join(ctx context.Context, to fabric.Target) error {
	ask, cancel := context.WithTimeout(ctx, helloTimeout)
	defer cancel()
	a := l.node.ask(ask, to)
	switch {
	case a.err != nil: // not wrapped: it may say ErrNotLeader, which is not about this node
		return fmt.Errorf("%w: %s does not answer: %s", ErrInvalid, to, a.err.Error())
	case len(a.Voters) == 0: // a replica, which has no raft
		return fmt.Errorf("%w: %s does not vote: its own config has to name it among the voters", ErrInvalid, to)
	}
	if a.ClusterID != "" && a.ClusterID != l.node.ClusterID() {
		return fmt.Errorf("%w: %s belongs to cluster %s, not to %s", ErrInvalid, to, a.ClusterID, l.node.ClusterID())
	}
	for _, s := range l.servers() {
		if string(s.ID) == a.ID {
			return nil
		}
	}
	if _, known := l.node.Node(a.ID); !known {
		c := state.UpsertNode{Node: state.Node{
			ID: a.ID, Name: to.Name, Roles: []string{"origin"}, Addresses: map[string]string{fabricAddress: to.Addr},
			AtUnixMS: l.node.now().UnixMilli(),
		}}
		if err := l.node.command(l.raft, c); err != nil {
			return notLeader(err)
		}
	}
	return l.add(ctx, a.Hello)
}

// add makes a node a member without a vote, after any former self of it.
func (l *leadership) add(ctx context.Context, h Hello) error {
	if at := l.node.FeatureLevel(); h.Level < at {
		return fmt.Errorf("%w: %s knows feature level %d, the cluster is at %d", ErrLevel, h.Name, h.Level, at)
	}
	for _, s := range l.servers() {
		if string(s.Address) != h.Name || string(s.ID) == h.ID {
			continue
		}
		l.node.log.Warn("a member has lost its data folder and begins anew",
			slog.String("name", h.Name), slog.String("node", h.ID), slog.String("former", string(s.ID)))
		if err := l.remove(ctx, s); err != nil {
			return err
		}
	}
	err := l.raft.AddNonvoter(raft.ServerID(h.ID), raft.ServerAddress(h.Name), 0, memberChange).Error()
	if err != nil {
		return fmt.Errorf("add %s: %w", h.Name, notLeader(err))
	}
	l.renew(h.ID)
	l.node.log.Info("a member was added", slog.String("node", h.ID), slog.String("name", h.Name))
	return nil
}

// remove takes a member out if enough of the other voters are alive, which they
// are asked.
func (l *leadership) remove(ctx context.Context, gone raft.Server) error {
	voters, alive := 0, 0
	for _, s := range l.servers() {
		if s.ID == gone.ID || s.Suffrage != raft.Voter {
			continue
		}
		voters++
		if string(s.ID) == l.node.ID() || l.answers(ctx, s) {
			alive++
		}
	}
	if gone.Suffrage == raft.Voter && alive < voters/2+1 {
		return fmt.Errorf("%w: without %s %d of %d voters are alive", ErrQuorum, gone.Address, alive, voters)
	}
	if err := l.raft.RemoveServer(gone.ID, 0, memberChange).Error(); err != nil {
		return fmt.Errorf("remove %s: %w", gone.Address, notLeader(err))
	}
	l.node.log.Info("a member was removed", slog.String("node", string(gone.ID)),
		slog.String("name", string(gone.Address)))
	return nil
}

// watchMembers adds configured voters that are missing, and gives a vote to
// members that have caught up, until ctx ends.
func (l *leadership) watchMembers(ctx context.Context) {
	ticker := time.NewTicker(memberPause)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for _, act := range []func(context.Context) error{l.addMissing, l.promote} {
			if err := act(ctx); err != nil {
				l.logFault(ctx, err)
			}
		}
	}
}

// addMissing looks at the configured voters that are not in the group, or are
// silent: a node that answers without any state is to be added. One with state
// was removed on purpose, or is none of ours.
func (l *leadership) addMissing(ctx context.Context) error {
	var faults []error
	for _, v := range l.node.cfg.Voters {
		if v.Name == l.node.cfg.Name || l.present(v.Name) {
			continue
		}
		ask, cancel := context.WithTimeout(ctx, helloTimeout)
		a := l.node.ask(ask, fabric.Target{Name: v.Name, Addr: v.Address})
		cancel()
		if a.err == nil && !a.HasState && !l.members()[a.ID] {
			faults = append(faults, l.add(ctx, a.Hello))
		}
	}
	return errors.Join(faults...)
}

// present reports whether a member of that name is alive, as far as its lease says.
func (l *leadership) present(name string) bool {
	now := time.Now()
	for _, s := range l.servers() {
		if string(s.Address) == name && l.alive(string(s.ID), now) {
			return true
		}
	}
	return false
}

func (l *leadership) answers(ctx context.Context, s raft.Server) bool {
	_, ok := l.hello(ctx, s)
	return ok
}

// hello asks a member; ok is false if it does not answer, or another does, or it
// takes no part in raft.
func (l *leadership) hello(ctx context.Context, s raft.Server) (h Hello, ok bool) {
	to, known := l.node.lookup(raft.ServerAddress(s.ID))
	if !known {
		return Hello{}, false
	}
	ctx, cancel := context.WithTimeout(ctx, helloTimeout)
	defer cancel()
	a := l.node.ask(ctx, to)
	return a.Hello, a.err == nil && a.ID == string(s.ID) && a.Trouble == ""
}

// promote gives a vote to members that have nearly everything.
func (l *leadership) promote(ctx context.Context) error {
	var faults []error
	for _, s := range l.servers() {
		if s.Suffrage == raft.Voter {
			continue
		}
		h, answers := l.hello(ctx, s)
		if !answers || h.Applied+caughtUp < l.node.AppliedIndex() {
			continue
		}
		if err := l.raft.AddVoter(s.ID, s.Address, 0, memberChange).Error(); err != nil {
			faults = append(faults, fmt.Errorf("give %s a vote: %w", s.Address, err))
			continue
		}
		l.node.log.Info("a member has a vote", slog.String("node", string(s.ID)), slog.String("name", string(s.Address)))
	}
	return errors.Join(faults...)
}
