package mpegts

// MaxGather bounds the audio of one PES packet, in ticks; a single frame may be longer.
const MaxGather = 70 * TicksPerMS

// maxDrift is how far, in ticks, a frame may be from where the frames before it
// end; beyond, it gets a PES packet, and so a timestamp, of its own.
const maxDrift = 10 * TicksPerMS

// maxAudioES is the largest elementary stream part of a PES packet with a
// length (16 bits, which count 8 bytes of the header too).
const maxAudioES = 0xFFFF - 8

// gather collects audio frames for one PES packet.
type gather struct {
	es    []byte // of the frames; empty: none
	unit  unit   // for es
	pts   int64  // of the first frame
	ticks int64  // that the frames play
	frame int64  // ticks of the last frame

	since      int64 // DTS of the first video unit since the first frame
	sinceKnown bool
}

// fits says whether a frame of n bytes may join those that are there.
func (g *gather) fits(pts int64, n int) bool {
	if len(g.es) == 0 {
		return true
	}
	drift := pts - g.pts - g.ticks
	return drift <= maxDrift && drift >= -maxDrift && len(g.es)+n <= maxAudioES
}

func (g *gather) add(pts, ticks int64, es []byte) {
	if len(g.es) == 0 {
		g.pts, g.ticks, g.sinceKnown = pts, 0, false
	}
	g.es = append(g.es, es...)
	g.ticks += ticks
	g.frame = ticks
}

// full says whether another frame like the last would make it too long. Frames
// of no known length travel alone.
func (g *gather) full() bool { return g.frame <= 0 || g.ticks+g.frame > MaxGather }

// late says whether the frames have waited too long when the video unit with
// that DTS comes, counted from the first one that they waited through.
func (g *gather) late(dts int64) bool {
	if len(g.es) == 0 {
		return false
	}
	if !g.sinceKnown {
		g.since, g.sinceKnown = dts, true
	}
	return dts-g.since > MaxGather || g.since > dts
}

func (g *gather) reset() { g.es = g.es[:0] }
