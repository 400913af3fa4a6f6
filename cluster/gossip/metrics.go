package gossip

import (
	"github.com/prometheus/client_golang/prometheus"
)

// collector counts the members when it is asked to.
type collector struct {
	g       *Gossip
	members *prometheus.Desc
	health  *prometheus.Desc
}

func newCollector(g *Gossip) *collector {
	return &collector{
		g: g,
		members: prometheus.NewDesc("tmms_cluster_members",
			"Nodes of the cluster by their state as this node sees it, itself included; those that are gone, for a day.",
			[]string{"state"}, nil),
		health: prometheus.NewDesc("tmms_gossip_health_score",
			"How little this node trusts its own probes: 0 is healthy, with each step it waits longer before it doubts others.",
			nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.members
	ch <- c.health
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	counts := map[State]int{StateAlive: 0, StateSuspect: 0, StateDead: 0, StateLeft: 0}
	for _, m := range c.g.Members() {
		counts[m.State]++
	}
	for state, n := range counts {
		ch <- prometheus.MustNewConstMetric(c.members, prometheus.GaugeValue, float64(n), string(state))
	}
	ch <- prometheus.MustNewConstMetric(c.health, prometheus.GaugeValue, float64(c.g.Health()))
}
