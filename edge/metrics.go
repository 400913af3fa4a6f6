package edge

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tmms/edge/fanout"
	"tmms/edge/secure"
	"tmms/edge/viewer"
)

// metrics collects the loops' counters when they are scraped.
type metrics struct {
	edge  *Edge
	loops *loopMetrics
	http  *httpMetrics

	flush   prometheus.Histogram
	viewers *prometheus.Desc
	limit   *prometheus.Desc
	sent    *prometheus.Desc
	busy    *prometheus.Desc
	cpu     *prometheus.Desc
	late    *prometheus.Desc
	stretch *prometheus.Desc
	conns   *prometheus.Desc
	pending *prometheus.Desc
	skips   *prometheus.Desc
	closed  *prometheus.Desc
	shaken  *prometheus.Desc
	shaking *prometheus.Desc
	moved   *prometheus.Desc
	divert  *prometheus.Desc
}

func newMetrics(e *Edge) *metrics {
	return &metrics{
		edge:  e,
		loops: newLoopMetrics(e.reactor.Loops()),
		http:  newHTTPMetrics(e.web),
		flush: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "tmms_edge_flush_seconds", Help: "Time that the flush of one tick took on a loop.",
			Buckets: prometheus.ExponentialBuckets(50e-6, 2, 12),
		}),
		viewers: prometheus.NewDesc("tmms_edge_viewers", "Viewers now, those that wait for a publisher included.",
			[]string{"proto"}, nil),
		limit: prometheus.NewDesc("tmms_edge_viewers_limit",
			"Streaming viewers that the node takes at most (edge.limits.viewers); 0: no bound.", nil, nil),
		sent: prometheus.NewDesc("tmms_edge_sent_bytes_total", "Bytes of streams that viewers' sockets took.",
			[]string{"proto"}, nil),
		busy: prometheus.NewDesc("tmms_edge_loop_busy_ratio", "Share of time that a loop worked, over the last seconds.",
			[]string{"loop"}, nil),
		cpu: prometheus.NewDesc("tmms_edge_loop_cpu_seconds_total", "Processor time of a loop's thread.",
			[]string{"loop"}, nil),
		late: prometheus.NewDesc("tmms_edge_loop_lateness_seconds", "How late a loop's tick was at worst, lately.",
			[]string{"loop"}, nil),
		stretch: prometheus.NewDesc("tmms_edge_flush_stretch_ratio",
			"By what factor a loop's flushes are rarer than the apps ask for, up to their limits, for want of time.",
			[]string{"loop"}, nil),
		conns: prometheus.NewDesc("tmms_edge_connections", "Connections on a loop.", []string{"loop"}, nil),
		pending: prometheus.NewDesc("tmms_edge_pending_connections",
			"Connections that have not asked to publish, play or GET yet.", nil, nil),
		skips: prometheus.NewDesc("tmms_edge_viewer_skips_total", "Times that a viewer was moved on to a newer keyframe.",
			nil, nil),
		closed:  prometheus.NewDesc("tmms_edge_closed_total", "Connections that ended, by reason.", []string{"reason"}, nil),
		shaken:  prometheus.NewDesc("tmms_edge_tls_handshakes_total", "TLS handshakes, by result.", []string{"result"}, nil),
		shaking: prometheus.NewDesc("tmms_edge_tls_handshakes_in_flight", "TLS handshakes under way.", nil, nil),
		moved: prometheus.NewDesc("tmms_edge_tls_moved_connections",
			"TLS connections with a protocol that the loops do not speak.", nil, nil),
		divert: prometheus.NewDesc("tmms_edge_diverted_total",
			"Viewers who were sent, or asked to go, to other edges while the node is drained.", nil, nil),
	}
}

func (m *metrics) observeFlush(d time.Duration) { m.flush.Observe(d.Seconds()) }

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	m.flush.Describe(ch)
	m.loops.Describe(ch)
	m.http.Describe(ch)
	for _, d := range []*prometheus.Desc{
		m.viewers, m.limit, m.sent, m.busy, m.cpu, m.late, m.stretch, m.conns, m.pending, m.skips, m.closed,
		m.shaken, m.shaking, m.moved, m.divert,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
	}
	m.flush.Collect(ch)
	m.loops.Collect(ch)
	m.http.Collect(ch)
	for _, f := range []fanout.Format{fanout.FLV, fanout.RTMP, fanout.WebSocket, fanout.TS} {
		var viewers, sent int64
		for _, e := range m.edge.engines {
			viewers += e.Stats().Viewers(f)
			sent += e.Stats().Sent(f)
		}
		gauge(m.viewers, float64(viewers), f.String())
		counter(m.sent, float64(sent), f.String())
	}
	gauge(m.viewers, float64(m.edge.web.HLSViewers()), "hls")
	counter(m.sent, float64(m.edge.web.HLSSent()), "hls")
	gauge(m.limit, float64(m.edge.gate.Limit()))
	var skips int64
	for i, l := range m.edge.reactor.Loops() {
		s := l.Stats()
		loop := strconv.Itoa(i)
		gauge(m.busy, s.BusyRatio, loop)
		counter(m.cpu, s.CPU.Seconds(), loop)
		gauge(m.late, s.MaxLateness.Seconds(), loop)
		gauge(m.conns, float64(s.Conns), loop)
		gauge(m.stretch, m.edge.engines[i].Stats().Stretch(), loop)
		skips += m.edge.engines[i].Stats().Skips()
	}
	gauge(m.pending, float64(m.edge.reactor.Pending()))
	counter(m.skips, float64(skips))
	counter(m.divert, float64(m.edge.gate.Diverted()))
	for r := range viewer.NumReasons {
		counter(m.closed, float64(m.edge.gate.EndedBy(r)), r.String())
	}
	if s := m.edge.secure; s != nil {
		for r := range secure.NumResults {
			counter(m.shaken, float64(s.Handshakes(r)), r.String())
		}
		gauge(m.shaking, float64(s.InFlight()))
		gauge(m.moved, float64(s.Moved()))
	}
}
