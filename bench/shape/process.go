package shape

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Status is a link's answer to a line, and the last thing it says.
type Status struct {
	Error    string      `json:",omitempty"` // why the line was refused
	Params   [2]Params   // in force, by [Direction]
	Counters [2]Counters // until now
}

// String gives all in four lines.
func (s Status) String() string {
	return fmt.Sprintf("A to B: %s\n  %s\nB to A: %s\n  %s",
		s.Params[AtoB], s.Counters[AtoB], s.Params[BtoA], s.Counters[BtoA])
}

// Do does what a line says: "[ab|ba] NAME VALUE ..." changes one direction or both
// as [Params.Set] has it, "" nothing. With an error nothing has changed.
func (l *Link) Do(line string) error {
	line = strings.TrimSpace(line)
	if line == "" {
		return nil
	}
	directions := []Direction{AtoB, BtoA}
	if rest, ok := strings.CutPrefix(line, "ab "); ok {
		directions, line = directions[:1], rest
	} else if rest, ok = strings.CutPrefix(line, "ba "); ok {
		directions, line = directions[1:], rest
	}
	status, err := l.Status()
	if err != nil {
		return err
	}
	params := status.Params
	for _, d := range directions {
		if err := params[d].Set(line); err != nil {
			return err
		}
	}
	for _, d := range directions {
		if err := l.Set(d, params[d]); err != nil {
			return err
		}
	}
	return nil
}

// Process is a link that "tmms-bench shape" runs. Its methods are for any goroutine.
type Process struct {
	cmd *exec.Cmd

	mu sync.Mutex
	// Guarded by mu.
	in      io.WriteCloser
	replies *json.Decoder
}

// StartProcess starts "PROGRAM shape", which ends with ctx or this process at the
// latest. The link carries packets when it returns.
func StartProcess(ctx context.Context, program string, cfg Config) (*Process, error) {
	cmd := exec.CommandContext(ctx, program, cfg.arguments()...)
	cmd.Stderr = os.Stderr
	cmd.WaitDelay = 5 * time.Second
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("shape: %w", err)
	}
	cmd.Cancel = in.Close // the end of the lines ends it
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("shape: %w", err)
	}
	if err = cmd.Start(); err != nil {
		return nil, fmt.Errorf("shape: %w", err)
	}
	p := &Process{cmd: cmd, in: in, replies: json.NewDecoder(out)}
	if _, err = p.reply(); err != nil {
		return nil, errors.Join(err, in.Close(), cmd.Wait())
	}
	return p, nil
}

// arguments are the command line for the link.
func (c Config) arguments() []string {
	argv := []string{
		"shape", "-o", "json", "-a", c.A.Namespace, "-b", c.B.Namespace, "-device", c.A.device(),
		"-ab", c.AtoB.String(), "-ba", c.BtoA.String(), "-seed", strconv.FormatUint(c.Seed, 10),
	}
	if c.MTU > 0 {
		argv = append(argv, "-mtu", strconv.Itoa(c.MTU))
	}
	for flag, list := range map[string][]netip.Prefix{"-addr-a": c.A.Addresses, "-addr-b": c.B.Addresses} {
		for _, a := range list {
			argv = append(argv, flag, a.String())
		}
	}
	return argv
}

// Do does what a line says, see [Link.Do], and tells how the link is.
func (p *Process) Do(line string) (Status, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, err := io.WriteString(p.in, line+"\n"); err != nil {
		return Status{}, fmt.Errorf("shape: %w", err)
	}
	return p.reply()
}

func (p *Process) reply() (s Status, err error) {
	if err = p.replies.Decode(&s); err != nil {
		return s, fmt.Errorf("shape: the link gave no answer: %w", err)
	}
	if s.Error != "" {
		return s, errors.New(s.Error) //nolint:err113 // it comes from another process
	}
	return s, nil
}

// Stop ends the link, once, and tells how it was.
func (p *Process) Stop() (Status, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	closed := p.in.Close()
	s, err := p.reply()
	return s, errors.Join(err, closed, p.cmd.Wait())
}
