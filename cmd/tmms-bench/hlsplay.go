package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"

	"tmms/bench/hlsplay"
)

func hlsplayCommand(ctx context.Context, flags *flag.FlagSet, args []string, out io.Writer) error {
	cfg := hlsplay.DefaultConfig()
	flags.StringVar(&cfg.URL, "url", "http://127.0.0.1:8080/live/bench.m3u8", "the multivariant playlist")
	flags.IntVar(&cfg.Viewers, "viewers", cfg.Viewers, "number of viewers")
	flags.IntVar(&cfg.ConnectRate, "connect-rate", cfg.ConnectRate, "new viewers per second")
	flags.IntVar(&cfg.Verify, "verify", cfg.Verify, "one viewer in so many looks into its segments")
	flags.Int64Var(&cfg.RateBPS, "rate", 0, "bits per second in all, fetched back to back; 0: viewers poll as players do")
	flags.DurationVar(&cfg.Warmup, "warmup", cfg.Warmup, "time before the counting")
	flags.DurationVar(&cfg.Duration, "duration", cfg.Duration, "time of the counting")
	format := flags.String("o", "text", "output: text or json")
	mark := markFlag(flags)
	if err := parse(flags, args); err != nil {
		return err
	}
	cfg.OnResult = func(r hlsplay.Result) error { return errors.Join(printHLS(out, *format, &r), mark.hold()) }
	r, err := hlsplay.Run(ctx, cfg, func() { mark.counting(out) })
	if r.Viewers == 0 {
		return err //nolint:wrapcheck // it says where it comes from
	}
	if err != nil {
		fmt.Fprintln(flags.Output(), "first viewer lost:", err)
	}
	return nil
}

func printHLS(out io.Writer, format string, r *hlsplay.Result) error {
	if format == "json" {
		if err := json.NewEncoder(out).Encode(r); err != nil {
			return fmt.Errorf("hlsplay: %w", err)
		}
		return nil
	}
	_, err := fmt.Fprintf(out, "%d viewers for %.1f s, %d lost: %d playlists, %d segments, %.1f MB\n"+
		"%d not found, %d server errors, %d other answers, %d stale playlists, %d segments skipped, %d of %d damaged\n"+
		"delivered %.1f %%; a segment's end to its arrival p50 %.0f ms, p99 %.0f ms\n"+
		"from a request to all of a segment p50 %.1f ms, p99 %.1f ms, max %.1f ms\n",
		r.Viewers, r.Seconds, r.Lost, r.Playlists, r.Segments, float64(r.Bytes)/1e6,
		r.NotFound, r.ServerErrors, r.OtherErrors, r.Stale, r.Skipped, r.Damaged, r.Verified,
		100*r.Delivered, r.DelayP50MS, r.DelayP99MS, r.AnswerP50MS, r.AnswerP99MS, r.AnswerMaxMS)
	return err //nolint:wrapcheck // the writer's own
}
