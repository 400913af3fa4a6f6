package fmp4_test

import (
	"encoding/binary"
	"testing"
)

// boxes is what a file, or a box that holds others, consists of.
type boxes []boxed

// boxed is one box.
type boxed struct {
	typ  string
	at   int // where it begins in what was read
	body []byte
}

// readBoxes reads boxes that must fill b.
func readBoxes(t *testing.T, b []byte) boxes {
	t.Helper()
	var all boxes
	for at := 0; at < len(b); {
		if len(b)-at < 8 {
			t.Fatalf("%d bytes behind the last box", len(b)-at)
		}
		n := int(binary.BigEndian.Uint32(b[at:]))
		if n < 8 || n > len(b)-at {
			t.Fatalf("box %q of %d bytes, %d are left", b[at+4:at+8], n, len(b)-at)
		}
		all = append(all, boxed{typ: string(b[at+4 : at+8]), at: at, body: b[at+8 : at+n]})
		at += n
	}
	return all
}

// all gives the boxes of a type.
func (bs boxes) all(typ string) boxes {
	var found boxes
	for _, b := range bs {
		if b.typ == typ {
			found = append(found, b)
		}
	}
	return found
}

// find gives the body of the one box at the end of a path.
func (bs boxes) find(t *testing.T, path ...string) []byte {
	t.Helper()
	body, ok := bs.lookup(t, path...)
	if !ok {
		t.Fatalf("no box %v in %v", path, bs.types())
	}
	return body
}

// lookup gives the body of the box at the end of a path, if there is one.
func (bs boxes) lookup(t *testing.T, path ...string) ([]byte, bool) {
	t.Helper()
	for i, typ := range path {
		found := bs.all(typ)
		if len(found) == 0 {
			return nil, false
		}
		if len(found) > 1 {
			t.Fatalf("%d boxes %s in %v", len(found), typ, bs.types())
		}
		if i == len(path)-1 {
			return found[0].body, true
		}
		bs = readBoxes(t, found[0].body)
	}
	return nil, false
}

func (bs boxes) types() []string {
	var types []string
	for _, b := range bs {
		types = append(types, b.typ)
	}
	return types
}

// fields reads big-endian numbers off the front of a box.
type fields struct{ b []byte }

func (f *fields) u(bytes int) int64 {
	var v int64
	for _, c := range f.b[:bytes] {
		v = v<<8 | int64(c)
	}
	f.b = f.b[bytes:]
	return v
}

func (f *fields) skip(bytes int) { f.b = f.b[bytes:] }

// entryOf reads the one sample entry of a trak box: its type and its boxes,
// behind what video or audio has in front of them.
func entryOf(t *testing.T, trak boxes) (typ string, inner boxes, fixed []byte) {
	t.Helper()
	entries := readBoxes(t, trak.find(t, "mdia", "minf", "stbl", "stsd")[8:])
	if len(entries) != 1 {
		t.Fatalf("%d sample entries, want 1", len(entries))
	}
	size := 28 // AudioSampleEntry
	if _, ok := trak.lookup(t, "mdia", "minf", "vmhd"); ok {
		size = 78 // VisualSampleEntry
	}
	body := entries[0].body
	return entries[0].typ, readBoxes(t, body[size:]), body[:size]
}
