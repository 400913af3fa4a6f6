package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"tmms/bench/lab"
)

// hlsReport is what hls has found.
type hlsReport struct {
	Bitrate  int             `json:"bits_per_second"`
	Pairs    int             `json:"runs_of_each"`
	Fetchers int             `json:"fetchers"`
	RateBPS  int64           `json:"fetched_bits_per_second"`
	Ours     hlsServing      `json:"tmms"`
	Peer     hlsServing      `json:"nginx"`
	Ratio    float64         `json:"tmms_over_nginx"` // of CPU per MB: the median of the pairs
	Polling  *lab.HLSFigures `json:"polling,omitempty"`

	ours, peer []lab.HLSFigures
}

// hlsServing is one server that serves files back to back: the medians of its runs.
type hlsServing struct {
	MSPerMB     float64 `json:"cpu_ms_per_mb"`
	Lowest      float64 `json:"cpu_ms_per_mb_lowest"`
	Highest     float64 `json:"cpu_ms_per_mb_highest"`
	MBPerSecond float64 `json:"mb_per_second"`
	AnswerP99MS float64 `json:"answer_p99_ms"`
	Errors      int64   `json:"errors"` // of all runs
	Lost        int     `json:"lost"`
}

// settle takes the medians.
func (r *hlsReport) settle() {
	if len(r.ours) == 0 {
		return
	}
	r.Ours, r.Peer = serving(r.ours), serving(r.peer)
	ratios := make([]float64, len(r.ours))
	for i := range ratios {
		ratios[i] = r.ours[i].MSPerMB / r.peer[i].MSPerMB
	}
	r.Ratio = lab.Median(ratios, func(x float64) float64 { return x })
}

func serving(runs []lab.HLSFigures) hlsServing {
	cost := func(f lab.HLSFigures) float64 { return f.MSPerMB }
	s := hlsServing{
		MSPerMB: lab.Median(runs, cost), Lowest: runs[0].MSPerMB, Highest: runs[0].MSPerMB,
		MBPerSecond: lab.Median(runs, func(f lab.HLSFigures) float64 { return float64(f.Bytes) / 1e6 / f.Seconds }),
		AnswerP99MS: lab.Median(runs, func(f lab.HLSFigures) float64 { return f.AnswerP99MS }),
	}
	for i := range runs {
		s.Lowest, s.Highest = min(s.Lowest, runs[i].MSPerMB), max(s.Highest, runs[i].MSPerMB)
		s.Errors += errorsOf(&runs[i])
		s.Lost += runs[i].Lost
	}
	return s
}

func errorsOf(f *lab.HLSFigures) int64 {
	return f.NotFound + f.ServerErrors + f.OtherErrors + f.Damaged
}

func (r *hlsReport) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	if r.Pairs > 0 {
		fmt.Fprintf(w, "%d connections fetch the window of a stream of %.1f Mbit/s at %.1f Gbit/s, one processor, "+
			"medians (lowest..highest) of %d\n", r.Fetchers, float64(r.Bitrate)/1e6, float64(r.RateBPS)/1e9, r.Pairs)
		fmt.Fprintln(w, "server\tCPU ms/MB\tMB/s\tanswer p99 ms\terrors\tlost")
		r.Ours.row(w, "tmms")
		r.Peer.row(w, "nginx")
		fmt.Fprintf(w, "tmms / nginx\t%.2f\n", r.Ratio)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("hls: %w", err)
	}
	p := r.Polling
	if p == nil {
		return nil
	}
	fmt.Fprintf(out, "\nviewers that poll: %.0f us of CPU per viewer and second, %.0f %% of the processor\n",
		p.USPerView, 100*p.CPUShare)
	return printHLS(out, "text", &p.Result)
}

func (s *hlsServing) row(w io.Writer, name string) {
	fmt.Fprintf(w, "%s\t%.4f (%.4f..%.4f)\t%.0f\t%.1f\t%d\t%d\n", name, s.MSPerMB, s.Lowest, s.Highest, s.MBPerSecond,
		s.AnswerP99MS, s.Errors, s.Lost)
}

// chart shows the cost of serving.
func (r *hlsReport) chart() *chart {
	if r.Pairs == 0 {
		return nil
	}
	return &chart{
		title: fmt.Sprintf("HLS: CPU ms per MB served at %.1f Gbit/s, one processor", float64(r.RateBPS)/1e9),
		groups: []chartGroup{{label: fmt.Sprintf("%d keep-alive connections, segments of %.1f Mbit/s", r.Fetchers,
			float64(r.Bitrate)/1e6), bars: []bar{
			{"nginx, sendfile", r.Peer.MSPerMB, fmt.Sprintf("%.4f", r.Peer.MSPerMB)},
			{"tmms", r.Ours.MSPerMB, fmt.Sprintf("%.4f (%.2f x)", r.Ours.MSPerMB, r.Ratio)},
		}}},
	}
}
