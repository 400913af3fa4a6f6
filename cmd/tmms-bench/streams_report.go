package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"tmms/bench/lab"
)

// streamsReport is what streams has found.
type streamsReport struct {
	Viewers int          `json:"viewers"`
	Bitrate int          `json:"bits_per_second"`
	Runs    int          `json:"runs_of_each"`
	Rows    []streamsRow `json:"rows"`
}

// streamsRow is one case: the medians of its runs.
type streamsRow struct {
	Case    string  `json:"case"`
	Streams int     `json:"streams"`
	Idle    int     `json:"idle_streams"`
	Ratio   float64 `json:"loop_cpu_over_one_stream"`
	// IngestUS is the time of all threads but the loops', in us per stream and
	// second: taking it in, its log and its HLS segments.
	IngestUS float64 `json:"ingest_us_per_stream_second"`

	lab.Figures
}

// add appends a case; the first is what the others are compared with.
func (r *streamsReport) add(c spreadCase, f lab.Figures) {
	row := streamsRow{
		Case: c.name, Streams: c.streams, Idle: c.idle, Figures: f, Ratio: 1,
		IngestUS: f.OtherShare * 1e6 / float64(c.streams+c.idle),
	}
	if len(r.Rows) > 0 {
		row.Ratio = f.LoopMSPerMB / r.Rows[0].LoopMSPerMB
	}
	r.Rows = append(r.Rows, row)
}

func (r *streamsReport) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintf(w, "%d viewers x %.3f Mbit/s, one event loop, medians of %d\n", r.Viewers, float64(r.Bitrate)/1e6, r.Runs)
	fmt.Fprintln(w, "\tloop CPU ms/MB\t/ one stream\tother threads\tus per stream and s\tdelivered\tp99 ms\tlost\tfaults")
	for i := range r.Rows {
		x := &r.Rows[i]
		fmt.Fprintf(w, "%s\t%.3f\t%.2f\t%.0f %%\t%.0f\t%.1f %%\t%.0f\t%d\t%d\n", x.Case, x.LoopMSPerMB, x.Ratio,
			100*x.OtherShare, x.IngestUS, 100*x.Delivered, x.P99MS, x.Lost, x.Faults)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("streams: %w", err)
	}
	return nil
}

// chart shows the loop's time of each case, and beside it that of taking streams in.
func (r *streamsReport) chart() *chart {
	loop := chartGroup{label: "event loop's thread, CPU ms per delivered MB", own: true}
	other := chartGroup{label: "other threads (taking streams in), % of a processor", own: true}
	for i := range r.Rows {
		x := &r.Rows[i]
		loop.bars = append(loop.bars, bar{x.Case, x.LoopMSPerMB, fmt.Sprintf("%.3f (%.2f x)", x.LoopMSPerMB, x.Ratio)})
		other.bars = append(other.bars, bar{
			x.Case, 100 * x.OtherShare, fmt.Sprintf("%.0f %%, %.0f us/stream-s", 100*x.OtherShare, x.IngestUS),
		})
	}
	return &chart{
		title:  fmt.Sprintf("%d viewers x %.3f Mbit/s, one event loop", r.Viewers, float64(r.Bitrate)/1e6),
		groups: []chartGroup{loop, other},
	}
}
