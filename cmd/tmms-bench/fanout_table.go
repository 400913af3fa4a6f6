package main

import (
	"fmt"
	"io"
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

// settle takes the medians.
func (r *fanoutRow) settle() { r.Figures = lab.Medians(r.runs) }

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

// chart is the CPU per delivered MB, a group for each flush interval.
func (t *fanoutTable) chart() *chart {
	c := &chart{title: fmt.Sprintf("CPU ms per delivered MB, %d viewers x %.1f Mbit/s, one processor",
		t.Viewers, float64(t.Bitrate)/1e6)}
	last := -1
	for _, r := range t.Rows {
		if r.FlushMS != last {
			c.groups = append(c.groups, chartGroup{label: fmt.Sprintf("flush every %d ms", r.FlushMS)})
			last = r.FlushMS
		}
		g := &c.groups[len(c.groups)-1]
		note := fmt.Sprintf("%.3f (%.2f x, p99 %.0f ms)", r.MSPerMB, r.Ratio, r.P99MS)
		g.bars = append(g.bars, bar{r.Name, r.MSPerMB, note})
	}
	return c
}
