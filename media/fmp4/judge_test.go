package fmp4_test

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tmms/media"
	"tmms/media/fmp4"
)

// sameAsSource compares what the own reader finds with what was pushed: every
// byte, every time of a picture exactly, sound within the jitter of stream time.
func sameAsSource(t *testing.T, src source, f *file) {
	t.Helper()
	for id, tr := range f.tracks {
		typ := media.TypeVideo
		if id == 2 {
			typ = media.TypeAudio
		}
		frames := src.only(typ).frames
		if len(tr.samples) != len(frames) {
			t.Fatalf("%s: %d samples, want %d", typ, len(tr.samples), len(frames))
		}
		for i, s := range tr.samples {
			want := frames[i]
			if !bytes.Equal(s.data, want.payload) {
				t.Fatalf("%s sample %d has %d bytes that are not the %d pushed", typ, i, len(s.data), len(want.payload))
			}
			if late := s.dts*1000 - want.dts*tr.timescale; late > 2*tr.timescale || late < -2*tr.timescale {
				t.Fatalf("%s sample %d is at %d / %d s, was pushed at %d ms", typ, i, s.dts, tr.timescale, want.dts)
			}
			if i > 0 && tr.samples[i-1].dts+tr.samples[i-1].duration != s.dts {
				t.Fatalf("%s sample %d begins at %d, the one before ends at %d", typ, i, s.dts,
					tr.samples[i-1].dts+tr.samples[i-1].duration)
			}
			if typ == media.TypeVideo && (s.dts != want.dts*90 || s.cto != int64(want.cto)*90 || s.sync != want.key) {
				t.Fatalf("picture %d: DTS %d, offset %d, key %t, want %d, %d, %t", i, s.dts, s.cto, s.sync,
					want.dts*90, int64(want.cto)*90, want.key)
			}
		}
	}
}

// probed is what ffprobe finds.
type probed struct {
	Packets []struct {
		Type     string  `json:"codec_type"`
		PTS      float64 `json:"pts_time,string"`
		DTS      float64 `json:"dts_time,string"`
		Duration float64 `json:"duration_time,string"`
		Flags    string
	}
	Streams []struct {
		Codec    string `json:"codec_name"`
		Type     string `json:"codec_type"`
		Width    int
		Height   int
		Rate     string `json:"sample_rate"`
		Channels int
		Count    string `json:"nb_read_frames"`
	}
}

// probe runs ffprobe, which decodes everything and must not complain.
func probe(t *testing.T, name string) probed {
	t.Helper()
	out := tool(t, "", "sh", "-c", `ffprobe -v warning -show_streams -show_packets -count_frames -of json "$1" 2>"$1.err"
		cat "$1.err" >&2; test ! -s "$1.err"`, "sh", name)
	var p probed
	if err := json.Unmarshal([]byte(out), &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// codecs are the streams as "video h264".
func (p probed) codecs() []string {
	var c []string
	for _, s := range p.Streams {
		c = append(c, s.Type+" "+s.Codec)
	}
	slices.Sort(c)
	return c
}

// count is how many frames of a type ffprobe decoded.
func (p probed) count(typ string) int {
	for _, s := range p.Streams {
		if s.Type == typ {
			n, _ := strconv.Atoi(s.Count)
			return n
		}
	}
	return 0
}

// sameAsProbed compares ffprobe's packets with the source: each there, at its
// time, and decoded.
func sameAsProbed(t *testing.T, src source, p probed) {
	t.Helper()
	for _, typ := range []media.Type{media.TypeVideo, media.TypeAudio} {
		frames := src.only(typ).frames
		i := 0
		for _, pkt := range p.Packets {
			if pkt.Type != typ.String() {
				continue
			}
			if i == len(frames) {
				t.Fatalf("%s: more than %d packets", typ, len(frames))
			}
			want := float64(frames[i].dts+int64(frames[i].cto)) / 1000
			if d := pkt.PTS - want; d > 0.002 || d < -0.002 {
				t.Fatalf("%s packet %d has the PTS %.3f s, want %.3f", typ, i, pkt.PTS, want)
			}
			i++
		}
		if i != len(frames) || p.count(typ.String()) != len(frames) {
			t.Fatalf("%s: %d packets, %d frames decode, want %d", typ, i, p.count(typ.String()), len(frames))
		}
	}
}

// boxJudge is what mp4box finds.
type boxJudge struct {
	Brands     []string
	Fragmented bool
	Fragments  int
	Events     []struct {
		Scheme, Value string
		Time          float64
		Size          int
	}
	Tracks []struct {
		ID, Timescale, Width, Height, Channels int
		Rate                                   int
		Codec                                  string
		Samples                                []struct {
			DTS, CTS, Duration int64
			Size               int
			Sync               bool
		}
	}
}

// mp4box asks the program of that name, by way of a script; it must not complain.
func mp4box(t *testing.T, name string) boxJudge {
	t.Helper()
	dir := filepath.Join("..", "..", "cmd", "tmms", "e2e")
	out := tool(t, dir, "sh", "-c", `node mp4.mjs "$1" 2>"$1.err"; code=$?
		cat "$1.err" >&2; test ! -s "$1.err" && exit $code`, "sh", name)
	var b boxJudge
	if err := json.Unmarshal([]byte(out), &b); err != nil {
		t.Fatalf("%v: %.300s", err, out)
	}
	return b
}

// sameAsJudged compares what mp4box finds with what the own reader does, and the
// names of codecs and the picture's size, which it reads by itself, with info.
func sameAsJudged(t *testing.T, f *file, info fmp4.Info, b boxJudge) {
	t.Helper()
	if !b.Fragmented || b.Fragments != f.fragments || len(b.Tracks) != len(f.tracks) {
		t.Fatalf("mp4box: fragmented %t, %d fragments, %d tracks, want %d, %d", b.Fragmented, b.Fragments,
			len(b.Tracks), f.fragments, len(f.tracks))
	}
	for _, got := range b.Tracks {
		want := f.tracks[int64(got.ID)]
		if want == nil || int64(got.Timescale) != want.timescale || len(got.Samples) != len(want.samples) {
			t.Fatalf("mp4box: track %d, timescale %d, %d samples", got.ID, got.Timescale, len(got.Samples))
		}
		name, width, height := info.AudioCodec, 0, 0
		if got.ID == 1 {
			name, width, height = info.VideoCodec, info.Width, info.Height
		}
		if got.Codec == "mp4a.6b" || got.Codec == "mp4a.69" {
			got.Codec = "mp4a.40.34" // MP3 by the object type of the file
		}
		if !strings.EqualFold(got.Codec, name) || got.Width != width || got.Height != height {
			t.Fatalf("mp4box: track %d is %s, %d x %d, want %s, %d x %d", got.ID, got.Codec, got.Width, got.Height,
				name, width, height)
		}
		for i, s := range got.Samples {
			w := want.samples[i]
			if s.DTS != w.dts || s.CTS != w.dts+w.cto || s.Duration != w.duration || s.Size != len(w.data) || s.Sync != w.sync {
				t.Fatalf("mp4box: track %d sample %d: %+v, want %d %d %d %d %t", got.ID, i, s, w.dts, w.dts+w.cto,
					w.duration, len(w.data), w.sync)
			}
		}
	}
}
