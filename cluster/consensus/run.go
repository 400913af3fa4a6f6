package consensus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/hashicorp/raft"

	"tmms/cluster/state"
)

const (
	readyPoll = 10 * time.Millisecond
	// quiesce is how long commands on their way are waited for before raft is
	// shut down: it may not answer those that wait for the applier.
	quiesce = time.Second
)

// Run opens the stores, joins the group, and works until ctx ends (then it
// returns nil) or the state machine cannot go on. Everything that it started
// has ended when it returns. It can be called once.
func (n *Node) Run(ctx context.Context) error {
	defer close(n.done)
	st, err := n.openStores()
	if err != nil {
		return err
	}
	r, err := n.start(st)
	if err != nil {
		return errors.Join(err, st.close())
	}
	n.raft.Store(r)
	err = n.supervise(ctx, r)
	return errors.Join(err, n.stop(r, st))
}

// start bootstraps a group that has no state yet, and starts raft.
func (n *Node) start(st *stores) (*raft.Raft, error) {
	has, err := raft.HasExistingState(st.logs, st.stable, st.snaps)
	if err != nil {
		return nil, fmt.Errorf("consensus: read the raft log: %w", err)
	}
	rc := n.raftConfig()
	if !has {
		err = raft.BootstrapCluster(rc, st.logs, st.stable, st.snaps, n.transport, n.bootstrapServers())
		if err != nil {
			return nil, fmt.Errorf("consensus: bootstrap: %w", err)
		}
	}
	r, err := raft.NewRaft(rc, fsm{n}, st.logs, st.stable, st.snaps, n.transport)
	if err != nil {
		return nil, fmt.Errorf("consensus: start raft: %w", err)
	}
	return r, nil
}

func (n *Node) bootstrapServers() raft.Configuration {
	if len(n.cfg.Voters) == 0 {
		return raft.Configuration{Servers: []raft.Server{{ID: raft.ServerID(n.id), Address: n.address}}}
	}
	var c raft.Configuration
	for _, v := range n.cfg.Voters {
		c.Servers = append(c.Servers, raft.Server{ID: raft.ServerID(v.ID), Address: raft.ServerAddress(v.Address)})
	}
	return c
}

// supervise waits for the end; meanwhile it acts on leadership.
func (n *Node) supervise(ctx context.Context, r *raft.Raft) error {
	poll := time.NewTicker(readyPoll)
	defer poll.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-n.failed:
			return fmt.Errorf("consensus: the applier stopped: %w", err)
		case leads := <-r.LeaderCh():
			if leads && n.lead(r) {
				n.markReady(poll)
			}
		case <-poll.C:
			if n.follows(r) {
				n.markReady(poll)
			}
		}
	}
}

// lead is the first duty of a new leader: apply what is committed, and set up a
// new state. It reports whether it came to its end as leader.
func (n *Node) lead(r *raft.Raft) bool {
	if err := r.Barrier(n.cfg.ApplyTimeout).Error(); err != nil {
		n.log.Warn("leadership was lost at once", slog.String("node", n.id), slog.Any("err", err))
		return false
	}
	if n.initialized() {
		return true
	}
	b, err := state.Encode(state.Init{UnixSeconds: n.now().Unix(), ClusterID: newUUID()})
	if err == nil {
		err = r.Apply(b, n.cfg.ApplyTimeout).Error()
	}
	if err != nil {
		n.log.Warn("state was not initialized", slog.String("node", n.id), slog.Any("err", err))
	}
	return err == nil
}

func (n *Node) initialized() bool {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.state.Initialized()
}

// follows reports whether another node leads and has told us what is
// committed, and we have applied it.
func (n *Node) follows(r *raft.Raft) bool {
	id, _, known := n.Leader()
	return known && id != n.id && n.initialized() && r.AppliedIndex() >= r.CommitIndex()
}

func (n *Node) markReady(poll *time.Ticker) {
	poll.Stop()
	select {
	case <-n.ready:
	default:
		close(n.ready)
		n.log.Info("consensus is ready", slog.String("node", n.id), slog.Bool("leader", n.IsLeader()),
			slog.Uint64("index", n.AppliedIndex()), slog.Uint64("revision", n.Config().Revision()))
	}
}

// stop lets the commands on their way come to an end, then raft, then the stores.
func (n *Node) stop(r *raft.Raft, st *stores) error {
	n.callMu.Lock()
	n.closed = true
	n.callMu.Unlock()
	idle := make(chan struct{})
	go func() {
		n.calls.Wait()
		close(idle)
	}()
	timer := time.NewTimer(quiesce)
	select {
	case <-idle:
	case <-timer.C:
	}
	timer.Stop()
	err := r.Shutdown().Error()
	<-idle
	if err = errors.Join(err, st.close()); err != nil {
		return fmt.Errorf("consensus: shut down: %w", err)
	}
	return nil
}
