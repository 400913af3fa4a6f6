package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"tmms/bench/publish"
)

// Push is what is published to a server.
type Push struct {
	Name    string // of the stream; with -1, -2 ... behind it if there are several
	Streams int
	Bitrate int           // bits per second of each
	FPS     int           // 0 is the default of "publish"
	NoAudio bool          // video alone
	Batch   time.Duration // see publish.Fleet; 0 sends each frame when it is due
}

// Publish pushes synthetic streams to the server until stop is called: bench, or
// bench-1, bench-2 ... if there are several.
func (l *Lab) Publish(ctx context.Context, s *Server, streams, bitrate int) (stop func(), err error) {
	return l.Push(ctx, s, Push{Name: "bench", Streams: streams, Bitrate: bitrate})
}

// Push is Publish with all there is to choose.
func (l *Lab) Push(ctx context.Context, s *Server, p Push) (stop func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	cmd := l.Command(ctx, GeneratorCPU, "tmms-bench", p.args(s)...)
	if err := cmd.Start(); err != nil {
		cancel()
		return nil, fmt.Errorf("lab: publish: %w", err)
	}
	return func() {
		cancel()
		_ = cmd.Wait()
	}, nil
}

// PushTallied is Push; stop waits until the server has read everything, and tells
// what that was. p.Batch must not be 0.
func (l *Lab) PushTallied(ctx context.Context, s *Server, p Push) (stop func() (publish.Tally, error), err error) {
	ctx, cancel := context.WithCancel(ctx)
	cmd := l.Command(ctx, GeneratorCPU, "tmms-bench", append(p.args(s), "-tally")...)
	cmd.WaitDelay = time.Minute
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		cancel()
		return nil, fmt.Errorf("lab: publish: %w", err)
	}
	return func() (t publish.Tally, err error) {
		cancel()
		_ = cmd.Wait() // what it has printed tells how it ended
		if err = json.Unmarshal(out.Bytes(), &t); err != nil {
			return t, fmt.Errorf("lab: publish printed %q: %w", out.String(), err)
		}
		return t, nil
	}, nil
}

func (p Push) args(s *Server) []string {
	args := []string{
		"publish", "-url", s.Play(p.Name), "-streams", strconv.Itoa(p.Streams), "-bitrate", strconv.Itoa(p.Bitrate),
	}
	if p.FPS > 0 {
		args = append(args, "-fps", strconv.Itoa(p.FPS), "-gop", strconv.Itoa(2*p.FPS))
	}
	if p.NoAudio {
		args = append(args, "-audio=false")
	}
	if p.Batch > 0 {
		args = append(args, "-batch", p.Batch.String())
	}
	return args
}

// Published waits, a minute at most, until the server, a tmms, has so many streams.
func (s *Server) Published(ctx context.Context, streams int) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		m, err := s.Metrics(ctx)
		if err != nil {
			return err
		}
		if m["tmms_origin_publishers"] >= float64(streams) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("lab: %v of %d streams were published: %w", m["tmms_origin_publishers"], streams, ctx.Err())
		case <-tick.C:
		}
	}
}
