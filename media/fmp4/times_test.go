package fmp4_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"tmms/media"
	"tmms/media/fmp4"
)

// nalu is an access unit of one NAL unit.
func nalu(n int) []byte {
	b := make([]byte, 4+n)
	b[2], b[3] = byte(n>>8), byte(n)
	for i := range n {
		b[4+i] = byte(0x41 + i)
	}
	return b
}

// Configurations that need no encoder.
var (
	avcC      = []byte("\x01\x42\xc0\x1e\xff\xe1\x00\x0a\x67\x42\xc0\x1e\xd9\x00\xa0\x47\xfe\x88\x01\x00\x04\x68\xce\x3c\x80")
	aac48000  = fmp4.Track{Codec: media.CodecAAC, Config: []byte{0x11, 0x90}}
	mp3Header = []byte("\xff\xfb\x90\x00") // MPEG-1 layer III, 128 kbit/s, 44.1 kHz: 417 bytes
	simple    = fmp4.Config{Video: fmp4.Track{Codec: media.CodecH264, Config: avcC}, Audio: aac48000}
)

func newMuxer(tb testing.TB, cfg fmp4.Config) *fmp4.Muxer {
	tb.Helper()
	m, err := fmp4.NewMuxer(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

// starts are the decode times of a track's samples, in ticks.
func starts(tr *track) []int64 {
	var times []int64
	for _, s := range tr.samples {
		times = append(times, s.dts)
	}
	return times
}

// A DTS that repeats, or falls, comes out one tick later; presentation stays.
func TestStrictlyGrows(t *testing.T) {
	m := newMuxer(t, simple)
	var out []byte
	for i, dts := range []int64{0, 40, 40, 40, 30, 80, 80} {
		write(t, m, frame{typ: media.TypeVideo, dts: dts, cto: 120, payload: nalu(5), key: i == 0})
		if i == 5 {
			out = m.AppendFragment(out, 80)
		}
	}
	out = m.AppendFragment(out, 120)
	tr := demux(t, m.AppendInit(nil), out).tracks[1]
	if got, want := starts(tr), []int64{0, 3600, 3601, 3602, 3603, 7200, 7201}; !slices.Equal(got, want) {
		t.Errorf("decoded at %v, want %v", got, want)
	}
	var shown []int64
	for _, s := range tr.samples {
		shown = append(shown, (s.dts+s.cto)/90)
	}
	if want := []int64{120, 160, 160, 160, 150, 200, 200}; !slices.Equal(shown, want) {
		t.Errorf("shown at %v ms, want %v", shown, want)
	}
	if last := tr.samples[6]; last.dts+last.duration != 120*90 {
		t.Errorf("the last picture ends at %d, want %d", last.dts+last.duration, 120*90)
	}
}

// Case negative-cts: pictures that are shown before they are decoded stay where they are.
func TestNegativeCTS(t *testing.T) {
	src := encode(t, picture+x264B).only(media.TypeVideo)
	negative := false
	for i := range src.frames {
		src.frames[i].dts += 80 // two frames
		src.frames[i].cto -= 80
		negative = negative || src.frames[i].cto < 0
	}
	if !negative {
		t.Fatal("no offset is negative: this test shows nothing")
	}
	out := mux(t, src, 0)
	f := demux(t, out.init, out.segments...)
	sameAsSource(t, src, f)
	name := save(t, append([][]byte{out.init}, out.segments...)...)
	if !testing.Short() {
		sameAsJudged(t, f, fmp4.Describe(src.cfg), mp4box(t, name))
	}
	// ffprobe shows fragmented files with negative offsets late by the largest of
	// them, its own too.
	for i := range src.frames {
		src.frames[i].cto += 40
	}
	sameAsProbed(t, src, probe(t, name))
}

// A gap in the video of a stream is the duration of the picture in front of it;
// one between fragments is nobody's.
func TestGap(t *testing.T) {
	m := newMuxer(t, simple)
	write(t, m, frame{typ: media.TypeVideo, dts: 0, payload: nalu(5), key: true})
	write(t, m, frame{typ: media.TypeVideo, dts: 60000, payload: nalu(5)})
	out := m.AppendFragment(nil, 60040)
	write(t, m, frame{typ: media.TypeVideo, dts: 7200000, payload: nalu(5), key: true})
	out = m.AppendFragment(out, 7200040)
	tr := demux(t, m.AppendInit(nil), out).tracks[1]
	if got, want := starts(tr), []int64{0, 60000 * 90, 7200000 * 90}; !slices.Equal(got, want) {
		t.Errorf("decoded at %v, want %v", got, want)
	}
	if got := tr.samples[1].duration; got != 3600 {
		t.Errorf("a picture before a gap lasts %d ticks, want 3600", got)
	}
}

// sounds pushes AAC frames at the given times and gives where they come out.
func sounds(t *testing.T, times []int64, perFragment int) *track {
	t.Helper()
	m := newMuxer(t, fmp4.Config{Audio: aac48000})
	var out []byte
	for i, dts := range times {
		write(t, m, frame{typ: media.TypeAudio, dts: dts, payload: []byte{1, 2, byte(i)}})
		if (i+1)%perFragment == 0 {
			out = m.AppendFragment(out, 0)
		}
	}
	out = m.AppendFragment(out, 0)
	return demux(t, m.AppendInit(nil), out).tracks[2]
}

// Audio runs by its samples, whatever the jitter of stream time, and follows
// stream time where both drift apart, forward and backward, even if every
// fragment has one frame only.
func TestAudioClock(t *testing.T) {
	const n = 1000
	at := func(i int) float64 { return float64(i) * 1024 / 48 } // ms
	for _, c := range []struct {
		name string
		dts  func(i int) int64
		even bool // every frame lasts its 1024 samples
	}{
		{"steady", func(i int) int64 { return int64(at(i)) }, true},
		{"rounded-up", func(i int) int64 { return int64(math.Ceil(at(i))) }, true},
		{"jitter", func(i int) int64 { return int64(at(i)) + int64(i*7919%19) - 9 }, true},
		{"pairs", func(i int) int64 { return int64(at(i &^ 1)) }, true},
		{"slow-clock", func(i int) int64 { return int64(at(i) * 1.01) }, false},
		{"fast-clock", func(i int) int64 { return int64(at(i) * 0.99) }, false},
		{"hole", func(i int) int64 { return int64(at(i + i/500*100)) }, false},
		{"repeat", func(i int) int64 { return int64(at(max(i-30, min(i, 500)))) }, false},
	} {
		for _, perFragment := range []int{1, 10, 5000} {
			times := make([]int64, n)
			for i := range times {
				times[i] = max(c.dts(i), 0)
			}
			uneven := 0
			for i, s := range sounds(t, times, perFragment).samples {
				if s.duration != 1024 {
					uneven++
				}
				// What cannot be undone needs some frames.
				if late := float64(s.dts)/48 - float64(times[i]); (late > 45 || late < -25) && (i < 500 || i > 540) {
					t.Fatalf("%s, %d a fragment: frame %d is %.1f ms late", c.name, perFragment, i, late)
				}
			}
			if c.even && uneven > 0 || uneven > n/20 {
				t.Errorf("%s, %d a fragment: %d of %d frames are longer or shorter", c.name, perFragment, uneven, n)
			}
		}
	}
}

// Cases audio-only, late-audio: the first frame of a track sets its clock to
// stream time.
func TestLateAudio(t *testing.T) {
	m := newMuxer(t, simple)
	var out []byte
	for i := range int64(100) {
		write(t, m, frame{typ: media.TypeVideo, dts: 40 * i, payload: nalu(9), key: i%25 == 0})
		if i >= 75 {
			write(t, m, frame{typ: media.TypeAudio, dts: 40 * i, payload: []byte{1, 2, 3}})
		}
		if i%25 == 24 {
			out = m.AppendFragment(out, media.Timestamp(40*i+40))
		}
	}
	f := demux(t, m.AppendInit(nil), out)
	if got, want := f.tracks[2].samples[0].dts, int64(75*40*48); got != want {
		t.Errorf("the first sound is at %d, want %d", got, want)
	}
	if len(f.tracks[2].starts) != 1 || len(f.tracks[1].starts) != 4 {
		t.Errorf("%d fragments with sound, %d with pictures, want 1, 4", len(f.tracks[2].starts), len(f.tracks[1].starts))
	}
}

// Reset forgets frames and events; time goes on from what was written.
func TestReset(t *testing.T) {
	m := newMuxer(t, simple)
	write(t, m, frame{typ: media.TypeVideo, dts: 0, payload: nalu(9), key: true})
	out := m.AppendFragment(nil, 40)
	write(t, m, frame{typ: media.TypeVideo, dts: 40, payload: nalu(9)})
	write(t, m, frame{typ: media.TypeAudio, dts: 40, payload: []byte{1}})
	if err := m.WriteEvent(40, "s", "v", []byte("lost")); err != nil {
		t.Fatal(err)
	}
	if !m.Gathers() || m.Size() != 14 {
		t.Errorf("gathers %t, %d bytes, want true, 14", m.Gathers(), m.Size())
	}
	m.Reset()
	if got := m.AppendFragment(nil, 80); m.Gathers() || m.Size() != 0 || len(got) != 0 {
		t.Errorf("after Reset: gathers %t, %d bytes, a fragment of %d", m.Gathers(), m.Size(), len(got))
	}
	write(t, m, frame{typ: media.TypeVideo, dts: 30, payload: nalu(9), key: true})
	out = m.AppendFragment(out, 80)
	f := demux(t, m.AppendInit(nil), out)
	if got, want := starts(f.tracks[1]), []int64{0, 40 * 90}; !slices.Equal(got, want) || len(f.events) > 0 {
		t.Errorf("decoded at %v, %d events, want %v, none", got, len(f.events), want)
	}
}

// A fragment takes so many bytes, and so many frames, and no more.
func TestBounds(t *testing.T) {
	m := newMuxer(t, simple)
	large := nalu(1 << 15)
	large = append(large, slices.Repeat(large, 127)...) // 4 MiB
	for m.Size() < media.MaxHLSSegmentBytes {
		write(t, m, frame{typ: media.TypeVideo, payload: large})
	}
	if err := m.WriteVideo(0, 0, large, true); !errors.Is(err, fmp4.ErrFull) {
		t.Errorf("behind %d bytes: %v", m.Size(), err)
	}
	m.Reset()
	for i := range media.MaxFragmentSamples {
		write(t, m, frame{typ: media.TypeAudio, dts: int64(i) * 1024 / 48, payload: []byte{1}})
	}
	if err := m.WriteAudio(1400000, []byte{1}); !errors.Is(err, fmp4.ErrFull) {
		t.Errorf("behind %d frames: %v", media.MaxFragmentSamples, err)
	}
	f := demux(t, m.AppendInit(nil), m.AppendFragment(nil, 0))
	if n := len(f.tracks[2].samples); n != media.MaxFragmentSamples {
		t.Errorf("%d samples come out, want %d", n, media.MaxFragmentSamples)
	}
}

// Case avcc: what is not made of whole NAL units is refused, and leaves the
// fragment as it was; empty NAL units are left out.
func TestMalformed(t *testing.T) {
	good := nalu(9)
	for _, c := range []struct {
		name    string
		payload []byte
		text    string
	}{
		{"empty", nil, "fmp4: malformed: access unit of 0 bytes with nothing in it"},
		{"only-empty-units", make([]byte, 8), "fmp4: malformed: access unit of 8 bytes with nothing in it"},
		{"cut-length", good[:3], "fmp4: malformed: access unit of 3 bytes ends in a length at 0: 00 00 00"},
		{"cut-length-behind", append(nalu(1), 0, 0), "fmp4: malformed: access unit of 7 bytes ends in a length at 5: 00 00"},
		{"overlong", good[:8], "fmp4: malformed: access unit of 8 bytes has a NAL unit of 9 bytes at 0: 00 00 00 09 41 42 43 44"},
		{"huge", []byte("\xff\xff\xff\xff\x41"), "fmp4: malformed: access unit of 5 bytes has a NAL unit of 4294967295 bytes at 0: ff ff ff ff 41"},
	} {
		m := newMuxer(t, simple)
		write(t, m, frame{typ: media.TypeVideo, payload: good, key: true})
		if err := m.WriteVideo(40, 0, c.payload, false); !errors.Is(err, fmp4.ErrMalformed) || err.Error() != c.text {
			t.Errorf("%s: error %v, want %q", c.name, err, c.text)
		}
		write(t, m, frame{typ: media.TypeVideo, dts: 80, payload: append(make([]byte, 4), good...)})
		tr := demux(t, m.AppendInit(nil), m.AppendFragment(nil, 120)).tracks[1]
		if len(tr.samples) != 2 || tr.samples[0].duration != 80*90 || string(tr.samples[1].data) != string(good) {
			t.Errorf("%s: %+v", c.name, tr.samples)
		}
	}
}

// Requirement: S18: what cannot be carried is refused by name.
func TestUnsupported(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  fmp4.Config
		text string
	}{
		{"none", fmp4.Config{}, "fmp4: cannot carry a file without tracks"},
		{"vp8", fmp4.Config{Video: fmp4.Track{Codec: media.CodecVP8}}, "fmp4: cannot carry vp8 as video"},
		{"speex", fmp4.Config{Audio: fmp4.Track{Codec: media.CodecSpeex}}, "fmp4: cannot carry speex as audio"},
		{"aac-as-video", fmp4.Config{Video: aac48000}, "fmp4: cannot carry aac as video"},
	} {
		if _, err := fmp4.NewMuxer(c.cfg); !errors.Is(err, fmp4.ErrUnsupported) || err.Error() != c.text {
			t.Errorf("%s: error %v, want %q", c.name, err, c.text)
		}
		if got := fmp4.Describe(c.cfg); got != (fmp4.Info{}) {
			t.Errorf("%s is described as %+v", c.name, got)
		}
	}
	if err := fmp4.CheckTrack(media.TypeAudio, fmp4.Track{Codec: media.CodecMP3}); err == nil || errors.Is(err, fmp4.ErrUnsupported) {
		t.Errorf("MP3 without a frame: error %v, want the parser's", err)
	}
	m := newMuxer(t, fmp4.Config{Audio: fmp4.Track{Codec: media.CodecMP3, Config: mp3Header}})
	for _, c := range []struct {
		name string
		err  error
		want error
	}{
		{"no such track", m.WriteVideo(0, 0, nalu(1), true), fmp4.ErrNoTrack},
		{"far DTS", m.WriteAudio(1<<60, mp3Header), fmp4.ErrUnsupported},
		{"huge frame", m.WriteAudio(0, make([]byte, media.MaxMessageVideo+1)), fmp4.ErrUnsupported},
		{"another rate", m.WriteAudio(0, []byte("\xff\xf3\x90\x00")), fmp4.ErrUnsupported},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: error %v, want %v", c.name, c.err, c.want)
		}
	}
	if err := m.WriteAudio(0, nil); err != nil || m.Gathers() {
		t.Errorf("an empty frame: error %v, gathers %t", err, m.Gathers())
	}
}

// Some encoders put several MP3 frames into one message; each is a sample.
func TestMessageOfFrames(t *testing.T) {
	one := append(slices.Clone(mp3Header), make([]byte, 413)...)
	m := newMuxer(t, fmp4.Config{Audio: fmp4.Track{Codec: media.CodecMP3, Config: mp3Header}})
	write(t, m, frame{typ: media.TypeAudio, payload: slices.Repeat(one, 3)})
	write(t, m, frame{typ: media.TypeAudio, dts: 78, payload: append(slices.Clone(one), "junk"...)})
	tr := demux(t, m.AppendInit(nil), m.AppendFragment(nil, 0)).tracks[2]
	if got, want := starts(tr), []int64{0, 1152, 2304, 3456}; !slices.Equal(got, want) {
		t.Errorf("samples at %v, want %v", got, want)
	}
	if got := len(tr.samples[3].data); got != 421 {
		t.Errorf("a frame with junk behind it has %d bytes, want 421", got)
	}
}

// Timed metadata stands in front of the next fragment, and is bounded.
func TestEvents(t *testing.T) {
	const id3 = "https://aomedia.org/emsg/ID3"
	m := newMuxer(t, simple)
	if err := m.WriteEvent(20, id3, "", []byte("ID3 one")); err != nil {
		t.Fatal(err)
	}
	out := m.AppendFragment(nil, 0) // no frames: it waits
	write(t, m, frame{typ: media.TypeVideo, payload: nalu(9), key: true})
	if err := m.WriteEvent(30, id3, "x", []byte("ID3 two")); err != nil {
		t.Fatal(err)
	}
	out = m.AppendFragment(out, 40)
	write(t, m, frame{typ: media.TypeVideo, dts: 40, payload: nalu(9)})
	out = m.AppendFragment(out, 80)
	f := demux(t, m.AppendInit(nil), out)
	if len(f.events) != 2 || f.events[0].at != 0 {
		t.Fatalf("events %+v, want two in front of the first fragment", f.events)
	}
	const second = "\x01\x00\x00\x00" + "\x00\x01\x5f\x90" + "\x00\x00\x00\x00\x00\x00\x0a\x8c" + "\xff\xff\xff\xff" +
		"\x00\x00\x00\x02" + id3 + "\x00x\x00ID3 two"
	if got := string(f.events[1].body); got != second {
		t.Errorf("emsg %q, want %q", got, second)
	}
	for _, c := range []struct {
		err, want error
	}{
		{m.WriteEvent(0, "a\x00b", "", nil), fmp4.ErrUnsupported},
		{m.WriteEvent(0, "", "\x00", nil), fmp4.ErrUnsupported},
		{m.WriteEvent(-1, "", "", nil), fmp4.ErrUnsupported},
		{m.WriteEvent(0, "", "", make([]byte, media.MaxFragmentEvents)), fmp4.ErrFull},
		{m.WriteEvent(0, strings.Repeat("s", media.MaxFragmentEvents), "", nil), fmp4.ErrFull},
		{m.WriteEvent(0, "", "", make([]byte, media.MaxMessageData)), nil},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("error %v, want %v", c.err, c.want)
		}
	}
	if !testing.Short() {
		events := mp4box(t, save(t, m.AppendInit(nil), out)).Events
		if len(events) != 2 || events[1].Scheme != id3 || events[1].Value != "x" || events[1].Time != 0.03 || events[1].Size != 7 {
			t.Errorf("mp4box finds the events %+v", events)
		}
	}
}
