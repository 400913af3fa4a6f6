package fmp4_test

import (
	"bytes"
	"testing"
)

// sample is one sample as it stands in a file, in ticks of its track.
type sample struct {
	dts, cto, duration int64
	sync               bool
	data               []byte
}

// track is a track of a fragmented file, as this test's own reader sees it.
type track struct {
	id, timescale int64
	samples       []sample
	starts        []int // index of the first sample of each fragment
}

// file is a fragmented file.
type file struct {
	tracks    map[int64]*track
	fragments int
	sequence  int64 // of the last fragment
	events    []boxed
}

// demux reads a beginning and what follows it, and checks what holds for every
// file: sizes add up, sequence numbers count up, samples follow each other
// without overlap, every byte of an mdat belongs to one sample.
func demux(t *testing.T, init []byte, rest ...[]byte) *file {
	t.Helper()
	top := readBoxes(t, init)
	if got := top.types(); len(got) != 2 || got[0] != "ftyp" || got[1] != "moov" {
		t.Fatalf("the beginning has boxes %v", got)
	}
	f := &file{tracks: map[int64]*track{}}
	moov := readBoxes(t, top.find(t, "moov"))
	for _, b := range moov.all("trak") {
		trak := readBoxes(t, b.body)
		id := fields{trak.find(t, "tkhd")[12:]}
		clock := fields{trak.find(t, "mdia", "mdhd")[12:]}
		tr := &track{id: id.u(4), timescale: clock.u(4)}
		f.tracks[tr.id] = tr
	}
	if len(f.tracks) > 0 {
		if n := len(readBoxes(t, moov.find(t, "mvex")).all("trex")); n != len(f.tracks) {
			t.Fatalf("%d trex boxes for %d tracks", n, len(f.tracks))
		}
	}
	f.read(t, bytes.Join(rest, nil))
	return f
}

func (f *file) read(t *testing.T, b []byte) {
	t.Helper()
	all := readBoxes(t, b)
	for i, box := range all {
		switch box.typ {
		case "styp", "mdat":
		case "emsg":
			f.events = append(f.events, box)
		case "moof":
			if i+1 == len(all) || all[i+1].typ != "mdat" {
				t.Fatalf("moof without mdat in %v", all.types())
			}
			f.fragments++
			f.moof(t, readBoxes(t, box.body), b[box.at:], len(box.body)+8, len(all[i+1].body))
		default:
			t.Fatalf("box %q in a segment", box.typ)
		}
	}
}

// moof reads a fragment; from is the file from the moof box on, which has size
// bytes, and payload the bytes of its mdat box.
func (f *file) moof(t *testing.T, moof boxes, from []byte, size, payload int) {
	t.Helper()
	header := fields{moof.find(t, "mfhd")[4:]}
	sequence := header.u(4)
	if f.fragments > 1 && sequence != f.sequence+1 {
		t.Fatalf("fragment %d has the sequence number %d, the one before %d", f.fragments, sequence, f.sequence)
	}
	f.sequence = sequence
	used := 0
	for _, b := range moof.all("traf") {
		traf := readBoxes(t, b.body)
		head := fields{traf.find(t, "tfhd")}
		if flags := head.u(4); flags != 0x020000 {
			t.Fatalf("tfhd has flags %#x", flags)
		}
		tr := f.tracks[head.u(4)]
		if tr == nil {
			t.Fatal("traf of an unknown track")
		}
		used += tr.run(t, traf, from, size+8+used)
	}
	if used != payload {
		t.Fatalf("%d of %d bytes of mdat belong to samples", used, payload)
	}
}

// run reads a traf box and gives the bytes of its samples, which begin at.
func (tr *track) run(t *testing.T, traf boxes, from []byte, at int) (used int) {
	t.Helper()
	decode := fields{traf.find(t, "tfdt")}
	if v := decode.u(4); v != 1<<24 {
		t.Fatalf("tfdt has version and flags %#x", v)
	}
	dts := decode.u(8)
	if n := len(tr.samples); n > 0 {
		last := tr.samples[n-1]
		if end := last.dts + last.duration; dts < end {
			t.Fatalf("track %d: a fragment begins at %d, the one before ends at %d", tr.id, dts, end)
		}
	}
	trun := fields{traf.find(t, "trun")}
	flags := trun.u(4)
	count := trun.u(4)
	if offset := trun.u(4); offset != int64(at) {
		t.Fatalf("track %d: data offset %d, want %d", tr.id, offset, at)
	}
	tr.starts = append(tr.starts, len(tr.samples))
	for range count {
		s := sample{dts: dts, duration: trun.u(4), sync: true}
		n := int(trun.u(4))
		if flags == 1<<24|0xF01 {
			s.sync = trun.u(4) == 0x02000000
			s.cto = int64(int32(trun.u(4)))
		} else if flags != 1<<24|0x301 {
			t.Fatalf("trun has version and flags %#x", flags)
		}
		if s.duration == 0 || n == 0 {
			t.Fatalf("track %d: a sample of %d bytes and %d ticks", tr.id, n, s.duration)
		}
		s.data = from[at+used : at+used+n]
		used += n
		dts += s.duration
		tr.samples = append(tr.samples, s)
	}
	if len(trun.b) > 0 || count == 0 {
		t.Fatalf("%d samples in trun, %d bytes behind them", count, len(trun.b))
	}
	return used
}
