package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
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
	protos  []string
	warmup  time.Duration
	out     io.Writer
}

// contender is one line of the comparison's table.
type contender struct {
	name  string
	proto string
	start func(ctx context.Context, flush time.Duration) (*lab.Server, error)
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
	protos := flags.String("protos", "flv,rtmp", "protocols of the server's viewers")
	flags.DurationVar(&c.warmup, "warmup", 1500*time.Millisecond, "time from the last viewer's connecting to the counting")
	dir := resultsFlag(flags, "fanout.json and fanout.svg")
	if err = parse(flags, args); err != nil {
		return err
	}
	if c.flushes, err = parseFlushes(*flushes); err != nil {
		return err
	}
	c.engines = strings.Split(*engines, ",")
	if c.protos, err = parseProtos(*protos); err != nil {
		return err
	}
	if c.lab, err = lab.New(ctx, flags.Output()); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.lab.Close()) }()
	table, err := c.run(ctx)
	if err != nil {
		return err
	}
	return errors.Join(table.print(out), dir.save("fanout", table, table.chart()))
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

// protoNames are the protocols that the generator plays, by their flags.
func protoNames() map[string]string { return map[string]string{"flv": "HTTP-FLV", "rtmp": "RTMP"} }

func parseProtos(s string) ([]string, error) {
	list := strings.Split(s, ",")
	for _, p := range list {
		if protoNames()[p] == "" {
			return nil, fmt.Errorf("compare: protocol %q is not flv or rtmp", p)
		}
	}
	return list, nil
}

// contenders are the floor first, then the server in all its ways.
func (c *comparison) contenders() []contender {
	list := make([]contender, 0, 1+len(c.protos)*len(c.engines))
	list = append(list, contender{
		name: floorName, proto: "flv",
		start: func(ctx context.Context, flush time.Duration) (*lab.Server, error) {
			return c.lab.Floor(ctx, flush, c.bitrate)
		},
	})
	for _, engine := range c.engines {
		start := func(ctx context.Context, flush time.Duration) (*lab.Server, error) {
			return c.lab.TMMS(ctx, "tmms", "edge.engine="+engine, "edge.flush="+flush.String())
		}
		for _, proto := range c.protos {
			list = append(list, contender{protoNames()[proto] + ", " + engine, proto, start})
		}
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
		URL: s.URL(one.proto, "bench"), Viewers: c.viewers, ConnectRate: connectRate, Warmup: c.warmup,
		Duration: time.Duration(c.seconds) * time.Second,
	}, c.bitrate)
}
