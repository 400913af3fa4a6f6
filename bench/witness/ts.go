package witness

import (
	"errors"
	"fmt"
	"time"

	"tmms/bench/signal"
	"tmms/media/mpegts"
)

// Sizes and fields of MPEG-TS (ISO/IEC 13818-1 sections 2.4.3.2 and 2.4.3.6).
const (
	tsPacket   = 188
	tsSync     = 0x47
	pesHeader  = 9
	pesAudio   = 0xC0 // stream ids
	pesVideo   = 0xE0
	tsStamp    = 5
	adtsHeader = 7
	tsWrap     = 1 << 33
)

// frame is one marked frame of a segment.
type frame struct {
	track signal.Track
	mark  signal.Marker
	ticks int64 // of 90 kHz, 33 bits
}

// errNoTS says that a segment is not of whole TS packets.
var errNoTS = errors.New("witness: no MPEG-TS")

// parseSegment finds the marked frames of a segment in MPEG-TS, those of each
// track in order. Units that begin before the segment are left out.
func parseSegment(b []byte) ([]frame, error) {
	if len(b) == 0 || len(b)%tsPacket != 0 {
		return nil, fmt.Errorf("%w: %d bytes", errNoTS, len(b))
	}
	units := map[int][]byte{} // by PID, what has come of a PES packet
	var frames []frame
	for ; len(b) > 0; b = b[tsPacket:] {
		p := b[:tsPacket]
		if p[0] != tsSync {
			return nil, fmt.Errorf("%w: a packet begins with %#x", errNoTS, p[0])
		}
		pid, start, payload := int(p[1]&0x1F)<<8|int(p[2]), p[1]&0x40 != 0, p[4:]
		if p[3]&0x20 != 0 { // adaptation field
			payload = payload[min(int(payload[0])+1, len(payload)):]
		}
		if p[3]&0x10 == 0 {
			continue
		}
		if start {
			frames = appendFrames(frames, units[pid])
			units[pid] = nil
		}
		if start || units[pid] != nil {
			units[pid] = append(units[pid], payload...)
		}
	}
	for _, unit := range units {
		frames = appendFrames(frames, unit)
	}
	return frames, nil
}

// appendFrames takes a PES packet apart.
func appendFrames(frames []frame, unit []byte) []frame {
	if len(unit) < pesHeader || unit[0] != 0 || unit[1] != 0 || unit[2] != 1 {
		return frames // tables
	}
	header := pesHeader + int(unit[8])
	if unit[7]&0x80 == 0 || header < pesHeader+tsStamp || len(unit) < header {
		return frames
	}
	stamp := unit[pesHeader:]
	if unit[7]&0x40 != 0 && header >= pesHeader+2*tsStamp {
		stamp = stamp[tsStamp:] // that of decoding
	}
	ticks := int64(stamp[0]&0x0E)<<29 | int64(stamp[1])<<22 | int64(stamp[2]&0xFE)<<14 |
		int64(stamp[3])<<7 | int64(stamp[4])>>1
	es := unit[header:]
	switch unit[3] & 0xF0 {
	case pesVideo:
		if m, ok := signal.ReadElementary(es); ok {
			frames = append(frames, frame{signal.Video, m, ticks})
		}
	case pesAudio:
		frames = appendSounds(frames, es, ticks)
	}
	return frames
}

// appendSounds takes ADTS frames apart; only the first of a PES packet has a time,
// the others follow it by their length.
func appendSounds(frames []frame, es []byte, ticks int64) []frame {
	const samples, rate = 1024, 44_100
	for n := int64(0); len(es) >= adtsHeader && es[0] == 0xFF; n++ {
		size := int(es[3]&3)<<11 | int(es[4])<<3 | int(es[5])>>5
		if size < adtsHeader || size > len(es) {
			break
		}
		if m, ok := signal.ReadElementary(es[:size]); ok {
			frames = append(frames, frame{signal.Audio, m, ticks + n*samples*90_000/rate})
		}
		es = es[size:]
	}
	return frames
}

// clock makes times of a stream out of 33-bit stamps. The zero value is at the
// beginning of a stream's time.
type clock struct{ last int64 }

// at is the time of a stamp, which is less than 13 hours from the one before.
func (c *clock) at(ticks int64) time.Duration {
	ticks -= mpegts.TimeOffset
	ahead := (ticks - c.last) & (tsWrap - 1)
	if ahead >= tsWrap/2 {
		ahead -= tsWrap
	}
	c.last += ahead
	return time.Duration(c.last) * time.Second / 90_000
}
