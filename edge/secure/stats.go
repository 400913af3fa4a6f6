package secure

import "sync/atomic"

// Result is what became of a connection's handshake.
type Result uint8

// The results.
const (
	ResultOK      Result = iota
	ResultFailed         // the peer broke the protocol, or there is nothing both speak
	ResultTimeout        // it was not over in time
	ResultBusy           // closed because there were too many
	ResultClosed         // the peer went away, or the node ended
	NumResults
)

// String is the metrics' label.
func (r Result) String() string {
	names := [NumResults]string{"ok", "failed", "timeout", "busy", "closed"}
	if r < NumResults {
		return names[r]
	}
	return names[ResultClosed]
}

type counters struct {
	results [NumResults]atomic.Uint64
}

// Handshakes counts those that ended with r; safe from any goroutine.
func (s *Server) Handshakes(r Result) uint64 {
	if r >= NumResults {
		return 0
	}
	return s.counters.results[r].Load()
}

// InFlight is the number of handshakes under way; safe from any goroutine.
func (s *Server) InFlight() int { return s.queue.len() }

// Moved is the number of connections off the loops; safe from any goroutine.
func (s *Server) Moved() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.moved)
}
