package fmp4_test

import (
	"bytes"
	"testing"

	"tmms/media"
	"tmms/media/fmp4"
)

// entries gives the boxes at the end of the sample entries of a beginning, and
// the timescale of its tracks by the entry's type.
func entries(t *testing.T, init []byte) (found map[string][]byte, clocks map[string]int64) {
	t.Helper()
	found, clocks = map[string][]byte{}, map[string]int64{}
	for _, b := range readBoxes(t, readBoxes(t, init).find(t, "moov")).all("trak") {
		trak := readBoxes(t, b.body)
		typ, inner, _ := entryOf(t, trak)
		for _, box := range inner {
			found[box.typ] = box.body
		}
		clock := fields{trak.find(t, "mdia", "mdhd")[12:]}
		clocks[typ] = clock.u(4)
	}
	return found, clocks
}

// What tells a decoder how to begin is, byte for byte, what ffmpeg has for the
// same stream.
func TestConfigBoxes(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range combinations {
		src := encode(t, c.args)
		got, _ := entries(t, newMuxer(t, src.cfg).AppendInit(nil))
		for typ, body := range got {
			seen[typ] = true
			want := src.boxes[typ]
			if typ == "esds" { // bit rates are not told here
				object, specific := readESDS(t, body)
				wantObject, wantSpecific := readESDS(t, want)
				if object != wantObject || !bytes.HasPrefix(wantSpecific, specific) {
					t.Errorf("%s: object type %#x, % x, want %#x, % x", c.name, object, specific, wantObject, wantSpecific)
				}
			} else if !bytes.Equal(body, want) {
				t.Errorf("%s: %s % x, want % x", c.name, typ, body, want)
			}
		}
	}
	for _, typ := range []string{"avcC", "hvcC", "av1C", "vpcC", "esds", "dOps", "dac3", "dec3", "dfLa"} {
		if !seen[typ] {
			t.Errorf("no %s was compared", typ)
		}
	}
}

// Case asc-adts: the clock of AAC is that of what comes out of the decoder,
// where SBR is told up front.
func TestSBR(t *testing.T) {
	for _, c := range []struct {
		name, config    string
		codec           string
		clock, duration int64
	}{
		{"lc-48000", "\x11\x90", "mp4a.40.2", 48000, 1024},
		{"lc-960", "\x11\x94", "mp4a.40.2", 48000, 960},
		{"he-aac", "\x2b\x11\x88\x00", "mp4a.40.5", 48000, 2048},
		{"he-aac-behind", "\x13\x10\x56\xe5\x98", "mp4a.40.2", 48000, 2048},
		{"explicit-rate", "\x17\x80\x5d\xc0\x10", "mp4a.40.2", 48000, 1024},
	} {
		cfg := fmp4.Config{Audio: fmp4.Track{Codec: media.CodecAAC, Config: []byte(c.config)}}
		if got := fmp4.Describe(cfg).AudioCodec; got != c.codec {
			t.Errorf("%s: %s, want %s", c.name, got, c.codec)
		}
		m := newMuxer(t, cfg)
		write(t, m, frame{typ: media.TypeAudio, payload: []byte{1}})
		tr := demux(t, m.AppendInit(nil), m.AppendFragment(nil, 0)).tracks[2]
		if tr.timescale != c.clock || tr.samples[0].duration != c.duration {
			t.Errorf("%s: a frame of %d / %d s, want %d / %d", c.name, tr.samples[0].duration, tr.timescale, c.duration, c.clock)
		}
	}
}

// 7.1 channels of E-AC-3 are an independent substream and a dependent one, with
// the pair Lrs/Rrs: a sample has both, and dec3 tells of both.
func TestDependentSubstream(t *testing.T) {
	unit := append([]byte("\x0b\x77\x00\x3f\x3f\x80\x00"), make([]byte, 121)...) // 128 bytes, 5.1
	unit = append(unit, append([]byte("\x0b\x77\x40\x3f\x34\x80\x10\x20\x00"), make([]byte, 119)...)...)
	m := newMuxer(t, fmp4.Config{Audio: fmp4.Track{Codec: media.CodecEAC3, Config: unit}})
	got, _ := entries(t, m.AppendInit(nil))
	// 32 kbit/s, one independent substream | 48 kHz, bsid 16, 3/2, LFE | one dependent, Lrs/Rrs
	if want := []byte{0x01, 0x00, 0x20, 0x0f, 0x02, 0x02}; !bytes.Equal(got["dec3"], want) {
		t.Errorf("dec3 % x, want % x", got["dec3"], want)
	}
	write(t, m, frame{typ: media.TypeAudio, payload: unit})
	tr := demux(t, m.AppendInit(nil), m.AppendFragment(nil, 0)).tracks[2]
	if len(tr.samples) != 1 || tr.samples[0].duration != 1536 || len(tr.samples[0].data) != len(unit) {
		t.Errorf("samples %+v", tr.samples)
	}
}

// The size of a VP9 picture is told from outside, or by the first keyframe.
func TestVP9Size(t *testing.T) {
	src := encode(t, picture+"-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 25 -pix_fmt yuv420p")
	src.cfg.Width, src.cfg.Height = 0, 0
	m := newMuxer(t, src.cfg)
	size := func() (int64, int64) {
		t.Helper()
		trak := readBoxes(t, readBoxes(t, readBoxes(t, m.AppendInit(nil)).find(t, "moov")).find(t, "trak"))
		_, _, fixed := entryOf(t, trak)
		f := fields{fixed[24:]}
		return f.u(2), f.u(2)
	}
	if w, h := size(); w != 0 || h != 0 {
		t.Errorf("before a keyframe: %d x %d", w, h)
	}
	write(t, m, src.frames[1])
	write(t, m, src.frames[0])
	if w, h := size(); w != 160 || h != 96 {
		t.Errorf("behind a keyframe: %d x %d, want 160 x 96", w, h)
	}
}
