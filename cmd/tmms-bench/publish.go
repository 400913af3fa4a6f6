package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"sync"

	"tmms/bench/publish"
	"tmms/bench/signal"
)

func publishCommand(ctx context.Context, flags *flag.FlagSet, args []string, out io.Writer) error {
	cfg := signal.DefaultConfig()
	url := flags.String("url", "rtmp://127.0.0.1/live/bench", "where to push; with several streams -1, -2 ... is appended")
	streams := flags.Int("streams", 1, "number of streams, 1 to 10,000")
	duration := flags.Duration("duration", 0, "how long; 0: until interrupted")
	flags.IntVar(&cfg.BitrateBPS, "bitrate", cfg.BitrateBPS, "bits per second of each stream")
	flags.IntVar(&cfg.FPS, "fps", cfg.FPS, "video frames per second")
	flags.IntVar(&cfg.GOP, "gop", cfg.GOP, "frames from keyframe to keyframe")
	if err := parse(flags, args); err != nil {
		return err
	}
	if *streams < 1 || *streams > 10_000 {
		return fmt.Errorf("publish: %d streams are not in 1..10000", *streams)
	}
	if *duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, *duration)
		defer cancel()
	}
	return publishAll(ctx, *streams, publish.Config{URL: *url, Signal: cfg}, out)
}

func publishAll(ctx context.Context, n int, cfg publish.Config, out io.Writer) error {
	var wg sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		one := cfg
		if n > 1 {
			one.URL = fmt.Sprintf("%s-%d", cfg.URL, i+1)
		}
		wg.Go(func() {
			errs[i] = publish.Run(ctx, one, func() {
				fmt.Fprintf(out, "publishing %s at %d bit/s\n", one.URL, one.Signal.BitrateBPS)
			})
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
