package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"tmms/bench/shape"
	"tmms/cmd/tmms-bench/internal/relayend"
)

// pathBench measures the relay across long, lossy and narrow paths.
type pathBench struct {
	streams  int
	shape    relayend.Shape
	delay    time.Duration // one way
	warmup   time.Duration // from the first packets of all streams to the counting
	duration time.Duration // of the counting
	calm     time.Duration // in which the source alone is measured
	cases    []pathCase
	seed     uint64
	recovery relayend.Recovery
	program  string // that has the command relay-end
}

// pathCase is a path from source to sink; the way back has only the delay.
type pathCase struct {
	name string
	link string // as [shape.Params.Set] reads it
}

// allPathCases are those of the project's target for long paths.
func allPathCases() (cases []pathCase) {
	for _, burst := range []int{1, 10} {
		for _, loss := range []string{"0", "0.1", "1", "3", "5"} {
			c := pathCase{name: "loss-" + loss, link: fmt.Sprintf("loss %s%% burst %d", loss, burst)}
			if burst > 1 {
				c.name += "-bursts"
			}
			if burst == 1 || loss != "0" {
				cases = append(cases, c)
			}
		}
	}
	return append(cases, pathCase{"narrow", "rate 30M queue 50"}, pathCase{"narrow-loss-1", "rate 30M queue 50 loss 1%"})
}

func pathCommand(ctx context.Context, flags *flag.FlagSet, args []string, out io.Writer) error {
	b := pathBench{shape: relayend.DefaultShape(), calm: 2 * time.Second, cases: allPathCases()}
	b.shape.BitrateBPS = 2_000_000
	flags.IntVar(&b.streams, "streams", 10, "streams that the sink pulls")
	flags.Func("bitrate", "of a stream, in bit/s, with k or M (default 2M)", func(s string) (err error) {
		b.shape.BitrateBPS, err = parseBitrate(s)
		return err
	})
	flags.DurationVar(&b.delay, "delay", 50*time.Millisecond, "one way; the round trip has twice that")
	flags.DurationVar(&b.warmup, "warmup", 4*time.Second, "time between the first packets of all streams and the counting")
	flags.DurationVar(&b.duration, "duration", 15*time.Second, "counting time of a case")
	flags.Uint64Var(&b.seed, "seed", 1, "of the losses; the same gives the same")
	flags.Func("cases", "`NAME,NAME` of "+pathCaseNames(b.cases)+", or a path such as \"loss 2% rate 25M\" (default all)",
		func(s string) (err error) {
			b.cases, err = pickPathCases(s)
			return err
		})
	flags.Func("recovery", "from loss: adaptive, none, lanes, fec or both (default adaptive)", func(s string) (err error) {
		b.recovery, err = relayend.RecoveryNamed(s)
		return err
	})
	fairness := flags.Bool("fairness", false, "measure what a TCP flow keeps beside the relay instead")
	format := flags.String("o", "text", "output: text or json")
	dir := resultsFlag(flags, "path.json and path.svg, or of fairness,")
	if err := parse(flags, args); err != nil {
		return err
	}
	if fault := b.check(*format); fault != nil {
		fmt.Fprintln(flags.Output(), "tmms-bench path:", fault)
		return errUsage
	}
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("path: %w", err)
	}
	b.program = program
	name, measure := "path", b.run
	if *fairness {
		name, measure = "fairness", b.fairness
	}
	report, err := measure(ctx)
	if err != nil {
		return err
	}
	return errors.Join(report.print(out, *format), dir.save(name, report, report.chart()), report.verdict())
}

// pathFigures are what was measured.
type pathFigures interface {
	print(out io.Writer, format string) error
	chart() *chart
	verdict() error // if what is wanted was not reached
}

// check names the first flag out of range.
func (b *pathBench) check(format string) error {
	switch {
	case format != "text" && format != "json":
		return fmt.Errorf("-o %q is neither text nor json", format)
	case b.streams < 1 || b.streams > relayend.MaxStreams:
		return fmt.Errorf("-streams %d is not in 1..%d", b.streams, relayend.MaxStreams)
	case b.delay < 0 || b.delay > 5*time.Second:
		return fmt.Errorf("-delay %s is not in 0..5s", b.delay)
	case b.warmup < 0 || b.warmup > time.Hour:
		return fmt.Errorf("-warmup %s is not in 0..1h", b.warmup)
	case b.duration < 100*time.Millisecond || b.duration > time.Hour:
		return fmt.Errorf("-duration %s is not in 100ms..1h", b.duration)
	}
	return b.shape.Validate() //nolint:wrapcheck // it says what is wrong
}

func pathCaseNames(cases []pathCase) string {
	names := make([]string, len(cases))
	for i, c := range cases {
		names[i] = c.name
	}
	return strings.Join(names, ", ")
}

// pickPathCases finds cases by their names; what has a space is a path itself.
func pickPathCases(s string) (picked []pathCase, err error) {
	for name := range strings.SplitSeq(s, ",") {
		name = strings.TrimSpace(name)
		p := shape.DefaultParams()
		if strings.Contains(name, " ") {
			if err := p.Set(name); err != nil {
				return nil, err //nolint:wrapcheck // it says what is wrong
			}
			picked = append(picked, pathCase{name, name})
			continue
		}
		n := len(picked)
		for _, c := range allPathCases() {
			if c.name == name {
				picked = append(picked, c)
			}
		}
		if len(picked) == n {
			return nil, fmt.Errorf("%q is no case", name)
		}
	}
	return picked, nil
}

// params are those of both directions. A link without delay is not wanted.
func (b *pathBench) params(c pathCase) (there, back shape.Params, err error) {
	there = shape.DefaultParams()
	there.Delay = b.delay
	back = there
	return there, back, there.Set(c.link)
}

// pathEnds are two namespaces, of the source and the sink.
type pathEnds struct{ source, sink *shape.Namespace }

func newPathEnds(ctx context.Context) (e pathEnds, err error) {
	if e.source, err = shape.NewNamespace(ctx, "source"); err != nil {
		return e, err //nolint:wrapcheck // it says where it comes from
	}
	if e.sink, err = shape.NewNamespace(ctx, "sink"); err != nil {
		return e, errors.Join(err, e.source.Close())
	}
	return e, nil
}

func (e pathEnds) close() error { return errors.Join(e.sink.Close(), e.source.Close()) }

// link joins the ends.
func (b *pathBench) link(ctx context.Context, e pathEnds, there, back shape.Params) (*shape.Process, error) {
	addresses := defaultAddresses()
	return shape.StartProcess(ctx, b.program, shape.Config{ //nolint:wrapcheck // it says where it comes from
		A:    shape.End{Namespace: e.source.Name(), Addresses: addresses[:1]},
		B:    shape.End{Namespace: e.sink.Name(), Addresses: addresses[1:]},
		AtoB: there, BtoA: back, Seed: b.seed,
	})
}
