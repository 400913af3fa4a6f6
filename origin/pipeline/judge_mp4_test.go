package pipeline

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tmms/media"
	"tmms/media/hls"
	"tmms/media/timeline"
)

// saveMP4 writes the low-latency playlist, or else that of segments, with all that
// it names. each gives every segment alone, behind its initialization section.
func (r *rig) saveMP4() (playlist string, each []string) {
	r.t.Helper()
	dir := r.t.TempDir()
	write := func(name string, b []byte) string {
		name = filepath.Join(dir, name)
		r.must(os.WriteFile(name, b, 0o600))
		return name
	}
	for _, s := range r.all {
		init := r.names[hls.Name{Kind: hls.NameInit, Epoch: s.Epoch, Number: uint64(s.Init)}].Chunks[0]
		write(hls.Name{Kind: hls.NameInit, Epoch: s.Epoch, Number: uint64(s.Init)}.String(), init)
		b := slices.Concat(s.MP4.Chunks...)
		write(hls.Name{Kind: hls.NameMP4, Epoch: s.Epoch, MSN: s.MSN}.String(), b)
		each = append(each, write(fmt.Sprintf("alone-%d.mp4", s.MSN), slices.Concat(init, b)))
	}
	x := r.last()
	text := x.AppendMedia(nil, "")
	if x.PartTarget > 0 {
		text = x.AppendLowLatency(nil, "", false)
	}
	return write("ll.m3u8", text), each
}

// sent is what a packet is: a picture's presentation time in ms, counted from
// the first picture in the order of decoding, or -1 for sound.
func (p probed) sent(typ string) []int64 {
	var times []int64
	for _, k := range p.Packets {
		if k.Type != typ {
			continue
		}
		at := int64(-1)
		if typ == "video" {
			at = int64(math.Round(k.Time * 1000))
		}
		times = append(times, at)
	}
	if typ == "video" && len(times) > 0 {
		first := times[0]
		for i := range times {
			times[i] -= first
		}
	}
	return times
}

// Requirement: S13, S14 (each segment decodes alone behind its initialization
// section; both formats have the same frames at the same times).
func (r *rig) judgeMP4(segments []string, codecs []string) {
	r.t.Helper()
	playlist, each := r.saveMP4()
	for i, name := range each {
		mp4 := probe1(r.t, name)
		if got := mp4.codecs(); !slices.Equal(got, codecs) {
			r.t.Fatalf("segment %d alone decodes %v, want %v", i, got, codecs)
		}
		if r.all[i].TS == nil {
			continue
		}
		ts := probe1(r.t, segments[i])
		for _, typ := range []string{"video", "audio"} {
			if got, want := mp4.sent(typ), ts.sent(typ); !slices.Equal(got, want) {
				r.t.Errorf("segment %d: %s at %v in MP4, at %v in TS", i, typ, got, want)
			}
		}
	}
	tool(r.t, "ffmpeg", "-v", "warning", "-xerror", "-i", playlist, "-f", "null", "-")
}

// judged is what hls-parser finds in a playlist.
type judged struct {
	Version  int
	First    uint64
	Skipped  int
	Ended    bool
	Segments []struct{ URI, Map string }
	Parts    []string
	Hint     string
	Reports  []struct {
		URI  string
		Last uint64
	}
}

// judgePlaylists gives at most most versions to hls-parser: of each both media
// playlists, and the delta update.
func (r *rig) judgePlaylists(most int) {
	r.t.Helper()
	dir := r.t.TempDir()
	args := []string{"../../cmd/tmms/e2e/playlists.mjs"}
	var of []*hls.Index
	for i := 0; i < len(r.indexes); i += 1 + len(r.indexes)/most {
		x := r.indexes[i]
		texts := [][]byte{x.AppendMedia(nil, "?t=1")}
		if x.PartTarget > 0 {
			texts = append(texts, x.AppendLowLatency(nil, "?t=1", false), x.AppendLowLatency(nil, "?t=1", true))
		}
		for kind, b := range texts {
			name := filepath.Join(dir, fmt.Sprintf("%d-%d.m3u8", x.Version, kind))
			r.must(os.WriteFile(name, b, 0o600))
			args, of = append(args, name), append(of, x)
		}
	}
	at := 0
	for line := range strings.Lines(string(tool(r.t, "node", args...))) {
		var j judged
		r.must(json.Unmarshal([]byte(line), &j))
		x := of[at]
		at++
		if j.First != x.Playlist()[0].MSN || j.Ended != x.Ended || len(j.Segments)+j.Skipped != x.Listed {
			r.t.Fatalf("version %d: hls-parser reads %s", x.Version, line)
		}
		if j.Version == 9 && !x.Ended {
			want := hinted(x)
			if j.Hint != want.String()+"?t=1" || len(j.Reports) != 1 || j.Reports[0].Last != x.Playlist()[x.Listed-1].MSN {
				r.t.Fatalf("version %d: hls-parser reads %s, want the hint %v", x.Version, line, want)
			}
		}
	}
	if at != len(of) {
		r.t.Fatalf("hls-parser read %d playlists of %d", at, len(of))
	}
}

// Requirement: S14 (whatever a publisher does, a strict parser takes every
// playlist; case by case as in the tests that have these names).
func TestPlaylistsAreValid(t *testing.T) {
	if testing.Short() {
		t.Skip("runs hls-parser: not in a short run")
	}
	for _, c := range []struct {
		name string
		play func(*rig)
	}{
		{"ENDLIST", func(r *rig) {
			r.headers()
			r.av(0, 9001, 40, 1000, true)
			r.p.End()
		}},
		{"long playlist", func(r *rig) {
			r.headers()
			r.av(0, 80_001, 40, 1000, true)
		}},
		{"gop-20s", func(r *rig) {
			r.headers()
			r.av(0, 40_001, 40, 20_000, true)
		}},
		{"low-fps", func(r *rig) {
			r.headers()
			r.av(0, 12_100, 60_000, 60_000, false)
			r.sound(5, 12_100)
		}},
		{"huge-gop", func(r *rig) {
			r.videoHeader(avc240)
			r.av(0, 30_000, 33, 100_000, false)
		}},
		{"codec-change", func(r *rig) {
			for i := range media.Timestamp(12) {
				r.videoHeader([][]byte{avc240, avc360}[i%2])
				r.audioHeader(aac44)
				r.av(i*1700, (i+1)*1700, 40, 1000, true)
			}
		}},
		{"late-audio", func(r *rig) {
			r.videoHeader(avc240)
			r.av(0, 5000, 42, 1000, false)
			r.audioHeader(aac44)
			r.av(5000, 10_001, 42, 1000, true)
		}},
		{"republish", func(r *rig) {
			r.headers()
			r.av(0, 5000, 40, 1000, true)
			r.behind = 12e9
			r.p.StartRun(testWall.Add(r.behind + 5e9))
			r.headers()
			r.av(5040, 11_041, 40, 1000, true)
		}},
		{"a hole", func(r *rig) {
			r.headers()
			r.av(0, 5000, 40, 1000, true)
			r.av(64_000, 68_001, 40, 1000, true)
		}},
		{"jitter", func(r *rig) {
			r.headers()
			for i := range media.Timestamp(400) {
				r.video(40*i+(i*i*7)%31, i%50 == 0)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			eachMode(t, func(t *testing.T, mode func(*Config)) {
				r := newRig(t, mode, func(c *Config) { c.Window = 20 })
				c.play(r)
				r.judgePlaylists(60)
			})
		})
	}
}

// unit is an access unit of a source, times in ms.
type unit struct {
	typ     media.Type
	dts     media.Timestamp
	cto     int32
	key     bool
	payload []byte
}

// foreign is a stream of a codec that FLV had no number for: the fourCC and the
// configuration of each track, "" without.
type foreign struct {
	video, audio   string
	config, header []byte
	units          []unit
}

// encodeMP4 makes one with ffmpeg, read by ffprobe.
func encodeMP4(t *testing.T, args, video, audio string) foreign {
	t.Helper()
	if testing.Short() {
		t.Skip("encodes and probes with ffmpeg: not in a short run")
	}
	name := filepath.Join(t.TempDir(), "source.mp4")
	tool(t, "ffmpeg", append([]string{"-v", "error", "-nostdin"}, append(strings.Fields(args), "-strict", "-2", "-f", "mp4", name)...)...)
	var p struct {
		Packets []struct {
			Type  string `json:"codec_type"`
			DTS   string `json:"dts_time"`
			PTS   string `json:"pts_time"`
			Flags string
			Data  string
		}
		Streams []struct {
			Type  string `json:"codec_type"`
			Extra string `json:"extradata"`
		}
	}
	out := tool(t, "ffprobe", "-v", "error", "-show_data", "-show_entries",
		"packet=codec_type,dts_time,pts_time,flags,data:stream=codec_type,extradata", "-of", "json", name)
	if err := json.Unmarshal(out, &p); err != nil {
		t.Fatal(err)
	}
	f := foreign{video: video, audio: audio}
	for _, s := range p.Streams {
		if s.Type == "video" {
			f.config = dumped(t, s.Extra)
		} else {
			f.header = dumped(t, s.Extra)
		}
	}
	for _, k := range p.Packets {
		u := unit{typ: media.TypeAudio, dts: inMS(t, k.DTS), payload: dumped(t, k.Data)}
		if k.Type == "video" {
			u.typ, u.key = media.TypeVideo, strings.HasPrefix(k.Flags, "K")
			u.cto = int32(inMS(t, k.PTS) - u.dts)
		}
		f.units = append(f.units, u)
	}
	slices.SortStableFunc(f.units, func(a, b unit) int { return int(a.dts - b.dts) })
	first := f.units[0].dts // below 0 with B-frames
	for i := range f.units {
		f.units[i].dts -= first
	}
	return f
}

func inMS(t *testing.T, seconds string) media.Timestamp {
	t.Helper()
	s, err := strconv.ParseFloat(seconds, 64)
	if err != nil {
		t.Fatal(err)
	}
	return media.Timestamp(math.Round(s * 1000))
}

// dumped reads a hex dump: "00000010: 0102 0304 ...  text".
func dumped(t *testing.T, dump string) []byte {
	t.Helper()
	var b []byte
	for line := range strings.Lines(dump) {
		if _, line, _ = strings.Cut(line, ": "); line == "" {
			continue
		}
		line, _, _ = strings.Cut(line, "  ")
		part, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(line), " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		b = append(b, part...)
	}
	return b
}

// packet is the body as Enhanced RTMP has it.
func (f foreign) packet(u unit) []byte {
	if u.typ == media.TypeAudio {
		if f.audio == "" {
			return append([]byte{0xAF, 1}, u.payload...)
		}
		return append([]byte("\x91"+f.audio), u.payload...)
	}
	kind := byte(0xA0)
	if u.key {
		kind = 0x90
	}
	b := append([]byte{kind | 1}, f.video...)
	if f.video == "avc1" || f.video == "hvc1" {
		b = append(b, byte(u.cto>>16), byte(u.cto>>8), byte(u.cto))
	}
	return append(b, u.payload...)
}

// pushForeign plays it as one run.
func (r *rig) pushForeign(f foreign) {
	r.t.Helper()
	tl := timeline.New(timeline.Config{})
	tl.StartRun()
	r.p.StartRun(testWall)
	if f.config != nil {
		r.must(r.write(media.TypeVideo, 0, append([]byte("\x90"+f.video), f.config...)))
	}
	switch {
	case f.audio == "" && f.header != nil:
		r.audioHeader(f.header)
	case f.header != nil:
		r.must(r.write(media.TypeAudio, 0, append([]byte("\x90"+f.audio), f.header...)))
	}
	for _, u := range f.units {
		dts, _ := tl.Correct(u.typ, 0, uint32(u.dts))
		r.must(r.write(u.typ, dts, f.packet(u)))
	}
	r.p.End()
}

// Requirement: S12, S13, S14, S18 (what HLS does not have in MPEG-TS it has in
// fragmented MP4, with low latency and without).
func TestForeignCodecs(t *testing.T) {
	const x265 = "-c:v libx265 -preset ultrafast -x265-params log-level=error:keyint=25:min-keyint=25:scenecut=0 -tag:v hvc1 -pix_fmt yuv420p "
	for _, c := range []struct {
		name, args   string
		video, audio string
		codecs       []string
		inTS         bool
	}{
		{"hevc aac", picture25 + sine + x265 + "-c:a aac", "hvc1", "", []string{"aac", "hevc"}, false},
		{"av1 opus", picture25 + sine + "-c:v libaom-av1 -cpu-used 8 -usage realtime -g 25 -pix_fmt yuv420p -c:a libopus", "av01", "Opus", []string{"av1", "opus"}, false},
		{"h264 opus", picture25 + sine + x264 + "-c:a libopus", "avc1", "Opus", []string{"h264", "opus"}, false},
		{"h264 ac3", picture25 + sine + x264 + "-c:a ac3", "avc1", "ac-3", []string{"ac3", "h264"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := encodeMP4(t, c.args, c.video, c.audio)
			eachMode(t, func(t *testing.T, mode func(*Config)) {
				r := newRig(t, wide, mode)
				r.pushForeign(f)
				if len(r.all) != 5 {
					t.Fatalf("%d segments of 9 s, want 5: %v ms", len(r.all), r.durations())
				}
				r.wantMarked()
				r.wantDependent()
				for _, s := range r.all {
					if (s.TS != nil) != c.inTS {
						t.Fatalf("in MPEG-TS: %t, want %t", s.TS != nil, c.inTS)
					}
				}
				if v := r.last().Variant; v.VideoCodec == "" || v.AudioCodec == "" || v.Width != 320 || v.PeakBPS == 0 {
					t.Errorf("variant %+v", v)
				}
				var segments []string
				if c.inTS {
					_, _, segments = r.save()
				}
				if r.all[0].MP4 != nil {
					r.judgeMP4(segments, c.codecs)
				}
				r.judgePlaylists(20)
			})
		})
	}
}
