package relay

import "github.com/prometheus/client_golang/prometheus"

// lostReason says why a standby is not in sync any more.
type lostReason string

// The reasons, as labels.
const (
	lostTimeout  lostReason = "timeout"  // it did not acknowledge an index in time
	lostBehind   lostReason = "behind"   // packets
	lostGone     lostReason = "gone"     // its subscription has ended
	lostProtocol lostReason = "protocol" // it says what can't be
)

// How a stream of this node stands with standbys, as labels.
const (
	standbyInSync = "in_sync" // it is published here, and its standby has everything
	standbyBehind = "behind"  // its standby has not
	standbyKept   = "kept"    // this node is the standby
)

// standbyMetrics are those of standbys; the streams are counted when they are scraped.
type standbyMetrics struct {
	hub     *Hub
	streams *prometheus.Desc
	behind  *prometheus.Desc

	ack   prometheus.Histogram
	losts *prometheus.CounterVec
}

func newStandbyMetrics(hub *Hub) *standbyMetrics {
	m := &standbyMetrics{
		hub: hub,
		streams: prometheus.NewDesc("tmms_relay_standby_streams",
			"Streams of this node whose standby is in sync or behind, and streams that this node is the standby of.",
			[]string{"state"}, nil),
		behind: prometheus.NewDesc("tmms_relay_standby_behind_seconds",
			"Stream time that the standby of a stream of this node has not acknowledged; the most of all streams.", nil, nil),
		ack: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "tmms_relay_standby_ack_seconds",
			Help: "Time from the making of a segment index to its acknowledgement by the standby, " +
				"until which readers don't see it.",
			Buckets: prometheus.ExponentialBuckets(1e-3, 2, 11),
		}),
		losts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tmms_relay_standby_lost_total", Help: "Times that a standby in sync was lost.",
		}, []string{"reason"}),
	}
	for _, why := range []lostReason{lostTimeout, lostBehind, lostGone, lostProtocol} {
		m.lost(why) // from 0 on, so that the first one counts as an increase
	}
	return m
}

func (m *standbyMetrics) lost(why lostReason) prometheus.Counter {
	return m.losts.WithLabelValues(string(why))
}

// gated lists the lives that have, or had, a standby.
func (h *Hub) gated() (list []*Live) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, f := range h.feeds.All() {
		if l := f.live.Load(); l != nil && l.gate.Load() != nil {
			list = append(list, l)
		}
	}
	return list
}

// Describe implements prometheus.Collector.
func (m *standbyMetrics) Describe(ch chan<- *prometheus.Desc) {
	ch <- m.streams
	ch <- m.behind
	m.ack.Describe(ch)
	m.losts.Describe(ch)
}

// Collect implements prometheus.Collector.
func (m *standbyMetrics) Collect(ch chan<- prometheus.Metric) {
	count := map[string]int{standbyInSync: 0, standbyBehind: 0, standbyKept: m.hub.kept()}
	var most float64
	for _, l := range m.hub.gated() {
		node, inSync, behind := l.StandbyState()
		switch {
		case node == "":
			continue
		case inSync:
			count[standbyInSync]++
		default:
			count[standbyBehind]++
		}
		most = max(most, behind.Duration().Seconds())
	}
	for state, n := range count {
		ch <- prometheus.MustNewConstMetric(m.streams, prometheus.GaugeValue, float64(n), state)
	}
	ch <- prometheus.MustNewConstMetric(m.behind, prometheus.GaugeValue, most)
	m.ack.Collect(ch)
	m.losts.Collect(ch)
}
