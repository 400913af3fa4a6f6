package consensus

import (
	"fmt"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"tmms/cluster/state"
	"tmms/cluster/verdict"
	"tmms/media"
)

// verdictMetrics count what the leader has decided.
type verdictMetrics struct {
	deaths *prometheus.CounterVec
	moves  *prometheus.CounterVec
}

// why a stream goes to its standby.
type why string

const (
	byBalance why = "balance" // the owner had too much to do
	byOwner   why = "owner"   // which asked for it: it is drained, ends, or has begun anew
	byDeath   why = "death"   // of the owner
	byReturn  why = "orphan"  // it had none, and the standby is there again
)

func newVerdictMetrics() *verdictMetrics {
	m := &verdictMetrics{deaths: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "tmms_cluster_deaths_total",
		Help: "Nodes with streams that this node, as the leader, has found dead: by silence or by the lease.",
	}, []string{"path"}), moves: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "tmms_cluster_moves_total",
		Help: "Streams that this node, as the leader, has given to their standbys, by reason.",
	}, []string{"reason"})}
	for _, w := range []why{byBalance, byOwner, byDeath, byReturn} {
		m.moves.WithLabelValues(string(w))
	}
	for _, p := range []verdict.Path{verdict.BySilence, verdict.ByLease} {
		m.deaths.WithLabelValues(string(p))
	}
	return m
}

func (m *verdictMetrics) moved(w why, streams int) {
	m.moves.WithLabelValues(string(w)).Add(float64(streams))
}

func (m *verdictMetrics) died(p verdict.Path) { m.deaths.WithLabelValues(string(p)).Inc() }

// registerVerdicts adds the metrics of what the leader decides about nodes.
func (n *Node) registerVerdicts(reg prometheus.Registerer) error {
	held := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "tmms_cluster_held_claims", Help: "Claims that wait here for a verdict on the stream's owner.",
	}, func() float64 { return float64(n.held.Load()) })
	standbys := func(inSync bool) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "tmms_cluster_standbys", Help: "Streams with a standby, by whether it could take over now.",
			ConstLabels: prometheus.Labels{"in_sync": strconv.FormatBool(inSync)},
		}, func() float64 { return float64(n.standbys(inSync)) })
	}
	for _, c := range []prometheus.Collector{n.verdicts.deaths, n.verdicts.moves, held, standbys(true), standbys(false)} {
		if err := reg.Register(c); err != nil {
			return fmt.Errorf("consensus: register metrics: %w", err)
		}
	}
	return nil
}

// standbys counts the streams with a standby that is in sync, or is not.
func (n *Node) standbys(inSync bool) (count int) {
	n.RangePlacements(func(_ media.StreamKey, p state.Placement) bool {
		if p.Standby != "" && p.InSync == inSync {
			count++
		}
		return true
	})
	return count
}
