package consensus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/hashicorp/raft"
	"github.com/prometheus/client_golang/prometheus"

	"tmms/cluster/duties"
	"tmms/cluster/fabric"
	"tmms/cluster/member"
	"tmms/cluster/state"
	"tmms/media"
)

// Config of a [Node]. The zero value is one node with everything in memory.
type Config struct {
	// DataDir holds the node's id, the raft log and snapshots; it is created.
	// Empty means in memory: nothing survives Run.
	DataDir string
	// Name is the node's name in its certificate; needed with Voters.
	Name string
	// Voters are the nodes that the group begins with, once, when none of them
	// has any state. Empty means this node alone. A node that is not among them
	// never begins a group: it waits to be added to one.
	Voters []Voter
	// CAFingerprint is that of the cluster's CA; nodes with different ones do
	// not begin a group.
	CAFingerprint string
	// ID overrides the minted id. A data folder that has another one is refused.
	ID string
	// Heartbeat is raft's heartbeat and election timeout: 50 ms if 0 and this
	// node is alone, else 600 ms. A leader is lost for one to two of them, and once
	// more if two nodes stand for it at a time.
	Heartbeat time.Duration
	// Lease is the term of the nodes' leases, member.DefaultTerm if 0. A node
	// that the leader has not heard of for so long loses its streams.
	Lease time.Duration
	// ApplyTimeout bounds the wait for a place in the leader's queue; 5 s if 0.
	ApplyTimeout time.Duration
	// Level is the feature level that this node knows, state.Level if nil.
	Level *int
	// SlowDisk is how long a write of the raft log may take until the others go on
	// without this node; 5 s if 0.
	SlowDisk time.Duration
	// NoBalance keeps this node, when it leads, from moving streams for the sake of
	// loads.
	NoBalance bool
	// Relief is how long an origin has to have too much to do until its streams are
	// moved, [duties.ReliefTime] if 0.
	Relief time.Duration
	// SnapshotThreshold is the number of log entries that are due a snapshot;
	// 8192 if 0.
	SnapshotThreshold uint64
}

// Voter is a member that the raft group begins with.
type Voter struct {
	Name    string `json:"name"`    // as in its certificate
	Address string `json:"address"` // of its fabric port
}

// Deps are what a [Node] works with.
type Deps struct {
	Log *slog.Logger // required
	// Layer makes raft's streams to the other voters: the RaftLayer method of a
	// [fabric.Fabric].
	Layer func(lookup func(raft.ServerAddress) (fabric.Target, bool)) raft.StreamLayer
	// Peers asks other nodes; a control.Client is one. It is needed with Layer.
	Peers Peers
	// Serial gives the serial number of this node's certificate; nil: not known.
	Serial func() string
	// Witnesses tell which origins are silent; nil: only leases say who is dead.
	Witnesses Witnesses
	// Busy tells how busy nodes are and how far away, by id, as far as it is known;
	// nil: it is not.
	Busy func() map[string]Busy
	// GiveAway asks the owner of a stream in an epoch to give it to its standby, so that
	// no frame is lost; nil: the leader just moves streams.
	GiveAway func(ctx context.Context, owner string, key media.StreamKey, epoch uint64) error
	// Self is what this node tells the cluster of itself, its fabric's address above
	// all, should the others not find it where it was; nil: nothing.
	Self func() state.Node
	// Wrap, if not nil, stands in front of the store of the raft log: for tests of
	// disks that fail.
	Wrap func(Store) Store
	// Transport replaces the one over Layer; it reaches voters by their names.
	Transport raft.Transport
	// Registerer takes the metrics; nil means none are kept.
	Registerer prometheus.Registerer
	// Now is the clock that stamps commands; time.Now if nil.
	Now func() time.Time
}

// Busy is how busy a node is, and how far away.
type Busy = duties.Busy

// Defaults of Config.
const (
	aloneHeartbeat  = 100 * time.Millisecond
	groupHeartbeat  = 600 * time.Millisecond
	defaultApply    = 5 * time.Second
	defaultSnapshot = 8192
	// appendEntries bounds the commands that are sent to a follower at once. Each may
	// be a config of media.MaxConfigBytes, and all have to get there in raftTimeout:
	// with raft's default of 64 a voter that missed some of them would never catch up.
	appendEntries = 8
	// trailingLogs are kept after a snapshot for followers that lag, beside those
	// since the snapshot before it.
	trailingLogs = 1024
	// retainedSnapshots on disk; the older is for when the newest can't be read.
	retainedSnapshots = 2
)

func (c *Config) setDefaults() {
	if c.Heartbeat == 0 {
		c.Heartbeat = groupHeartbeat
		if c.alone() {
			c.Heartbeat = aloneHeartbeat
		}
	}
	if c.Lease == 0 {
		c.Lease = member.DefaultTerm
	}
	if c.ApplyTimeout == 0 {
		c.ApplyTimeout = defaultApply
	}
	if c.SlowDisk == 0 {
		c.SlowDisk = slowWrite
	}
	if c.Level == nil {
		c.Level = new(state.Level)
	}
	if c.SnapshotThreshold == 0 {
		c.SnapshotThreshold = defaultSnapshot
	}
	c.Voters = slices.SortedFunc(slices.Values(c.Voters), compareVoters)
}

// alone reports whether the group is this node and no other.
func (c *Config) alone() bool { return len(c.Voters) == 0 }

func (c *Config) validate(deps Deps) error {
	var faults []error
	if deps.Log == nil {
		faults = append(faults, errors.New("consensus: no logger"))
	}
	if !c.alone() {
		faults = append(faults, c.validateGroup(deps)...)
	}
	if c.Heartbeat < 0 || c.ApplyTimeout < 0 || c.Lease < 0 || c.SlowDisk < 0 || c.Relief < 0 {
		faults = append(faults, fmt.Errorf(
			"consensus: heartbeat %s, apply timeout %s, lease %s, slow disk %s and relief %s must not be negative",
			c.Heartbeat, c.ApplyTimeout, c.Lease, c.SlowDisk, c.Relief))
	}
	return errors.Join(faults...)
}

func (c *Config) validateGroup(deps Deps) (faults []error) {
	if deps.Peers == nil || (deps.Layer == nil && deps.Transport == nil) {
		faults = append(faults, fmt.Errorf("consensus: %d voters need a way to reach each other", len(c.Voters)))
	}
	if c.Name == "" {
		faults = append(faults, errors.New("consensus: a node of a group needs a name"))
	}
	names, addresses := map[string]bool{}, map[string]bool{}
	for _, v := range c.Voters {
		if v.Name == "" || v.Address == "" || names[v.Name] || addresses[v.Address] {
			faults = append(faults, fmt.Errorf("consensus: voter %q at %q is there twice or lacks something",
				v.Name, v.Address))
		}
		names[v.Name], addresses[v.Address] = true, true
	}
	return faults
}

// raftConfig is hashicorp/raft's view of the config.
func (n *Node) raftConfig() *raft.Config {
	rc := raft.DefaultConfig()
	rc.LocalID = raft.ServerID(n.ID())
	rc.HeartbeatTimeout = n.cfg.Heartbeat
	rc.ElectionTimeout = n.cfg.Heartbeat
	rc.LeaderLeaseTimeout = n.cfg.Heartbeat // how often a leader that is alone looks at nobody
	if !n.cfg.alone() {
		rc.LeaderLeaseTimeout = max(n.cfg.Heartbeat*3/4, 5*time.Millisecond) // 5 ms is raft's minimum
	}
	rc.SnapshotThreshold = n.cfg.SnapshotThreshold
	rc.TrailingLogs = n.cfg.SnapshotThreshold + trailingLogs
	rc.MaxAppendEntries = appendEntries
	rc.ShutdownOnRemove = false // Run ends by its context only
	rc.Logger = newRaftLog(n.log)
	return rc
}
