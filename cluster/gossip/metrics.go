package gossip

import (
	"github.com/prometheus/client_golang/prometheus"
)

// collector counts the members when it is asked to.
type collector struct {
	g    *Gossip
	desc *prometheus.Desc
}

func newCollector(g *Gossip) *collector {
	return &collector{g, prometheus.NewDesc("tmms_cluster_members",
		"Nodes of the cluster by their state as this node sees it, itself included; those that are gone, for a day.",
		[]string{"state"}, nil)}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) { ch <- c.desc }

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	counts := map[State]int{StateAlive: 0, StateSuspect: 0, StateDead: 0, StateLeft: 0}
	for _, m := range c.g.Members() {
		counts[m.State]++
	}
	for state, n := range counts {
		ch <- prometheus.MustNewConstMetric(c.desc, prometheus.GaugeValue, float64(n), string(state))
	}
}
