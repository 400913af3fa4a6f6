package edge

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"tmms/edge/viewer/web"
)

// httpMetrics tells what viewers ask for by HTTP, of whatever version.
type httpMetrics struct {
	web *web.Server

	answered, parked *prometheus.Desc
}

func newHTTPMetrics(w *web.Server) *httpMetrics {
	return &httpMetrics{
		web: w,
		answered: prometheus.NewDesc("tmms_edge_http_requests_total",
			"Requests answered, live streams when they begin, by what was asked for and the class of the status code.",
			[]string{"kind", "code"}, nil),
		parked: prometheus.NewDesc("tmms_edge_http_parked_requests_total",
			"Requests that had to wait for what they asked for: a stream to come, the next part or playlist.",
			[]string{"kind"}, nil),
	}
}

// Describe implements prometheus.Collector.
func (m *httpMetrics) Describe(ch chan<- *prometheus.Desc) {
	ch <- m.answered
	ch <- m.parked
}

// Collect implements prometheus.Collector.
func (m *httpMetrics) Collect(ch chan<- prometheus.Metric) {
	for k := range web.NumKinds {
		for class := 1; class <= web.NumClasses; class++ {
			ch <- prometheus.MustNewConstMetric(m.answered, prometheus.CounterValue, float64(m.web.Answered(k, class)),
				k.String(), strconv.Itoa(class)+"xx")
		}
		ch <- prometheus.MustNewConstMetric(m.parked, prometheus.CounterValue, float64(m.web.Parked(k)), k.String())
	}
}
