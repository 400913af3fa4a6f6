package e2e

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// chrome is hls.js in Chromium on a watch page, by keep.mjs.
type chrome struct {
	cmd *exec.Cmd
	in  io.Closer // its end is the play's
	out *bufio.Reader
	err *lockedBuffer
}

// startChrome opens a watch page.
func startChrome(t *testing.T, page string) *chrome {
	t.Helper()
	return runChrome(t, exec.Command("node", "keep.mjs", page))
}

// runChrome starts keep.mjs.
func runChrome(t *testing.T, keep *exec.Cmd) *chrome {
	t.Helper()
	c := &chrome{cmd: keep, err: &lockedBuffer{}}
	c.cmd.Stderr = c.err
	in, err := c.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c.in, c.out = in, bufio.NewReader(out)
	t.Cleanup(func() {
		in.Close() // Chromium ends with it
		_, _ = io.Copy(io.Discard, c.out)
		_ = c.cmd.Wait()
	})
	return c
}

// waitPlaying waits until the page says that its video plays.
func (c *chrome) waitPlaying(t *testing.T) {
	t.Helper()
	c.wait(t, "playing")
}

// waitElsewhere waits until the page has a playlist from another server than its own.
func (c *chrome) waitElsewhere(t *testing.T) {
	t.Helper()
	c.wait(t, "elsewhere")
}

// chromeTimeout bounds how long a page may take for what is waited for.
const chromeTimeout = time.Minute

// wait waits for a word of keep.mjs, which is ended if it does not come.
func (c *chrome) wait(t *testing.T, word string) {
	t.Helper()
	defer time.AfterFunc(chromeTimeout, func() { c.in.Close() }).Stop()
	line, err := c.out.ReadString('\n')
	if err != nil || strings.TrimSpace(line) != word {
		t.Fatalf("keep.mjs: %q, %v, want %q\n%s", line, err, word, c.err)
	}
}

// screening is what keep.mjs reports.
type screening struct {
	Samples [][2]float64 `json:"samples"` // unix ms, the video's time in s
	Errors  []struct {
		Details string  `json:"details"`
		Fatal   bool    `json:"fatal"`
		At      float64 `json:"at"` // unix ms
	} `json:"errors"` // of hls.js
	Segments []string `json:"segments"` // addresses of those that were played
	Status   string   `json:"status"`   // what the page says
}

// end ends the play and gives the report.
func (c *chrome) end(t *testing.T) (s screening) {
	t.Helper()
	c.in.Close()
	if err := json.NewDecoder(c.out).Decode(&s); err != nil {
		t.Fatalf("keep.mjs: %v\n%s", err, c.err)
	}
	return s
}

// played gives how much was played between two moments, seeks left out, and how
// long after the first one it began.
func (s *screening) played(from, to time.Time) (seconds, start float64) {
	for i := 1; i < len(s.Samples); i++ {
		last, now := s.Samples[i-1], s.Samples[i]
		if last[0] < float64(from.UnixMilli()) || now[0] > float64(to.UnixMilli()) {
			continue
		}
		const slack = 0.5 // of the sampling, in s
		step := now[1] - last[1]
		if step <= 0 || step > (now[0]-last[0])/1000+slack {
			continue // it waits, or has gone to the live edge
		}
		if seconds == 0 {
			start = (now[0] - float64(from.UnixMilli())) / 1000
		}
		seconds += step
	}
	return seconds, start
}

// stood gives for how long the video stood still between two moments, in all and at
// most at a time.
func (s *screening) stood(from, to time.Time) (still, longest time.Duration) {
	var once time.Duration
	for i := 1; i < len(s.Samples); i++ {
		last, next := s.Samples[i-1], s.Samples[i]
		if last[0] < float64(from.UnixMilli()) || next[0] > float64(to.UnixMilli()) {
			continue
		}
		if next[1]-last[1] >= 0.02 {
			once = 0
			continue
		}
		d := time.Duration((next[0] - last[0]) * float64(time.Millisecond))
		still, once = still+d, once+d
		longest = max(longest, once)
	}
	return still, longest
}

// back tells that the video's time has gone back.
func (s *screening) back() bool {
	for i := 1; i < len(s.Samples); i++ {
		if s.Samples[i][1] < s.Samples[i-1][1] {
			return true
		}
	}
	return false
}

// check wants the video to have played for some seconds between two moments,
// and no fatal error at any time.
func (s *screening) check(t *testing.T, from, to time.Time) {
	t.Helper()
	for _, e := range s.Errors {
		if e.Fatal {
			t.Errorf("hls.js: fatal %s", e.Details)
		}
	}
	const want = 5
	got, start := s.played(from, to)
	if t.Logf("hls.js played %.1f s of %v, from %.1f s on", got, to.Sub(from), start); got < want {
		t.Errorf("hls.js played %.1f s, want %d; errors %+v; the page says %q", got, want, s.Errors, s.Status)
	}
}

// decoder is ffmpeg that plays HLS and decodes every frame.
type decoder struct {
	cmd      *exec.Cmd
	in       io.Closer
	out, err *lockedBuffer
}

func startDecoder(t *testing.T, url string) *decoder {
	t.Helper()
	d := &decoder{
		cmd: exec.Command("ffmpeg", "-v", "error", "-copyts", "-i", url, "-map", "0:v", "-f", "framecrc", "-"),
		out: &lockedBuffer{}, err: &lockedBuffer{},
	}
	d.cmd.Stdout, d.cmd.Stderr = d.out, d.err
	in, err := d.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	d.in = in
	t.Cleanup(func() { _ = d.cmd.Process.Kill() })
	return d
}

// decoded are the frames between gaps of time, and what ffmpeg complained of.
type decoded struct {
	frames []int
	stderr string
}

// end ends the play and gives what was decoded.
func (d *decoder) end(t *testing.T) decoded {
	t.Helper()
	_ = d.cmd.Process.Signal(os.Interrupt)
	_ = d.cmd.Wait() // 255, of the signal
	got := decoded{frames: []int{0}, stderr: d.err.String()}
	const gap = 10 // frames; the publisher has 25 in a second
	last, first := int64(0), true
	for line := range strings.Lines(d.out.String()) {
		fields := strings.Split(line, ",") // stream, dts, pts, duration, size, crc
		if len(fields) < 6 || strings.HasPrefix(line, "#") {
			continue
		}
		dts, err := strconv.ParseInt(strings.TrimSpace(fields[1]), 10, 64)
		if err != nil {
			t.Fatalf("framecrc: %q", line)
		}
		if !first && dts-last > gap {
			got.frames = append(got.frames, 0)
		}
		got.frames[len(got.frames)-1]++
		last, first = dts, false
	}
	return got
}

// check wants so many seams, several seconds on either side of each, and no
// complaint.
func (d *decoded) check(t *testing.T, seams int) {
	t.Helper()
	ok := d.stderr == "" && len(d.frames) == seams+1
	for _, n := range d.frames {
		ok = ok && n > 75
	}
	if !ok {
		t.Errorf("ffmpeg decoded %d frames around %d seams: %s", d.frames, seams, d.stderr)
	}
}
