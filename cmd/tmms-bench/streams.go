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
	lab       *lab.Lab
	streams   int // of the spread case
	viewers   int // in all
	idle      int // streams without viewers beside the one
	push      lab.Push
	flush     time.Duration // 0: the app's
	duration  time.Duration // of the counting
	runs      int
	bothCores bool
	progress  io.Writer
}

func streamsCommand(ctx context.Context, flags *flag.FlagSet, args []string, out io.Writer) (err error) {
	s := spreading{progress: flags.Output()}
	flags.IntVar(&s.streams, "streams", 2000, "number of streams")
	flags.IntVar(&s.viewers, "viewers", 10_000, "viewers in all")
	flags.IntVar(&s.idle, "idle", 1000, "streams without viewers beside the one, in a third case; 0 leaves it out")
	flags.IntVar(&s.push.Bitrate, "bitrate", 64_000, "bits per second of each stream")
	flags.IntVar(&s.push.FPS, "fps", 25, "video frames per second")
	audio := flags.Bool("audio", false, "with audio, 132 kbit/s of the bit rate")
	flags.DurationVar(&s.push.Batch, "batch", 80*time.Millisecond, "see tmms-bench publish; delays have it in them")
	flags.DurationVar(&s.flush, "flush", 200*time.Millisecond, "flush interval; 0 is the app's, stretched under load")
	flags.DurationVar(&s.duration, "duration", 8*time.Second, "counting time of a run")
	flags.IntVar(&s.runs, "runs", 3, "runs of each, in turns; the medians are printed")
	flags.BoolVar(&s.bothCores, "both-cores", true,
		"the server's threads may use the generator's processor too: taking streams in is not what is compared")
	dir := resultsFlag(flags, "streams.json and streams.svg")
	if err = parse(flags, args); err != nil {
		return err
	}
	s.push.NoAudio = !*audio
	if err = s.check(); err != nil {
		return err
	}
	if s.lab, err = lab.New(ctx, flags.Output()); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.lab.Close()) }()
	if s.bothCores {
		s.lab.ServerCPUs = fmt.Sprintf("%d,%d", lab.ServerCPU, lab.GeneratorCPU)
	}
	report, err := s.run(ctx)
	if err != nil {
		return err
	}
	return errors.Join(report.print(out), dir.save("streams", report, report.chart()))
}

// check names the first flag out of range.
func (s *spreading) check() error {
	switch {
	case s.streams < 2 || s.viewers < s.streams:
		return fmt.Errorf("streams: %d streams must be at least 2, and no more than the %d viewers", s.streams, s.viewers)
	case s.idle < 0 || s.streams+s.idle > 10_000:
		return fmt.Errorf("streams: %d streams and %d idle ones are more than 10000, or fewer than none", s.streams, s.idle)
	case s.runs < 1 || s.duration < time.Second:
		return fmt.Errorf("streams: %d runs of %v are too few or too short", s.runs, s.duration)
	}
	return nil
}

// spreadCase is one way to spread the viewers.
type spreadCase struct {
	name    string
	streams int // with viewers
	idle    int
}

func (s *spreading) cases() []spreadCase {
	list := []spreadCase{
		{"1 stream", 1, 0},
		{fmt.Sprintf("%d streams", s.streams), s.streams, 0},
	}
	if s.idle > 0 {
		list = append(list, spreadCase{fmt.Sprintf("1 stream, %d idle", s.idle), 1, s.idle})
	}
	return list
}

func (s *spreading) run(ctx context.Context) (*streamsReport, error) {
	cases := s.cases()
	runs := make([][]lab.Figures, len(cases))
	for range s.runs {
		for i, c := range cases {
			f, err := s.measure(ctx, c)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
			fmt.Fprintf(s.progress, "%s: loop %.3f ms/MB, the rest %.0f %% of a processor, %.1f %% delivered\n",
				c.name, f.LoopMSPerMB, 100*f.OtherShare, 100*f.Delivered)
			runs[i] = append(runs[i], f)
		}
	}
	report := &streamsReport{Viewers: s.viewers, Bitrate: s.push.Bitrate, Runs: s.runs}
	for i, c := range cases {
		report.add(c, lab.Medians(runs[i]))
	}
	return report, nil
}

func (s *spreading) measure(ctx context.Context, c spreadCase) (f lab.Figures, err error) {
	var set []string
	if s.flush > 0 {
		set = []string{"edge.flush=" + s.flush.String()}
	}
	server, err := s.lab.TMMS(ctx, "tmms", set...)
	if err != nil {
		return f, err
	}
	defer server.Stop()
	for _, p := range []struct {
		name string
		n    int
	}{{"bench", c.streams}, {"idle", c.idle}} {
		if p.n == 0 {
			continue
		}
		push := s.push
		push.Name, push.Streams = p.name, p.n
		stop, perr := s.lab.Push(ctx, server, push)
		if perr != nil {
			return f, perr
		}
		defer stop()
	}
	if err = server.Published(ctx, c.streams+c.idle); err != nil {
		return f, err
	}
	return s.lab.Measure(ctx, server, lab.Load{
		URL: server.FLV("bench"), Viewers: s.viewers, Streams: c.streams, Verify: max(37, s.viewers/50),
		ConnectRate: connectRate, Warmup: minWarmup, Duration: s.duration,
	}, s.push.Bitrate)
}
