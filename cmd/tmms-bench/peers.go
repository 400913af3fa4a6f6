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

// peerBench compares the server with others at equal delay.
type peerBench struct {
	lab      *lab.Lab
	viewers  []int
	bitrate  int
	pairs    int
	duration time.Duration // of the counting
	warmup   time.Duration
	progress io.Writer
}

// nginxSetups are nginx-rtmp as its package has it, and as an operator of many
// viewers tunes it: messages in one chunk, fewer and larger writes.
func nginxSetups() []lab.Nginx {
	return []lab.Nginx{
		{Name: "nginx-rtmp", RTMP: true},
		{
			Name: "nginx-rtmp, tuned", RTMP: true,
			Tune: "chunk_size 65536; out_queue 4096; out_cork 8; buffer 100ms;",
		},
	}
}

func peersCommand(ctx context.Context, flags *flag.FlagSet, args []string, out io.Writer) (err error) {
	b := peerBench{progress: flags.Output()}
	viewers := flags.String("viewers", "1000,2000", "numbers of viewers")
	flags.IntVar(&b.bitrate, "bitrate", 2_000_000, "bits per second of the stream")
	flags.IntVar(&b.pairs, "pairs", 3, "runs of each, in turns; the medians are printed")
	flags.DurationVar(&b.duration, "duration", 5*time.Second, "counting time of a run")
	flags.DurationVar(&b.warmup, "warmup", 2*time.Second, "time from the last viewer's connecting to the counting")
	dir := resultsFlag(flags, "peers.json and peers.svg")
	if err = parse(flags, args); err != nil {
		return err
	}
	if b.viewers, err = parseNumbers(*viewers, 19_000); err != nil {
		return fmt.Errorf("peers: viewers: %w", err)
	}
	if b.pairs < 1 || b.duration < time.Second {
		return fmt.Errorf("peers: %d pairs of %v are too few or too short", b.pairs, b.duration)
	}
	if b.lab, err = lab.New(ctx, flags.Output()); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.lab.Close()) }()
	report, err := b.run(ctx)
	if err != nil {
		return err
	}
	return errors.Join(report.print(out), dir.save("peers", report, report.chart()))
}

// parseNumbers reads numbers of 1 to most with commas between them.
func parseNumbers(s string, most int) (list []int, err error) {
	for f := range strings.SplitSeq(s, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(f))
		if err != nil || n < 1 || n > most {
			return nil, fmt.Errorf("%q is not in 1..%d", f, most)
		}
		list = append(list, n)
	}
	return list, nil
}

func (b *peerBench) run(ctx context.Context) (*peerReport, error) {
	r := &peerReport{Bitrate: b.bitrate, Pairs: b.pairs}
	for _, viewers := range b.viewers {
		for _, setup := range nginxSetups() {
			row, err := b.compare(ctx, viewers, setup)
			if err != nil {
				return nil, fmt.Errorf("peers: %s, %d viewers: %w", setup.Name, viewers, err)
			}
			r.Rows = append(r.Rows, row)
		}
	}
	most := b.viewers[len(b.viewers)-1]
	for _, p := range earlierFigures() {
		row, err := b.compareEarlier(ctx, most, p)
		if err != nil {
			return nil, fmt.Errorf("peers: %s: %w", p.Name, err)
		}
		r.Earlier = append(r.Earlier, row)
	}
	return r, nil
}

// compare runs a peer and the server in turns.
func (b *peerBench) compare(ctx context.Context, viewers int, setup lab.Nginx) (*peerRow, error) {
	row := &peerRow{Viewers: viewers}
	startPeer := func() (*lab.Server, error) { return b.lab.Nginx(ctx, setup) }
	once, err := b.measure(ctx, viewers, startPeer)
	if err != nil {
		return nil, err
	}
	flush, err := b.flushFor(ctx, viewers, once.P99MS)
	if err != nil {
		return nil, err
	}
	row.FlushMS = int(flush.Milliseconds())
	var peer, ours []lab.Figures
	for range b.pairs {
		p, perr := b.measure(ctx, viewers, startPeer)
		o, oerr := b.measure(ctx, viewers, b.tmms(ctx, flush))
		if err := errors.Join(perr, oerr); err != nil {
			return nil, err
		}
		peer, ours = append(peer, p), append(ours, o)
	}
	row.settle(peer, ours)
	return row, nil
}

// compareEarlier measures the server at a delay that was measured earlier, and
// the floor of now.
func (b *peerBench) compareEarlier(ctx context.Context, viewers int, p earlierFigure) (*earlierRow, error) {
	row := &earlierRow{earlierFigure: p, OverFloorThen: p.USPerViewerSec / p.FloorUS}
	flush, err := b.flushFor(ctx, viewers, p.P99MS)
	if err != nil {
		return nil, err
	}
	row.FlushMS = int(flush.Milliseconds())
	startFloor := func() (*lab.Server, error) {
		return b.lab.Floor(ctx, time.Duration(p.FloorFlushMS)*time.Millisecond, b.bitrate)
	}
	var floor, ours []lab.Figures
	for range b.pairs {
		f, ferr := b.measure(ctx, viewers, startFloor)
		o, oerr := b.measure(ctx, viewers, b.tmms(ctx, flush))
		if err := errors.Join(ferr, oerr); err != nil {
			return nil, err
		}
		floor, ours = append(floor, f), append(ours, o)
	}
	row.Ours, row.FloorNow = lab.Medians(ours), lab.Medians(floor)
	row.OverFloorNow = row.Ours.USPerViewerSec / row.FloorNow.USPerViewerSec
	return row, nil
}

// Steps of T, in which the server's ticks are.
const (
	flushStep   = 5 * time.Millisecond
	longFlush   = time.Second
	flushMargin = 3 * time.Millisecond // what p99 is above T at least
)

// flushFor looks for the longest T at which the server's p99 is at or below the
// given one; the shortest of all if there is none.
func (b *peerBench) flushFor(ctx context.Context, viewers int, p99MS float64) (time.Duration, error) {
	limit := time.Duration(p99MS * float64(time.Millisecond))
	flush := min(max((limit-flushMargin).Truncate(flushStep), flushStep), longFlush)
	for flush > flushStep {
		f, err := b.measure(ctx, viewers, b.tmms(ctx, flush))
		if err != nil {
			return 0, err
		}
		over := time.Duration(f.P99MS*float64(time.Millisecond)) - limit
		if over <= 0 {
			break
		}
		flush = max(flush-max(over.Truncate(flushStep), flushStep), flushStep)
	}
	return flush, nil
}

// tmms starts the server with the engine that it chooses by itself.
func (b *peerBench) tmms(ctx context.Context, flush time.Duration) func() (*lab.Server, error) {
	return func() (*lab.Server, error) { return b.lab.TMMS(ctx, "tmms", "edge.flush="+flush.String()) }
}

// measure starts a server, measures its RTMP viewers (HTTP-FLV of the floor, which
// has nothing else) and ends it.
func (b *peerBench) measure(ctx context.Context, viewers int, start func() (*lab.Server, error)) (
	f lab.Figures, err error,
) {
	s, err := start()
	if err != nil {
		return f, err
	}
	defer s.Stop()
	proto := "flv"
	if s.RTMP != "" {
		proto = "rtmp"
		stop, perr := b.lab.Publish(ctx, s, 1, b.bitrate)
		if perr != nil {
			return f, perr
		}
		defer stop()
	}
	f, err = b.lab.Measure(ctx, s, lab.Load{
		URL: s.URL(proto, "bench"), Viewers: viewers, ConnectRate: connectRate, Warmup: b.warmup, Duration: b.duration,
	}, b.bitrate)
	fmt.Fprintf(b.progress, "%s, %d viewers: %.1f us/viewer-s, p99 %.1f ms, %.1f %% delivered, %d lost, %d faults\n",
		s.Name, f.Viewers, f.USPerViewerSec, f.P99MS, 100*f.Delivered, f.Lost, f.Faults)
	return f, err
}
