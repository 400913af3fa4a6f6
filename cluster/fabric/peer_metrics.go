package fabric

import "github.com/prometheus/client_golang/prometheus"

// describePeers makes the metrics of single peers: a label for each node of the
// cluster, until it was gone for a while.
func (m *metrics) describePeers() {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, append([]string{"peer"}, labels...), nil)
	}
	m.peerRTT = desc("tmms_fabric_peer_rtt_seconds", "Smoothed round trip to a node.")
	m.peerLoss = desc("tmms_fabric_peer_loss_ratio", "Share of the packets to a node that was lost, of the last seconds.")
	m.peerBytes = desc("tmms_fabric_peer_bytes_total", "Bytes of QUIC packets to and from a node.", "direction")
	m.peerRate = desc("tmms_fabric_peer_goodput_bytes_per_second",
		"Bytes a second to and from a node without what was lost, of the last seconds.", "direction")
	m.peerLost = desc("tmms_fabric_peer_lost_packets_total",
		"Packets to a node that were lost; what they held was sent again.")
	m.peerResets = desc("tmms_fabric_peer_groups_reset_total",
		"Groups of streams that were given up on the way to or from a node.", "direction")
}

// collectPeer gives the metrics of one peer.
func (m *metrics) collectPeer(ch chan<- prometheus.Metric, p *PeerStats) {
	give := func(desc *prometheus.Desc, typ prometheus.ValueType, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, typ, v, append([]string{p.Name}, labels...)...)
	}
	if p.Sessions > 0 {
		give(m.peerRTT, prometheus.GaugeValue, p.RTT.Seconds())
	}
	give(m.peerLoss, prometheus.GaugeValue, p.Loss)
	give(m.peerBytes, prometheus.CounterValue, float64(p.SentBytes), "out")
	give(m.peerBytes, prometheus.CounterValue, float64(p.ReceivedBytes), "in")
	give(m.peerRate, prometheus.GaugeValue, p.SentBPS/8, "out")
	give(m.peerRate, prometheus.GaugeValue, p.ReceivedBPS/8, "in")
	give(m.peerLost, prometheus.CounterValue, float64(p.LostPackets))
	give(m.peerResets, prometheus.CounterValue, float64(p.ResetsSent), "out")
	give(m.peerResets, prometheus.CounterValue, float64(p.ResetsArrived), "in")
}
