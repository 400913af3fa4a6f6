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
)

// acceptDelay is how much the running viewers' p99 may grow while others come
// and go, in milliseconds.
const acceptDelay = 20

// accepting opens and resets connections beside running viewers.
type accepting struct {
	attack

	modes []string
}

func acceptsCommand(ctx context.Context, flags *flag.FlagSet, args []string, out io.Writer) (err error) {
	a := accepting{attack: attack{out: out}}
	flags.IntVar(&a.healthy, "viewers", 1000, "running viewers, all of which check what they get")
	flags.IntVar(&a.bitrate, "bitrate", 250_000, "bits per second of the stream")
	flags.IntVar(&a.attacker.rate, "rate", 3000, "connections a second")
	flags.Float64Var(&a.attacker.seconds, "seconds", 8, "how long, for each kind of connection")
	modes := flags.String("modes", "connect,flv,rtmp", "what a connection does before it is reset")
	if err = parse(flags, args); err != nil {
		return err
	}
	for _, c := range hostile.Accepts() {
		if slices.Contains(strings.Split(*modes, ","), c.Name) {
			a.modes = append(a.modes, c.Name)
		}
	}
	if len(a.modes) == 0 || a.attacker.rate < 1 || a.attacker.seconds < 1 || a.healthy < 1 {
		return fmt.Errorf("accepts: modes %q, %d a second, %v s and %d viewers: each must be there",
			*modes, a.attacker.rate, a.attacker.seconds, a.healthy)
	}
	if a.lab, err = lab.New(ctx, flags.Output()); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.lab.Close()) }()
	return a.run(ctx)
}

func (a *accepting) run(ctx context.Context) (err error) {
	server, viewers, end, err := beside(ctx, a.lab, a.healthy, a.bitrate)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	a.server, a.viewers, a.attacker.lab, a.attacker.server = server, viewers, a.lab, server
	fmt.Fprintf(a.out, "%d running viewers, %d connections a second for %v s\n%-9s %10s %8s %8s %11s %11s %6s %6s %9s %9s\n",
		a.healthy, a.attacker.rate, a.attacker.seconds, "kind", "accepted/s", "failed", "errors", "p99 before", "p99 during",
		"lost", "faults", "turn p999", "turn max")
	var broken []string
	for _, mode := range a.modes {
		ok, err := a.one(ctx, mode)
		if err != nil {
			return err
		}
		if !ok {
			broken = append(broken, mode)
		}
	}
	if broken != nil {
		return fmt.Errorf("accepts: %w by %s", errBroken, strings.Join(broken, ", "))
	}
	return nil
}

// one measures one kind of connection and prints its line.
func (a *accepting) one(ctx context.Context, mode string) (ok bool, err error) {
	_, quiet, err := a.rest(ctx)
	if err != nil {
		return false, err
	}
	before, err := a.server.Metrics(ctx)
	if err != nil {
		return false, err
	}
	stop := a.server.Peak(ctx)
	start := time.Now()
	did, err := a.attacker.run(ctx, mode)
	_, longest, perr := stop()
	if err = errors.Join(err, perr); err != nil {
		return false, err
	}
	took := time.Since(start).Seconds()
	during, err := a.viewers.Lap()
	if err != nil {
		return false, err
	}
	after, err := a.server.Metrics(ctx)
	if err != nil {
		return false, err
	}
	more := func(name string) float64 { return lab.Sum(after, name) - lab.Sum(before, name) }
	const name = "tmms_edge_loop_turn_seconds"
	turns := lab.BucketsOf(after, name).Since(lab.BucketsOf(before, name))
	faults := during.Gaps + during.Repeats + during.Damaged + during.Back
	_, err = fmt.Fprintf(a.out, "%-9s %10.0f %8d %8.0f %11.1f %11.1f %6d %6d %9s %9s\n", mode,
		more("tmms_edge_accepted_total")/took, did.Failed, more("tmms_edge_accept_errors_total"), quiet.P99MS, during.P99MS,
		during.Lost, faults, milliseconds(turns.Quantile(0.999)), milliseconds(longest))
	return during.P99MS-quiet.P99MS <= acceptDelay && during.Lost == 0 && faults == 0 && did.Failed == 0, err
}
