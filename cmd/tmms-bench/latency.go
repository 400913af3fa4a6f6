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

// latency looks what an unloaded server adds.
type latency struct {
	lab              *lab.Lab
	viewers, bitrate int
	seconds          int
	out              io.Writer
}

// What an unloaded server may add: to the flush interval, from the publisher to
// a viewer; and from a viewer's connection to its first keyframe.
const (
	maxAddedMS = 10
	maxJoinMS  = 50
)

// latencyRow is a protocol at a flush interval.
type latencyRow struct {
	FlushMS int64  `json:"flush_ms"`
	Proto   string `json:"protocol"`
	lab.Figures
}

func latencyCommand(ctx context.Context, flags *flag.FlagSet, args []string, out io.Writer) (err error) {
	l := latency{out: out}
	flags.IntVar(&l.viewers, "viewers", 200, "viewers of one stream, all of which check every frame")
	flags.IntVar(&l.bitrate, "bitrate", 2_000_000, "bits per second of the stream")
	flags.IntVar(&l.seconds, "seconds", 6, "counting time of a run")
	flushes := flags.String("flush", "35,100,350", "flush intervals in ms")
	dir := resultsFlag(flags, "latency.json")
	if err = parse(flags, args); err != nil {
		return err
	}
	list, err := parseFlushes(*flushes)
	if err != nil {
		return err
	}
	if l.viewers < 1 || l.viewers > 1000 {
		return fmt.Errorf("latency: %d viewers are not in 1..1000", l.viewers)
	}
	if l.lab, err = lab.New(ctx, flags.Output()); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.lab.Close()) }()
	rows, err := l.run(ctx, list)
	if err != nil {
		return err
	}
	return dir.save("latency", rows, nil)
}

func (l *latency) run(ctx context.Context, flushes []time.Duration) ([]latencyRow, error) {
	fmt.Fprintf(l.out, "%d viewers x %.2f Mbit/s; limits: T + %d ms, and %d ms to the first keyframe\n"+
		"%6s %6s %10s %10s %12s %6s %7s\n", l.viewers, float64(l.bitrate)/1e6, maxAddedMS, maxJoinMS,
		"T ms", "proto", "p50 ms", "p99 ms", "join p99 ms", "lost", "faults")
	var rows []latencyRow
	broken := 0
	for _, flush := range flushes {
		for _, proto := range []string{"flv", "rtmp"} {
			f, err := l.measure(ctx, flush, proto)
			if err != nil {
				return nil, fmt.Errorf("%s at %v: %w", proto, flush, err)
			}
			rows = append(rows, latencyRow{flush.Milliseconds(), proto, f})
			fmt.Fprintf(l.out, "%6d %6s %10.1f %10.1f %12.1f %6d %7d\n", flush.Milliseconds(), proto,
				f.P50MS, f.P99MS, f.JoinP99MS, f.Lost, f.Faults)
			if f.P99MS > float64(flush.Milliseconds()+maxAddedMS) || f.JoinP99MS > maxJoinMS || f.Lost > 0 || f.Faults > 0 {
				broken++
			}
		}
	}
	if broken > 0 {
		return rows, fmt.Errorf("latency: %d of %d rows are beyond the limits", broken, len(rows))
	}
	return rows, nil
}

func (l *latency) measure(ctx context.Context, flush time.Duration, proto string) (lab.Figures, error) {
	server, err := l.lab.TMMS(ctx, "tmms", "edge.flush="+flush.String())
	if err != nil {
		return lab.Figures{}, err
	}
	defer server.Stop()
	stop, err := l.lab.Publish(ctx, server, 1, l.bitrate)
	if err != nil {
		return lab.Figures{}, err
	}
	defer stop()
	url := server.FLV("bench")
	if proto == "rtmp" {
		url = server.Play("bench")
	}
	const calm = 50 // connections a second
	f, err := l.lab.Measure(ctx, server, lab.Load{
		URL: url, Viewers: l.viewers, Verify: 1, ConnectRate: calm, Warmup: 3 * time.Second,
		Duration: time.Duration(l.seconds) * time.Second,
	}, l.bitrate)
	return f, err
}
