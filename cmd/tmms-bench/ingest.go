package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"tmms/bench/lab"
	"tmms/bench/publish"
)

// ingesting looks what it costs to take streams in that nobody watches.
type ingesting struct {
	lab      *lab.Lab
	push     lab.Push
	duration time.Duration // of the counting
	warmup   time.Duration // from the last stream's start
	runs     int
	progress io.Writer
}

func ingestCommand(ctx context.Context, flags *flag.FlagSet, args []string, out io.Writer) (err error) {
	g := ingesting{progress: flags.Output(), push: lab.Push{Name: "bench"}}
	flags.IntVar(&g.push.Streams, "streams", 1000, "number of publishers")
	flags.IntVar(&g.push.Bitrate, "bitrate", 1_000_000, "bits per second of each")
	flags.IntVar(&g.push.FPS, "fps", 25, "video frames per second")
	audio := flags.Bool("audio", true, "with audio, 132 kbit/s of the bit rate")
	flags.DurationVar(&g.push.Batch, "batch", 40*time.Millisecond, "see tmms-bench publish")
	flags.DurationVar(&g.duration, "duration", 10*time.Second, "counting time of a run")
	flags.DurationVar(&g.warmup, "warmup", 15*time.Second, "time before it, in which the window of HLS fills")
	flags.IntVar(&g.runs, "runs", 3, "runs of each, in turns; the medians are printed")
	dir := resultsFlag(flags, "ingest.json")
	if err = parse(flags, args); err != nil {
		return err
	}
	g.push.NoAudio = !*audio
	if g.push.Streams < 1 || g.push.Streams > 10_000 || g.runs < 1 || g.duration < time.Second {
		return fmt.Errorf("ingest: %d streams are not in 1..10000, or %d runs of %v are too few or too short",
			g.push.Streams, g.runs, g.duration)
	}
	if g.lab, err = lab.New(ctx, flags.Output()); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.lab.Close()) }()
	report, err := g.run(ctx)
	if err != nil {
		return err
	}
	return errors.Join(report.print(out), dir.save("ingest", report, nil))
}

func (g *ingesting) run(ctx context.Context) (*ingestReport, error) {
	runs := map[bool][]ingestFigures{}
	for range g.runs {
		for _, hls := range []bool{false, true} {
			f, err := g.measure(ctx, hls)
			if err != nil {
				return nil, fmt.Errorf("ingest: HLS %s: %w", onOff(hls), err)
			}
			fmt.Fprintf(g.progress, "HLS %s: %.0f Mbit/s, %.0f %% of a processor\n", onOff(hls), f.MbitPerS, 100*f.CPUShare)
			runs[hls] = append(runs[hls], f)
		}
	}
	r := &ingestReport{Streams: g.push.Streams, Bitrate: g.push.Bitrate, Runs: g.runs}
	for _, hls := range []bool{false, true} {
		r.Rows = append(r.Rows, medianIngest(runs[hls]))
	}
	return r, nil
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// ingestDomains is an app like that of "tmms dev", with or without HLS.
func ingestDomains(hls bool) string {
	return fmt.Sprintf("domains: [{name: default, aliases: ['*'], apps: "+
		"[{name: live, rtmp: true, flv: true, hls: {enabled: %t}}]}]\n", hls)
}

func (g *ingesting) measure(ctx context.Context, hls bool) (f ingestFigures, err error) {
	server, err := g.lab.TMMS(ctx, "tmms")
	if err != nil {
		return f, err
	}
	defer server.Stop()
	if err = g.lab.Apply(ctx, server, ingestDomains(hls)); err != nil {
		return f, err
	}
	stop, err := g.lab.PushTallied(ctx, server, g.push)
	if err != nil {
		return f, err
	}
	f, err = g.count(ctx, server)
	tally, terr := stop()
	if err = errors.Join(err, terr); err != nil {
		return f, err
	}
	f.HLS = hls
	f.rate(tally)
	m, err := server.Metrics(ctx)
	if err != nil {
		return f, err
	}
	f.LostBytes = tally.Bytes - int64(m["tmms_origin_ingest_bytes_total"])
	for name, v := range m {
		if strings.HasPrefix(name, "tmms_origin_dropped_packets_total") {
			f.Dropped += int64(v)
		}
	}
	return f, nil
}

// count waits until all streams are there, and charges the server for a time.
func (g *ingesting) count(ctx context.Context, server *lab.Server) (f ingestFigures, err error) {
	if err = server.Published(ctx, g.push.Streams); err != nil {
		return f, err
	}
	if err = pause(ctx, g.warmup); err != nil {
		return f, err
	}
	start := time.Now()
	used, before, err := ingested(ctx, server)
	if err != nil {
		return f, err
	}
	if err = pause(ctx, g.duration); err != nil {
		return f, err
	}
	now, after, err := ingested(ctx, server)
	if err != nil {
		return f, err
	}
	f.Seconds = time.Since(start).Seconds()
	f.CPUSeconds = (now.CPU - used.CPU).Seconds()
	f.Bytes = int64(after["tmms_origin_ingest_bytes_total"] - before["tmms_origin_ingest_bytes_total"])
	f.LostPublishers = g.push.Streams - int(after["tmms_origin_publishers"])
	v, err := server.Vitals(ctx)
	f.RSSBytes, f.HeapBytes = v.RSSBytes, v.HeapBytes
	return f, err
}

func ingested(ctx context.Context, server *lab.Server) (u lab.Usage, m map[string]float64, err error) {
	if u, err = server.Used(ctx); err != nil {
		return u, nil, err
	}
	m, err = server.Metrics(ctx)
	return u, m, err
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return fmt.Errorf("ingest: %w", ctx.Err())
	case <-time.After(d):
		return nil
	}
}

// ingestFigures are what a run has found.
type ingestFigures struct {
	HLS            bool    `json:"hls"`
	Seconds        float64 `json:"seconds"`
	Bytes          int64   `json:"bytes"` // taken in
	CPUSeconds     float64 `json:"cpu_seconds"`
	MbitPerS       float64 `json:"mbit_per_second"`
	MessagesPerS   float64 `json:"messages_per_second"`
	CPUShare       float64 `json:"cpu_share"` // of one processor
	USPerMbit      float64 `json:"cpu_us_per_mbit"`
	USPerMessage   float64 `json:"cpu_us_per_message"`
	RSSBytes       int64   `json:"rss_bytes"`
	HeapBytes      int64   `json:"heap_and_stacks_bytes"`
	LostPublishers int     `json:"lost_publishers"`
	LostBytes      int64   `json:"lost_bytes"` // sent, but not counted by the server
	Dropped        int64   `json:"dropped_packets"`
}

// rate fills in the ratios; the messages of the time are as large as all are.
func (f *ingestFigures) rate(t publish.Tally) {
	messages := float64(f.Bytes) * float64(t.Messages) / float64(t.Bytes)
	mbit := float64(f.Bytes) * 8 / 1e6
	f.MbitPerS, f.MessagesPerS = mbit/f.Seconds, messages/f.Seconds
	f.CPUShare = f.CPUSeconds / f.Seconds
	f.USPerMbit, f.USPerMessage = f.CPUSeconds*1e6/mbit, f.CPUSeconds*1e6/messages
}
