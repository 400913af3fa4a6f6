package lab

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"tmms/bench/hlsplay"
)

// HLSLoad is the HLS viewers of a measurement.
type HLSLoad struct {
	Viewers     int
	ConnectRate int           // a second; 0 is the default of "hlsplay"
	RateBPS     int64         // see hlsplay.Config; 0: viewers that poll
	Warmup      time.Duration // 0 is the default of "hlsplay"
	Duration    time.Duration
}

// HLSFigures are what a measurement has found.
type HLSFigures struct {
	Name      string  `json:"name"`
	CPUShare  float64 `json:"cpu_share"`          // of one processor
	IdleShare float64 `json:"idle_cpu_share"`     // of it without requests; 0: not measured
	MSPerMB   float64 `json:"cpu_ms_per_mb"`      // less what is used without requests
	LoopMS    float64 `json:"loop_cpu_ms_per_mb"` // of the event loops' threads alone; 0: not known
	USPerView float64 `json:"cpu_us_per_viewer_second"`

	hlsplay.Result
}

// HLS is the address of a stream's multivariant playlist.
func (s *Server) HLS(stream string) string { return "http://" + s.HTTP + "/live/" + stream + ".m3u8" }

// MeasureHLS is Measure for HLS viewers. idle is the share of a processor that
// the server uses without them, see [Server.Idle].
func (l *Lab) MeasureHLS(ctx context.Context, s *Server, load HLSLoad, idle float64) (HLSFigures, error) {
	f := HLSFigures{Name: s.Name, IdleShare: idle}
	used, err := l.count(ctx, s, load.args(s.HLS("bench")), &f.Result, func() error { return nil })
	if err != nil {
		return HLSFigures{}, err
	}
	mb := float64(f.Bytes) / 1e6
	f.CPUShare = used.CPU.Seconds() / f.Seconds
	f.MSPerMB = (used.CPU.Seconds() - idle*f.Seconds) * 1000 / mb
	f.LoopMS = used.Loops.Seconds() * 1000 / mb
	f.USPerView = float64(used.CPU.Microseconds()) / f.Seconds / float64(f.Viewers)
	return f, nil
}

func (d HLSLoad) args(url string) []string {
	args := []string{
		"hlsplay", "-o", "json", "-mark", "-url", url, "-viewers", strconv.Itoa(d.Viewers),
		"-duration", d.Duration.String(),
	}
	if d.ConnectRate > 0 {
		args = append(args, "-connect-rate", strconv.Itoa(d.ConnectRate))
	}
	if d.RateBPS > 0 {
		args = append(args, "-rate", strconv.FormatInt(d.RateBPS, 10))
	}
	if d.Warmup > 0 {
		args = append(args, "-warmup", d.Warmup.String())
	}
	return args
}

// Idle is the share of a processor that the server uses in a time in which
// nobody asks for anything.
func (s *Server) Idle(ctx context.Context, d time.Duration) (float64, error) {
	before, err := s.Used(ctx)
	if err != nil {
		return 0, err
	}
	start := time.Now()
	select {
	case <-ctx.Done():
		return 0, fmt.Errorf("lab: %w", ctx.Err())
	case <-time.After(d):
	}
	elapsed := time.Since(start)
	after, err := s.Used(ctx)
	return (after.CPU - before.CPU).Seconds() / elapsed.Seconds(), err
}

// Window waits, half a minute at most, until the stream's media playlist lists so
// many segments, and gives the playlist.
func (s *Server) Window(ctx context.Context, stream string, segments int) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		text, err := get(ctx, "http://"+s.HTTP+"/live/"+stream+"/live.m3u8")
		if err == nil && strings.Count(text, "#EXTINF") >= segments {
			return text, nil
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("lab: %s has not %d segments yet: %w", stream, segments, ctx.Err())
		case <-tick.C:
		}
	}
}

// Copy writes a stream's playlists and the segments that they list into a folder,
// by the paths that they have on the server.
func (s *Server) Copy(ctx context.Context, stream, media, dir string) error {
	files := []string{"live/" + stream + ".m3u8"}
	for lines := bufio.NewScanner(strings.NewReader(media)); lines.Scan(); {
		if line := lines.Text(); line != "" && !strings.HasPrefix(line, "#") {
			files = append(files, path.Join("live", stream, path.Base(line)))
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "live", stream), 0o755); err != nil { //nolint:gosec // nginx reads it
		return fmt.Errorf("lab: %w", err)
	}
	texts := map[string]string{path.Join("live", stream, "live.m3u8"): media}
	for _, f := range files {
		text, err := get(ctx, "http://"+s.HTTP+"/"+f)
		if err != nil {
			return err
		}
		texts[f] = text
	}
	for f, text := range texts {
		if err := os.WriteFile(filepath.Join(dir, f), []byte(text), 0o644); err != nil { //nolint:gosec // nginx reads it
			return fmt.Errorf("lab: %w", err)
		}
	}
	return nil
}

func get(ctx context.Context, url string) (string, error) {
	body, err := fetch(ctx, url)
	if err != nil {
		return "", err
	}
	defer body.Close()
	b, err := io.ReadAll(body)
	if err != nil {
		return "", fmt.Errorf("lab: %s: %w", url, err)
	}
	return string(b), nil
}
