package viewer

import (
	"net/netip"
	"time"

	"tmms/media"
)

// Info describes one viewer for listings.
type Info struct {
	Key    media.StreamKey
	Proto  string // "rtmp", "flv", "ws-flv" or "hls"
	Remote netip.AddrPort
	Since  time.Duration // how long it has been here
	Sent   int64         // bytes of the stream; for HLS those that its address was sent
	Lag    time.Duration // what it gets next is so far behind the newest packet; 0 for HLS
	State  string        // "waiting", "playing" or "paused"
}
