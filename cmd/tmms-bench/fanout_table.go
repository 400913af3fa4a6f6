package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"tmms/bench/lab"
)

// fanoutTable is what a comparison has measured.
type fanoutTable struct {
	Viewers int          `json:"viewers"`
	Bitrate int          `json:"bits_per_second"`
	Pairs   int          `json:"runs_of_each"`
	Rows    []*fanoutRow `json:"rows"`
}

// fanoutRow is one contender at one flush interval: the medians of its runs.
type fanoutRow struct {
	FlushMS int     `json:"flush_ms"`
	Name    string  `json:"name"`
	Ratio   float64 `json:"over_floor"` // of CPU per MB
	lab.Figures

	runs []lab.Figures
}

func newFanoutTable(c *comparison) *fanoutTable {
	return &fanoutTable{Viewers: c.viewers, Bitrate: c.bitrate, Pairs: c.pairs}
}

func (t *fanoutTable) row(flushMS int, name string) *fanoutRow {
	for _, r := range t.Rows {
		if r.FlushMS == flushMS && r.Name == name {
			return r
		}
	}
	r := &fanoutRow{FlushMS: flushMS, Name: name}
	t.Rows = append(t.Rows, r)
	return r
}

func (t *fanoutTable) add(flush time.Duration, name string, f lab.Figures) {
	r := t.row(int(flush.Milliseconds()), name)
	r.runs = append(r.runs, f)
	r.settle()
	for _, r := range t.Rows {
		if floor := t.row(r.FlushMS, floorName).MSPerMB; floor > 0 {
			r.Ratio = r.MSPerMB / floor
		}
	}
}

// settle takes the medians; faults and losses are those of the worst run.
func (r *fanoutRow) settle() {
	of := func(get func(lab.Figures) float64) float64 { return median(r.runs, get) }
	r.Figures = lab.Figures{
		Name: r.Name, Viewers: r.runs[0].Viewers,
		USPerViewerSec: of(func(f lab.Figures) float64 { return f.USPerViewerSec }),
		MSPerMB:        of(func(f lab.Figures) float64 { return f.MSPerMB }),
		LoopMSPerMB:    of(func(f lab.Figures) float64 { return f.LoopMSPerMB }),
		BusyShare:      of(func(f lab.Figures) float64 { return f.BusyShare }),
		P50MS:          of(func(f lab.Figures) float64 { return f.P50MS }),
		P99MS:          of(func(f lab.Figures) float64 { return f.P99MS }),
		Delivered:      of(func(f lab.Figures) float64 { return f.Delivered }),
		RSSBytes:       int64(of(func(f lab.Figures) float64 { return float64(f.RSSBytes) })),
		HeapBytes:      int64(of(func(f lab.Figures) float64 { return float64(f.HeapBytes) })),
	}
	for _, f := range r.runs {
		r.Lost, r.Faults = max(r.Lost, f.Lost), max(r.Faults, f.Faults)
	}
}

func (t *fanoutTable) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintf(w, "%d viewers x %.1f Mbit/s on one processor, medians of %d\n",
		t.Viewers, float64(t.Bitrate)/1e6, t.Pairs)
	fmt.Fprintln(w, "T ms\tserver\tCPU us/viewer-s\tCPU ms/MB\t/ floor\tp50 ms\tp99 ms\tdelivered\tlost\tfaults")
	for _, r := range t.Rows {
		fmt.Fprintf(w, "%d\t%s\t%.1f\t%.3f\t%.2f\t%.1f\t%.1f\t%.1f %%\t%d\t%d\n", r.FlushMS, r.Name,
			r.USPerViewerSec, r.MSPerMB, r.Ratio, r.P50MS, r.P99MS, 100*r.Delivered, r.Lost, r.Faults)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("compare: %w", err)
	}
	return nil
}

// save writes the figures and a picture of them.
func (t *fanoutTable) save(dir string) error {
	b, err := json.MarshalIndent(t, "", "  ")
	if err != nil {
		return fmt.Errorf("compare: %w", err)
	}
	for name, data := range map[string][]byte{"fanout.json": append(b, '\n'), "fanout.svg": t.svg()} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil { //nolint:gosec // public figures
			return fmt.Errorf("compare: %w", err)
		}
	}
	return nil
}
