package nal

import (
	"bytes"
	"slices"

	"tmms/media"
)

// MaxKinds is how many kinds of parameter sets a codec has: HEVC has VPS, SPS, PPS.
const MaxKinds = 3

// Sets keeps the parameter sets of a stream, by kind and id. The zero value has
// none. It has one owner.
type Sets struct {
	kinds [MaxKinds][]set
	bytes int // of all
}

type set struct {
	id   uint32
	nalu []byte
}

// Put keeps a copy of a parameter set in place of the one of its kind with the
// same id. It does not if the bytes of all sets, which it returns, are then more
// than [media.MaxCodecConfig]. A set that is there already costs nothing.
func (s *Sets) Put(kind int, id uint32, nalu []byte) (total int, ok bool) {
	sets := &s.kinds[kind]
	at := slices.IndexFunc(*sets, func(p set) bool { return p.id == id })
	if at >= 0 && bytes.Equal((*sets)[at].nalu, nalu) {
		return s.bytes, true
	}
	total = s.bytes + len(nalu)
	if at >= 0 {
		total -= len((*sets)[at].nalu)
	}
	if total > media.MaxCodecConfig {
		return total, false
	}
	s.bytes = total
	fresh := set{id: id, nalu: bytes.Clone(nalu)}
	if at >= 0 {
		(*sets)[at] = fresh
	} else {
		*sets = append(*sets, fresh)
	}
	return total, true
}

// Append appends all sets, kind by kind, each behind a start code.
func (s *Sets) Append(dst []byte) []byte {
	for i := range s.kinds {
		for _, p := range s.kinds[i] {
			dst = append(dst, 0, 0, 0, 1)
			dst = append(dst, p.nalu...)
		}
	}
	return dst
}
