package fmp4_test

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tmms/media"
	"tmms/media/fmp4"
)

// frame is one audio or video frame of a source, times in ms.
type frame struct {
	typ     media.Type
	dts     int64
	cto     int32
	key     bool
	payload []byte
}

// source is a stream as a publisher would push it.
type source struct {
	cfg    fmp4.Config
	frames []frame
	boxes  map[string][]byte // how ffmpeg tells the configurations, by the box's type
}

// tool runs a program that the tests cannot do without.
func tool(tb testing.TB, dir, name string, args ...string) string {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), name, args...)
	cmd.Dir = dir
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		tb.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, errs.String())
	}
	return out.String()
}

// encoded keeps what ffmpeg made, by its arguments.
var encoded = map[string][]byte{}

// encode makes a source with ffmpeg: a plain MP4, read by this test's own reader.
func encode(t *testing.T, args string) source {
	t.Helper()
	b, ok := encoded[args]
	if !ok {
		name := filepath.Join(t.TempDir(), "source.mp4")
		all := append([]string{"-v", "error", "-nostdin", "-fflags", "+bitexact"}, strings.Fields(args)...)
		tool(t, "", "ffmpeg", append(all, "-strict", "-2", "-f", "mp4", name)...)
		var err error
		if b, err = os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
		encoded[args] = b
	}
	return readMP4(t, b)
}

// readMP4 turns a plain file into a source.
func readMP4(t *testing.T, b []byte) source {
	t.Helper()
	s := source{boxes: map[string][]byte{}}
	for _, box := range readBoxes(t, readBoxes(t, b).find(t, "moov")).all("trak") {
		trak := readBoxes(t, box.body)
		entry, inner, fixed := entryOf(t, trak)
		for _, box := range inner {
			s.boxes[box.typ] = box.body
		}
		frames := readTable(t, trak, b)
		codec, config := sourceConfig(t, entry, inner, frames[0].payload)
		into := &s.cfg.Audio
		typ := media.TypeAudio
		if _, ok := trak.lookup(t, "mdia", "minf", "vmhd"); ok {
			into, typ = &s.cfg.Video, media.TypeVideo
			size := fields{fixed[24:]}
			if codec == media.CodecVP9 {
				s.cfg.Width, s.cfg.Height = int(size.u(2)), int(size.u(2))
			}
		}
		*into = fmp4.Track{Codec: codec, Config: config}
		for _, f := range frames {
			f.typ = typ
			s.frames = append(s.frames, f)
		}
	}
	slices.SortStableFunc(s.frames, func(a, b frame) int { return cmp.Compare(a.dts, b.dts) })
	return s
}

// readTable reads the samples of a track.
func readTable(t *testing.T, trak boxes, b []byte) []frame {
	t.Helper()
	table := readBoxes(t, trak.find(t, "mdia", "minf", "stbl"))
	clock := fields{trak.find(t, "mdia", "mdhd")[12:]}
	rate := clock.u(4)
	ms := func(ticks int64) int64 { return (ticks*2000 + rate) / (2 * rate) }
	sizes := fields{table.find(t, "stsz")[4:]}
	same, count := sizes.u(4), int(sizes.u(4))
	frames := make([]frame, count)
	times := runs(t, table, "stts", count)
	offsets := runs(t, table, "ctts", count)
	places := chunkPlaces(t, table)
	sync, some := table.lookup(t, "stss")
	dts := int64(0)
	for i := range frames {
		n := same
		if n == 0 {
			n = sizes.u(4)
		}
		at := places(n)
		frames[i] = frame{dts: ms(dts), key: !some, payload: b[at : at+n]}
		frames[i].cto = int32(ms(dts+int64(int32(offsets[i]))) - frames[i].dts)
		dts += times[i]
	}
	if some {
		keys := fields{sync[4:]}
		for range keys.u(4) {
			frames[keys.u(4)-1].key = true
		}
	}
	return frames
}

// runs unrolls a table of (count, value).
func runs(t *testing.T, table boxes, typ string, count int) []int64 {
	t.Helper()
	values := make([]int64, 0, count)
	body, ok := table.lookup(t, typ)
	if !ok {
		return make([]int64, count)
	}
	f := fields{body[4:]}
	for range f.u(4) {
		n, v := f.u(4), f.u(4)
		for range n {
			values = append(values, v)
		}
	}
	return values
}

// chunkPlaces gives a function that says where the next sample, of n bytes, is.
func chunkPlaces(t *testing.T, table boxes) func(n int64) int64 {
	t.Helper()
	offsets := fields{table.find(t, "stco")[4:]}
	perChunk := fields{table.find(t, "stsc")[4:]}
	type part struct{ first, samples int64 }
	var parts []part
	for range perChunk.u(4) {
		parts = append(parts, part{perChunk.u(4), perChunk.u(4)})
		perChunk.skip(4)
	}
	chunks := offsets.u(4)
	chunk, left, at := int64(0), int64(0), int64(0)
	return func(n int64) int64 {
		for left == 0 && chunk < chunks {
			chunk++
			at = offsets.u(4)
			for _, p := range parts {
				if p.first <= chunk {
					left = p.samples
				}
			}
		}
		left--
		at += n
		return at - n
	}
}

// sourceConfig makes of a sample entry what FLV and Enhanced RTMP carry.
func sourceConfig(t *testing.T, entry string, inner boxes, first []byte) (media.Codec, []byte) {
	t.Helper()
	switch entry {
	case "avc1":
		return media.CodecH264, inner.find(t, "avcC")
	case "hvc1", "hev1":
		return media.CodecHEVC, inner.find(t, "hvcC")
	case "av01":
		return media.CodecAV1, inner.find(t, "av1C")
	case "vp09":
		return media.CodecVP9, inner.find(t, "vpcC")[4:]
	case "Opus":
		return media.CodecOpus, opusHead(inner.find(t, "dOps"))
	case "fLaC":
		return media.CodecFLAC, append([]byte("fLaC"), inner.find(t, "dfLa")[4:]...)
	case "ac-3":
		return media.CodecAC3, first
	case "ec-3":
		return media.CodecEAC3, first
	case "mp4a":
		object, specific := readESDS(t, inner.find(t, "esds"))
		if object == 0x40 {
			return media.CodecAAC, specific
		}
		return media.CodecMP3, first
	}
	t.Fatalf("sample entry %q", entry)
	return 0, nil
}

// opusHead turns a dOps box of mapping family 0 into an identification header.
func opusHead(b []byte) []byte {
	h := append([]byte("OpusHead\x01"), b[1])
	h = binary.LittleEndian.AppendUint16(h, binary.BigEndian.Uint16(b[2:]))
	h = binary.LittleEndian.AppendUint32(h, binary.BigEndian.Uint32(b[4:]))
	h = binary.LittleEndian.AppendUint16(h, binary.BigEndian.Uint16(b[8:]))
	return append(h, b[10:]...)
}

// readESDS gives object type and decoder specific info of an esds box.
func readESDS(t *testing.T, b []byte) (object byte, specific []byte) {
	t.Helper()
	next := func(tag byte) []byte {
		if len(b) == 0 || b[0] != tag {
			t.Fatalf("descriptor %d expected: % x", tag, b)
		}
		n := 0
		for b = b[1:]; ; b = b[1:] {
			n = n<<7 | int(b[0]&0x7F)
			if b[0]&0x80 == 0 {
				break
			}
		}
		return b[1 : 1+n]
	}
	b = b[4:]
	b = next(3)[3:]
	b = next(4)
	object = b[0]
	if b = b[13:]; len(b) > 0 && b[0] == 5 {
		specific = next(5)
	}
	return object, specific
}

// only keeps one type.
func (s source) only(typ media.Type) source {
	out := source{cfg: s.cfg}
	if typ == media.TypeAudio {
		out.cfg.Video = fmp4.Track{}
	} else {
		out.cfg.Audio = fmp4.Track{}
	}
	for _, f := range s.frames {
		if f.typ == typ {
			out.frames = append(out.frames, f)
		}
	}
	return out
}

// write puts one frame into the muxer.
func write(tb testing.TB, m *fmp4.Muxer, f frame) {
	tb.Helper()
	var err error
	if f.typ == media.TypeVideo {
		err = m.WriteVideo(media.Timestamp(f.dts), f.cto, f.payload, f.key)
	} else {
		err = m.WriteAudio(media.Timestamp(f.dts), f.payload)
	}
	if err != nil {
		tb.Fatal(err)
	}
}

// muxed is a file: its beginning, and its fragments in segments.
type muxed struct {
	init     []byte
	segments [][]byte
}

// mux makes segments that are cut at each keyframe, at each second of audio
// only; within them a fragment ends at the first frame (of video, if there is
// any) that is part ms or more behind its begin. part 0: one fragment a segment.
func mux(t *testing.T, s source, part int64) muxed {
	t.Helper()
	m, err := fmp4.NewMuxer(s.cfg)
	if err != nil {
		t.Fatal(err)
	}
	var out muxed
	out.segments = append(out.segments, m.AppendSegmentStart(nil))
	lead := media.TypeVideo
	if s.cfg.Video.Codec == media.CodecUnknown {
		lead = media.TypeAudio
	}
	segmentAt, partAt := s.frames[0].dts, s.frames[0].dts
	end := int64(0)
	for i, f := range s.frames {
		end = max(end, f.dts)
		if i > 0 && f.typ == lead {
			newSegment := f.key && lead == media.TypeVideo || lead == media.TypeAudio && f.dts >= segmentAt+1000
			last := len(out.segments) - 1
			if newSegment || part > 0 && f.dts >= partAt+part {
				out.segments[last] = m.AppendFragment(out.segments[last], media.Timestamp(f.dts))
				partAt = f.dts
			}
			if newSegment {
				out.segments = append(out.segments, m.AppendSegmentStart(nil))
				segmentAt = f.dts
			}
		}
		write(t, m, f)
	}
	last := len(out.segments) - 1
	out.segments[last] = m.AppendFragment(out.segments[last], media.Timestamp(end+40))
	out.init = m.AppendInit(nil)
	return out
}

// save writes a file.
func save(t *testing.T, parts ...[]byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "out.mp4")
	if err := os.WriteFile(name, bytes.Join(parts, nil), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
