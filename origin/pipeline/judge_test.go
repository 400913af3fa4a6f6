package pipeline

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tmms/media"
	"tmms/media/flv"
	"tmms/media/hls"
	"tmms/media/timeline"
)

// tool runs a program that the tests cannot do without; out is its standard
// output. It must not complain.
func tool(t *testing.T, name string, args ...string) (out []byte) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil || strings.HasPrefix(name, "ff") && stderr.Len() > 0 {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, stderr.Bytes())
	}
	return stdout.Bytes()
}

const (
	picture25 = "-f lavfi -i testsrc2=s=320x180:r=25:d=9 "
	sine      = "-f lavfi -i sine=r=44100:d=9 "
	x264      = "-c:v libx264 -preset veryfast -tune stillimage -bf 2 -g 25 -keyint_min 25 -sc_threshold 0 -pix_fmt yuv420p "
)

// encode makes the tags of a push with ffmpeg.
func encode(t *testing.T, args string) []flv.Tag {
	t.Helper()
	if testing.Short() {
		t.Skip("encodes and probes with ffmpeg: not in a short run")
	}
	all := append([]string{"-v", "error", "-nostdin"}, strings.Fields(args+" -flvflags no_duration_filesize -f flv -")...)
	b := tool(t, "ffmpeg", all...)
	_, n, err := flv.ParseHeader(b)
	if err != nil {
		t.Fatal(err)
	}
	var tags []flv.Tag
	for b = b[n:]; len(b) > 0; b = b[n:] {
		var tag flv.Tag
		if tag, n, err = flv.ParseTag(b); err != nil {
			t.Fatal(err)
		}
		tags = append(tags, tag)
	}
	return tags
}

// push plays tags as one run, through the timeline that a session has.
func (r *rig) push(tl *timeline.Timeline, tags []flv.Tag) {
	r.t.Helper()
	tl.StartRun()
	r.p.StartRun(testWall.Add(r.behind + tl.Last().Duration()))
	for _, tag := range tags {
		info, err := flv.Describe(tag.Type, tag.Body)
		r.must(err)
		dts := tl.Stamp(tag.Type)
		if tag.Type != media.TypeData && info.Kind != media.KindConfig && info.Kind != media.KindEnd {
			dts, _ = tl.Correct(tag.Type, 0, tag.Timestamp)
		}
		r.must(r.write(tag.Type, dts, tag.Body))
	}
}

// wide lists everything that comes.
func wide(c *Config) { c.Window = maxWindow }

// save writes a playlist with its segments, and all of them in one file.
func (r *rig) save() (playlist, whole string, segments []string) {
	r.t.Helper()
	dir := r.t.TempDir()
	var all []byte
	for _, s := range r.all {
		name := filepath.Join(dir, hls.SegmentName(s.Epoch, s.MSN))
		b := bytesOf(s)
		all = append(all, b...)
		segments = append(segments, name)
		r.must(os.WriteFile(name, b, 0o600))
	}
	playlist, whole = filepath.Join(dir, "live.m3u8"), filepath.Join(dir, "whole.ts")
	r.must(os.WriteFile(playlist, r.last().AppendMedia(nil, ""), 0o600))
	r.must(os.WriteFile(whole, all, 0o600))
	return playlist, whole, segments
}

// probed is what ffprobe finds in a file.
type probed struct {
	Packets []struct {
		Type string  `json:"codec_type"`
		PTS  int64   `json:"pts"`
		DTS  int64   `json:"dts"`
		Key  string  `json:"flags"`
		Time float64 `json:"pts_time,string"`
	} `json:"packets"`
	Streams []struct {
		Codec  string `json:"codec_name"`
		Type   string `json:"codec_type"`
		Frames string `json:"nb_read_frames"`
		Rate   string `json:"sample_rate"`
		Width  int    `json:"width"`
	} `json:"streams"`
}

func probe1(t *testing.T, file string) probed {
	t.Helper()
	var p probed
	out := tool(t, "ffprobe", "-v", "error", "-show_packets", "-show_streams", "-count_frames", "-of", "json", file)
	if err := json.Unmarshal(out, &p); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p probed) codecs() []string {
	var names []string
	for _, s := range p.Streams {
		if s.Frames != "" && s.Frames != "0" {
			names = append(names, s.Codec)
		}
	}
	slices.Sort(names)
	return names
}

// continuity asks dvbinfo.
func continuity(t *testing.T, file string) {
	t.Helper()
	out := tool(t, "sh", "-c", `dvbinfo -s packet -f "$1" 2>&1`, "sh", file)
	if !bytes.Contains(out, []byte("Number of packets")) {
		t.Fatalf("dvbinfo gives no summary: %s", out[max(0, len(out)-300):])
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "discontinuity") {
			t.Fatalf("dvbinfo: %s", line)
		}
	}
}

// Requirement: S12, S13, S16, S17 (FLV is demuxed, remuxed and cut; every
// segment alone decodes with all its tracks).
func TestRealStreams(t *testing.T) {
	for _, c := range []struct {
		name, args string
		codecs     []string
		change     func([]flv.Tag)
	}{
		{"b-frames", picture25 + sine + x264 + "-c:a aac -ac 2 -shortest", []string{"aac", "h264"}, nil},
		{"negative-cts", picture25 + sine + x264 + "-c:a aac -ac 1", []string{"aac", "h264"}, earlier},
		{"mp3", picture25 + sine + x264 + "-c:a libmp3lame -b:a 64k", []string{"h264", "mp3"}, nil},
		{"audio-only", sine + "-c:a aac", []string{"aac"}, nil},
		{"audio-only mp3", sine + "-c:a libmp3lame", []string{"mp3"}, nil},
		{"video-only", picture25 + x264, []string{"h264"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			tags := encode(t, c.args)
			if c.change != nil {
				c.change(tags)
			}
			r := newRig(t, wide, lowLatency)
			r.push(timeline.New(timeline.Config{}), tags)
			r.p.End()
			r.wantMarked()
			r.wantDependent()
			playlist, whole, files := r.save()
			r.judgeMP4(files, c.codecs)
			r.judgePlaylists(20)
			r.judgeSegments(files, c.codecs)
			continuity(t, whole)
			r.judgeWhole(playlist, len(tags))
			if c.name == "audio-only mp3" {
				wantSameMP3(t, tags, whole)
			}
		})
	}
}

// earlier moves every composition time 120 ms back, so that some are negative.
func earlier(tags []flv.Tag) {
	for _, tag := range tags {
		if tag.Type == media.TypeVideo && tag.Body[1] == 1 {
			cto := int32(uint32(tag.Body[2])<<24|uint32(tag.Body[3])<<16|uint32(tag.Body[4])<<8)>>8 - 120
			tag.Body[2], tag.Body[3], tag.Body[4] = byte(cto>>16), byte(cto>>8), byte(cto)
		}
	}
}

// judgeSegments looks at each segment alone.
func (r *rig) judgeSegments(files []string, codecs []string) {
	r.t.Helper()
	if len(files) != 5 {
		r.t.Fatalf("%d segments of 9 s, want 5: %v ms", len(files), r.durations())
	}
	start := int64(math.MinInt64)
	for i, f := range files {
		p := probe1(r.t, f)
		if got := p.codecs(); !slices.Equal(got, codecs) {
			r.t.Fatalf("segment %d alone decodes %v, want %v", i, got, codecs)
		}
		last := map[string]int64{}
		first := int64(math.MaxInt64)
		for _, k := range p.Packets {
			if at, ok := last[k.Type]; ok && k.DTS <= at || k.PTS < k.DTS || k.DTS < 0 {
				r.t.Fatalf("segment %d: %s DTS %d after %d, PTS %d", i, k.Type, k.DTS, at, k.PTS)
			}
			last[k.Type] = k.DTS
			if k.Type == "video" || len(codecs) == 1 {
				first = min(first, k.DTS)
			}
		}
		// EXTINF is the distance of the first units; negative composition times
		// shift the DTS once, in the first segment.
		if i > 1 {
			want := r.all[i-1].Duration.Milliseconds() * 90
			if d := first - start - want; d < -180 || d > 180 {
				r.t.Errorf("segment %d starts %d ticks after the one before, EXTINF says %d", i, first-start, want)
			}
		}
		start = first
		if slices.Contains(codecs, "h264") {
			wantIDRFirst(r.t, r.all[i])
			if i < 4 {
				wantFrames(r.t, p, i)
			}
		}
	}
}

func wantFrames(t *testing.T, p probed, i int) {
	t.Helper()
	for _, s := range p.Streams {
		if s.Type == "video" && (s.Frames != "50" || s.Width != 320) {
			t.Errorf("segment %d: %s frames decode, want 50", i, s.Frames)
		}
	}
}

// judgeWhole lets ffmpeg play the playlist.
func (r *rig) judgeWhole(playlist string, tags int) {
	r.t.Helper()
	var sum time.Duration
	for _, s := range r.all {
		sum += s.Duration
	}
	if d := sum - 9*time.Second; d < -100*time.Millisecond || d > 100*time.Millisecond {
		r.t.Errorf("segments of %v in all, want 9 s", sum)
	}
	tool(r.t, "ffmpeg", "-v", "warning", "-xerror", "-i", playlist, "-f", "null", "-")
	p := probe1(r.t, playlist)
	frames := 0
	for _, s := range p.Streams {
		n := 0
		if _, err := fmt.Sscan(s.Frames, &n); err != nil {
			r.t.Fatal(err)
		}
		frames += n
		if s.Type == "video" && n != 225 {
			r.t.Errorf("%d pictures decode, want 225", n)
		}
	}
	if frames < tags-10 || frames > tags {
		r.t.Errorf("%d frames decode of %d tags", frames, tags)
	}
}

// Requirement: S17 (MP3 passes unchanged).
func wantSameMP3(t *testing.T, tags []flv.Tag, whole string) {
	t.Helper()
	var want []byte
	for _, tag := range tags {
		if tag.Type == media.TypeAudio {
			want = append(want, tag.Body[1:]...)
		}
	}
	got := tool(t, "ffmpeg", "-v", "error", "-i", whole, "-map", "0:a", "-c", "copy", "-f", "mp3",
		"-write_xing", "0", "-id3v2_version", "0", "-")
	if !bytes.Equal(got, want) {
		t.Errorf("%d bytes of MP3 come out, %d went in", len(got), len(want))
	}
}

// Requirement: S6 (pushed again from 0, from a random time and across a wrap:
// one playlist without a mark, one clock, and ffmpeg decodes without an error).
func TestRealRepublish(t *testing.T) {
	t.Parallel()
	tags := encode(t, picture25+sine+x264+"-c:a aac -ac 2 -shortest")
	r := newRig(t, wide)
	tl := timeline.New(timeline.Config{})
	r.push(tl, tags)
	cut := slices.IndexFunc(tags, func(tag flv.Tag) bool { return tag.Timestamp > 4321 })
	for i, shift := range []uint32{0, 2654435761, 1<<32 - 3000} {
		r.behind += 3 * time.Second
		again := slices.Clone(tags[:cut+37*i])
		for j := range again {
			again[j].Timestamp += shift
		}
		r.push(tl, again)
	}
	r.p.End()
	r.wantMarked()
	r.wantDependent()
	playlist, whole, _ := r.save()
	continuity(t, whole)
	// Not the null muxer: where a push was cut between a P frame and its B frames,
	// the P frame is shown no earlier than the first frame of the next push.
	tool(t, "ffmpeg", "-v", "error", "-xerror", "-i", playlist,
		"-map", "0:v", "-f", "rawvideo", "-y", "/dev/null", "-map", "0:a", "-f", "s16le", "-y", "/dev/null")
	last := map[string]int64{}
	for _, k := range probe1(t, whole).Packets {
		if at, ok := last[k.Type]; ok && k.DTS <= at {
			t.Fatalf("%s: DTS %d after %d", k.Type, k.DTS, at)
		}
		// A frame behind all there is; audio that ended after video counts, of which
		// ffprobe shows the last frame late.
		if at := max(last["video"], last["audio"]); at > 0 && k.DTS-at > 90*(41+24) {
			t.Fatalf("%s: DTS %d is a step of %d ms", k.Type, k.DTS, (k.DTS-at)/90)
		}
		last[k.Type] = k.DTS
	}
	if d := last["video"] - last["audio"]; d > 90*90 || d < -90*90 {
		t.Errorf("audio ends %d ms off video", d/90)
	}
}
