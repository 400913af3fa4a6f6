package lab

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"

	"tmms/bench/play"
)

// Viewers are viewers beside which something else is done; a process of their
// own. They are used by one goroutine.
type Viewers struct {
	cmd   *exec.Cmd
	lines *bufio.Scanner
	laps  io.WriteCloser
}

// Watch opens viewers and returns when they count. load.Duration is not used.
func (l *Lab) Watch(ctx context.Context, load Load) (*Viewers, error) {
	cmd := l.Command(ctx, GeneratorCPU, "tmms-bench", append(load.args(), "-laps")...)
	laps, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("lab: play: %w", err)
	}
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("lab: play: %w", err)
	}
	if err = cmd.Start(); err != nil {
		return nil, fmt.Errorf("lab: play: %w", err)
	}
	v := &Viewers{cmd: cmd, lines: bufio.NewScanner(pipe), laps: laps}
	if !v.lines.Scan() || v.lines.Text() != "counting" {
		return nil, errors.Join(fmt.Errorf("lab: play printed %q", v.lines.Text()), v.Close())
	}
	return v, nil
}

// Lap ends a lap and gives what the viewers got in it; the next one begins.
func (v *Viewers) Lap() (r play.Result, err error) {
	if _, err = io.WriteString(v.laps, "\n"); err != nil {
		return r, fmt.Errorf("lab: play: %w", err)
	}
	if !v.lines.Scan() {
		return r, fmt.Errorf("lab: play ended: %w", errors.Join(v.lines.Err(), io.ErrUnexpectedEOF))
	}
	if err = json.Unmarshal(v.lines.Bytes(), &r); err != nil {
		return r, fmt.Errorf("lab: play: %w", err)
	}
	return r, nil
}

// Close ends the viewers and waits for them.
func (v *Viewers) Close() error {
	err := v.laps.Close()
	for v.lines.Scan() { // until it has ended
		continue
	}
	if ended := v.cmd.Wait(); ended != nil {
		err = errors.Join(err, fmt.Errorf("lab: play: %w", ended))
	}
	return err
}
