package pipeline

import (
	"math"
	"time"

	"tmms/media/fmp4"
	"tmms/media/hls"
)

// describe tells what the configurations say of a program. What it cannot read
// it leaves out. The frame rate is measured.
func describe(cfg fmp4.Config) hls.Variant {
	info := fmp4.Describe(cfg)
	return hls.Variant{VideoCodec: info.VideoCodec, AudioCodec: info.AudioCodec, Width: info.Width, Height: info.Height}
}

// measure takes bit rate and frame rate from a segment. Those shorter than
// half a target duration say nothing (RFC 8216 section 4.1).
func (l *list) measure(s *hls.Segment, videoFrames int) {
	if 2*s.Duration < l.target && l.peakBPS > 0 {
		return
	}
	l.peakBPS = max(l.peakBPS, bitsPerSecond(l.played(s), s.Duration))
	if !l.rateKnown && videoFrames > 0 {
		l.variant.FrameRate = math.Round(float64(videoFrames)/s.Duration.Seconds()*1000) / 1000
		l.rateKnown = true
	}
}

// played is the size of a segment in the format that the multivariant playlist
// leads to.
func (l *list) played(s *hls.Segment) int {
	if l.partTarget > 0 || s.TS == nil {
		return s.MP4.Size
	}
	return s.TS.Size
}

// averageBPS is over the listed segments.
func (l *list) averageBPS() int {
	var size int
	var d time.Duration
	for _, e := range l.entries[len(l.entries)-l.listed:] {
		size += l.played(e.Segment)
		d += e.Duration
	}
	return bitsPerSecond(size, d)
}

func bitsPerSecond(size int, d time.Duration) int {
	return int(math.Ceil(float64(size) * 8 / max(d, time.Millisecond).Seconds()))
}
