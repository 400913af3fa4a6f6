package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"tmms/bench/crowd"
)

// errCrowd ends a run in which not everything was as it has to be.
var errCrowd = errors.New("crowd: viewers got nothing, or the origin sends more than once a region")

// crowdCommand lets viewers come at once to the edges of a cluster, ahead of the
// stream that they want.
func crowdCommand(ctx context.Context, flags *flag.FlagSet, args []string, out io.Writer) (err error) {
	flash, shape := crowd.DefaultFlash(), crowd.Shape{Regions: 3, Edges: 4}
	flags.IntVar(&flash.Crowd.Viewers, "viewers", flash.Crowd.Viewers, "viewers, by FLV, RTMP and HLS in turn")
	flags.IntVar(&flash.Crowd.Rate, "rate", flash.Crowd.Rate, "new viewers a second")
	flags.DurationVar(&flash.Crowd.Timeout, "timeout", flash.Crowd.Timeout, "by which a viewer must have a picture")
	flags.DurationVar(&flash.Ahead, "ahead", flash.Ahead, "how long after the first viewer the stream starts")
	flags.IntVar(&flash.Signal.BitrateBPS, "bitrate", flash.Signal.BitrateBPS, "bits per second of the stream")
	flags.IntVar(&shape.Regions, "regions", shape.Regions, "regions")
	flags.IntVar(&shape.Edges, "edges", shape.Edges, "edges in each region")
	if err = parse(flags, args); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "tmms-crowd-")
	if err != nil {
		return fmt.Errorf("crowd: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	program := filepath.Join(dir, "tmms")
	msg, err := exec.CommandContext(ctx, "go", "build", "-o", program, "./cmd/tmms").CombinedOutput()
	if err != nil {
		return fmt.Errorf("crowd: run from the project's root: %w\n%s", err, msg)
	}
	c, err := crowd.Start(ctx, program, dir, shape)
	defer c.Stop()
	if err != nil {
		return err //nolint:wrapcheck // it says where it comes from
	}
	r, err := flash.Run(ctx, c, shape.Regions)
	if err != nil {
		return err //nolint:wrapcheck // it says where it comes from
	}
	if printCrowd(out, r); r.Failed() > 0 || r.Last != shape.Regions {
		return errCrowd
	}
	return nil
}

func printCrowd(out io.Writer, r *crowd.FlashResult) {
	fmt.Fprintf(out, "%-6s %8s %8s %12s\n", "proto", "viewers", "got it", "the last at")
	for _, proto := range crowd.Protos() {
		fmt.Fprintf(out, "%-6s %8d %8d %12v\n", proto, r.Asked[proto], r.Got[proto],
			r.Waited[proto].Round(time.Millisecond))
	}
	for _, fault := range r.Faults {
		fmt.Fprintln(out, fault)
	}
	fmt.Fprintf(out, "the origin's subscriptions: %d at most, %d in the end, right from %v on\n",
		r.Most, r.Last, r.Settled.Round(time.Millisecond))
}
