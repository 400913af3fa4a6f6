package fabric

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of a fabric; the gauges are read at scrape time.
type metrics struct {
	fabric  *Fabric
	dials   *prometheus.CounterVec
	refused prometheus.Counter
	silent  prometheus.Counter

	sessions, rtt, expiry *prometheus.Desc

	peerRTT, peerLoss, peerBytes, peerRate, peerLost, peerResets *prometheus.Desc
	peerLanes, peerRepairs, peerRepaired                         *prometheus.Desc
}

func newMetrics(f *Fabric, reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		fabric: f,
		dials: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tmms_fabric_dials_total", Help: "Dials to other nodes, by how they ended.",
		}, []string{"result"}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tmms_fabric_refused_total", Help: "Peers that were not let in: certificate, protocol, role or limit.",
		}),
		silent: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tmms_fabric_silent_sessions_total", Help: "Sessions that were given up because nothing came from the peer.",
		}),
		sessions: prometheus.NewDesc("tmms_fabric_sessions", "Sessions between nodes.", []string{"alpn", "direction"}, nil),
		rtt: prometheus.NewDesc("tmms_fabric_rtt_seconds",
			"Longest smoothed round trip among the sessions that this node dialed.", []string{"alpn"}, nil),
		expiry: prometheus.NewDesc("tmms_fabric_certificate_expiry_timestamp_seconds",
			"Unix time at which this node's certificate ends.", nil, nil),
	}
	m.describePeers()
	for _, result := range []string{
		"ok", string(Unresolved), string(Unreachable), string(Untrusted), string(Refused), string(Stopped),
	} {
		m.dials.WithLabelValues(result)
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m, m.dials, m.refused, m.silent} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("fabric: register metrics: %w", err)
		}
	}
	return m, nil
}

// dialed counts the end of a dial.
func (m *metrics) dialed(err error) {
	result := "ok"
	if err != nil {
		result = string(Stopped)
	}
	if d, ok := errors.AsType[*DialError](err); ok {
		result = string(d.Failure)
	}
	m.dials.WithLabelValues(result).Inc()
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	ch <- m.sessions
	ch <- m.rtt
	ch <- m.expiry
	for _, d := range []*prometheus.Desc{
		m.peerRTT, m.peerLoss, m.peerBytes, m.peerRate, m.peerLost, m.peerResets, m.peerLanes, m.peerRepairs, m.peerRepaired,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	in, out, rtt := m.fabric.count()
	gauge := func(desc *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, v, labels...)
	}
	for _, alpn := range []ALPN{ALPNRaft, ALPNControl, ALPNRelay} {
		gauge(m.sessions, float64(in[alpn]), string(alpn), "in")
		gauge(m.sessions, float64(out[alpn]), string(alpn), "out")
		gauge(m.rtt, rtt[alpn], string(alpn))
	}
	gauge(m.expiry, float64(m.fabric.id.NotAfter().Unix()))
	for _, p := range m.fabric.Peers() {
		m.collectPeer(ch, &p)
	}
}

// count gives the live sessions by protocol, and the longest round trip in seconds.
func (f *Fabric) count() (in, out map[ALPN]int, rtt map[ALPN]float64) {
	in, out, rtt = make(map[ALPN]int), make(map[ALPN]int), make(map[ALPN]float64)
	f.mu.Lock()
	defer f.mu.Unlock()
	for key, sessions := range f.accepted {
		in[key.alpn] += len(sessions)
	}
	for key, l := range f.links {
		if l.session != nil {
			out[key.alpn]++
			rtt[key.alpn] = max(rtt[key.alpn], l.session.RTT().Seconds())
		}
	}
	return in, out, rtt
}
