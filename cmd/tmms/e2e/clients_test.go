package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// proc is a client process that ends with the test.
type proc struct {
	cmd    *exec.Cmd
	out    *lockedBuffer
	exited chan struct{}
}

func start(t *testing.T, name string, args ...string) *proc {
	t.Helper()
	p := &proc{cmd: exec.Command(name, args...), out: &lockedBuffer{}, exited: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.exited)
	}()
	t.Cleanup(p.kill)
	return p
}

func (p *proc) kill() {
	select {
	case <-p.exited:
	default:
		_ = p.cmd.Process.Kill()
		<-p.exited
	}
}

// push publishes one of the sources in real time, as the README shows it.
func push(t *testing.T, source, url string) *proc {
	t.Helper()
	return start(t, "ffmpeg", "-nostdin", "-v", "warning", "-re", "-stream_loop", "-1", "-i", filepath.Join(assets, source),
		"-c", "copy", "-f", "flv", url)
}

// played is what a player decoded.
type played struct {
	video, audio int // frames
	stderr       string
}

// decode plays url with ffmpeg for the given time of media, decodes every frame
// and fails the test on any error that ffmpeg reports.
func decode(t *testing.T, url string, d time.Duration) (played, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d+40*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "ffmpeg", "-nostdin", "-v", "error", "-i", url,
		"-t", strconv.FormatFloat(d.Seconds(), 'f', 1, 64), "-f", "framecrc", "-")
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	err := cmd.Run()
	p := countFrames(out.String())
	p.stderr = stderr.String()
	if err != nil {
		return p, fmt.Errorf("ffmpeg %s: %w: %s", url, err, p.stderr)
	}
	if p.stderr != "" {
		return p, fmt.Errorf("ffmpeg %s: %s", url, p.stderr)
	}
	return p, nil
}

// countFrames reads framecrc output: "#media_type N: video", then "N, dts, pts, ...".
func countFrames(out string) played {
	var p played
	kinds := map[string]string{}
	for line := range strings.Lines(out) {
		line = strings.TrimSpace(line)
		if rest, ok := strings.CutPrefix(line, "#media_type "); ok {
			n, kind, _ := strings.Cut(rest, ": ")
			kinds[n] = kind
			continue
		}
		n, _, ok := strings.Cut(line, ",")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		switch kinds[n] {
		case "video":
			p.video++
		case "audio":
			p.audio++
		}
	}
	return p
}

// node runs a script of this folder and returns what it printed.
func node(ctx context.Context, script string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "node", append([]string{script}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("node %s: %w\n%s", script, err, out)
	}
	return string(out), nil
}
