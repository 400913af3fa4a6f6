package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"

	"tmms/cmd/tmms-bench/internal/relayend"
)

// errMissing says that frames did not come.
var errMissing = errors.New("path: frames are missing")

// pathReport is what "path -o json" prints: units are in the names.
type pathReport struct {
	Cores       int          `json:"cores"`
	Go          string       `json:"go"`
	Streams     int          `json:"streams"`
	BitrateBPS  int          `json:"bits_per_second_per_stream"`
	RoundTripMS float64      `json:"round_trip_ms"`
	Seconds     float64      `json:"seconds"`
	Cases       []pathResult `json:"cases"`
}

// pathResult is the result of one case. Frames are counted from the first of each
// stream that came; delays are from the source's stamp to the sink's log.
type pathResult struct {
	Name            string   `json:"name"`
	Path            string   `json:"path"`
	Sent            int64    `json:"frames_sent"`
	Delivered       int64    `json:"frames_delivered"`
	Missing         int64    `json:"frames_missing"`
	MissingRuns     []string `json:"missing,omitempty"` // "stream 3: 120..134"
	P50MS           float64  `json:"delay_p50_ms"`
	P90MS           float64  `json:"delay_p90_ms"`
	P99MS           float64  `json:"delay_p99_ms"`
	MaxMS           float64  `json:"delay_max_ms"`
	OverheadPercent float64  `json:"overhead_percent"` // IP bytes to the sink over media bytes
	BackPercent     float64  `json:"back_percent"`     // IP bytes back over media bytes
	SourceMSPerMB   float64  `json:"source_cpu_ms_per_mb"`
	SinkMSPerMB     float64  `json:"sink_cpu_ms_per_mb"`
	LossPercent     float64  `json:"packets_lost_percent"`    // by the path, there
	DroppedPercent  float64  `json:"packets_dropped_percent"` // by its queue
	MissedPackets   int64    `json:"packets_missed"`          // by the link, which should have none
	SocketDrops     int64    `json:"socket_drops"`            // UDP packets the sink's socket had no room for
	LatePercent     float64  `json:"packets_late_percent"`    // by over 1 ms: how untrue the link was
}

func newPathReport(b *pathBench) *pathReport {
	return &pathReport{
		Cores: runtime.NumCPU(), Go: runtime.Version(), Streams: b.streams, BitrateBPS: b.shape.BitrateBPS,
		RoundTripMS: ms(2 * b.delay), Seconds: b.duration.Seconds(),
	}
}

func (r *pathReport) add(c pathCase, run *pathRun) { r.Cases = append(r.Cases, run.result(c)) }

// result works out the figures of a case.
func (r *pathRun) result(c pathCase) pathResult {
	first, last := &r.load[0], &r.load[1]
	media := float64(last.source.Bytes - first.source.Bytes)
	elapsed := last.at.Sub(first.at)
	alone := float64(r.idle[1].source.CPU-r.idle[0].source.CPU) / float64(r.idle[1].at.Sub(r.idle[0].at))
	source := last.source.CPU - first.source.CPU - time.Duration(alone*float64(elapsed))
	offered := float64(max(1, last.there.Offered-first.there.Offered))
	return pathResult{
		Name: c.name, Path: c.link,
		Sent: r.got.Packets + r.got.Missing, Delivered: r.got.Packets, Missing: r.got.Missing,
		MissingRuns: runsOf(r.got.MissingRuns),
		P50MS:       ms(r.delay.P50), P90MS: ms(r.delay.P90), P99MS: ms(r.delay.P99), MaxMS: ms(r.delay.Max),
		OverheadPercent: 100 * (float64(last.there.OfferedBytes-first.there.OfferedBytes)/media - 1),
		BackPercent:     100 * float64(last.back.OfferedBytes-first.back.OfferedBytes) / media,
		SourceMSPerMB:   ms(source) / (media / 1e6),
		SinkMSPerMB:     ms(last.sink.CPU-first.sink.CPU) / (media / 1e6),
		LossPercent:     100 * float64(last.there.Lost-first.there.Lost) / offered,
		DroppedPercent:  100 * float64(last.there.Dropped-first.there.Dropped) / offered,
		MissedPackets:   last.there.Missed + last.back.Missed,
		SocketDrops:     last.socketDrops - first.socketDrops,
		LatePercent:     100 * float64(last.there.Late-first.there.Late) / offered,
	}
}

func runsOf(gaps []relayend.Gap) (runs []string) {
	for _, g := range gaps {
		runs = append(runs, fmt.Sprintf("stream %d: %d..%d", g.Stream, g.From, g.To-1))
	}
	return runs
}

func (r *pathReport) print(out io.Writer, format string) error {
	if format == "json" {
		if err := json.NewEncoder(out).Encode(r); err != nil {
			return fmt.Errorf("path: %w", err)
		}
		return nil
	}
	fmt.Fprintf(out, "relay of %d streams of %.2f Mbit/s, round trip %g ms, %g s a case\n",
		r.Streams, float64(r.BitrateBPS)/1e6, r.RoundTripMS, r.Seconds)
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "case\tsent\tdelivered\tmissing\tdelay ms p50\tp90\tp99\tmax\toverhead\tback\t"+
		"CPU ms/MB source\tsink\tlost\tdropped\tmissed\tsocket\tlate")
	for i := range r.Cases {
		c := &r.Cases[i]
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%.0f\t%.0f\t%.0f\t%.0f\t", c.Name, c.Sent, c.Delivered, c.Missing,
			c.P50MS, c.P90MS, c.P99MS, c.MaxMS)
		fmt.Fprintf(w, "%.1f %%\t%.1f %%\t%.1f\t%.1f\t%.2f %%\t%.2f %%\t%d\t%d\t%.2f %%\n", c.OverheadPercent, c.BackPercent,
			c.SourceMSPerMB, c.SinkMSPerMB, c.LossPercent, c.DroppedPercent, c.MissedPackets, c.SocketDrops, c.LatePercent)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("path: %w", err)
	}
	for i := range r.Cases {
		if c := &r.Cases[i]; c.Missing > 0 {
			fmt.Fprintf(out, "%s: missing %s\n", c.Name, strings.Join(c.MissingRuns, ", "))
		}
	}
	return nil
}

// verdict is an error if frames are missing.
func (r *pathReport) verdict() error {
	var names []string
	for i := range r.Cases {
		if c := &r.Cases[i]; c.Missing > 0 {
			names = append(names, fmt.Sprintf("%d of %s", c.Missing, c.Name))
		}
	}
	if names == nil {
		return nil
	}
	return fmt.Errorf("%w: %s", errMissing, strings.Join(names, ", "))
}

// chart shows the delays.
func (r *pathReport) chart() *chart {
	c := &chart{title: fmt.Sprintf("Relay across a path with a round trip of %g ms: delay of frames, ms", r.RoundTripMS)}
	for i := range r.Cases {
		e := &r.Cases[i]
		c.groups = append(c.groups, chartGroup{label: e.Name, own: true, bars: []bar{
			{"p50", e.P50MS, fmt.Sprintf("%.0f", e.P50MS)},
			{"p99", e.P99MS, fmt.Sprintf("%.0f", e.P99MS)},
			{"overhead, %", max(0, e.OverheadPercent), fmt.Sprintf("%.1f %%", e.OverheadPercent)},
		}})
	}
	return c
}
