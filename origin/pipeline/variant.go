package pipeline

import (
	"math"
	"strconv"
	"time"

	"tmms/media"
	"tmms/media/aac"
	"tmms/media/h264"
	"tmms/media/hls"
	"tmms/media/mp3"
	"tmms/media/mpegts"
)

// describe tells what the configurations say of a program. What it cannot read
// it leaves out.
func describe(cfg mpegts.Config) hls.Variant {
	var v hls.Variant
	if cfg.Video.Codec == media.CodecH264 {
		if c, err := h264.ParseConfig(cfg.Video.Config); err == nil {
			v.VideoCodec = c.CodecString()
			if sps, err := h264.ParseSPS(c.SPS[0]); err == nil {
				v.Width, v.Height = sps.Width, sps.Height
			}
		}
	}
	v.AudioCodec = audioCodec(cfg.Audio)
	return v
}

func audioCodec(t mpegts.Track) string {
	if t.Codec == media.CodecAAC {
		if c, err := aac.ParseConfig(t.Config); err == nil {
			return c.CodecString()
		}
	}
	if t.Codec == media.CodecMP3 {
		if h, err := mp3.ParseHeader(t.Config); err == nil {
			return "mp4a.40." + strconv.Itoa(31+h.Layer) // ISO/IEC 14496-3 table 1.17
		}
	}
	return ""
}

// measure takes bit rate and frame rate from a segment. Those shorter than
// half a target duration say nothing (RFC 8216 section 4.1).
func (l *list) measure(s *hls.Segment, videoFrames int) {
	if 2*s.Duration < l.target && l.peakBPS > 0 {
		return
	}
	l.peakBPS = max(l.peakBPS, bitsPerSecond(s.TS.Size, s.Duration))
	if !l.rateKnown && videoFrames > 0 {
		l.variant.FrameRate = math.Round(float64(videoFrames)/s.Duration.Seconds()*1000) / 1000
		l.rateKnown = true
	}
}

// averageBPS is over the listed segments.
func (l *list) averageBPS() int {
	var size int
	var d time.Duration
	for _, e := range l.entries[len(l.entries)-l.listed:] {
		size += e.TS.Size
		d += e.Duration
	}
	return bitsPerSecond(size, d)
}

func bitsPerSecond(size int, d time.Duration) int {
	return int(math.Ceil(float64(size) * 8 / max(d, time.Millisecond).Seconds()))
}
