package session

import (
	"time"

	"tmms/media"
)

// Info describes a stream that is published on this node.
type Info struct {
	Key   media.StreamKey
	State string    // claiming, live, grace or ended (about to leave)
	Since time.Time // when it was claimed
	Epoch uint64
	Run   uint32 // of the present or last publisher, from 0

	Publisher *PublisherStats // nil unless live
	Tracks    Tracks
	Packets   int64  // of all runs
	Dropped   int64  // packets that did not enter the stream
	Rebases   int64  // discontinuities within a run that were corrected
	Standby   string // node id; "": none
	InSync    bool   // the standby is, as the cluster knows
	// Exposed says that the cluster counts on the standby although readers do not wait
	// for it any more: it could not be told, or is about to.
	Exposed  bool
	HLSError error // why HLS is off although the app has it on; nil if it is not
}

// PublisherStats describes a publisher connection.
type PublisherStats struct {
	Remote     string
	Since      time.Time
	Bytes      int64 // of media
	BitrateBPS int64 // bits per second over the last seconds
}

func (s *stream) info(now time.Time) Info {
	s.mu.Lock()
	defer s.mu.Unlock()
	info := Info{Key: s.key, State: s.phase.String(), Since: s.since, Epoch: s.epoch, Run: s.run}
	if p := s.pub; p != nil {
		info.Publisher = &PublisherStats{
			Remote: p.info.Remote, Since: p.since, Bytes: p.bytes, BitrateBPS: p.meter.bps(now),
		}
	}
	if q := s.seq; q != nil {
		info.Tracks, info.Packets, info.Dropped, info.Rebases = q.tracks, q.packets, q.dropped, q.rebases
		info.HLSError = q.segments.err
	}
	s.standby.describe(&info)
	return info
}
