package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"tmms/cmd/tmms-bench/internal/relayend"
)

// relayBench measures what the relay between two nodes costs.
type relayBench struct {
	streams  []int
	shape    relayend.Shape
	duration time.Duration // of the counting
	runs     int
	profiles string // folder for CPU profiles of both ends; "" for none
	phases   relayPhases
	program  string // that has the command relay-end
}

// relayPhases are the times of a run besides the counting.
type relayPhases struct {
	fill  time.Duration // until logs and heap grow no more
	watch time.Duration // in which the delay is measured
	calm  time.Duration // after the end of the sink
}

// defaultRelayPhases let the logs fill, which hold 6 s and a group of 2 s, and
// then the heap, which grows to twice of what is live.
func defaultRelayPhases() relayPhases {
	return relayPhases{fill: 18 * time.Second, watch: 3 * time.Second, calm: 2 * time.Second}
}

func relayCommand(ctx context.Context, flags *flag.FlagSet, args []string, out io.Writer) error {
	b := relayBench{shape: relayend.DefaultShape(), phases: defaultRelayPhases(), streams: []int{100, 300}}
	flags.Func("streams", "numbers of streams, each measured (default 100,300)", func(s string) (err error) {
		b.streams, err = parseStreams(s)
		return err
	})
	flags.Func("bitrate", "of a stream, in bit/s, with k or M (default 1M)", func(s string) (err error) {
		b.shape.BitrateBPS, err = parseBitrate(s)
		return err
	})
	flags.DurationVar(&b.duration, "duration", 10*time.Second, "counting time of a run")
	flags.IntVar(&b.runs, "runs", 3, "runs of each; medians and extremes are printed")
	flags.StringVar(&b.profiles, "profiles", "", "folder for CPU profiles of both ends")
	format := flags.String("o", "text", "output: text or json")
	dir := resultsFlag(flags, "relay.json and relay.svg")
	if err := parse(flags, args); err != nil {
		return err
	}
	if fault := b.check(*format); fault != nil {
		fmt.Fprintln(flags.Output(), "tmms-bench relay:", fault)
		return errUsage
	}
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("relay: %w", err)
	}
	b.program = program
	report, err := b.run(ctx)
	if err != nil {
		return err
	}
	return errors.Join(report.print(out, *format), dir.save("relay", report, report.chart()))
}

// spareProcs is what tmms adds to GOMAXPROCS, and an end too.
const spareProcs = 2

// relayEndCommand is one end, in a process of its own.
func relayEndCommand(ctx context.Context, flags *flag.FlagSet, args []string, out io.Writer) error {
	if err := parse(flags, args); err != nil {
		return err
	}
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + spareProcs)
	return relayend.Serve(ctx, os.Stdin, out) //nolint:wrapcheck // it says where it comes from
}

// check names the first flag out of range.
func (b *relayBench) check(format string) error {
	switch {
	case format != "text" && format != "json":
		return fmt.Errorf("-o %q is neither text nor json", format)
	case b.duration < 100*time.Millisecond || b.duration > time.Hour:
		return fmt.Errorf("-duration %s is not in 100ms..1h", b.duration)
	case b.runs < 1 || b.runs > 100:
		return fmt.Errorf("-runs %d is not in 1..100", b.runs)
	}
	return b.shape.Validate() //nolint:wrapcheck // it says what is wrong
}

// parseStreams reads numbers of streams with commas between them. Each is at
// least 2: the memory of one comes from a difference.
func parseStreams(s string) (list []int, err error) {
	for field := range strings.SplitSeq(s, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(field))
		if err != nil || n < 2 || n > relayend.MaxStreams {
			return nil, fmt.Errorf("%q is not a number in 2..%d", field, relayend.MaxStreams)
		}
		if slices.Contains(list, n) {
			return nil, fmt.Errorf("%d comes twice", n)
		}
		list = append(list, n)
	}
	return list, nil
}

// parseBitrate reads bit/s such as 800k or 2.5M.
func parseBitrate(s string) (int, error) {
	digits, scale := s, 1.0
	switch {
	case strings.HasSuffix(s, "k"):
		digits, scale = s[:len(s)-1], 1e3
	case strings.HasSuffix(s, "M"):
		digits, scale = s[:len(s)-1], 1e6
	}
	n, err := strconv.ParseFloat(digits, 64)
	if err != nil || math.IsNaN(n) || n <= 0 || n*scale > 1e9 {
		return 0, fmt.Errorf("%q is not a bit rate such as 800k or 1M", s)
	}
	return int(n * scale), nil
}
