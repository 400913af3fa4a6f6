package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tmms/bench/publish"
	"tmms/bench/signal"
	"tmms/media"
	"tmms/media/amf0"
	"tmms/media/flv"
	"tmms/media/rtmp"
)

// track is one track that ertmp.mjs has read.
type track struct {
	Codec  string `json:"codec"`
	Width  int    `json:"width"`
	Rate   int    `json:"rate"`
	Frames int    `json:"frames"`
}

// readWith reads url with FFmpeg 8 for some seconds; codecs are what it announces.
func readWith(t *testing.T, url string, seconds int, codecs string) (tracks map[string]track, fault string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	out, err := node(ctx, "ertmp.mjs", "read", url, strconv.Itoa(seconds), codecs)
	if err != nil {
		return nil, "", err
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	var report struct {
		Streams map[string]track `json:"streams"`
		Error   string           `json:"error"`
	}
	if err = json.Unmarshal([]byte(lines[len(lines)-1]), &report); err != nil {
		return nil, "", fmt.Errorf("%w in %s", err, out)
	}
	tracks = map[string]track{}
	for _, s := range report.Streams {
		tracks[s.Codec] = s
	}
	return tracks, report.Error + strings.Join(lines[:len(lines)-1], "\n"), nil
}

// TestEnhancedRTMP publishes each codec of Enhanced RTMP with FFmpeg 8, and reads it
// by RTMP and HTTP-FLV.
//
// Requirement: S1 S8 S18
func TestEnhancedRTMP(t *testing.T) {
	t.Parallel()
	s := startDev(t)
	for _, c := range []struct{ name, video, videoCodec, audio, audioCodec, fourCCs string }{
		{"hevc", "libx265 -preset ultrafast -x265-params log-level=error:bframes=2", "hevc", "aac", "aac", "hvc1"},
		{"av1", "libsvtav1 -preset 12", "av1", "libopus", "opus", "av01,Opus"},
		{"vp9", "libvpx-vp9 -deadline realtime -cpu-used 8", "vp9", "ac3", "ac3", "vp09,ac-3"},
		{"flac", "libx264 -preset ultrafast", "h264", "flac", "flac", "fLaC"},
		{"eac3", "libx264 -preset ultrafast", "h264", "eac3", "eac3", "ec-3"},
	} {
		t.Run("ertmp-codecs "+c.name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), c.name+".mkv")
			argv := "-nostdin -v error -y -f lavfi -i testsrc2=size=320x180:rate=25 -f lavfi -i sine=frequency=440:sample_rate=48000 " +
				"-c:v " + c.video + " -c:a " + c.audio + " -pix_fmt yuv420p -g 25 -t 25 " + file
			if out, err := exec.CommandContext(t.Context(), "ffmpeg", strings.Fields(argv)...).CombinedOutput(); err != nil {
				t.Fatalf("ffmpeg: %v\n%s", err, out)
			}
			p := start(t, "node", "ertmp.mjs", "push", file, s.pushURL(c.name))
			s.waitLive(t, c.name)
			var wg sync.WaitGroup
			for _, read := range []struct{ url, fourCCs string }{
				{s.pushURL(c.name), c.fourCCs},
				{s.url("/live/" + c.name + ".flv"), ""},
			} {
				wg.Go(func() {
					tracks, fault, err := readWith(t, read.url, 3, read.fourCCs)
					if err != nil || tracks[c.videoCodec].Frames < 25 || tracks[c.audioCodec].Frames < 15 || len(tracks) != 2 {
						t.Errorf("%s: %+v, %s, %v", read.url, tracks, fault, err)
					}
					if w, r := tracks[c.videoCodec].Width, tracks[c.audioCodec].Rate; w != 320 || r != 48000 {
						t.Errorf("%s: %d pixels wide, %d Hz", read.url, w, r)
					}
				})
			}
			wg.Go(func() { // one that announces nothing is told why
				tracks, fault, err := readWith(t, s.pushURL(c.name), 3, "")
				named := strings.Split(c.fourCCs, ",")
				if err != nil || len(tracks) != 0 || !strings.Contains(fault, named[len(named)-1]) {
					t.Errorf("a player without the codec: %+v, %q, %v", tracks, fault, err)
				}
			})
			wg.Wait()
			for _, st := range s.streams(t) {
				if st["key"] == "default/live/"+c.name && fmt.Sprint(st["codecs"]) != fmt.Sprint([]string{c.videoCodec, c.audioCodec}) {
					t.Errorf("the API has %v", st["codecs"])
				}
			}
			p.kill()
		})
	}
}

// TestEnhancedPublisher publishes what FFmpeg can't: several tracks in one body,
// nanoseconds, and colours; who comes later has the colours and each track's
// configuration, and every body is as it was pushed.
//
// Requirement: S8
func TestEnhancedPublisher(t *testing.T) {
	t.Parallel()
	s := startDev(t)
	for _, c := range []struct {
		name string
		form publish.Form
	}{
		{"ertmp-multitrack", publish.Form{FourCC: true, Tracks: 3}},
		{"ertmp-multitrack-many", publish.Form{FourCC: true, Tracks: 3, Many: true}},
		{"ertmp-modex", publish.Form{FourCC: true, Nano: 123_456}},
		{"ertmp-latejoin", publish.Form{FourCC: true, Tracks: 2, Many: true, Nano: 7, ColorInfo: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg := publish.Config{URL: s.pushURL(c.name), Form: c.form, Signal: signal.Config{BitrateBPS: 500_000, FPS: 25, GOP: 25}}
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- publish.Run(ctx, cfg, nil) }()
			s.waitLive(t, c.name)
			for _, read := range []string{"rtmp", "flv"} {
				watch, stop := context.WithTimeout(t.Context(), 4*time.Second)
				var tags []flv.Tag
				var err error
				if read == "flv" {
					tags, _, err = watchFLV(watch, s.url("/live/"+c.name+".flv"))
				} else {
					tags, _, err = watchEnhanced(watch, s.pushURL(c.name), "avc1", "mp4a")
				}
				stop()
				if err != nil {
					t.Fatalf("%s: %v", read, err)
				}
				judgeForm(t, read, c.form, tags)
			}
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}

// judgeForm checks what a viewer got of a publisher's form.
func judgeForm(t *testing.T, read string, form publish.Form, tags []flv.Tag) {
	t.Helper()
	configs, colors, frames := map[media.TrackID]int{}, map[media.TrackID]int{}, map[media.TrackID]int{}
	for _, tag := range tags {
		if tag.Type != media.TypeVideo {
			continue
		}
		for i, err := range flv.Tracks(tag.Type, tag.Body) {
			switch {
			case err != nil:
				t.Fatalf("%s: %v", read, err)
			case i.Codec != media.CodecH264:
				t.Fatalf("%s: %+v", read, i)
			case i.Kind == media.KindConfig:
				configs[i.Track]++
			case i.Beside:
				colors[i.Track]++
			default:
				frames[i.Track]++
				if len(configs) < max(form.Tracks, 1) {
					t.Fatalf("%s: a frame before the configurations of all tracks, there are %v", read, configs)
				}
				if i.Nano != form.Nano {
					t.Fatalf("%s: %d ns, want %d", read, i.Nano, form.Nano)
				}
			}
		}
	}
	want := max(form.Tracks, 1)
	if len(frames) != want || frames[0] < 25 || len(configs) != want || form.ColorInfo && len(colors) != want {
		t.Errorf("%s: frames %v, configurations %v, colours %v; want %d tracks", read, frames, configs, colors, want)
	}
}

// TestCuesReachViewers publishes cues and texts, which come to RTMP and FLV viewers
// at their time.
func TestCuesReachViewers(t *testing.T) {
	t.Parallel()
	s := startDev(t)
	p, refused := dialPush(t, s.pushURL("cues"), rtmp.OrderFFmpeg)
	if refused != nil {
		t.Fatal(refused)
	}
	var tags []flv.Tag
	names := []string{"onTextData", "onCuePoint", "onScte35", "onCaption"}
	next := uint32(1010)
	for _, tag := range readFLV(t, "av.flv") {
		if tag.Timestamp > next {
			body := amf0.AppendObject(amf0.AppendString(nil, names[int(next/1000)%len(names)]),
				amf0.Property{Name: "at", Value: amf0.Number(float64(next))})
			tags = append(tags, flv.Tag{Type: media.TypeData, Timestamp: next, Body: body})
			next += 1000
		}
		tags = append(tags, tag)
	}
	stop := p.loop(tags)
	defer stop()
	s.waitLive(t, "cues")
	var wg sync.WaitGroup
	for _, read := range []string{"rtmp", "flv"} {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 6*time.Second)
			defer cancel()
			var got []flv.Tag
			var err error
			if read == "flv" {
				got, _, err = watchFLV(ctx, s.url("/live/cues.flv"))
			} else {
				got, _, err = watchRTMP(ctx, s.pushURL("cues"))
			}
			cues := 0
			for _, tag := range got {
				values, decodeErr := amf0.DecodeAll(tag.Body)
				if tag.Type != media.TypeData || decodeErr != nil || values[0].Text() == "onMetaData" {
					continue
				}
				cues++
				if at := uint32(values[1].Get("at").Float()); tag.Timestamp != at {
					t.Errorf("%s: %s of %d comes at %d", read, values[0].Text(), at, tag.Timestamp)
				}
			}
			if err != nil || cues < 3 {
				t.Errorf("%s: %d cues, %v", read, cues, err)
			}
		})
	}
	wg.Wait()
}
