// Package hlsplay is many HLS players, each with a connection of its own, driven
// by one thread over one epoll.
//
// They poll as players do: the multivariant playlist once, the media playlist
// each target duration, segments as they appear. Or, to measure what serving
// costs, they fetch the segments of the window back to back at a given rate.
package hlsplay

import (
	"fmt"
	"time"
)

// Config of a run.
type Config struct {
	URL         string        // http://HOST/APP/STREAM.m3u8, the multivariant playlist
	Viewers     int           // 1 to 19,000: a process has 20,000 descriptors here
	ConnectRate int           // new viewers a second
	Verify      int           // one viewer in so many reads its segments and looks for whole TS packets
	RateBPS     int64         // bits per second of all bodies, fetched back to back; 0: viewers that poll
	Warmup      time.Duration // after the last viewer has connected, before counting
	Duration    time.Duration // of the counting
	// OnResult, if not nil, is called before the viewers are closed.
	OnResult func(Result) error
}

// DefaultConfig is 1,000 players for 20 s.
func DefaultConfig() Config {
	return Config{Viewers: 1000, ConnectRate: 1000, Verify: 50, Warmup: 8 * time.Second, Duration: 20 * time.Second}
}

// Validate names the first value out of range.
func (c Config) Validate() error {
	for _, v := range []struct {
		name      string
		n, lo, hi int64
	}{
		{"viewers", int64(c.Viewers), 1, 19_000},
		{"connect-rate", int64(c.ConnectRate), 1, 100_000},
		{"verify", int64(c.Verify), 1, 1_000_000},
		{"rate", c.RateBPS, 0, 1_000_000_000_000},
	} {
		if v.n < v.lo || v.n > v.hi {
			return fmt.Errorf("hlsplay: %s %d is not in %d..%d", v.name, v.n, v.lo, v.hi)
		}
	}
	if c.Warmup < 0 || c.Duration <= 0 {
		return fmt.Errorf("hlsplay: warm-up %v and duration %v must be positive", c.Warmup, c.Duration)
	}
	return nil
}

// Result is what the viewers got while counting: units are in the names.
type Result struct {
	Viewers      int     `json:"viewers"`
	Lost         int     `json:"lost"` // were closed by the server, or could not connect
	Seconds      float64 `json:"seconds"`
	Requests     int64   `json:"requests"`
	Playlists    int64   `json:"playlists"` // media playlists
	Segments     int64   `json:"segments"`
	Bytes        int64   `json:"bytes"` // of bodies
	NotFound     int64   `json:"not_found"`
	ServerErrors int64   `json:"server_errors"` // 5xx
	OtherErrors  int64   `json:"other_errors"`
	Stale        int64   `json:"stale_playlists"`  // went back, or stood still for two target durations
	Skipped      int64   `json:"skipped_segments"` // left the playlist before the viewer saw them
	Damaged      int64   `json:"damaged_segments"` // of the viewers that verify
	Verified     int64   `json:"verified_segments"`
	Delivered    float64 `json:"delivered"` // seconds of media over seconds of watching; polling viewers only

	// From the end of a segment, by its EXT-X-PROGRAM-DATE-TIME, until it was
	// here: how often viewers poll is in it. Polling viewers only.
	DelayP50MS float64 `json:"segment_delay_p50_ms"`
	DelayP99MS float64 `json:"segment_delay_p99_ms"`
	// From a request for a segment until all of it was here.
	AnswerP50MS float64 `json:"answer_p50_ms"`
	AnswerP99MS float64 `json:"answer_p99_ms"`
	AnswerMaxMS float64 `json:"answer_max_ms"`
}
