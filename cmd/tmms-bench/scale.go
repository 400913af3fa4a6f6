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
	dir := resultsFlag(flags, "scale-PROTO.json and scale-PROTO.svg")
	if err = parse(flags, args); err != nil {
		return err
	}
	if s.proto != "flv" && s.proto != "rtmp" {
		return fmt.Errorf("scale: protocol %q is not flv or rtmp", s.proto)
	}
	numbers, err := parseNumbers(*viewers, 19_000)
	if err != nil {
		return fmt.Errorf("scale: viewers: %w", err)
	}
	if *set != "" {
		s.set = strings.Split(*set, ",")
	}
	if s.lab, err = lab.New(ctx, flags.Output()); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.lab.Close()) }()
	report, err := s.run(ctx, numbers)
	if err != nil {
		return err
	}
	return dir.save("scale-"+s.proto, report, report.chart())
}

// scaleReport is what scale has found.
type scaleReport struct {
	Proto   string     `json:"protocol"`
	Bitrate int        `json:"bits_per_second"`
	Rows    []scaleRow `json:"rows"`
}

// scaleRow is one number of viewers.
type scaleRow struct {
	lab.Figures

	Stretch     float64 `json:"flush_stretch"`
	HeapPerView int64   `json:"heap_and_stacks_bytes_per_viewer"` // beyond those of the first row; 0 in it
	RSSPerView  int64   `json:"rss_bytes_per_viewer"`
}

func (s *scaling) run(ctx context.Context, numbers []int) (*scaleReport, error) {
	report := &scaleReport{Proto: s.proto, Bitrate: s.bitrate}
	fmt.Fprintf(s.out, "%s, %.2f Mbit/s on one processor\n", s.proto, float64(s.bitrate)/1e6)
	fmt.Fprintf(s.out, "%8s %10s %10s %10s %8s %8s %6s %7s %12s %12s\n", "viewers", "delivered", "p50 ms", "p99 ms",
		"CPU", "stretch", "lost", "faults", "heap B/view", "RSS B/view")
	for _, n := range numbers {
		f, stretch, err := s.measure(ctx, n)
		if err != nil {
			return nil, fmt.Errorf("%d viewers: %w", n, err)
		}
		row := report.add(f, stretch)
		heap, rss := "-", "-"
		if len(report.Rows) > 1 {
			heap, rss = strconv.FormatInt(row.HeapPerView, 10), strconv.FormatInt(row.RSSPerView, 10)
		}
		fmt.Fprintf(s.out, "%8d %9.1f%% %10.1f %10.1f %7.0f%% %8.2f %6d %7d %12s %12s\n", f.Viewers, 100*f.Delivered,
			f.P50MS, f.P99MS, 100*f.BusyShare, stretch, f.Lost, f.Faults, heap, rss)
	}
	return report, nil
}

// add appends a row, with the memory of its viewers.
func (r *scaleReport) add(f lab.Figures, stretch float64) *scaleRow {
	row := scaleRow{Figures: f, Stretch: stretch}
	if len(r.Rows) > 0 {
		first := &r.Rows[0]
		if more := int64(f.Viewers - first.Viewers); more > 0 {
			row.HeapPerView = (f.HeapBytes - first.HeapBytes) / more
			row.RSSPerView = (f.RSSBytes - first.RSSBytes) / more
		}
	}
	r.Rows = append(r.Rows, row)
	return &r.Rows[len(r.Rows)-1]
}

// chart shows what the number of viewers does to delay and processor time.
func (r *scaleReport) chart() *chart {
	delay := chartGroup{label: "delay p99, ms", own: true}
	cpu := chartGroup{label: "processor time, % of one", own: true}
	each := chartGroup{label: "processor time, us per viewer and second", own: true}
	for i := range r.Rows {
		f := &r.Rows[i]
		name := fmt.Sprintf("%d viewers", f.Viewers)
		delay.bars = append(delay.bars, bar{name, f.P99MS, fmt.Sprintf("%.0f ms, flush x %.1f", f.P99MS, f.Stretch)})
		cpu.bars = append(cpu.bars, bar{
			name, 100 * f.BusyShare, fmt.Sprintf("%.0f %%, %.1f %% delivered", 100*f.BusyShare, 100*f.Delivered),
		})
		each.bars = append(each.bars, bar{name, f.USPerViewerSec, fmt.Sprintf("%.0f us", f.USPerViewerSec)})
	}
	title := fmt.Sprintf("Viewers of one stream on one processor, %s, %.2f Mbit/s",
		protoNames()[r.Proto], float64(r.Bitrate)/1e6)
	return &chart{title, []chartGroup{delay, cpu, each}}
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
