package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"tmms/bench/play"
)

func playCommand(ctx context.Context, flags *flag.FlagSet, args []string, out io.Writer) error {
	cfg := play.DefaultConfig()
	flags.StringVar(&cfg.URL, "url", "http://127.0.0.1:8080/live/bench.flv", "rtmp(s):// or http(s)://.../NAME.flv")
	flags.IntVar(&cfg.Streams, "streams", cfg.Streams, "number of streams to watch: with several, -1, -2 ... is appended")
	flags.IntVar(&cfg.Viewers, "viewers", cfg.Viewers, "number of viewers")
	flags.IntVar(&cfg.Verify, "verify", cfg.Verify, "one viewer in so many checks every packet")
	flags.IntVar(&cfg.ConnectRate, "connect-rate", cfg.ConnectRate, "new viewers per second")
	flags.IntVar(&cfg.Sources, "sources", cfg.Sources, "local addresses 127.0.0.x to connect from")
	flags.DurationVar(&cfg.Warmup, "warmup", cfg.Warmup, "time before the counting")
	flags.DurationVar(&cfg.Duration, "duration", cfg.Duration, "time of the counting")
	format := flags.String("o", "text", "output: text or json")
	laps := flags.Bool("laps", false, "count until standard input ends; each line of it ends a lap with its result")
	mark := markFlag(flags)
	if err := parse(flags, args); err != nil {
		return err
	}
	cfg.Verify = min(cfg.Verify, max(cfg.Viewers, 1))
	cfg.OnResult = func(r play.Report) error {
		return errors.Join(printResult(out, *format, r.Result()), mark.hold())
	}
	if *laps {
		cfg.Laps, cfg.OnResult = linesOf(os.Stdin), nil
		cfg.OnLap = func(r play.Report) {
			if err := printResult(out, *format, r.Result()); err != nil {
				fmt.Fprintln(flags.Output(), err)
			}
		}
	}
	report, err := play.Run(ctx, cfg, func() { mark.counting(out) })
	if report.Viewers == 0 {
		return err
	}
	if err != nil {
		fmt.Fprintln(flags.Output(), "first viewer lost:", err)
	}
	return nil
}

// mark is how a program that runs this one follows it.
type mark struct{ on bool }

func markFlag(flags *flag.FlagSet) *mark {
	m := &mark{}
	flags.BoolVar(&m.on, "mark", false,
		"print \"counting\" on a line of its own when the counting starts, and after the result keep the viewers "+
			"until standard input ends")
	return m
}

func (m *mark) counting(out io.Writer) {
	if m.on {
		fmt.Fprintln(out, "counting")
	}
}

// hold waits for the end of standard input.
func (m *mark) hold() error {
	if !m.on {
		return nil
	}
	_, err := io.Copy(io.Discard, os.Stdin)
	return err //nolint:wrapcheck // the reader's own
}

// linesOf gives a value for each line, and is closed behind the last.
func linesOf(in io.Reader) <-chan struct{} {
	c := make(chan struct{})
	go func() {
		defer close(c)
		for lines := bufio.NewScanner(in); lines.Scan(); {
			c <- struct{}{}
		}
	}()
	return c
}

func printResult(out io.Writer, format string, r play.Result) error {
	if format == "json" {
		if err := json.NewEncoder(out).Encode(r); err != nil {
			return fmt.Errorf("play: %w", err)
		}
		return nil
	}
	_, err := fmt.Fprintf(out, "%d viewers for %.1f s, %d lost: %.0f kbit/s each, %.1f MB in all\n"+
		"%d verified viewers: %d frames, %d missing, %d repeated, %d damaged, %d steps back\n"+
		"delay p50 %.1f ms, p99 %.1f ms, max %.1f ms\n",
		r.Viewers, r.Seconds, r.Lost, r.BitratePerView/1000, float64(r.Bytes)/1e6,
		r.Verified, r.Frames, r.Gaps, r.Repeats, r.Damaged, r.Back, r.P50MS, r.P99MS, r.MaxMS)
	return err //nolint:wrapcheck // the writer's own
}
