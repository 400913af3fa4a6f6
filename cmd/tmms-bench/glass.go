package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"time"

	"tmms/bench/glass"
	"tmms/bench/lab"
)

// glassLimits are what the median of a player may be.
func glassLimits() map[string]time.Duration {
	return map[string]time.Duration{glass.PlayerFLV: 600 * time.Millisecond, glass.PlayerLLHLS: 1200 * time.Millisecond}
}

func glassCommand(ctx context.Context, flags *flag.FlagSet, args []string, out io.Writer) error {
	var cfg glass.Config
	flags.StringVar(&cfg.Player, "player", glass.PlayerFLV,
		"flv (mpegts.js by HTTP-FLV), llhls (hls.js in its low latency mode) or hls (hls.js)")
	flags.StringVar(&cfg.URL, "url", "", "what to play; without it a server is started")
	flags.StringVar(&cfg.Push, "push", "rtmp://127.0.0.1/live/glass", "with -url: where to publish it")
	flags.DurationVar(&cfg.Duration, "duration", 20*time.Second, "of the measurement")
	flags.DurationVar(&cfg.Before, "before", 15*time.Second,
		"how long the stream runs before the player joins: a window of HLS fills")
	flags.DurationVar(&cfg.Warmup, "warmup", 10*time.Second,
		"time from the first picture, in which the player finds its place")
	flush := flags.String("flush", "low_latency", "without -url: the app's flush")
	dir := resultsFlag(flags, "glass-PLAYER.json")
	if err := parse(flags, args); err != nil {
		return err
	}
	run := glass.Run
	if cfg.URL == "" {
		run = func(ctx context.Context, cfg glass.Config) (glass.Result, error) {
			return glassAlone(ctx, cfg, *flush, flags.Output())
		}
	} else {
		u, err := url.Parse(cfg.URL)
		if err != nil {
			return fmt.Errorf("glass: %w", err)
		}
		cfg.Assets = u.Scheme + "://" + u.Host
	}
	r, err := run(ctx, cfg)
	if err != nil {
		return err
	}
	return errors.Join(printGlass(r, out), dir.save("glass-"+cfg.Player, r, nil))
}

// glassAlone measures on a server of its own.
func glassAlone(ctx context.Context, cfg glass.Config, flush string, errOut io.Writer) (r glass.Result, err error) {
	l, err := lab.New(ctx, errOut)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	server, err := l.TMMS(ctx, "tmms")
	if err != nil {
		return r, err
	}
	defer server.Stop()
	if err = l.Apply(ctx, server, glassDomains(cfg.Player, flush)); err != nil {
		return r, err
	}
	const stream = "glass"
	cfg.Push, cfg.Assets = server.Play(stream), "http://"+server.HTTP
	cfg.URL = server.HLS(stream)
	if cfg.Player == glass.PlayerFLV {
		cfg.URL = server.FLV(stream)
	}
	return glass.Run(ctx, cfg)
}

// glassDomains is an app like that of "tmms dev", set for the player.
func glassDomains(player, flush string) string {
	hls := "{enabled: true}"
	if player == glass.PlayerLLHLS {
		hls = "{enabled: true, low_latency: true}"
	}
	b, _ := json.Marshal(flush) // a string always can
	return fmt.Sprintf("domains: [{name: default, aliases: ['*'], apps: "+
		"[{name: live, rtmp: true, flv: true, flush: %s, hls: %s}]}]\n", b, hls)
}

// printGlass prints the delays; an error says that they are over the limit.
func printGlass(r glass.Result, out io.Writer) error {
	fmt.Fprintf(out, "%s: p50 %.0f ms, p90 %.0f, p99 %.0f, most %.0f; ", r.Player, r.P50MS, r.P90MS, r.P99MS, r.MaxMS)
	fmt.Fprintf(out, "%d pictures, %d misread, the player waited %d times\n", r.Pictures, r.Misread, r.Waits)
	limit, limited := glassLimits()[r.Player]
	if p50 := time.Duration(r.P50MS * float64(time.Millisecond)); limited && p50 > limit {
		return fmt.Errorf("glass: the median of %s is %v, the limit is %v", r.Player, p50, limit)
	}
	return nil
}
