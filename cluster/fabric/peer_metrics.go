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
	m.peerLanes = desc("tmms_fabric_peer_lanes", "Sessions side by side that are of use for media from a node.")
	m.peerRepairs = desc("tmms_fabric_peer_repair_packets_total", "Packets sent to a node that repair the loss of others.")
	m.peerRepaired = desc("tmms_fabric_peer_repaired_packets_total",
		"Packets from a node that were lost on the way and made good below QUIC.")
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
	if way, ok := m.fabric.PathStats(p.Name); ok {
		give(m.peerLanes, prometheus.GaugeValue, float64(way.Lanes))
		give(m.peerRepairs, prometheus.CounterValue, float64(way.Out.Parity+way.Out.Resent))
		give(m.peerRepaired, prometheus.CounterValue, float64(way.In.Repaired+way.In.Resent))
	}
}
