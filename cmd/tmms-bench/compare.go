package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"tmms/bench/lab"
)

// comparison runs the server and the floor in turns and collects their figures.
type comparison struct {
	lab     *lab.Lab
	viewers int
	bitrate int
	seconds int
	pairs   int
	flushes []time.Duration
	engines []string
	out     io.Writer
}

// contender is one line of the comparison's table.
type contender struct {
	name  string
	start func(ctx context.Context, flush time.Duration) (*lab.Server, error)
	url   func(*lab.Server) string
}

const floorName = "C floor, HTTP-FLV"

func compareCommand(ctx context.Context, flags *flag.FlagSet, args []string, out io.Writer) (err error) {
	c := comparison{out: out}
	flags.IntVar(&c.viewers, "viewers", 2000, "number of viewers")
	flags.IntVar(&c.bitrate, "bitrate", 2_000_000, "bits per second of the stream")
	flags.IntVar(&c.seconds, "seconds", 6, "counting time of a run")
	flags.IntVar(&c.pairs, "pairs", 3, "runs of each, in turns; the medians are printed")
	flushes := flags.String("flush", "20,100,350", "flush intervals in ms")
	engines := flags.String("engines", "epoll,io_uring", "engines of the server")
	results := flags.String("results", "", "write fanout.json and fanout.svg into this `DIR`")
	if err = parse(flags, args); err != nil {
		return err
	}
	if c.flushes, err = parseFlushes(*flushes); err != nil {
		return err
	}
	c.engines = strings.Split(*engines, ",")
	if c.lab, err = lab.New(ctx, flags.Output()); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.lab.Close()) }()
	table, err := c.run(ctx)
	if err != nil {
		return err
	}
	if err = table.print(out); err != nil || *results == "" {
		return err
	}
	return table.save(*results)
}

func parseFlushes(s string) ([]time.Duration, error) {
	var list []time.Duration
	for f := range strings.SplitSeq(s, ",") {
		ms, err := strconv.Atoi(f)
		if err != nil || ms < 5 || ms > 1000 || ms%5 != 0 {
			return nil, fmt.Errorf("compare: flush interval %q is not a multiple of 5 ms up to 1000", f)
		}
		list = append(list, time.Duration(ms)*time.Millisecond)
	}
	return list, nil
}

// contenders are the floor first, then the server in all its ways.
func (c *comparison) contenders() []contender {
	list := make([]contender, 0, 1+2*len(c.engines))
	list = append(list, contender{
		name: floorName,
		start: func(ctx context.Context, flush time.Duration) (*lab.Server, error) {
			return c.lab.Floor(ctx, flush, c.bitrate)
		},
		url: func(s *lab.Server) string { return s.FLV("bench") },
	})
	for _, engine := range c.engines {
		start := func(ctx context.Context, flush time.Duration) (*lab.Server, error) {
			return c.lab.TMMS(ctx, "tmms", "edge.engine="+engine, "edge.flush="+flush.String())
		}
		list = append(list,
			contender{"HTTP-FLV, " + engine, start, func(s *lab.Server) string { return s.FLV("bench") }},
			contender{"RTMP, " + engine, start, func(s *lab.Server) string { return s.Play("bench") }},
		)
	}
	return list
}

func (c *comparison) run(ctx context.Context) (*fanoutTable, error) {
	table := newFanoutTable(c)
	for range c.pairs {
		for _, flush := range c.flushes {
			for _, one := range c.contenders() {
				f, err := c.measure(ctx, one, flush)
				if err != nil {
					return nil, fmt.Errorf("%s at %v: %w", one.name, flush, err)
				}
				table.add(flush, one.name, f)
			}
		}
	}
	return table, nil
}

// measure starts a contender, measures it and ends it.
func (c *comparison) measure(ctx context.Context, one contender, flush time.Duration) (lab.Figures, error) {
	s, err := one.start(ctx, flush)
	if err != nil {
		return lab.Figures{}, err
	}
	defer s.Stop()
	if s.RTMP != "" {
		stop, err := c.lab.Publish(ctx, s, 1, c.bitrate)
		if err != nil {
			return lab.Figures{}, err
		}
		defer stop()
	}
	return c.lab.Measure(ctx, s, lab.Load{
		URL: one.url(s), Viewers: c.viewers, Duration: time.Duration(c.seconds) * time.Second,
	}, c.bitrate)
}

// median is the middle of what get gives for each run.
func median(runs []lab.Figures, get func(lab.Figures) float64) float64 {
	values := make([]float64, len(runs))
	for i, f := range runs {
		values[i] = get(f)
	}
	slices.Sort(values)
	return values[len(values)/2]
}
