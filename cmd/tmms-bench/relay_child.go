package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"time"

	"tmms/bench/shape"
	"tmms/cmd/tmms-bench/internal/relayend"
)

// relayChild is an end of the relay in a process of its own.
type relayChild struct {
	role    relayend.Role
	cmd     *exec.Cmd
	in      io.WriteCloser
	replies *json.Decoder
	ended   bool // by stop
}

// relayPlace is where an end runs.
type relayPlace struct {
	program   string // that has the command relay-end
	cpu       int    // a processor of its own, as far as there are enough
	namespace *shape.Namespace
}

func (p relayPlace) command(ctx context.Context) *exec.Cmd {
	argv := []string{"-c", strconv.Itoa(p.cpu % runtime.NumCPU()), p.program, "relay-end"}
	if p.namespace != nil {
		return p.namespace.Command(ctx, "taskset", argv...)
	}
	return exec.CommandContext(ctx, "taskset", argv...)
}

// start starts an end, which ends with ctx. addr is where its fabric listens.
func (p relayPlace) start(ctx context.Context, cfg *relayend.Config) (c *relayChild, addr string, err error) {
	cmd := p.command(ctx)
	cmd.Stderr = os.Stderr
	cmd.WaitDelay = 5 * time.Second
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, "", fmt.Errorf("relay: %s: %w", cfg.Role, err)
	}
	cmd.Cancel = in.Close // an end without requests ends
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, "", fmt.Errorf("relay: %s: %w", cfg.Role, err)
	}
	if err = cmd.Start(); err != nil {
		return nil, "", fmt.Errorf("relay: %s: %w", cfg.Role, err)
	}
	c = &relayChild{role: cfg.Role, cmd: cmd, in: in, replies: json.NewDecoder(out)}
	reply, err := c.exchange(cfg)
	if err != nil {
		return nil, "", errors.Join(err, c.stop())
	}
	return c, reply.Addr, nil
}

// exchange sends a line and waits for the answer.
func (c *relayChild) exchange(line any) (relayend.Reply, error) {
	var reply relayend.Reply
	if err := json.NewEncoder(c.in).Encode(line); err != nil {
		return reply, fmt.Errorf("relay: %s: %w", c.role, err)
	}
	if err := c.replies.Decode(&reply); err != nil {
		return reply, fmt.Errorf("relay: %s gave no answer: %w", c.role, err)
	}
	if reply.Error != "" {
		return reply, fmt.Errorf("relay: %s: %s", c.role, reply.Error) //nolint:err113 // it comes from another process
	}
	return reply, nil
}

func (c *relayChild) ask(do relayend.Action) (relayend.Reply, error) {
	return c.exchange(relayend.Request{Do: do})
}

// stop ends the process, once.
func (c *relayChild) stop() error {
	if c.ended {
		return nil
	}
	c.ended = true
	if err := errors.Join(c.in.Close(), c.cmd.Wait()); err != nil {
		return fmt.Errorf("relay: %s: %w", c.role, err)
	}
	return nil
}

// relayPair are both ends of a relay.
type relayPair struct{ source, sink *relayChild }

// startRelayPair starts a source with streams and a sink that pulls none yet.
func (b *relayBench) startRelayPair(ctx context.Context, streams int) (*relayPair, error) {
	source, sink, err := relayend.NewConfigs(streams, b.shape, time.Now())
	if err != nil {
		return nil, err //nolint:wrapcheck // it says where it comes from
	}
	p := &relayPair{}
	if p.source, sink.Source, err = (relayPlace{program: b.program, cpu: sourceCPU}).start(ctx, source); err != nil {
		return nil, err
	}
	if p.sink, _, err = (relayPlace{program: b.program, cpu: sinkCPU}).start(ctx, sink); err != nil {
		return nil, errors.Join(err, p.source.stop())
	}
	return p, nil
}

// stop ends both, the sink first.
func (p *relayPair) stop() error { return errors.Join(p.sink.stop(), p.source.stop()) }
