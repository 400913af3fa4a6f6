package relay

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// shared are the metrics that both ends of the relay of a node count in.
type shared struct {
	bytes  *prometheus.CounterVec
	fences prometheus.Counter
}

// newShared registers the shared metrics, or finds them registered.
func newShared(reg prometheus.Registerer) (shared, error) {
	s := shared{
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tmms_relay_bytes_total", Help: "Bytes of streams that went between nodes.",
		}, []string{"direction"}),
		fences: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tmms_cluster_epoch_fences_total",
			Help: "Times that a source or a subscriber was turned away because the stream has a higher epoch.",
		}),
	}
	var err error
	if s.bytes, err = register(reg, s.bytes); err != nil {
		return s, err
	}
	s.fences, err = register(reg, s.fences)
	return s, err
}

// register registers c; what is registered already is returned in its place.
func register[T prometheus.Collector](reg prometheus.Registerer, c T) (T, error) {
	if reg == nil {
		return c, nil
	}
	err := reg.Register(c)
	if already, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		if known, ok := already.ExistingCollector.(T); ok {
			return known, nil
		}
	}
	if err != nil {
		return c, fmt.Errorf("relay: register a metric: %w", err)
	}
	return c, nil
}

// serverMetrics are the source's.
type serverMetrics struct {
	subscriptions prometheus.Gauge
	abandoned     prometheus.Counter
	bytes         prometheus.Counter // out
	fences        prometheus.Counter
	standby       *standbyMetrics
}

func newServerMetrics(hub *Hub, reg prometheus.Registerer) (*serverMetrics, error) {
	common, err := newShared(reg)
	if err != nil {
		return nil, err
	}
	m := &serverMetrics{
		subscriptions: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "tmms_relay_subscriptions", Help: "Streams that are being sent to other nodes.",
		}),
		abandoned: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tmms_relay_abandoned_groups_total",
			Help: "Groups that were given up because their subscriber was too far behind.",
		}),
		bytes: common.bytes.WithLabelValues("out"), fences: common.fences, standby: newStandbyMetrics(hub),
	}
	if m.subscriptions, err = register(reg, m.subscriptions); err != nil {
		return nil, err
	}
	if m.abandoned, err = register(reg, m.abandoned); err != nil {
		return nil, err
	}
	m.standby, err = register(reg, m.standby)
	return m, err
}

// pullMetrics are the puller's; the states are counted when they are scraped.
type pullMetrics struct {
	puller *Puller
	pulls  *prometheus.Desc
	held   *prometheus.Desc
	shed   *prometheus.Desc

	lag    prometheus.Histogram
	hops   *prometheus.HistogramVec
	hedges prometheus.Counter
	moves  prometheus.Counter
	bytes  prometheus.Counter // in
	fences prometheus.Counter
}

func newPullMetrics(p *Puller, reg prometheus.Registerer) (*pullMetrics, error) {
	common, err := newShared(reg)
	if err != nil {
		return nil, err
	}
	m := &pullMetrics{
		puller: p,
		pulls:  prometheus.NewDesc("tmms_edge_pulls", "Streams that are pulled from other nodes.", []string{"state"}, nil),
		held: prometheus.NewDesc("tmms_edge_segment_bytes",
			"Bytes of HLS segments that are held of pulled streams.", nil, nil),
		shed: prometheus.NewDesc("tmms_edge_segments_shed_total",
			"HLS segments that the node had no room for; those behind the playlists go first.", nil, nil),
		lag: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "tmms_relay_lag_seconds",
			Help: "Time from a packet's arrival at the owner to its arrival here, corrected by how far the clocks are apart; " +
				"sampled.",
			Buckets: prometheus.ExponentialBuckets(1e-3, 2, 14),
		}),
		hops: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tmms_hop_latency_seconds",
			Help: "Time that the beginning of a group took from the node before, corrected by how far the clocks are apart; " +
				"hop 1 begins at the owner.",
			Buckets: prometheus.ExponentialBuckets(1e-3, 2, 14),
		}, []string{"hop"}),
		hedges: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tmms_relay_hedges_total", Help: "Second subscriptions because a shield was silent.",
		}),
		moves: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tmms_relay_moves_total", Help: "Pulls that went to another source without an interruption.",
		}),
		bytes: common.bytes.WithLabelValues("in"), fences: common.fences,
	}
	if reg != nil {
		if err := reg.Register(m); err != nil {
			return nil, fmt.Errorf("relay: register the pulls' metrics: %w", err)
		}
	}
	return m, nil
}

// Describe implements prometheus.Collector.
func (m *pullMetrics) Describe(ch chan<- *prometheus.Desc) {
	ch <- m.pulls
	ch <- m.held
	ch <- m.shed
	for _, c := range []prometheus.Collector{m.lag, m.hops, m.hedges, m.moves} {
		c.Describe(ch)
	}
}

// Collect implements prometheus.Collector.
func (m *pullMetrics) Collect(ch chan<- prometheus.Metric) {
	var count [numPullPhases]int
	m.puller.mu.Lock()
	for _, pl := range m.puller.pulls.All() {
		count[pl.phase.Load()]++
	}
	m.puller.mu.Unlock()
	for phase, n := range count {
		ch <- prometheus.MustNewConstMetric(m.pulls, prometheus.GaugeValue, float64(n), phaseName(int32(phase)))
	}
	b := m.puller.segments
	ch <- prometheus.MustNewConstMetric(m.held, prometheus.GaugeValue, float64(b.held.Load()))
	ch <- prometheus.MustNewConstMetric(m.shed, prometheus.CounterValue, float64(b.shed.Load()))
	for _, c := range []prometheus.Collector{m.lag, m.hops, m.hedges, m.moves} {
		c.Collect(ch)
	}
}

// hop is the histogram of a hop.
func (m *pullMetrics) hop(n int) prometheus.Observer { return m.hops.WithLabelValues(hopName(n)) }
