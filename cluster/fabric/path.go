package fabric

import "time"

// Path is the way to a session's peer, as QUIC has measured it.
type Path struct {
	RTT        time.Duration // smoothed; 0: not known yet
	LatestRTT  time.Duration // the last sample; 0: not known yet
	Sent, Lost uint64        // packets since the session began; Lost may fall when late ones come
}

// Path gives what was measured so far.
func (s *Session) Path() Path {
	stats := s.conn.ConnectionStats()
	return Path{
		RTT: stats.SmoothedRTT, LatestRTT: stats.LatestRTT, Sent: stats.PacketsSent, Lost: stats.PacketsLost,
	}
}
