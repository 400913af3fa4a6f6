package mpegts

import "fmt"

// metadata is the elementary stream of ID3 tags.
type metadata struct {
	stream stream
	on     bool
}

// SetMetadata says whether there is a stream of ID3 tags, at a cut: before
// WriteTables. Unlike Reconfigure it leaves the tracks as they are.
func (m *Muxer) SetMetadata(on bool) {
	m.metadata.on = on
	m.renderTables()
}

// WriteMetadata appends an ID3 tag, which is shown at pts, in a PES packet of its
// own. It does not drive the clock: without audio or video there is no program.
// An empty tag is ignored. On error dst is returned as it was; the error wraps
// [ErrNoTrack], or [ErrUnsupported] if the tag is longer than a PES packet.
func (m *Muxer) WriteMetadata(dst []byte, pts int64, id3 []byte) ([]byte, error) {
	d := &m.metadata
	if !d.on {
		return dst, fmt.Errorf("%w: metadata", ErrNoTrack)
	}
	if len(id3) == 0 {
		return dst, nil
	}
	if len(id3) > maxAudioES {
		return dst, fmt.Errorf("%w an ID3 tag of %d bytes, a PES packet has at most %d", ErrUnsupported, len(id3), maxAudioES)
	}
	m.scratch = append(pesRoom(m.scratch), id3...)
	if m.clock.given {
		pts = max(pts, m.clock.pcr)
	}
	pts = d.stream.grow(pts)
	return d.stream.pid.appendPackets(dst, finishPES(m.scratch, streamIDPrivate, pts, pts)), nil
}
