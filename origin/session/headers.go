package session

import (
	"crypto/sha256"
	"slices"

	"tmms/media"
)

// headerKey names what a header describes; metadata has the type data.
type headerKey struct {
	typ   media.Type
	track media.TrackID
}

type digest = [sha256.Size]byte

// heldHeader is a header that waits for the frame it belongs to.
type heldHeader struct {
	media.Packet

	sum digest
}

// headers knows which codec configurations and metadata are in force, and holds
// those that wait for a frame: at most one of each key, so at most
// 2 x media.MaxTracks configurations and one metadata.
type headers struct {
	known map[headerKey]digest // what was passed on last
	held  []heldHeader         // metadata, audio, video; each by track
}

// startRun forgets what waited for a frame that never came.
func (h *headers) startRun() { h.held = nil }

// offer holds a copy of p unless it is what is in force or held already; it
// reports whether p was new.
func (h *headers) offer(p *media.Packet) bool {
	key := headerKey{p.Type, p.Track}
	sum := sha256.Sum256(p.Body)
	i, found := slices.BinarySearchFunc(h.held, key, func(a heldHeader, k headerKey) int {
		return rank(headerKey{a.Type, a.Track}) - rank(k)
	})
	if found && h.held[i].sum == sum {
		return false
	}
	known, ok := h.known[key]
	if ok && known == sum {
		if found { // back to what is in force
			h.held = slices.Delete(h.held, i, i+1)
		}
		return found
	}
	c := heldHeader{Packet: *p, sum: sum}
	c.Body = slices.Clone(p.Body)
	if found {
		h.held[i] = c
	} else {
		h.held = slices.Insert(h.held, i, c)
	}
	return true
}

// rank orders metadata, audio, video, each by track.
func rank(k headerKey) int {
	base := 2
	switch k.typ {
	case media.TypeData:
		base = 0
	case media.TypeAudio:
		base = 1
	case media.TypeVideo:
	}
	return base<<8 | int(k.track)
}

// take removes and returns the headers that go in front of the frame p: all in
// front of a keyframe, else metadata and those of p's type.
func (h *headers) take(p *media.Packet) []media.Packet {
	var out []media.Packet
	h.held = slices.DeleteFunc(h.held, func(c heldHeader) bool {
		if p.Kind != media.KindKey && c.Type != media.TypeData && c.Type != p.Type {
			return false
		}
		h.known[headerKey{c.Type, c.Track}] = c.sum
		out = append(out, c.Packet)
		return true
	})
	return out
}
