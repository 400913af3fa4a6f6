package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"tmms/bench/lab"
)

// hlsBench measures what HLS costs: serving beside nginx, and viewers that poll.
type hlsBench struct {
	lab      *lab.Lab
	bitrate  int
	fetchers int
	rateBPS  int64
	pairs    int
	viewers  int
	duration time.Duration // of the counting
	watch    time.Duration // of the counting of viewers that poll
	progress io.Writer
}

func hlsCommand(ctx context.Context, flags *flag.FlagSet, args []string, out io.Writer) (err error) {
	b := hlsBench{progress: flags.Output()}
	flags.IntVar(&b.bitrate, "bitrate", 2_000_000, "bits per second of the stream")
	flags.IntVar(&b.fetchers, "fetchers", 200, "connections that fetch back to back")
	flags.Int64Var(&b.rateBPS, "rate", 6_000_000_000, "bits per second that they fetch in all")
	flags.IntVar(&b.pairs, "pairs", 5, "runs of tmms and nginx, in turns; the medians are printed; 0 leaves them out")
	flags.IntVar(&b.viewers, "viewers", 5000, "viewers that poll; 0 leaves them out")
	flags.DurationVar(&b.duration, "duration", 5*time.Second, "counting time of a run of fetchers")
	flags.DurationVar(&b.watch, "watch", 30*time.Second, "counting time of the viewers that poll")
	dir := resultsFlag(flags, "hls.json and hls.svg")
	if err = parse(flags, args); err != nil {
		return err
	}
	if b.pairs < 0 || b.viewers < 0 || b.pairs+b.viewers == 0 || b.rateBPS < 1 {
		return fmt.Errorf("hls: %d pairs at %d bit/s and %d viewers leave nothing to do", b.pairs, b.rateBPS, b.viewers)
	}
	if b.lab, err = lab.New(ctx, flags.Output()); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.lab.Close()) }()
	report, err := b.run(ctx)
	if err != nil {
		return err
	}
	return errors.Join(report.print(out), dir.save("hls", report, report.chart()))
}

func (b *hlsBench) run(ctx context.Context) (*hlsReport, error) {
	r := &hlsReport{Bitrate: b.bitrate, Pairs: b.pairs, Fetchers: b.fetchers, RateBPS: b.rateBPS}
	for i := range b.pairs {
		if err := b.pair(ctx, r); err != nil {
			return nil, fmt.Errorf("hls: pair %d: %w", i+1, err)
		}
	}
	r.settle()
	if b.viewers == 0 {
		return r, nil
	}
	err := b.live(ctx, func(s *lab.Server, _ string) (err error) {
		r.Polling, err = b.poll(ctx, s)
		return err
	})
	return r, err
}

// memoryFS is where files cost nginx no disk.
const memoryFS = "/dev/shm"

// pair measures the server, and then nginx with what the server had.
func (b *hlsBench) pair(ctx context.Context, r *hlsReport) (err error) {
	parent := memoryFS
	if _, serr := os.Stat(parent); serr != nil {
		parent = ""
	}
	files, err := os.MkdirTemp(parent, "tmms-bench-")
	if err != nil {
		return fmt.Errorf("hls: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(files)) }()
	if err = os.Chmod(files, 0o755); err != nil { //nolint:gosec // nginx reads it
		return fmt.Errorf("hls: %w", err)
	}
	err = b.live(ctx, func(s *lab.Server, media string) error {
		if cerr := s.Copy(ctx, "bench", media, files); cerr != nil {
			return cerr
		}
		return b.fetch(ctx, s, &r.ours)
	})
	if err != nil {
		return err
	}
	s, err := b.lab.Nginx(ctx, lab.Nginx{Name: "nginx", Root: files})
	if err != nil {
		return err
	}
	defer s.Stop()
	return b.fetch(ctx, s, &r.peer)
}

// window is how many segments the stream's playlist must list before anything is measured.
const window = 6

// live starts the server with a stream, and calls use when its window is full.
func (b *hlsBench) live(ctx context.Context, use func(s *lab.Server, media string) error) error {
	s, err := b.lab.TMMS(ctx, "tmms")
	if err != nil {
		return err
	}
	defer s.Stop()
	stop, err := b.lab.Publish(ctx, s, 1, b.bitrate)
	if err != nil {
		return err
	}
	defer stop()
	media, err := s.Window(ctx, "bench", window)
	if err != nil {
		return err
	}
	return use(s, media)
}

// idleTime is how long the server is watched without requests.
const idleTime = 3 * time.Second

// fetch measures what serving costs, beyond what the server does anyway.
func (b *hlsBench) fetch(ctx context.Context, s *lab.Server, to *[]lab.HLSFigures) error {
	idle, err := s.Idle(ctx, idleTime)
	if err != nil {
		return err
	}
	f, err := b.lab.MeasureHLS(ctx, s, lab.HLSLoad{
		Viewers: b.fetchers, RateBPS: b.rateBPS, Warmup: 2 * time.Second, Duration: b.duration,
	}, idle)
	if err != nil {
		return err
	}
	fmt.Fprintf(b.progress, "%s: %.4f ms/MB at %.0f MB/s, %.1f %% of a processor without requests, %d errors\n",
		s.Name, f.MSPerMB, float64(f.Bytes)/1e6/f.Seconds, 100*idle, errorsOf(&f))
	*to = append(*to, f)
	return nil
}

// poll measures viewers that play the live stream.
func (b *hlsBench) poll(ctx context.Context, s *lab.Server) (*lab.HLSFigures, error) {
	const perSecond = 1000
	f, err := b.lab.MeasureHLS(ctx, s, lab.HLSLoad{
		Viewers: b.viewers, ConnectRate: perSecond, Warmup: minWarmup, Duration: b.watch,
	}, 0)
	return &f, err
}
