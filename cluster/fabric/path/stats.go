package path

import "time"

// Stats is what is known about the path to a peer and back. Counters are since
// the session before which there was none.
type Stats struct {
	RoundTrip time.Duration // smoothed; 0: unknown
	Lanes     int           // sessions that are of use side by side
	Out       Outbound
	In        Inbound
}

// Outbound is the direction to the peer.
type Outbound struct {
	Mode        Mode
	Loss        float64       // share of packets lost of late: by the peer's reports while coding, else what QUIC has seen
	Queue       time.Duration // how much longer than at best packets are under way
	Congested   bool          // packets are lost because of that
	Sent        uint64        // packets, while coding
	SentBytes   uint64
	Lost        uint64 // of these
	Repaired    uint64 // of the lost ones, by a repair
	Resent      uint64 // of the lost ones, by being sent again
	Unrepaired  uint64 // of the lost ones, left to QUIC
	Parity      uint64 // repairs sent
	ParityBytes uint64
	ResendBytes uint64
}

// Inbound is the direction from the peer, as far as the peer codes it.
type Inbound struct {
	Coding     bool // packets come coded
	Received   uint64
	Lost       uint64
	Repaired   uint64
	Resent     uint64
	Unrepaired uint64
	Congested  bool
}
