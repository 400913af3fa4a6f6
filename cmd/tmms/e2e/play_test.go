package e2e

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestPlaysEverywhere pushes each kind of source with ffmpeg and plays it by
// every protocol at once.
//
// Requirement: S1 S8 S12 S15 S16 S17 C4
func TestPlaysEverywhere(t *testing.T) {
	t.Parallel()
	s := startDev(t)
	for _, c := range []struct {
		source       string
		video, audio bool
	}{
		{"av.flv", true, true},
		{"mp3.flv", true, true},
		{"audio.flv", false, true},
		{"video.flv", true, false},
	} {
		t.Run(strings.TrimSuffix(c.source, ".flv"), func(t *testing.T) {
			name := strings.TrimSuffix(c.source, ".flv")
			p := push(t, c.source, s.pushURL(name))
			s.waitLive(t, name)
			var wg sync.WaitGroup
			for _, url := range []string{
				s.pushURL(name),
				s.url("/live/" + name + ".flv"),
				s.url("/live/" + name + ".ts"),
				s.url("/live/" + name + ".m3u8"),
			} {
				wg.Go(func() {
					got, err := decode(t, url, 5*time.Second)
					if err != nil {
						t.Error(err)
					}
					if c.video && got.video < 100 || !c.video && got.video > 0 {
						t.Errorf("%s: %d video frames", url, got.video)
					}
					if c.audio && got.audio < 150 || !c.audio && got.audio > 0 {
						t.Errorf("%s: %d audio frames", url, got.audio)
					}
				})
			}
			wg.Wait()
			p.kill()
		})
	}
}

// TestRTMPDump plays with rtmpdump, a strict old client with the digest handshake.
func TestRTMPDump(t *testing.T) {
	t.Parallel()
	s := startDev(t)
	push(t, "av.flv", s.pushURL("dump"))
	s.waitLive(t, "dump")
	file := filepath.Join(t.TempDir(), "dump.flv")
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Second) // it plays until it is interrupted
	defer cancel()
	cmd := exec.CommandContext(ctx, "rtmpdump", "-r", s.pushURL("dump"), "--live", "-o", file)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	if out, err := cmd.CombinedOutput(); ctx.Err() == nil {
		t.Fatalf("rtmpdump ended by itself: %v\n%s", err, out)
	}
	got, err := decode(t, file, 3*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if got.video < 60 || got.audio < 100 {
		t.Errorf("rtmpdump recorded %d video and %d audio frames", got.video, got.audio)
	}
}

// TestGStreamer pushes with rtmp2sink, an RTMP implementation of its own.
func TestGStreamer(t *testing.T) {
	t.Parallel()
	s := startDev(t)
	p := start(t, "gst-launch-1.0", "-q", "filesrc", "location="+filepath.Join(assets, "av.flv"), "!", "flvdemux", "name=d",
		"flvmux", "name=m", "streamable=true", "!", "rtmp2sink", "location="+s.pushURL("gst"),
		"d.video", "!", "queue", "!", "h264parse", "!", "m.video",
		"d.audio", "!", "queue", "!", "aacparse", "!", "m.audio")
	s.waitLive(t, "gst")
	for _, url := range []string{s.pushURL("gst"), s.url("/live/gst.flv"), s.url("/live/gst.m3u8")} {
		got, err := decode(t, url, 4*time.Second)
		if err != nil {
			t.Error(err)
		}
		if got.video < 80 || got.audio < 120 {
			t.Errorf("%s: %d video and %d audio frames", url, got.video, got.audio)
		}
	}
	if strings.Contains(p.out.String(), "ERROR") {
		t.Errorf("gst-launch: %s", p.out)
	}
}

// TestPlayerBeforePublisher opens players on every protocol first.
//
// Requirement: S11
func TestPlayerBeforePublisher(t *testing.T) {
	t.Parallel()
	s := startDev(t)
	var wg sync.WaitGroup
	for _, url := range []string{s.pushURL("early"), s.url("/live/early.flv"), s.url("/live/early.m3u8")} {
		wg.Go(func() {
			got, err := decode(t, url, 3*time.Second)
			if err != nil {
				t.Error(err)
			}
			if got.video < 60 || got.audio < 90 {
				t.Errorf("%s: %d video and %d audio frames", url, got.video, got.audio)
			}
		})
	}
	waitFor(t, 10*time.Second, "the players to connect", func() bool { return s.viewers(t) >= 2 })
	push(t, "av.flv", s.pushURL("early"))
	wg.Wait()
}

// TestHLSIsValid gives playlists and segments to independent judges.
//
// Requirement: S13 S15
func TestHLSIsValid(t *testing.T) {
	t.Parallel()
	s := startDev(t)
	push(t, "av.flv", s.pushURL("judge"))
	s.waitPlaylist(t, "judge", 4)
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	dir := t.TempDir()
	out, err := node(ctx, "hls.mjs", s.url("/live/judge.m3u8"), dir)
	if err != nil {
		t.Fatal(err)
	}
	segments, err := filepath.Glob(filepath.Join(dir, "*.ts"))
	if err != nil || len(segments) < 4 {
		t.Fatalf("%d segments, %v: %s", len(segments), err, out)
	}
	var all []byte
	for _, file := range segments {
		all = append(all, judgeSegment(ctx, t, file)...)
	}
	whole := filepath.Join(dir, "all.bin")
	if err = os.WriteFile(whole, all, 0o600); err != nil {
		t.Fatal(err)
	}
	report, err := exec.CommandContext(ctx, "dvbinfo", "-f", whole).CombinedOutput()
	if err != nil && ctx.Err() != nil {
		t.Fatalf("dvbinfo: %v\n%s", err, report)
	}
	if strings.Contains(strings.ToLower(string(report)), "discontinu") {
		t.Errorf("dvbinfo: %s", report)
	}
}

// TestHTTPTSIsValid records live MPEG-TS and gives it to independent judges.
func TestHTTPTSIsValid(t *testing.T) {
	t.Parallel()
	s := startDev(t)
	push(t, "av.flv", s.pushURL("ts"))
	s.waitLive(t, "ts")
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Second) // it plays until it is interrupted
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url("/live/ts.ts"), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var all bytes.Buffer
	if _, err = all.ReadFrom(resp.Body); ctx.Err() == nil {
		t.Fatalf("it ended by itself after %d bytes: %v", all.Len(), err)
	}
	file := filepath.Join(t.TempDir(), "all.ts")
	const packet = 188
	if err = os.WriteFile(file, all.Bytes()[:all.Len()/packet*packet], 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := decode(t, file, 10*time.Second)
	if err != nil || got.video < 60 || got.audio < 90 {
		t.Errorf("%d video and %d audio frames, %v", got.video, got.audio, err)
	}
	judge, stop := context.WithTimeout(t.Context(), 60*time.Second)
	defer stop()
	report, err := exec.CommandContext(judge, "dvbinfo", "-f", file).CombinedOutput()
	if err != nil && judge.Err() != nil {
		t.Fatalf("dvbinfo: %v\n%s", err, report)
	}
	if strings.Contains(strings.ToLower(string(report)), "discontinu") {
		t.Errorf("dvbinfo: %s", report)
	}
}

// judgeSegment checks that a segment can be played alone, and returns its bytes.
func judgeSegment(ctx context.Context, t *testing.T, file string) []byte {
	t.Helper()
	probe, err := exec.CommandContext(ctx, "ffprobe", "-v", "error", "-show_entries", "stream=codec_name",
		"-of", "csv=p=0", file).CombinedOutput()
	if err != nil || !strings.Contains(string(probe), "h264") || !strings.Contains(string(probe), "aac") {
		t.Errorf("%s alone shows %q, %v", filepath.Base(file), probe, err)
	}
	got, err := decode(t, file, 10*time.Second)
	if err != nil || got.video < 20 {
		t.Errorf("%s alone: %d frames, %v", filepath.Base(file), got.video, err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
