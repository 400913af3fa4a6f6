package main

import (
	"context"
	"encoding/json"
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
	audio := flags.Bool("audio", true, "with audio, 132 kbit/s of the bit rate")
	batch := flags.Duration("batch", 0,
		"send the frames of this time together, 5ms to 1s, all streams from one thread; 0: each frame when it is due")
	tally := flags.Bool("tally", false,
		"with -batch: at the end wait until the server has read everything, and print what was sent as JSON")
	if err := parse(flags, args); err != nil {
		return err
	}
	cfg.NoAudio = !*audio
	if *tally && *batch == 0 {
		return errors.New("publish: -tally needs -batch")
	}
	if *streams < 1 || *streams > 10_000 {
		return fmt.Errorf("publish: %d streams are not in 1..10000", *streams)
	}
	if *duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, *duration)
		defer cancel()
	}
	fleet := publish.Fleet{Config: publish.Config{URL: *url, Signal: cfg}, Streams: *streams, Batch: *batch}
	ready := func(url string) { fmt.Fprintf(out, "publishing %s at %d bit/s\n", url, cfg.BitrateBPS) }
	switch {
	case *tally:
		return publishTallied(ctx, fleet, out)
	case *batch != 0:
		return fleet.Run(ctx, ready)
	}
	return publishAll(ctx, fleet, ready)
}

func publishTallied(ctx context.Context, f publish.Fleet, out io.Writer) error {
	f.Tally = new(publish.Tally)
	if err := f.Run(ctx, nil); err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(f.Tally) //nolint:wrapcheck // the writer's own
}

// publishAll gives each stream a goroutine of its own.
func publishAll(ctx context.Context, f publish.Fleet, ready func(url string)) error {
	var wg sync.WaitGroup
	errs := make([]error, f.Streams)
	for i := range errs {
		one := f.Config
		one.URL = f.Name(i, f.Streams)
		wg.Go(func() { errs[i] = publish.Run(ctx, one, func() { ready(one.URL) }) })
	}
	wg.Wait()
	return errors.Join(errs...)
}
