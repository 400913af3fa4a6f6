package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"tmms/bench/procstat"
	"tmms/cmd/tmms-bench/internal/followers"
)

// watchBench measures what followers of the state cost the voter that they follow.
type watchBench struct {
	followers int
	duration  time.Duration // of each measurement
	changes   float64       // of the state, a second
	settle    time.Duration // before each measurement
}

// errWatch ends a run that has cost more than it may.
var errWatch = errors.New("watch: the followers cost the voter more than 5 % of a core when nothing changes")

// idleShare is what followers may cost a voter, as a share of a core, when nothing
// changes.
const idleShare = 0.05

// watchCommand lets many nodes follow one voter, which leads too.
func watchCommand(ctx context.Context, flags *flag.FlagSet, args []string, out io.Writer) (err error) {
	b := watchBench{settle: 5 * time.Second}
	flags.IntVar(&b.followers, "followers", 1000, "nodes that follow the voter")
	flags.DurationVar(&b.duration, "duration", 20*time.Second, "of each measurement")
	flags.Float64Var(&b.changes, "changes", 10, "changes of the state a second, in the last measurement")
	if err = parse(flags, args); err != nil {
		return err
	}
	if b.duration <= 0 || b.changes <= 0 || b.changes > 1000 {
		return fmt.Errorf("watch: duration %v must be positive and changes %v in 0..1000", b.duration, b.changes)
	}
	dir, err := os.MkdirTemp("", "tmms-watch-")
	if err != nil {
		return fmt.Errorf("watch: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	program := filepath.Join(dir, "tmms")
	msg, err := exec.CommandContext(ctx, "go", "build", "-o", program, "./cmd/tmms").CombinedOutput()
	if err != nil {
		return fmt.Errorf("watch: run from the project's root: %w\n%s", err, msg)
	}
	v, err := followers.StartVoter(ctx, program, dir)
	if err != nil {
		return err //nolint:wrapcheck // it says where it comes from
	}
	defer v.Stop()
	return b.run(ctx, v, out)
}

// watchRow is one measurement.
type watchRow struct {
	followers int
	changes   int
	took      time.Duration
	cpu       time.Duration
	behind    time.Duration
}

func (r watchRow) share() float64 { return r.cpu.Seconds() / r.took.Seconds() }

func (b watchBench) run(ctx context.Context, v *followers.Voter, out io.Writer) error {
	fmt.Fprintln(out, "followers  changes/s  voter, % of a core  us a follower and second  the last had it after")
	alone, err := b.measure(ctx, v, 0, func(ctx context.Context) (int, time.Duration, error) {
		<-ctx.Done()
		return 0, 0, nil
	})
	if err != nil {
		return err
	}
	printWatch(out, alone, alone)
	crowd, err := followers.Start(ctx, followers.Config{Voters: v.Voters(), CA: v.CA(), Count: b.followers})
	defer crowd.Stop()
	if err != nil {
		return err //nolint:wrapcheck // it says where it comes from
	}
	idle, err := b.measure(ctx, v, b.followers, func(ctx context.Context) (int, time.Duration, error) {
		<-ctx.Done()
		return 0, 0, nil
	})
	if err != nil {
		return err
	}
	printWatch(out, idle, alone)
	busy, err := b.measure(ctx, v, b.followers, func(ctx context.Context) (int, time.Duration, error) {
		return crowd.Change(ctx, b.changes)
	})
	if err != nil {
		return err
	}
	printWatch(out, busy, alone)
	if idle.share()-alone.share() > idleShare {
		return errWatch
	}
	return nil
}

// measure charges the voter for what it does while work runs, which is told to end.
func (b watchBench) measure(
	ctx context.Context, v *followers.Voter, count int, work func(context.Context) (int, time.Duration, error),
) (row watchRow, err error) {
	select {
	case <-time.After(b.settle):
	case <-ctx.Done():
		return row, ctx.Err()
	}
	before, err := procstat.CPU(v.PID())
	if err != nil {
		return row, err //nolint:wrapcheck // it says where it comes from
	}
	began := time.Now()
	working, cancel := context.WithTimeout(ctx, b.duration)
	defer cancel()
	row.followers = count
	if row.changes, row.behind, err = work(working); err != nil {
		return row, err
	}
	row.took = time.Since(began)
	after, err := procstat.CPU(v.PID())
	row.cpu = after - before
	return row, errors.Join(err, ctx.Err())
}

// printWatch prints a measurement beside that of the voter alone.
func printWatch(out io.Writer, r, alone watchRow) {
	each := "-"
	if r.followers > 0 {
		each = fmt.Sprintf("%.1f", (r.share()-alone.share())*1e6/float64(r.followers))
	}
	rate := float64(r.changes) / r.took.Seconds()
	fmt.Fprintf(out, "%9d  %9.1f  %18.2f  %24s  %21v\n", r.followers, rate, 100*r.share(), each,
		r.behind.Round(time.Millisecond))
}
