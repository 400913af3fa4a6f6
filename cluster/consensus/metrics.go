package consensus

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

const stuckHelp = "1 while the raft log can't be written and this node takes no part in the group, else 0."

// register adds the metrics, all of which are read at scrape time.
func (n *Node) register(reg prometheus.Registerer) error {
	gauges := []struct {
		name, help string
		value      func() float64
	}{
		{"tmms_cluster_leader", "1 if this node leads the raft group, else 0.", func() float64 {
			if n.IsLeader() {
				return 1
			}
			return 0
		}},
		{"tmms_cluster_applied_index", "Raft index that the local state has reached.", func() float64 {
			return float64(n.AppliedIndex())
		}},
		{"tmms_config_revision", "Revision of the domain config in force on this node.", func() float64 {
			return float64(n.Config().Revision())
		}},
		{"tmms_cluster_placements", "Streams that are placed, those that have lost their owner too.", func() float64 {
			return float64(n.PlacementCount())
		}},
		{"tmms_cluster_disk_stuck", stuckHelp, func() float64 {
			if n.Trouble() != nil {
				return 1
			}
			return 0
		}},
	}
	for _, g := range gauges {
		c := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: g.name, Help: g.help}, g.value)
		if err := reg.Register(c); err != nil {
			return fmt.Errorf("consensus: register %s: %w", g.name, err)
		}
	}
	if err := n.registerDisk(reg); err != nil {
		return err
	}
	return n.registerVerdicts(reg)
}

// registerDisk adds the metrics of a slow disk.
func (n *Node) registerDisk(reg prometheus.Registerer) error {
	writes := prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "tmms_cluster_disk_slow_writes_total", Help: "Writes of the raft log that took a second or more.",
	}, func() float64 {
		if st := n.stores.Load(); st != nil {
			return float64(st.disk.slowWrites.Load())
		}
		return 0
	})
	yields := prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "tmms_cluster_disk_yields_total", Help: "Leaderships that this node has given up since its disk was slow.",
	}, func() float64 { return float64(n.yields.count.Load()) })
	for _, c := range []prometheus.Collector{writes, yields} {
		if err := reg.Register(c); err != nil {
			return fmt.Errorf("consensus: register metrics: %w", err)
		}
	}
	return nil
}
