package consensus

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/hashicorp/raft"
	"github.com/prometheus/client_golang/prometheus"
)

// Config of a [Node]. The zero value is one node with everything in memory.
type Config struct {
	// DataDir holds the node's id, the raft log and snapshots; it is created.
	// Empty means in memory: nothing survives Run.
	DataDir string
	// Voters are the servers of the group that this node bootstraps with, once,
	// when it has no state; itself included. Empty means this node alone. More
	// than one need Deps.Transport, and Config.ID on each.
	Voters []Voter
	// ID overrides the minted id. A data folder that has another one is refused.
	ID string
	// Heartbeat is raft's heartbeat and election timeout: 50 ms if 0 and this
	// node is alone, else 1 s. A leader is found within about three of them.
	Heartbeat time.Duration
	// ApplyTimeout bounds the wait for a place in the leader's queue; 5 s if 0.
	ApplyTimeout time.Duration
	// SnapshotThreshold is the number of log entries that are due a snapshot;
	// 8192 if 0.
	SnapshotThreshold uint64
}

// Voter is a server of the raft group.
type Voter struct {
	ID      string // raft id
	Address string // what Deps.Transport dials
}

// Deps are what a [Node] works with.
type Deps struct {
	Log *slog.Logger // required
	// Transport reaches the other voters. Nil means none; Run closes it if it
	// can be closed.
	Transport raft.Transport
	// Registerer takes the metrics; nil means none are kept.
	Registerer prometheus.Registerer
	// Now is the clock that stamps commands; time.Now if nil.
	Now func() time.Time
}

// Defaults of Config.
const (
	aloneHeartbeat  = 50 * time.Millisecond
	groupHeartbeat  = time.Second
	defaultApply    = 5 * time.Second
	defaultSnapshot = 8192
	// trailingLogs are kept after a snapshot for followers that lag.
	trailingLogs = 1024
	// retainedSnapshots on disk; the older is for an operator, not for us.
	retainedSnapshots = 2
)

func (c *Config) setDefaults() {
	if c.Heartbeat == 0 {
		c.Heartbeat = groupHeartbeat
		if len(c.Voters) <= 1 {
			c.Heartbeat = aloneHeartbeat
		}
	}
	if c.ApplyTimeout == 0 {
		c.ApplyTimeout = defaultApply
	}
	if c.SnapshotThreshold == 0 {
		c.SnapshotThreshold = defaultSnapshot
	}
}

func (c *Config) validate(deps Deps) error {
	var faults []error
	if deps.Log == nil {
		faults = append(faults, errors.New("consensus: no logger"))
	}
	if len(c.Voters) > 1 && deps.Transport == nil {
		faults = append(faults, fmt.Errorf("consensus: %d voters need a transport between them", len(c.Voters)))
	}
	if len(c.Voters) > 1 && c.ID == "" {
		faults = append(faults, fmt.Errorf("consensus: %d voters need ids that are known beforehand", len(c.Voters)))
	}
	if c.Heartbeat < 0 || c.ApplyTimeout < 0 {
		faults = append(faults, fmt.Errorf("consensus: heartbeat %s and apply timeout %s must not be negative",
			c.Heartbeat, c.ApplyTimeout))
	}
	return errors.Join(faults...)
}

// raftConfig is hashicorp/raft's view of the config.
func (n *Node) raftConfig() *raft.Config {
	rc := raft.DefaultConfig()
	rc.LocalID = raft.ServerID(n.id)
	rc.HeartbeatTimeout = n.cfg.Heartbeat
	rc.ElectionTimeout = n.cfg.Heartbeat
	rc.LeaderLeaseTimeout = max(n.cfg.Heartbeat/2, 5*time.Millisecond) // 5 ms is raft's minimum
	rc.SnapshotThreshold = n.cfg.SnapshotThreshold
	rc.TrailingLogs = trailingLogs
	rc.Logger = newRaftLog(n.log)
	return rc
}
