package pipeline

import (
	"slices"

	"tmms/media"
	"tmms/media/hls"
)

// Growing gives what there is of the open segment in a format that is published only
// at its end, for a node that shall have it by then: its name, and its chunks so far.
// The last one may grow, their bytes don't change. A segment that is begun anew under
// its name has others. ok: since the last call there is more by a chunk, or by
// [media.StandbyPiece] of stream time.
func (p *Pipeline) Growing() (n hls.Name, chunks [][]byte, ok bool) {
	s := p.open
	if s == nil {
		return n, nil, false
	}
	n, c := hls.Name{Kind: hls.NameTS, Epoch: p.cfg.Epoch, MSN: p.msn}, &s.ts
	if !p.mux.hasTS() && !p.cfg.LowLatency { // with that it is published in parts
		n.Kind, c = hls.NameMP4, &s.mp4
	}
	if more := c.size - s.told; more == 0 || more < chunkSize && s.end-s.toldAt < ms(media.StandbyPiece) {
		return n, nil, false
	}
	s.told, s.toldAt = c.size, s.end
	return n, slices.Clone(c.chunks), true // append changes the last one, seal replaces it
}
