package fanout

import "sync/atomic"

// Stats are an engine's counters: written by its loop, read from anywhere.
type Stats struct {
	viewers [numFormats]atomic.Int64
	sent    [numFormats]atomic.Int64
	skips   atomic.Int64
	stretch atomic.Int64 // thousandths
}

// Stretch is by what factor the flush interval is longer than the apps ask for,
// up to their limits; 1 unless the loop has too much to do.
func (s *Stats) Stretch() float64 { return max(1, float64(s.stretch.Load())/1000) }

// Viewers is the number of viewers of a format that are attached now, those
// that wait for a publisher included.
func (s *Stats) Viewers(f Format) int64 { return s.viewers[f].Load() }

// Sent is the number of stream bytes that viewers' sockets took in all.
func (s *Stats) Sent(f Format) int64 { return s.sent[f].Load() }

// Skips is how often a viewer was moved on to a newer keyframe.
func (s *Stats) Skips() int64 { return s.skips.Load() }
