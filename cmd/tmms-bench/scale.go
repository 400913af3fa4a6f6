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

// scaling looks how many viewers one processor carries, and what each costs.
type scaling struct {
	lab     *lab.Lab
	bitrate int
	seconds int
	set     []string // of the server's config
	proto   string
	out     io.Writer
}

func scaleCommand(ctx context.Context, flags *flag.FlagSet, args []string, out io.Writer) (err error) {
	s := scaling{out: out}
	viewers := flags.String("viewers", "1000,12000,15000", "numbers of viewers, the first to compare memory with")
	flags.IntVar(&s.bitrate, "bitrate", 2_000_000, "bits per second of the stream")
	flags.IntVar(&s.seconds, "seconds", 10, "counting time of a run")
	flags.StringVar(&s.proto, "proto", "flv", "flv or rtmp")
	set := flags.String("set", "", "settings of the server, KEY=VALUE,KEY=VALUE")
	if err = parse(flags, args); err != nil {
		return err
	}
	if s.proto != "flv" && s.proto != "rtmp" {
		return fmt.Errorf("scale: protocol %q is not flv or rtmp", s.proto)
	}
	var numbers []int
	for f := range strings.SplitSeq(*viewers, ",") {
		n, perr := strconv.Atoi(f)
		if perr != nil || n < 1 || n > 19_000 {
			return fmt.Errorf("scale: %q viewers are not in 1..19000", f)
		}
		numbers = append(numbers, n)
	}
	if *set != "" {
		s.set = strings.Split(*set, ",")
	}
	if s.lab, err = lab.New(ctx, flags.Output()); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.lab.Close()) }()
	return s.run(ctx, numbers)
}

func (s *scaling) run(ctx context.Context, numbers []int) error {
	fmt.Fprintf(s.out, "%s, %.2f Mbit/s on one processor\n", s.proto, float64(s.bitrate)/1e6)
	fmt.Fprintf(s.out, "%8s %10s %10s %10s %8s %8s %6s %7s %12s %12s\n", "viewers", "delivered", "p50 ms", "p99 ms",
		"CPU", "stretch", "lost", "faults", "heap B/view", "RSS B/view")
	var first lab.Figures
	for i, n := range numbers {
		f, stretch, err := s.measure(ctx, n)
		if err != nil {
			return fmt.Errorf("%d viewers: %w", n, err)
		}
		heap, rss := "-", "-"
		if i == 0 {
			first = f
		} else if more := f.Viewers - first.Viewers; more > 0 {
			heap = strconv.FormatInt((f.HeapBytes-first.HeapBytes)/int64(more), 10)
			rss = strconv.FormatInt((f.RSSBytes-first.RSSBytes)/int64(more), 10)
		}
		fmt.Fprintf(s.out, "%8d %9.1f%% %10.1f %10.1f %7.0f%% %8.2f %6d %7d %12s %12s\n", f.Viewers, 100*f.Delivered,
			f.P50MS, f.P99MS, 100*f.BusyShare, stretch, f.Lost, f.Faults, heap, rss)
	}
	return nil
}

// Times of a run: all runs count when the stream's log has its full length, so
// that memory differs by the viewers alone.
const (
	connectRate = 3000 // viewers a second
	minWarmup   = 8 * time.Second
	filled      = 25 * time.Second
)

func (s *scaling) measure(ctx context.Context, viewers int) (f lab.Figures, stretch float64, err error) {
	server, err := s.lab.TMMS(ctx, "tmms", s.set...)
	if err != nil {
		return f, 0, err
	}
	defer server.Stop()
	stop, err := s.lab.Publish(ctx, server, 1, s.bitrate)
	if err != nil {
		return f, 0, err
	}
	defer stop()
	url := server.FLV("bench")
	if s.proto == "rtmp" {
		url = server.Play("bench")
	}
	connecting := time.Duration(viewers) * time.Second / connectRate
	f, err = s.lab.Measure(ctx, server, lab.Load{
		URL: url, Viewers: viewers, Verify: max(37, viewers/100), ConnectRate: connectRate,
		Warmup:   max(minWarmup, filled-connecting),
		Duration: time.Duration(s.seconds) * time.Second,
	}, s.bitrate)
	if err != nil {
		return f, 0, err
	}
	m, err := server.Metrics(ctx)
	return f, m[`tmms_edge_flush_stretch_ratio{loop="0"}`], err
}
