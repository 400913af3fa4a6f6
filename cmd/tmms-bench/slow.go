package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strconv"
	"time"

	"tmms/bench/lab"
	"tmms/bench/play"
	"tmms/bench/procstat"
)

// slowing measures healthy viewers alone, then with slow ones beside them.
type slowing struct {
	lab     *lab.Lab
	viewers int // healthy
	slow    play.SlowConfig
	bitrate int
	seconds int
	out     io.Writer
}

// neighbours is what was found while the healthy viewers counted.
type neighbours struct {
	lab.Figures

	sockets int64 // bytes of all TCP sockets of the machine, the median
}

func slowCommand(ctx context.Context, flags *flag.FlagSet, args []string, out io.Writer) (err error) {
	s := slowing{out: out, slow: play.DefaultSlowConfig()}
	flags.IntVar(&s.viewers, "viewers", 1000, "healthy viewers")
	flags.IntVar(&s.bitrate, "bitrate", 2_000_000, "bits per second of the stream; throttled viewers take half of it")
	flags.IntVar(&s.seconds, "seconds", 20, "counting time of a run")
	slowFlags(flags, &s.slow)
	if err = parse(flags, args); err != nil {
		return err
	}
	s.slow.RateBPS = s.bitrate / 2
	if err = s.slow.Validate(); err != nil {
		return err //nolint:wrapcheck // it names the value
	}
	if s.viewers < 1 || s.viewers > 15_000 || s.seconds < 1 {
		return fmt.Errorf("slow: %d viewers for %d s are not in 1..15000 for 1 s or more", s.viewers, s.seconds)
	}
	if s.lab, err = lab.New(ctx, flags.Output()); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.lab.Close()) }()
	return s.run(ctx)
}

func slowFlags(flags *flag.FlagSet, c *play.SlowConfig) {
	flags.IntVar(&c.Stopped, "stopped", c.Stopped, "viewers that read nothing")
	flags.IntVar(&c.Throttled, "throttled", c.Throttled, "viewers that read less than the stream has")
	flags.IntVar(&c.Sawtooth, "sawtooth", c.Sawtooth, "viewers that stop and read in turns")
}

func (s *slowing) run(ctx context.Context) error {
	server, err := s.lab.TMMS(ctx, "tmms")
	if err != nil {
		return err
	}
	defer server.Stop()
	stop, err := s.lab.Publish(ctx, server, 1, s.bitrate)
	if err != nil {
		return err
	}
	defer stop()
	alone, err := s.measure(ctx, server, filled)
	if err != nil {
		return err
	}
	readers, err := s.open(ctx, server)
	if err != nil {
		return err
	}
	with, err := s.measure(ctx, server, minWarmup)
	report, ended := readers.end()
	if err = errors.Join(err, ended); err != nil {
		return err
	}
	return s.print(alone, with, report)
}

// measure lets the healthy viewers count, and looks at the sockets meanwhile.
func (s *slowing) measure(ctx context.Context, server *lab.Server, warmup time.Duration) (b neighbours, err error) {
	looking, cancel := context.WithCancel(ctx)
	found := make(chan int64, 1)
	go func() { found <- watchSockets(looking, time.Duration(s.seconds)*time.Second) }()
	b.Figures, err = s.lab.Measure(ctx, server, lab.Load{
		URL: server.FLV("bench"), Viewers: s.viewers, Verify: min(s.viewers, 37), ConnectRate: connectRate,
		Warmup: warmup, Duration: time.Duration(s.seconds) * time.Second,
	}, s.bitrate)
	cancel()
	b.sockets = <-found
	return b, err
}

// watchSockets looks until ctx is done, and gives the median of the last span.
func watchSockets(ctx context.Context, span time.Duration) int64 {
	const period = 100 * time.Millisecond
	keep := int(span / period)
	tick := time.NewTicker(period)
	defer tick.Stop()
	var seen []int64
	for {
		select {
		case <-ctx.Done():
			slices.Sort(seen)
			if len(seen) == 0 {
				return 0
			}
			return seen[len(seen)/2]
		case <-tick.C:
			if n, err := procstat.TCPMemory(); err == nil {
				seen = append(seen, n)
				seen = seen[max(0, len(seen)-keep):]
			}
		}
	}
}

// readers is a process of slow viewers.
type readers struct {
	cmd   *exec.Cmd
	lines *bufio.Scanner
	stop  context.CancelFunc
}

// open starts them and waits until all are connected.
func (s *slowing) open(ctx context.Context, server *lab.Server) (*readers, error) {
	ctx, cancel := context.WithCancel(ctx)
	cmd := s.lab.Command(ctx, lab.GeneratorCPU, "tmms-bench", "slow-readers", "-url", server.FLV("bench"),
		"-rate", strconv.Itoa(s.slow.RateBPS), "-stopped", strconv.Itoa(s.slow.Stopped),
		"-throttled", strconv.Itoa(s.slow.Throttled), "-sawtooth", strconv.Itoa(s.slow.Sawtooth))
	pipe, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		return nil, fmt.Errorf("slow: %w", err)
	}
	r := &readers{cmd: cmd, lines: bufio.NewScanner(pipe), stop: cancel}
	if !r.lines.Scan() {
		cancel()
		return nil, fmt.Errorf("slow: slow-readers ended: %w", cmd.Wait())
	}
	return r, nil
}

// end ends the process and gives its report.
func (r *readers) end() (report play.SlowReport, err error) {
	r.stop()
	if r.lines.Scan() {
		err = json.Unmarshal(r.lines.Bytes(), &report)
	} else {
		err = errors.New("slow-readers reported nothing")
	}
	_ = r.cmd.Wait() // it ends by the signal
	if err != nil {
		return report, fmt.Errorf("slow: %w", err)
	}
	return report, nil
}

// Targets of what slow viewers may cost.
const (
	moreP99    = 10.0      // ms
	moreRSS    = 16 << 20  // bytes
	perSlowTCP = 128 << 10 // bytes
)

func (s *slowing) print(alone, with neighbours, r play.SlowReport) error {
	slow := s.slow.Stopped + s.slow.Throttled + s.slow.Sawtooth
	mib := func(n int64) float64 { return float64(n) / (1 << 20) }
	_, err := fmt.Fprintf(s.out, "%d healthy viewers x %.2f Mbit/s on one processor; "+
		"%d stopped, %d throttled, %d sawtooth\n"+
		"%-28s %10s %10s %10s %10s\n"+
		"%-28s %10.1f %10.1f %+10.1f %10.1f\n"+
		"%-28s %10.1f %10.1f %+10.1f\n"+
		"%-28s %9.1f%% %9.1f%%\n"+
		"%-28s %10d %10d %10s %10d\n"+
		"%-28s %10d %10d %10s %10d\n"+
		"%-28s %9.0f%% %9.0f%%\n"+
		"%-28s %10.1f %10.1f %+10.1f %10.1f\n"+
		"%-28s %10.1f %10.1f %+10.1f %10.1f\n",
		s.viewers, float64(s.bitrate)/1e6, s.slow.Stopped, s.slow.Throttled, s.slow.Sawtooth,
		"healthy viewers", "alone", "beside", "more", "target",
		"delay p99 ms", alone.P99MS, with.P99MS, with.P99MS-alone.P99MS, moreP99,
		"delay p50 ms", alone.P50MS, with.P50MS, with.P50MS-alone.P50MS,
		"delivered", 100*alone.Delivered, 100*with.Delivered,
		"lost", alone.Lost, with.Lost, "", 0,
		"faults", alone.Faults, with.Faults, "", 0,
		"CPU of the server", 100*alone.BusyShare, 100*with.BusyShare,
		"RSS of the server MiB", mib(alone.RSSBytes), mib(with.RSSBytes), mib(with.RSSBytes-alone.RSSBytes), mib(moreRSS),
		"memory of TCP sockets MiB", mib(alone.sockets), mib(with.sockets), mib(with.sockets-alone.sockets),
		mib(int64(slow)*perSlowTCP))
	if err != nil {
		return err //nolint:wrapcheck // the writer's own
	}
	_, err = fmt.Fprintf(s.out, "slow viewers: %d closed and opened again; of those that read: %d frames, %d skips, "+
		"%d not to a keyframe,\n%d steps of 100 ms, %d steps back, %d damaged; throttled ones %d ms behind at worst\n",
		r.Closed, r.Frames, r.Skips, r.OffKey, r.Steps, r.Back, r.Damaged, r.LagMS)
	return err //nolint:wrapcheck // the writer's own
}

// slowReadersCommand is the process of slow viewers that "slow" starts: it prints
// a line when all are connected, and its report when it is interrupted.
func slowReadersCommand(ctx context.Context, flags *flag.FlagSet, args []string, out io.Writer) error {
	cfg := play.DefaultSlowConfig()
	flags.StringVar(&cfg.URL, "url", "http://127.0.0.1:8080/live/bench.flv", "http://.../NAME.flv")
	flags.IntVar(&cfg.RateBPS, "rate", cfg.RateBPS, "bits per second that a throttled viewer reads")
	slowFlags(flags, &cfg)
	if err := parse(flags, args); err != nil {
		return err
	}
	report, err := play.RunSlow(ctx, cfg, func() { fmt.Fprintln(out, "reading") })
	if err != nil {
		return err //nolint:wrapcheck // it says what it was
	}
	if err = json.NewEncoder(out).Encode(report); err != nil {
		return fmt.Errorf("slow-readers: %w", err)
	}
	return nil
}
