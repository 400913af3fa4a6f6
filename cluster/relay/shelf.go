package relay

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"tmms/media"
	"tmms/media/hls"
)

// maxRecords bounds the indexes that wait for their pieces; the source sends one
// after another, so more than two are late ones: three seconds of parts.
const maxRecords = 16

// shelf puts segment indexes and the pieces of their segments together. It
// belongs to one goroutine at a time.
type shelf struct {
	records []*hls.Index // in order of version: the published one, then those that wait
	shown   *hls.Index   // what was published last
	epoch   uint64       // of the index that was ever published last
	high    segmentID    // the newest whole segment that was ever shown
	highest uint64       // the highest MSN that was ever shown, of an open segment too
	served  []numbers    // the epochs in whose names the numbers were shown, in order

	segments map[segmentID]*hls.Segment // that are whole, with their bytes
	pieces   map[hls.Name][][]byte      // those bytes, and what segments have that are not whole yet
	early    map[hls.Name]uint64        // pieces in front of the newest record: the version of that
	bytes    int                        // of pieces, and reserved

	budget *segmentBudget // that bytes are of; set at construction
	shed   bool           // what is behind the playlist was dropped with the last prune
}

// errNoRoom refuses a piece.
var errNoRoom = errors.New("relay: no room for the segment")

// reserve asks for room for n bytes of a segment of which a piece is being read.
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
	again := s.again(x)
	if n := len(s.records); n > 0 && !again {
		if last := s.records[n-1]; last.Epoch > x.Epoch || last.Epoch == x.Epoch && last.Version >= x.Version {
			return nil
		}
	}
	if x.Epoch != s.epoch && s.epoch != 0 && !s.goesOn(x) {
		return nil
	}
	for i, seg := range x.Segments {
		id := idOf(seg)
		if s.segments[id] == nil {
			s.complete(id, seg)
		}
		if whole := s.segments[id]; whole != nil {
			x.Segments[i] = whole
		}
	}
	if again {
		s.records = s.records[:len(s.records)-1]
	}
	s.records = append(s.records, x)
	if len(s.records) > maxRecords {
		s.records = slices.Delete(s.records, 0, len(s.records)-maxRecords)
	}
	return s.settle()
}

// again tells that x is the newest index with more segments behind the playlist, which
// a shield gets later, or with how to go on, which a standby does.
func (s *shelf) again(x *hls.Index) bool {
	if len(s.records) == 0 {
		return false
	}
	last := s.records[len(s.records)-1]
	return last.Epoch == x.Epoch && last.Version == x.Version &&
		(len(x.Segments) > len(last.Segments) || len(last.Resume) == 0 && len(x.Resume) > 0)
}

// piece takes the bytes of a piece, for which there was room; those of a part are
// one chunk. publish is as for index.
func (s *shelf) piece(n hls.Name, chunks [][]byte) (publish *hls.Index) {
	id := of(n)
	named := s.named(id)
	front := named == nil && !s.shed && s.inFront(id)
	if _, known := s.pieces[n]; known || named == nil && !front && !s.coming(id) {
		s.giveBack(size(chunks))
		return nil
	}
	if s.pieces == nil {
		s.segments, s.pieces, s.early = map[segmentID]*hls.Segment{}, map[hls.Name][][]byte{}, map[hls.Name]uint64{}
	}
	s.pieces[n] = chunks
	if front {
		s.early[n] = s.records[len(s.records)-1].Version
	}
	if named != nil && s.segments[id] == nil {
		s.complete(id, named)
	}
	return s.settle()
}

// named is a segment as the newest record that has it describes it; nil: none has it.
func (s *shelf) named(id segmentID) *hls.Segment {
	for _, x := range slices.Backward(s.records) {
		if seg := x.Lookup(id.epoch, id.msn); seg != nil {
			return seg
		}
	}
	return nil
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

// inFront tells that a segment is older than those of the newest record: that record
// may come again with it, on another stream than its pieces.
func (s *shelf) inFront(id segmentID) bool {
	if len(s.records) == 0 {
		return false
	}
	newest := s.records[len(s.records)-1]
	if len(newest.Segments) == 0 || id.epoch > newest.Epoch {
		return false
	}
	first := newest.Segments[0].MSN
	return id.msn < first && first-id.msn <= media.MaxRelaySegments
}

// complete makes the segment whole, in all records, if its bytes are here.
func (s *shelf) complete(id segmentID, seg *hls.Segment) {
	whole := s.whole(seg)
	if whole == nil {
		return
	}
	s.segments[id] = whole
	for _, x := range s.records {
		for i, seg := range x.Segments {
			if idOf(seg) == id {
				x.Segments[i] = whole
			}
		}
	}
}

// whole is a copy of a segment with the bytes of its pieces; nil: one is not here,
// or is not what its record says.
func (s *shelf) whole(seg *hls.Segment) *hls.Segment {
	var ts, mp4 [][]byte
	for p := range pieces(seg) {
		chunks, ok := s.pieces[p.name]
		switch {
		case !ok || size(chunks) != p.size:
			return nil
		case p.name.Kind == hls.NameTS:
			ts = chunks
		case p.name.Kind == hls.NamePart:
			mp4 = append(mp4, chunks...)
		default:
			mp4 = chunks
		}
	}
	whole := *seg
	if seg.TS != nil {
		whole.TS = &hls.Media{Chunks: ts, Size: seg.TS.Size}
	}
	if seg.MP4 != nil {
		whole.MP4 = &hls.Media{Chunks: mp4, Size: seg.MP4.Size}
	}
	return &whole
}

// settle finds the newest index of which all is here that its playlists list, and
// drops what it makes needless.
func (s *shelf) settle() *hls.Index {
	for i, x := range slices.Backward(s.records) {
		open, ok := s.ready(x)
		if !ok {
			continue
		}
		s.records = slices.Delete(s.records, 0, i)
		s.prune()
		return s.show(x, open)
	}
	return nil
}

// ready tells that the bytes of all listed segments and of all parts are here; open
// is x.Open with its bytes.
func (s *shelf) ready(x *hls.Index) (open *hls.Segment, ok bool) {
	for _, seg := range x.Playlist() {
		if s.segments[idOf(seg)] != seg {
			return nil, false
		}
	}
	if x.Open == nil {
		return nil, true
	}
	open = s.whole(x.Open)
	return open, open != nil
}

// show makes the index that readers see of x: without those segments behind the
// playlist whose bytes are not here, which are counted.
func (s *shelf) show(x *hls.Index, open *hls.Segment) *hls.Index {
	first := len(x.Segments) - x.Listed
	for first > 0 && !s.shed && s.segments[idOf(x.Segments[first-1])] != nil {
		first--
	}
	if p := s.shown; p != nil && p.Epoch == x.Epoch && p.Version == x.Version && len(p.Resume) == len(x.Resume) &&
		len(p.Segments) == len(x.Segments)-first {
		return nil
	}
	shown := *x
	shown.Segments, shown.Behind, shown.Open = slices.Clone(x.Segments[first:]), first, open
	s.see(&shown)
	return &shown
}

// see notes what readers see from now on.
func (s *shelf) see(x *hls.Index) {
	s.shown, s.epoch = x, x.Epoch
	s.remember(x)
	if n := len(x.Segments); n > 0 {
		s.high = idOf(x.Segments[n-1])
		s.highest = max(s.highest, s.high.msn)
	}
	if x.Open != nil {
		s.highest = max(s.highest, x.Open.MSN)
	}
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
	for id := range s.segments {
		if _, ok := named[id]; ok {
			continue
		}
		if s.shed && s.behind(id) {
			s.budget.shed.Add(1)
		}
		delete(s.segments, id)
	}
	maps.DeleteFunc(s.pieces, func(n hls.Name, chunks [][]byte) bool {
		id := of(n)
		version, early := s.early[n]
		if _, ok := named[id]; ok || s.coming(id) || early && s.isNewest(version) {
			return false
		}
		delete(s.early, n)
		s.giveBack(size(chunks))
		return true
	})
}

// isNewest tells that the newest record has that version.
func (s *shelf) isNewest(version uint64) bool {
	return len(s.records) > 0 && s.records[len(s.records)-1].Version == version
}

// clear drops everything but the memory of what was served.
func (s *shelf) clear() {
	for _, chunks := range s.pieces {
		s.giveBack(size(chunks))
	}
	s.segments, s.pieces, s.early, s.records, s.shown = nil, nil, nil, nil, nil
}

// adopt takes over what was served of an index that did not come through here;
// nil is none. Its segments stay with the index.
func (s *shelf) adopt(x *hls.Index) {
	if x != nil && (len(x.Segments) > 0 || x.Open != nil) {
		s.see(x)
	}
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

// opened tells that parts of the segment behind that one were shown.
func (s *shelf) opened() bool { return s.shown != nil && s.shown.Open != nil }
