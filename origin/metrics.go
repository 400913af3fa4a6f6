package origin

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"tmms/origin/session"
)

// register adds the metrics of the origin; they read counters at the scrape.
func (o *Origin) register(r prometheus.Registerer) error {
	counters := o.sessions.Counters()
	err := errors.Join(
		r.Register(gauge("tmms_origin_publishers", "Publisher connections that publish now.",
			o.server.Publishers)),
		r.Register(gauge("tmms_origin_forwarded_publishers",
			"Publisher connections whose stream another node owns.", o.server.Forwarded)),
		r.Register(gauge("tmms_origin_streams", "Streams owned by this node, those in their grace included.",
			func() int64 { return int64(o.sessions.Len()) })),
		r.Register(gauge("tmms_origin_exposed_streams",
			"Streams whose standby does not keep up, which the cluster could not be told yet.", o.sessions.Exposed)),
		r.Register(counter("tmms_origin_ingest_bytes_total", "Bytes received from publisher connections.", nil,
			o.server.Bytes)),
		r.Register(counter("tmms_origin_refused_connections_total",
			"Publisher connections that were closed because there were too many.", nil, o.server.Refused)),
		r.Register(counter("tmms_origin_timeline_rebases_total",
			"Timestamp discontinuities within a run that were corrected.", nil, counters.Rebases)),
	)
	for _, reason := range session.DropReasons() {
		err = errors.Join(err, r.Register(counter("tmms_origin_dropped_packets_total",
			"Packets that did not enter their stream.", prometheus.Labels{"reason": reason.String()},
			func() int64 { return counters.Dropped(reason) })))
	}
	return err
}

func gauge(name, help string, value func() int64) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help},
		func() float64 { return float64(value()) })
}

func counter(name, help string, labels prometheus.Labels, value func() int64) prometheus.Collector {
	return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: labels},
		func() float64 { return float64(value()) })
}
