package consensus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"tmms/cluster/state"
)

const (
	readyPoll = 10 * time.Millisecond
	// reappearPause is how long the leader has to find a node that starts.
	reappearPause = 2 * time.Second
	// quiesce is how long commands on their way are waited for before raft is
	// shut down: it may not answer those that wait for the applier.
	quiesce = time.Second
)

// Run opens the stores, begins or joins the group, and works until ctx ends
// (then it returns nil) or the state machine cannot go on. Everything that it
// started has ended when it returns, unless the disk hangs. It can be called once.
func (n *Node) Run(ctx context.Context) error {
	defer close(n.done)
	st, err := n.openStores()
	if err != nil {
		return errors.Join(err, n.closeTransport())
	}
	n.stores.Store(st)
	r, err := n.start(ctx, st)
	if err != nil {
		n.stores.Store(nil)
		err = errors.Join(err, n.closeTransport(), st.close())
		if ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) {
			return nil
		}
		return err
	}
	n.raft.Store(r)
	err = n.supervise(ctx, r)
	return errors.Join(err, n.stop(r, st))
}

// start begins a group if there is none yet, and starts raft.
func (n *Node) start(ctx context.Context, st *stores) (*raft.Raft, error) {
	has, err := raft.HasExistingState(st.logs, st.stable, st.snaps)
	if err != nil {
		return nil, fmt.Errorf("consensus: read the raft log: %w", err)
	}
	var founders []raft.Server
	if !has {
		if founders, err = n.founding(ctx); err != nil {
			return nil, err
		}
	}
	if n.transport == nil {
		n.transport = n.layer.newTransport()
	}
	rc := n.raftConfig()
	if founders != nil {
		err = raft.BootstrapCluster(rc, st.logs, st.stable, st.snaps, n.transport, raft.Configuration{Servers: founders})
		if err != nil {
			return nil, fmt.Errorf("consensus: bootstrap: %w", err)
		}
		n.log.Info("the group begins", slog.String("node", n.ID()), slog.Int("voters", len(founders)))
	}
	r, err := raft.NewRaft(rc, fsm{n}, st.logs, st.stable, st.snaps, n.transport)
	if err != nil {
		return nil, fmt.Errorf("consensus: start raft: %w", err)
	}
	return r, nil
}

// closeTransport is for a Run that has not started raft.
func (n *Node) closeTransport() error {
	if c, ok := n.transport.(io.Closer); ok {
		return c.Close()
	}
	if n.layer != nil {
		return n.layer.Close()
	}
	return nil
}

// supervise waits for the end; meanwhile it acts on leadership, which it hands
// over before it ends its duties.
func (n *Node) supervise(end context.Context, r *raft.Raft) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(context.WithoutCancel(end))
	defer cancel()
	wg.Go(func() { n.awaitLeader(ctx, r) })
	wg.Go(func() { n.lease.Run(ctx, n.renew) })
	wg.Go(func() { n.reappear(ctx) })
	endTerm := func() {}
	for {
		select {
		case <-end.Done():
			n.handOver(ctx, r)
			return nil
		case err := <-n.failed:
			return fmt.Errorf("consensus: the applier stopped: %w", err)
		case leads := <-r.LeaderCh():
			endTerm()
			endTerm = func() {}
			if leads {
				endTerm = n.begin(ctx, &wg, r)
			}
		}
	}
}

// handOver gives the leadership to a voter that answers, so that the group need
// not find out by its silence that this node has stopped. It takes three election
// timeouts at most, if nobody takes it.
func (n *Node) handOver(ctx context.Context, r *raft.Raft) {
	l := n.leads()
	if l == nil || n.peers == nil || r.State() != raft.Leader {
		return
	}
	to, ok := l.successor(ctx)
	if !ok {
		return
	}
	if err := r.LeadershipTransferToServer(to.ID, to.Address).Error(); err != nil {
		n.log.Warn("leadership was not handed over", slog.String("node", n.ID()), slog.String("name", string(to.Address)),
			slog.Any("err", err))
		return
	}
	n.log.Info("leadership was given up", slog.String("node", n.ID()), slog.String("name", string(to.Address)))
}

// begin starts the duties of a leader; end stops them and waits.
func (n *Node) begin(ctx context.Context, wg *sync.WaitGroup, r *raft.Raft) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	wg.Go(func() {
		defer close(ended)
		n.lead(ctx, r)
	})
	return func() {
		cancel()
		<-ended
	}
}

// awaitLeader makes a node ready that follows: another one leads, and what it
// had committed is applied here.
func (n *Node) awaitLeader(ctx context.Context, r *raft.Raft) {
	poll := time.NewTicker(readyPoll)
	defer poll.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.ready:
			return
		case <-poll.C:
			if n.follows(ctx, r) {
				n.markReady()
			}
		}
	}
}

// reappear tells the leader where this node is now, if that does not find it: it
// looks where the node was when it last came. It is told once.
func (n *Node) reappear(ctx context.Context) {
	if n.self == nil || n.peers == nil || n.cfg.alone() {
		return
	}
	ticker := time.NewTicker(reappearPause)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.ready:
			return
		case <-ticker.C:
		}
		d := n.self()
		d.ID, d.AtUnixMS = n.ID(), n.now().UnixMilli()
		if _, _, err := n.peers.Propose(ctx, state.UpsertNode{Node: d}); err == nil {
			n.log.Info("the leader was told where this node is", slog.String("node", n.ID()),
				slog.String("addr", d.Addresses[fabricAddress]))
			return
		}
	}
}

func (n *Node) follows(ctx context.Context, r *raft.Raft) bool {
	id, _, known := n.Leader()
	if !known || id == n.ID() || !n.Initialized() {
		return false
	}
	if n.peers == nil {
		return r.AppliedIndex() >= r.CommitIndex()
	}
	ctx, cancel := context.WithTimeout(ctx, n.cfg.ApplyTimeout)
	defer cancel()
	index, err := n.peers.ReadIndex(ctx)
	return err == nil && n.WaitIndex(ctx, index) == nil
}

func (n *Node) markReady() {
	n.readyOnce.Do(func() {
		n.log.Info("consensus is ready", slog.String("node", n.ID()), slog.Bool("leader", n.IsLeader()),
			slog.Uint64("index", n.AppliedIndex()), slog.Uint64("revision", n.Config().Revision()))
		close(n.ready)
	})
}

// renew renews this node's lease with the leader, whoever that is.
func (n *Node) renew(ctx context.Context, starting bool) error {
	if l := n.leads(); l != nil {
		l.renewal(n.ID(), starting)
		return nil
	}
	if n.peers == nil {
		return ErrNotLeader
	}
	return n.peers.Renew(ctx, n.ID(), starting)
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
	st.disk.end()
	ended := make(chan error, 1)
	go func() {
		err := r.Shutdown().Error()
		<-idle
		ended <- err
	}()
	var err error
	patience := time.NewTimer(n.cfg.SlowDisk + quiesce)
	defer patience.Stop()
	select {
	case err = <-ended:
	case <-patience.C:
		if fault := st.disk.trouble(); fault != nil { // a write hangs: raft can't end
			return fmt.Errorf("consensus: shut down: %w", fault)
		}
		err = <-ended
	}
	n.stores.Store(nil)
	if err = errors.Join(err, st.close()); err != nil {
		return fmt.Errorf("consensus: shut down: %w", err)
	}
	return nil
}
