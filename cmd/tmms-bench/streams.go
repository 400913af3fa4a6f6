package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"tmms/bench/lab"
)

// spreading compares many streams of few viewers with one stream of all of them.
type spreading struct {
	lab              *lab.Lab
	streams, viewers int // of the spread case: viewers in all
	bitrate, seconds int
	runs             int
	out              io.Writer
}

func streamsCommand(ctx context.Context, flags *flag.FlagSet, args []string, out io.Writer) (err error) {
	s := spreading{out: out}
	flags.IntVar(&s.streams, "streams", 200, "number of streams")
	flags.IntVar(&s.viewers, "viewers", 5000, "viewers in all")
	flags.IntVar(&s.bitrate, "bitrate", 250_000, "bits per second of each stream")
	flags.IntVar(&s.seconds, "seconds", 8, "counting time of a run")
	flags.IntVar(&s.runs, "runs", 3, "runs of each, in turns; the medians are printed")
	if err = parse(flags, args); err != nil {
		return err
	}
	if s.streams < 2 || s.viewers < s.streams {
		return fmt.Errorf("streams: %d streams must be at least 2, and no more than the %d viewers", s.streams, s.viewers)
	}
	if s.lab, err = lab.New(ctx, flags.Output()); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.lab.Close()) }()
	var many, one []lab.Figures
	for range s.runs {
		for _, c := range []struct {
			streams int
			to      *[]lab.Figures
		}{{1, &one}, {s.streams, &many}} {
			f, err := s.measure(ctx, c.streams)
			if err != nil {
				return fmt.Errorf("%d streams: %w", c.streams, err)
			}
			*c.to = append(*c.to, f)
		}
	}
	return s.print(one, many)
}

func (s *spreading) measure(ctx context.Context, streams int) (lab.Figures, error) {
	server, err := s.lab.TMMS(ctx, "tmms")
	if err != nil {
		return lab.Figures{}, err
	}
	defer server.Stop()
	stop, err := s.lab.Publish(ctx, server, streams, s.bitrate)
	if err != nil {
		return lab.Figures{}, err
	}
	defer stop()
	if err := s.published(ctx, server, streams); err != nil {
		return lab.Figures{}, err
	}
	return s.lab.Measure(ctx, server, lab.Load{
		URL: server.FLV("bench"), Viewers: s.viewers, Streams: streams, Verify: max(37, s.viewers/50),
		ConnectRate: connectRate, Warmup: minWarmup, Duration: time.Duration(s.seconds) * time.Second,
	}, s.bitrate)
}

// published waits until the server has all streams.
func (s *spreading) published(ctx context.Context, server *lab.Server, streams int) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		m, err := server.Metrics(ctx)
		if err != nil {
			return err
		}
		if m["tmms_origin_publishers"] >= float64(streams) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%v of %d streams were published: %w", m["tmms_origin_publishers"], streams, ctx.Err())
		case <-tick.C:
		}
	}
}

func (s *spreading) print(one, many []lab.Figures) error {
	loop := func(f lab.Figures) float64 { return f.LoopMSPerMB }
	all := func(f lab.Figures) float64 { return f.MSPerMB }
	p99 := func(f lab.Figures) float64 { return f.P99MS }
	_, err := fmt.Fprintf(s.out, "%d viewers x %.2f Mbit/s on one processor, medians of %d\n"+
		"%10s %22s %22s %8s\n%10d %22.3f %22.3f %8.0f\n%10d %22.3f %22.3f %8.0f\n"+
		"the event loop's thread: %.2f x; the rest of the process takes %d streams in\n",
		s.viewers, float64(s.bitrate)/1e6, s.runs,
		"streams", "loop CPU ms/MB", "process CPU ms/MB", "p99 ms",
		1, lab.Median(one, loop), lab.Median(one, all), lab.Median(one, p99),
		s.streams, lab.Median(many, loop), lab.Median(many, all), lab.Median(many, p99),
		lab.Median(many, loop)/lab.Median(one, loop), s.streams)
	return err //nolint:wrapcheck // the writer's own
}
