package web

import (
	"sync/atomic"

	"tmms/media"
	"tmms/media/hls"
)

// segmentFile is a segment in a file in memory, out of which the kernel sends
// without a copy. It is never written to again. Whoever has it holds it: the
// stream, and each answer under way; the last to release it closes it. The
// collector would be too late: files of old segments would take up the budget.
// It is safe for concurrent use.
type segmentFile struct {
	// Set at construction.
	budget *fileBudget
	fd     int
	size   int // bytes

	holders atomic.Int32
}

// hold adds a holder; the caller knows of one.
func (f *segmentFile) hold() *segmentFile {
	f.holders.Add(1)
	return f
}

// release ends a hold.
func (f *segmentFile) release() {
	if f.holders.Add(-1) == 0 {
		closeFile(f.fd)
		f.budget.held.Add(-int64(f.size))
	}
}

// rest is what is left of a body of the same segment, out of the file. It takes
// the caller's hold over.
func (f *segmentFile) rest(b body) body {
	at := f.size + int(b.off)
	for _, chunk := range b.chunks {
		at -= len(chunk)
	}
	in := body{file: f, off: int32(at), left: b.left}
	in.sent(0) // nothing may be left
	return in
}

// Which segments are sent from files.
const (
	// wantedOften is how many requests it takes: a file costs a copy of its own, which
	// has to come back by the requests that follow.
	wantedOften = 3
	// minFileSize is where a file is worth its descriptor; with
	// media.MaxHLSFileBytes it bounds the descriptors, at 4,096.
	minFileSize = 128 << 10
	// maxFileSize bounds how long the making of one holds up a loop: 2 ms or so.
	maxFileSize = 4 << 20
)

// fileBudget is the bytes in the files of a node. It is safe for concurrent use.
type fileBudget struct{ held atomic.Int64 }

// file puts a segment into a file, which the caller holds; nil if there is no
// room for one.
func (b *fileBudget) file(m *hls.Media) *segmentFile {
	if b.held.Add(int64(m.Size)) > media.MaxHLSFileBytes {
		b.held.Add(-int64(m.Size))
		return nil
	}
	fd, err := memoryFile(m.Chunks)
	if err != nil { // no descriptor, or no memory, to spare: the segment is copied
		b.held.Add(-int64(m.Size))
		return nil
	}
	f := &segmentFile{budget: b, fd: fd, size: m.Size}
	return f.hold()
}

// demand is how often a segment was asked for, and its file, held; nil: none.
type demand struct {
	name     hls.Name
	requests int
	file     *segmentFile
}

// file counts a request for a segment and gives its file, held; nil: it has none,
// as parts and initialization sections, which are small. The caller holds the stream.
func (s *hlsStream) file(name hls.Name, m *hls.Media) *segmentFile {
	if name.Kind != hls.NameTS && name.Kind != hls.NameMP4 || m.Size < minFileSize || m.Size > maxFileSize {
		return nil
	}
	file, wanted := s.asked(name, m)
	if !wanted {
		return file
	}
	if file = s.registry.files.file(m); file == nil {
		return nil
	}
	s.registry.mu.Lock()
	defer s.registry.mu.Unlock()
	if d, still := s.wanted[m]; still {
		d.file = file.hold()
		s.wanted[m] = d
	}
	return file
}

// asked counts a request; wanted tells the one that has to make the file.
func (s *hlsStream) asked(name hls.Name, m *hls.Media) (file *segmentFile, wanted bool) {
	s.registry.mu.Lock()
	defer s.registry.mu.Unlock()
	if s.wanted == nil {
		s.wanted = map[*hls.Media]demand{}
	}
	d := s.wanted[m]
	d.name = name
	d.requests++
	s.wanted[m] = d
	if d.file != nil {
		return d.file.hold(), false
	}
	return nil, d.requests == wantedOften
}

// forget lets go of the files of segments that are not served any more, or of
// all. registry.mu is held.
func (s *hlsStream) forget(all bool) {
	for m, d := range s.wanted {
		if !all && s.find(d.name) == m {
			continue
		}
		if d.file != nil {
			s.registry.old = append(s.registry.old, d.file)
		}
		delete(s.wanted, m)
	}
}

// unlock unlocks mu and then releases what was forgotten: to close a file takes
// a while.
func (r *registry) unlock() {
	old := r.old
	r.old = nil
	r.mu.Unlock()
	for _, f := range old {
		f.release()
	}
}
