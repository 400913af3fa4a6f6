package control

import (
	"fmt"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics count what is asked here.
type metrics struct {
	requests *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer, watchers func() float64) (*metrics, error) {
	m := &metrics{requests: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "tmms_cluster_control_requests_total", Help: "Requests of other nodes, by method and outcome.",
	}, []string{"method", "code"})}
	if reg == nil {
		return m, nil
	}
	following := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "tmms_cluster_control_watchers", Help: "Nodes that follow the state from this voter.",
	}, watchers)
	for _, c := range []prometheus.Collector{m.requests, following} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("control: register metrics: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) served(method string, err error) {
	code := "ok"
	if err != nil {
		code = asFault(err, "").Code
	}
	known := []string{
		methodHello, methodPropose, methodRead, methodRenew, methodWatch, methodJoin, methodRemove, methodStatus, methodQuery,
		methodRevoke, methodSeen,
	}
	if !slices.Contains(known, method) {
		method = "other"
	}
	m.requests.WithLabelValues(method, code).Inc()
}
