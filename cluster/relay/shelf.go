package relay

import (
	"errors"
	"fmt"
	"slices"

	"tmms/media"
	"tmms/media/hls"
)

// maxRecords bounds the indexes that wait for their segments; the source sends
// one after another, so more than two are late ones.
const maxRecords = 8

// shelf puts segment indexes and the bytes of their segments together. It
// belongs to one goroutine at a time.
type shelf struct {
	records []*hls.Index // in order of version: the published one, then those that wait
	shown   *hls.Index   // what was published last
	epoch   uint64       // of the index that was ever published last
	high    segmentID    // the newest segment that was ever listed

	segments map[segmentID]*hls.Segment // with their bytes
	loose    map[segmentID][][]byte     // bytes of segments that no record has named yet
	bytes    int                        // of segments and loose, and reserved

	budget *segmentBudget // that bytes are of; set at construction
	shed   bool           // what is behind the playlist was dropped with the last prune
}

// errNoRoom refuses a segment.
var errNoRoom = errors.New("relay: no room for the segment")

// reserve asks for room for n bytes of a segment that is being read.
func (s *shelf) reserve(id segmentID, n int) error {
	if s.bytes+n > media.MaxHLSStreamBytes {
		return fmt.Errorf("%w: the stream would have %d bytes, the limit is %d",
			errNoRoom, s.bytes+n, media.MaxHLSStreamBytes)
	}
	if !s.budget.take(n, s.behind(id)) {
		return fmt.Errorf("%w: the node's %d bytes are used", errNoRoom, s.budget.limit)
	}
	s.bytes += n
	return nil
}

// giveBack is the reverse of reserve.
func (s *shelf) giveBack(n int) {
	s.bytes -= n
	s.budget.give(n)
}

// behind tells that the newest record has a segment, and does not list it.
func (s *shelf) behind(id segmentID) bool {
	if len(s.records) == 0 {
		return false
	}
	newest := s.records[len(s.records)-1]
	for _, seg := range newest.Segments[:len(newest.Segments)-newest.Listed] {
		if idOf(seg) == id {
			return true
		}
	}
	return false
}

// index takes an index whose segments have no bytes. publish is what readers
// shall see now, nil if that has not changed.
func (s *shelf) index(x *hls.Index) (publish *hls.Index) {
	if n := len(s.records); n > 0 {
		if last := s.records[n-1]; last.Epoch > x.Epoch || last.Epoch == x.Epoch && last.Version >= x.Version {
			return nil
		}
	}
	// An index of a new epoch must not give numbers that were served another meaning.
	if x.Epoch != s.epoch && s.epoch != 0 && (x.Listed == 0 || x.Playlist()[0].MSN <= s.high.msn) {
		return nil
	}
	for i, seg := range x.Segments {
		id := idOf(seg)
		if known := s.segments[id]; known != nil {
			x.Segments[i] = known
		} else if chunks, ok := s.loose[id]; ok {
			delete(s.loose, id)
			s.fill(seg, chunks)
		}
	}
	s.records = append(s.records, x)
	if len(s.records) > maxRecords {
		s.records = slices.Delete(s.records, 0, len(s.records)-maxRecords)
	}
	return s.settle()
}

// segment takes the bytes of a segment, for which there was room. publish is
// as for index.
func (s *shelf) segment(id segmentID, chunks [][]byte) (publish *hls.Index) {
	if s.segments == nil {
		s.segments, s.loose = map[segmentID]*hls.Segment{}, map[segmentID][][]byte{}
	}
	if s.segments[id] != nil || s.loose[id] != nil {
		s.giveBack(size(chunks))
		return nil
	}
	var found *hls.Segment
	for _, x := range s.records {
		for i, seg := range x.Segments {
			switch {
			case idOf(seg) != id:
			case found == nil:
				found = seg
			default:
				x.Segments[i] = found // records share what they name
			}
		}
	}
	switch {
	case found != nil:
		s.fill(found, chunks)
	case s.coming(id):
		s.loose[id] = chunks
	default:
		s.giveBack(size(chunks))
	}
	return s.settle()
}

// coming tells whether a record to come may name the segment.
func (s *shelf) coming(id segmentID) bool {
	if len(s.records) == 0 {
		return true
	}
	newest := s.records[len(s.records)-1]
	msn, ok := newest.LastMSN()
	return !ok || id.epoch > newest.Epoch || id.msn > msn
}

// fill completes a segment, unless its bytes are not what its record says.
func (s *shelf) fill(seg *hls.Segment, chunks [][]byte) {
	if size(chunks) != seg.TS.Size {
		s.giveBack(size(chunks))
		return
	}
	seg.TS.Chunks = chunks
	s.segments[idOf(seg)] = seg
}

func size(chunks [][]byte) (n int) {
	for _, c := range chunks {
		n += len(c)
	}
	return n
}

// settle finds the newest index whose playlist is whole, and drops what it
// makes needless.
func (s *shelf) settle() *hls.Index {
	for i, x := range slices.Backward(s.records) {
		if !s.whole(x) {
			continue
		}
		s.records = slices.Delete(s.records, 0, i)
		s.prune()
		return s.show(x)
	}
	return nil
}

// whole tells that the bytes of all listed segments are here.
func (s *shelf) whole(x *hls.Index) bool {
	for _, seg := range x.Playlist() {
		if s.segments[idOf(seg)] != seg {
			return false
		}
	}
	return true
}

// show makes the index that readers see of x: without those segments behind the
// playlist whose bytes are not here, which are counted.
func (s *shelf) show(x *hls.Index) *hls.Index {
	first := len(x.Segments) - x.Listed
	for first > 0 && !s.shed && s.segments[idOf(x.Segments[first-1])] != nil {
		first--
	}
	if p := s.shown; p != nil && p.Epoch == x.Epoch && p.Version == x.Version && len(p.Segments) == len(x.Segments)-first {
		return nil
	}
	shown := *x
	shown.Segments, shown.Behind = slices.Clone(x.Segments[first:]), first
	s.shown = &shown
	s.epoch = x.Epoch
	if n := len(x.Segments); n > 0 {
		s.high = idOf(x.Segments[n-1])
	}
	return &shown
}

// trim drops what the node has no room for; publish is as for index.
func (s *shelf) trim() (publish *hls.Index) {
	if x := s.settle(); x != nil {
		return x
	}
	s.prune()
	return nil
}

// prune drops the segments that no record has, and those behind the playlists
// where the node has no room for them.
func (s *shelf) prune() {
	named := make(map[segmentID]struct{})
	s.shed = s.budget.tight()
	for _, x := range s.records {
		list := x.Segments
		if s.shed {
			list = x.Playlist()
		}
		for _, seg := range list {
			named[idOf(seg)] = struct{}{}
		}
	}
	for id, seg := range s.segments {
		if _, ok := named[id]; ok {
			continue
		}
		if s.shed && s.behind(id) {
			s.budget.shed.Add(1)
		}
		s.giveBack(seg.TS.Size)
		delete(s.segments, id)
	}
	for id, chunks := range s.loose {
		if !s.coming(id) {
			s.giveBack(size(chunks))
			delete(s.loose, id)
		}
	}
}

// clear drops everything but the memory of what was served.
func (s *shelf) clear() {
	for _, seg := range s.segments {
		s.giveBack(seg.TS.Size)
	}
	for _, chunks := range s.loose {
		s.giveBack(size(chunks))
	}
	s.segments, s.loose, s.records, s.shown = nil, nil, nil, nil
}

// adopt takes over what was served of an index that did not come through here;
// nil is none. Its segments stay with the index.
func (s *shelf) adopt(x *hls.Index) {
	if x == nil || len(x.Segments) == 0 {
		return
	}
	s.shown, s.epoch, s.high = x, x.Epoch, idOf(x.Segments[len(x.Segments)-1])
}

// discontinuities counts those of the stream in and before what is shown.
func (s *shelf) discontinuities() uint64 {
	if s.shown == nil {
		return 0
	}
	return s.shown.Discontinuities()
}

// have names the newest segment up to which everything is here.
func (s *shelf) have() segmentID {
	if s.shown == nil {
		return segmentID{}
	}
	return s.high
}
