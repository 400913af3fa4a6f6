package consensus

import (
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

const (
	// slowWrite is how long a write of the raft log may take. Raft does nothing else
	// meanwhile, but its heartbeats go on: the others would wait for this node.
	slowWrite = 5 * time.Second
	// diskRetry is the pause after a write that failed.
	diskRetry = 500 * time.Millisecond
)

// Entry is one of the raft log.
type Entry = raft.Log

// Store is what raft keeps its log and its votes in.
type Store interface {
	raft.LogStore
	raft.StableStore
}

// disk stands between raft and its store. Raft can't stand a write that fails: it
// ends the process if that was its term, and a leader that can't write goes on to
// be elected. So a write that fails is tried again until it succeeds, as if the
// disk were slow; and while one fails, or takes longer than slowWrite, raft is cut
// off from the other nodes: they see this one as dead, and go on. Nothing was
// acknowledged that is not written. When the write is done raft comes back as a
// follower that lacks something.
type disk struct {
	Store // reads

	// Set at construction.
	log     *slog.Logger
	limit   time.Duration
	cut     func(off bool) // takes raft's connections away, or lets it have some again
	closing chan struct{}  // closed: raft ends, and the disk is not waited for

	failures  atomic.Int64 // writes that failed, each attempt
	snapshots atomic.Int64 // snapshots that could not be written
	stop      sync.Once

	slowWrites atomic.Int64

	mu    sync.Mutex
	stuck map[*pending]error // guarded by mu; what fails or takes long now
	slow  slowness           // guarded by mu
}

// pending is a write on its way.
type pending struct {
	done bool // guarded by disk.mu
}

func newDisk(s Store, log *slog.Logger, limit time.Duration, cut func(bool)) *disk {
	return &disk{
		Store: s, log: log, limit: limit, cut: cut, closing: make(chan struct{}), stuck: map[*pending]error{},
	}
}

// trouble says what is wrong with the disk now; nil if nothing is.
func (d *disk) trouble() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, err := range d.stuck {
		return err
	}
	return nil
}

// end gives up on writes that fail; raft is about to end.
func (d *disk) end() { d.stop.Do(func() { close(d.closing) }) }

// StoreLog implements raft.LogStore.
func (d *disk) StoreLog(l *raft.Log) error {
	return d.write("write an entry", func() error { return d.Store.StoreLog(l) })
}

// StoreLogs implements raft.LogStore.
func (d *disk) StoreLogs(logs []*raft.Log) error {
	return d.write("write entries", func() error { return d.Store.StoreLogs(logs) })
}

// DeleteRange implements raft.LogStore. Raft lives with its error.
func (d *disk) DeleteRange(first, last uint64) error {
	return d.watch("delete entries", func(*pending) error { return d.Store.DeleteRange(first, last) })
}

// Set implements raft.StableStore. At the end it says that all is well: raft would
// panic, and tells nobody any more, being cut off.
func (d *disk) Set(key, val []byte) error {
	_ = d.write("write the vote", func() error { return d.Store.Set(key, val) })
	return nil
}

// SetUint64 implements raft.StableStore, as Set.
func (d *disk) SetUint64(key []byte, val uint64) error {
	_ = d.write("write the term", func() error { return d.Store.SetUint64(key, val) })
	return nil
}

// write tries until it is done or raft ends.
func (d *disk) write(what string, op func() error) error {
	return d.watch(what, func(p *pending) error {
		for {
			err := op()
			if err == nil {
				return nil
			}
			d.failures.Add(1)
			d.enter(p, fmt.Errorf("%s: %w", what, err))
			select {
			case <-d.closing:
				return err
			case <-time.After(diskRetry):
			}
		}
	})
}

// watch notes an operation that takes too long.
func (d *disk) watch(what string, op func(*pending) error) error {
	p := &pending{}
	slow := time.AfterFunc(d.limit, func() { d.enter(p, fmt.Errorf("%s: it takes more than %s", what, d.limit)) })
	defer slow.Stop()
	began := time.Now()
	err := op(p)
	now := time.Now()
	d.leave(p)
	d.timed(now.Sub(began), now)
	return err
}

// enter notes that a write is stuck.
func (d *disk) enter(p *pending, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if p.done {
		return
	}
	if len(d.stuck) == 0 {
		d.cut(true)
		d.log.Error("the raft log can't be written: this node takes no part in the group until it can; streams go on",
			slog.Any("err", err))
	}
	d.stuck[p] = err
}

// leave notes that a write has ended.
func (d *disk) leave(p *pending) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p.done = true
	if _, was := d.stuck[p]; !was {
		return
	}
	delete(d.stuck, p)
	select {
	case <-d.closing: // what raft believes to be written may not be
		return
	default:
	}
	if len(d.stuck) == 0 {
		d.cut(false)
		d.log.Info("the raft log is written again: this node takes part in the group")
	}
}

// snapshots are a store of snapshots whose failures are noted: the log grows
// meanwhile, and nothing is lost.
type snapshots struct {
	raft.SnapshotStore

	disk *disk
}

// Create implements raft.SnapshotStore.
func (s snapshots) Create(version raft.SnapshotVersion, index, term uint64, group raft.Configuration, at uint64,
	trans raft.Transport,
) (raft.SnapshotSink, error) {
	sink, err := s.SnapshotStore.Create(version, index, term, group, at, trans)
	if err != nil {
		s.disk.noteSnapshot(err)
		return nil, err
	}
	return snapshotSink{sink, s.disk}, nil
}

type snapshotSink struct {
	raft.SnapshotSink

	disk *disk
}

// Write implements io.Writer.
func (s snapshotSink) Write(b []byte) (int, error) {
	n, err := s.SnapshotSink.Write(b)
	s.disk.noteSnapshot(err)
	return n, err
}

// Close implements io.Closer.
func (s snapshotSink) Close() error {
	err := s.SnapshotSink.Close()
	s.disk.noteSnapshot(err)
	return err
}

func (d *disk) noteSnapshot(err error) {
	if err != nil {
		d.snapshots.Add(1)
		d.log.Error("a snapshot was not written, and the raft log grows", slog.Any("err", err))
	}
}

// Trouble says why this node can't take part in the raft group now, though it
// runs: its disk. It is nil if it can.
func (n *Node) Trouble() error {
	st := n.stores.Load()
	if st == nil {
		return nil
	}
	if err := st.disk.trouble(); err != nil {
		return fmt.Errorf("the disk of the raft log: %w", err)
	}
	return nil
}

// leads gives the leadership of a node that leads and can.
func (n *Node) leads() *leadership {
	if n.Trouble() != nil {
		return nil
	}
	return n.leading.Load()
}
