package web

import (
	"strings"
	"sync/atomic"

	"tmms/media/hls"
)

// list is one of the playlists that an index is rendered as.
type list uint8

const (
	listMultivariant list = iota
	listMedia
	listLow
	listDelta // listLow without what the player has
	numLists
)

// list is the one that the request asks for.
func (w *waiting) list() list {
	switch {
	case w.what == wantMultivariant:
		return listMultivariant
	case w.what != wantLow:
		return listMedia
	case w.skip:
		return listDelta
	}
	return listLow
}

// append renders x.
func (l list) append(x *hls.Index, stream, suffix string) []byte {
	switch l {
	case listMultivariant:
		return x.AppendMultivariant(nil, stream, suffix)
	case listMedia:
		return x.AppendMedia(nil, suffix)
	default:
		return x.AppendLowLatency(nil, suffix, l == listDelta)
	}
}

// tag is the playlist's entity tag.
func (l list) tag(x *hls.Index) string {
	switch l {
	case listLow:
		return x.ETag()
	case listDelta:
		return strings.TrimSuffix(x.ETag(), `"`) + `-skip"`
	default:
		return x.ListingETag()
	}
}

// rendered is the playlists of one index, without a suffix. It is safe for
// concurrent use.
type rendered struct {
	index *hls.Index
	lists [numLists]atomic.Pointer[[]byte] // nil: nobody has asked for it
}

// render gives a playlist of x; one without a suffix is rendered once.
func (s *hlsStream) render(x *hls.Index, l list, suffix string) []byte {
	if suffix != "" {
		return l.append(x, s.key.Stream, suffix)
	}
	p := s.rendered.Load()
	if p == nil || p.index != x {
		p = &rendered{index: x}
		s.rendered.Store(p)
	}
	if b := p.lists[l].Load(); b != nil {
		return *b
	}
	b := l.append(x, s.key.Stream, "")
	p.lists[l].Store(&b)
	return b
}
