package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"tmms/bench/lab"
)

// ingestReport is what ingest has found.
type ingestReport struct {
	Streams int             `json:"streams"`
	Bitrate int             `json:"bits_per_second"`
	Runs    int             `json:"runs_of_each"`
	Rows    []ingestFigures `json:"rows"` // medians
}

// medianIngest gives the medians; losses are those of the worst run.
func medianIngest(runs []ingestFigures) ingestFigures {
	of := func(get func(ingestFigures) float64) float64 { return lab.Median(runs, get) }
	m := ingestFigures{
		HLS:          runs[0].HLS,
		Seconds:      of(func(f ingestFigures) float64 { return f.Seconds }),
		Bytes:        int64(of(func(f ingestFigures) float64 { return float64(f.Bytes) })),
		CPUSeconds:   of(func(f ingestFigures) float64 { return f.CPUSeconds }),
		MbitPerS:     of(func(f ingestFigures) float64 { return f.MbitPerS }),
		MessagesPerS: of(func(f ingestFigures) float64 { return f.MessagesPerS }),
		CPUShare:     of(func(f ingestFigures) float64 { return f.CPUShare }),
		USPerMbit:    of(func(f ingestFigures) float64 { return f.USPerMbit }),
		USPerMessage: of(func(f ingestFigures) float64 { return f.USPerMessage }),
		RSSBytes:     int64(of(func(f ingestFigures) float64 { return float64(f.RSSBytes) })),
		HeapBytes:    int64(of(func(f ingestFigures) float64 { return float64(f.HeapBytes) })),
	}
	for _, f := range runs {
		m.LostPublishers, m.Dropped = max(m.LostPublishers, f.LostPublishers), max(m.Dropped, f.Dropped)
		if abs(f.LostBytes) > abs(m.LostBytes) {
			m.LostBytes = f.LostBytes
		}
	}
	return m
}

func abs(n int64) int64 { return max(n, -n) }

// print writes the table; an error says what was lost.
func (r *ingestReport) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintf(w, "%d publishers x %.2f Mbit/s, nobody watches, server on one processor, medians of %d\n",
		r.Streams, float64(r.Bitrate)/1e6, r.Runs)
	fmt.Fprintln(w, "HLS\tMbit/s\tmessages/s\tCPU\tus/Mbit\tus/message\theap MiB\t"+
		"lost publishers\tlost bytes\tdropped packets")
	lost := false
	for i := range r.Rows {
		f := &r.Rows[i]
		fmt.Fprintf(w, "%s\t%.0f\t%.0f\t%.0f %%\t%.0f\t%.1f\t%d\t%d\t%d\t%d\n", onOff(f.HLS), f.MbitPerS, f.MessagesPerS,
			100*f.CPUShare, f.USPerMbit, f.USPerMessage, f.HeapBytes>>20, f.LostPublishers, f.LostBytes, f.Dropped)
		lost = lost || f.LostPublishers != 0 || f.LostBytes != 0 || f.Dropped != 0
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("ingest: %w", err)
	}
	if lost {
		return fmt.Errorf("ingest: something of %d streams was lost", r.Streams)
	}
	return nil
}
