// Package play opens many viewers of one stream over one epoll and one thread,
// and tells what they got.
//
// One viewer in Verify reads and checks every packet: order, gaps, checksums,
// the clock, and the delay of each frame from its publisher's marker. The others
// drain their sockets without copying, so that one core drives thousands. MPEG-TS
// is only drained.
package play

import (
	"fmt"
	"time"

	"tmms/bench/signal"
)

// Config of a run.
type Config struct {
	URL         string        // rtmp(s)://, http(s)://HOST/APP/STREAM.flv or .ts, which is drained only
	Streams     int           // viewers take turns over so many, NAME-1, NAME-2 ...; 1 is NAME itself
	Viewers     int           // 1 to 19,000: a process has 20,000 descriptors here
	Verify      int           // one viewer in so many checks what it gets; 1 to Viewers
	ConnectRate int           // new viewers a second
	Sources     int           // local addresses 127.0.0.1 and on to connect from; 1 to 250
	Warmup      time.Duration // after the last viewer has connected, before counting
	Duration    time.Duration // of the counting
	// Laps, if not nil, is used in place of Duration: each value ends a lap, whose
	// report goes to OnLap, on the run's goroutine, and the next one begins. The run
	// ends when Laps is closed.
	Laps  <-chan struct{}
	OnLap func(Report)
	// OnResult, if not nil, is called before the viewers are closed.
	OnResult func(Report) error
}

// DefaultConfig is 1,000 viewers for 10 s.
func DefaultConfig() Config {
	return Config{
		Streams: 1, Viewers: 1000, Verify: 37, ConnectRate: 2000, Sources: 1,
		Warmup: 3 * time.Second, Duration: 10 * time.Second,
	}
}

// Validate names the first value out of range.
func (c Config) Validate() error {
	for _, v := range []struct {
		name      string
		n, lo, hi int
	}{
		{"streams", c.Streams, 1, 10_000},
		{"viewers", c.Viewers, 1, 19_000},
		{"verify", c.Verify, 1, max(c.Viewers, 1)},
		{"connect-rate", c.ConnectRate, 1, 100_000},
		{"sources", c.Sources, 1, 250},
	} {
		if v.n < v.lo || v.n > v.hi {
			return fmt.Errorf("play: %s %d is not in %d..%d", v.name, v.n, v.lo, v.hi)
		}
	}
	if c.Warmup < 0 || c.Duration <= 0 {
		return fmt.Errorf("play: warm-up %v and duration %v must be positive", c.Warmup, c.Duration)
	}
	return nil
}

// Report is what the viewers got while counting.
type Report struct {
	Viewers  int           // that were connected at the start of counting
	Lost     int           // that were closed by the server while counting, or before
	Elapsed  time.Duration // of counting
	Bytes    int64         // over all viewers
	Verified int           // viewers that checked what they got
	Check    signal.Check  // summed over those
	Delay    *Histogram    // of the frames that those got
	Join     *Histogram    // of those: from the connection to the first keyframe
}
