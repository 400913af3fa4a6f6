package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"tmms/bench/lab"
)

// peerReport is what peers has found.
type peerReport struct {
	Bitrate int           `json:"bits_per_second"`
	Pairs   int           `json:"runs_of_each"`
	Rows    []*peerRow    `json:"rows"`
	Earlier []*earlierRow `json:"measured_earlier"` // peers that were not run
}

// peerRow is one peer beside the server, at the T where p99 is equal: medians.
type peerRow struct {
	Viewers int         `json:"viewers"`
	Peer    lab.Figures `json:"peer"`
	FlushMS int         `json:"flush_ms"` // of the server
	Ours    lab.Figures `json:"tmms"`
	Ratio   float64     `json:"tmms_over_peer"` // of CPU per viewer-second
	Equal   bool        `json:"p99_at_or_below_the_peers"`
}

func (r *peerRow) settle(peer, ours []lab.Figures) {
	r.Peer, r.Ours = lab.Medians(peer), lab.Medians(ours)
	r.Ratio = r.Ours.USPerViewerSec / r.Peer.USPerViewerSec
	r.Equal = r.Ours.P99MS <= r.Peer.P99MS
}

// earlierFigure is a peer as it was measured before this bench was there: 2,000
// viewers of a 2 Mbit/s stream, one processor for the server, another machine.
type earlierFigure struct {
	Name           string  `json:"name"`
	USPerViewerSec float64 `json:"cpu_us_per_viewer_second"`
	P99MS          float64 `json:"delay_p99_ms"`
	FloorUS        float64 `json:"floor_us_per_viewer_second"` // the C floor on that machine
	FloorFlushMS   int     `json:"floor_flush_ms"`             // at this T
}

// The C floor on the machine of the earlier figures, in us per viewer-second; at
// T = 20 ms it took 300.
const (
	earlierFloor100 = 97
	earlierFloor350 = 45
)

// earlierFigures were given to this project with its requirements: SRS and
// ZLMediaKit, each beside the floor whose delay is nearest.
func earlierFigures() []earlierFigure {
	return []earlierFigure{
		{"SRS", 135, 104, earlierFloor100, 100},
		{"SRS", 170, 369, earlierFloor350, 350},
		{"ZLMediaKit", 131, 340, earlierFloor350, 350},
	}
}

// earlierRow is such a peer over the floor of then, and the server over the floor of now.
type earlierRow struct {
	earlierFigure

	OverFloorThen float64     `json:"over_floor_then"`
	FlushMS       int         `json:"flush_ms"` // of the server
	Ours          lab.Figures `json:"tmms"`
	FloorNow      lab.Figures `json:"floor_now"`
	OverFloorNow  float64     `json:"tmms_over_floor_now"`
}

func (r *peerReport) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintf(w, "RTMP viewers x %.1f Mbit/s on one processor at equal p99, medians of %d\n",
		float64(r.Bitrate)/1e6, r.Pairs)
	fmt.Fprintln(w, "viewers\tpeer\tp99 ms\tus/viewer-s\tdelivered\t"+
		"tmms at T ms\tp99 ms\tus/viewer-s\tdelivered\ttmms / peer\t")
	for _, x := range r.Rows {
		note := ""
		if !x.Equal {
			note = "p99 is above the peer's"
		}
		fmt.Fprintf(w, "%d\t%s\t%.1f\t%.1f\t%.1f %%\t%d\t%.1f\t%.1f\t%.1f %%\t%.2f\t%s\n", x.Viewers,
			x.Peer.Name, x.Peer.P99MS, x.Peer.USPerViewerSec, 100*x.Peer.Delivered,
			x.FlushMS, x.Ours.P99MS, x.Ours.USPerViewerSec, 100*x.Ours.Delivered, x.Ratio, note)
	}
	fmt.Fprintln(w, "\nPeers that were not run here: measured earlier, on another machine, beside the C floor of then")
	fmt.Fprintln(w, "peer\tp99 ms\tus/viewer-s\t/ floor then\t"+
		"tmms at T ms\tp99 ms\tus/viewer-s\t/ floor now\tof the peer's")
	for _, x := range r.Earlier {
		fmt.Fprintf(w, "%s\t%.0f\t%.0f\t%.2f\t%d\t%.1f\t%.1f\t%.2f\t%.2f\n", x.Name, x.P99MS, x.USPerViewerSec,
			x.OverFloorThen, x.FlushMS, x.Ours.P99MS, x.Ours.USPerViewerSec, x.OverFloorNow, x.OverFloorNow/x.OverFloorThen)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("peers: %w", err)
	}
	return nil
}

// chart shows each peer beside the server.
func (r *peerReport) chart() *chart {
	c := &chart{title: fmt.Sprintf("CPU us per viewer-second at equal p99, RTMP, %.1f Mbit/s, one processor",
		float64(r.Bitrate)/1e6)}
	for _, x := range r.Rows {
		c.groups = append(c.groups, chartGroup{label: fmt.Sprintf("%d viewers", x.Viewers), bars: []bar{
			{x.Peer.Name, x.Peer.USPerViewerSec, fmt.Sprintf("%.0f (p99 %.0f ms)", x.Peer.USPerViewerSec, x.Peer.P99MS)},
			{
				fmt.Sprintf("tmms, T = %d ms", x.FlushMS), x.Ours.USPerViewerSec,
				fmt.Sprintf("%.0f (%.2f x, p99 %.0f ms)", x.Ours.USPerViewerSec, x.Ratio, x.Ours.P99MS),
			},
		}})
	}
	for _, x := range r.Earlier {
		label := fmt.Sprintf("over the C floor of its machine and day; %s was measured earlier, p99 %.0f ms", x.Name, x.P99MS)
		c.groups = append(c.groups, chartGroup{label: label, own: true, bars: []bar{
			{x.Name, x.OverFloorThen, fmt.Sprintf("%.2f x floor", x.OverFloorThen)},
			{fmt.Sprintf("tmms, T = %d ms", x.FlushMS), x.OverFloorNow, fmt.Sprintf("%.2f x floor", x.OverFloorNow)},
		}})
	}
	return c
}
