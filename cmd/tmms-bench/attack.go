package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"tmms/bench/hostile"
	"tmms/bench/lab"
	"tmms/bench/play"
)

// What an attack may do to the server, and to its healthy viewers.
const (
	peakGrowth    = 64 << 20 // of resident memory, while it lasts
	lastingGrowth = 8 << 20  // of heap and stacks, afterTime later
	delayGrowth   = 50       // ms of the viewers' p99
	spareFDs      = 4        // connections of the bench's own to the admin port
	afterTime     = 10 * time.Second
)

// errBroken says that a bound was broken; which one is in the table.
var errBroken = errors.New("a bound is broken")

// attack runs attacks on a server with healthy viewers.
type attack struct {
	lab      *lab.Lab
	server   *lab.Server
	viewers  *lab.Viewers
	attacker attacker
	cases    []string
	healthy  int
	bitrate  int
	out      io.Writer
}

func attackCommand(ctx context.Context, flags *flag.FlagSet, args []string, out io.Writer) (err error) {
	a := attack{out: out}
	flags.IntVar(&a.healthy, "viewers", 1000, "healthy viewers, all of which check what they get")
	flags.IntVar(&a.bitrate, "bitrate", 250_000, "bits per second of the stream")
	flags.Float64Var(&a.attacker.seconds, "seconds", 6, "time of each attack")
	only := flags.String("cases", "", "names of attacks, separated by commas; all if empty")
	if err = parse(flags, args); err != nil {
		return err
	}
	if a.attacker.seconds < 1 || a.healthy < 1 {
		return fmt.Errorf("attack: %v s and %d viewers must be at least 1", a.attacker.seconds, a.healthy)
	}
	for _, c := range hostile.Cases() {
		if *only == "" || slices.Contains(strings.Split(*only, ","), c.Name) {
			a.cases = append(a.cases, c.Name)
		}
	}
	if len(a.cases) == 0 {
		return fmt.Errorf("attack: %q names none", *only)
	}
	if a.lab, err = lab.New(ctx, flags.Output()); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.lab.Close()) }()
	return a.run(ctx)
}

// beside starts a server and a stream with healthy viewers who have come to rest.
func beside(ctx context.Context, l *lab.Lab, viewers, bitrate int, set ...string) (
	s *lab.Server, v *lab.Viewers, end func() error, err error,
) {
	if s, err = l.TMMS(ctx, "tmms", set...); err != nil {
		return nil, nil, nil, err
	}
	stop, err := l.Publish(ctx, s, 1, bitrate)
	if err != nil {
		s.Stop()
		return nil, nil, nil, err
	}
	v, err = l.Watch(ctx, lab.Load{
		URL: s.FLV("bench"), Viewers: viewers, Verify: 1, ConnectRate: connectRate, Warmup: filled, Duration: time.Second,
	})
	if err != nil {
		stop()
		s.Stop()
		return nil, nil, nil, err
	}
	return s, v, func() error {
		err := v.Close()
		stop()
		s.Stop()
		return err
	}, nil
}

func (a *attack) run(ctx context.Context) (err error) {
	server, viewers, end, err := beside(ctx, a.lab, a.healthy, a.bitrate)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	a.server, a.viewers, a.attacker.lab, a.attacker.server = server, viewers, a.lab, server
	fmt.Fprintf(a.out, "%d healthy viewers, attacks of %v s\n%-12s %8s %8s %8s %8s %8s %9s %9s %6s %5s %9s %9s  %s\n",
		a.healthy, a.attacker.seconds, "attack", "opened", "ended", "failed", "p99 ms", "p99+ ms", "peak+ MiB", "heap+ KiB",
		"fds+", "lost", "turn p999", "turn max", "broken")
	var broken []string
	for _, name := range a.cases {
		faults, err := a.one(ctx, name)
		if err != nil {
			return err
		}
		if len(faults) > 0 {
			broken = append(broken, name)
		}
	}
	if broken != nil {
		return fmt.Errorf("attack: %w by %s", errBroken, strings.Join(broken, ", "))
	}
	return nil
}

// calm is how long the viewers are measured before each attack.
const calm = 3 * time.Second

// one measures one attack and prints its line.
func (a *attack) one(ctx context.Context, name string) (faults []string, err error) {
	before, quiet, err := a.rest(ctx)
	if err != nil {
		return nil, err
	}
	metrics, err := a.server.Metrics(ctx)
	if err != nil {
		return nil, err
	}
	turns := lab.BucketsOf(metrics, "tmms_edge_loop_turn_seconds")
	stop := a.server.Peak(ctx)
	did, err := a.attacker.run(ctx, name)
	peak, longest, perr := stop()
	if err != nil || perr != nil || !a.server.Alive() {
		return nil, errors.Join(fmt.Errorf("attack %s: the server is alive: %v", name, a.server.Alive()), err, perr)
	}
	during, err := a.viewers.Lap()
	if err != nil {
		return nil, err
	}
	if metrics, err = a.server.Metrics(ctx); err != nil {
		return nil, err
	}
	turns = lab.BucketsOf(metrics, "tmms_edge_loop_turn_seconds").Since(turns)
	after, err := a.settle(ctx, before)
	if err != nil {
		return nil, err
	}
	o := outcome{quiet, during, peak - before.RSSBytes, after.HeapBytes - before.HeapBytes, after.FDs - before.FDs}
	faults = o.faults()
	_, err = fmt.Fprintf(a.out, "%-12s %8d %8d %8d %8.1f %+8.1f %+9.1f %+9d %+6d %5d %9s %9s  %s\n", name,
		did.Opened, did.Ended, did.Failed, during.P99MS, during.P99MS-quiet.P99MS, float64(o.peak)/(1<<20), o.heap>>10, o.fds,
		during.Lost, milliseconds(turns.Quantile(0.999)), milliseconds(longest), strings.Join(faults, ", "))
	return faults, err //nolint:wrapcheck // the writer's own
}

func milliseconds(d time.Duration) string { return d.Round(100 * time.Microsecond).String() }

// rest measures server and viewers while nothing happens.
func (a *attack) rest(ctx context.Context) (lab.Vitals, play.Result, error) {
	v, err := a.server.Vitals(ctx)
	if err != nil {
		return v, play.Result{}, err
	}
	if _, err = a.viewers.Lap(); err != nil {
		return v, play.Result{}, err
	}
	select {
	case <-ctx.Done():
		return v, play.Result{}, fmt.Errorf("attack: %w", ctx.Err())
	case <-time.After(calm):
	}
	r, err := a.viewers.Lap()
	return v, r, err
}

// settle waits until the server holds no more than it may after an attack, and
// gives what it holds then, or after afterTime.
func (a *attack) settle(ctx context.Context, before lab.Vitals) (v lab.Vitals, err error) {
	for end := time.Now().Add(afterTime); ; {
		if v, err = a.server.Vitals(ctx); err != nil {
			return v, err
		}
		if time.Now().After(end) || v.HeapBytes-before.HeapBytes <= lastingGrowth && v.FDs-before.FDs <= spareFDs {
			return v, nil
		}
		select {
		case <-ctx.Done():
			return v, fmt.Errorf("attack: %w", ctx.Err())
		case <-time.After(time.Second):
		}
	}
}

// outcome is what an attack did.
type outcome struct {
	before, during play.Result
	peak, heap     int64 // bytes more than before
	fds            int
}

// faults names the bounds that are broken.
func (o outcome) faults() (faults []string) {
	for _, f := range []struct {
		broken bool
		name   string
	}{
		{o.peak > peakGrowth, "memory"},
		{o.heap > lastingGrowth, "heap after"},
		{o.fds > spareFDs, "descriptors"},
		{o.during.P99MS-o.before.P99MS > delayGrowth, "delay"},
		{o.during.Lost > 0, "viewers lost"},
		{o.during.Gaps+o.during.Repeats+o.during.Damaged+o.during.Back > 0, "frames"},
		{o.during.Frames == 0, "no frames"},
	} {
		if f.broken {
			faults = append(faults, f.name)
		}
	}
	return faults
}
