package consensus

import (
	"fmt"
	"time"

	"github.com/hashicorp/raft"
	"github.com/prometheus/client_golang/prometheus"
)

// raftTimes are how long the group takes to decide, and the disk to write. Safe from
// any goroutine.
type raftTimes struct {
	commits, writes prometheus.Histogram
}

func newRaftTimes() *raftTimes {
	buckets := prometheus.ExponentialBuckets(250e-6, 2, 16) // to 8 s
	return &raftTimes{
		commits: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "tmms_cluster_commit_seconds",
			Help:    "Time from a command's proposal on this node, as the leader, to its result.",
			Buckets: buckets,
		}),
		writes: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "tmms_cluster_disk_write_seconds", Help: "Time of a write of the raft log, with its retries.",
			Buckets: buckets,
		}),
	}
}

func (m *raftTimes) committed(took time.Duration) { m.commits.Observe(took.Seconds()) }

func (m *raftTimes) wrote(took time.Duration) { m.writes.Observe(took.Seconds()) }

// registerRaft adds the metrics of the raft group itself.
func (n *Node) registerRaft(reg prometheus.Registerer) error {
	voters := func(state string, alive bool) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name:        "tmms_cluster_voters",
			Help:        "Voters of the raft group by whether they renew their lease; 0 where this node does not lead.",
			ConstLabels: prometheus.Labels{"state": state},
		}, func() float64 { return float64(n.countVoters(alive)) })
	}
	for _, c := range []prometheus.Collector{
		n.raftTimes.commits, n.raftTimes.writes, voters("alive", true), voters("silent", false),
	} {
		if err := reg.Register(c); err != nil {
			return fmt.Errorf("consensus: register metrics: %w", err)
		}
	}
	return nil
}

// countVoters counts the voters that are alive, or are not, as this leader's leases
// say; 0 if this node does not lead.
func (n *Node) countVoters(alive bool) (count int) {
	l := n.leads()
	if l == nil {
		return 0
	}
	now := time.Now()
	for _, s := range l.servers() {
		id := string(s.ID)
		if s.Suffrage == raft.Voter && (id == n.ID() || l.alive(id, now)) == alive {
			count++
		}
	}
	return count
}
