package main

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"slices"
	"text/tabwriter"
	"time"

	"tmms/cmd/tmms-bench/internal/relayend"
)

// relayReport is what "relay -o json" prints: units are in the names.
type relayReport struct {
	Cores      int                `json:"cores"`
	Go         string             `json:"go"`
	BitrateBPS int                `json:"bits_per_second_per_stream"`
	Seconds    float64            `json:"seconds"`
	Runs       int                `json:"runs"`
	Results    []relayReportEntry `json:"results"`

	runs map[int][]relayFigures // by number of streams
}

// relayReportEntry is the result for one number of streams.
type relayReportEntry struct {
	Streams int            `json:"streams"`
	Packets int64          `json:"packets_checked"` // over all runs; every one that was sent
	Source  relayEndReport `json:"source"`
	Sink    relayEndReport `json:"sink"`
	P50MS   spread         `json:"delay_p50_ms"`
	P99MS   spread         `json:"delay_p99_ms"`
}

// relayEndReport is one end's part. CPU is the relay's own.
type relayEndReport struct {
	MSPerMB        spread `json:"cpu_ms_per_mb"`
	CorePercent    spread `json:"core_percent"`
	SystemPercent  spread `json:"system_percent_of_cpu"`
	SoftPerMB      spread `json:"ksoftirqd_ms_per_mb"`
	RSS            spread `json:"rss_bytes"`
	RSSPerStream   spread `json:"rss_bytes_per_subscription"`
	HeldPerStream  spread `json:"heap_and_stack_bytes_per_subscription"`
	LogPerStream   spread `json:"log_bytes_per_subscription"`
	GoroutinesEach spread `json:"goroutines_per_subscription"`
}

// spread is a median with the extremes.
type spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// relayFigures are those of one run.
type relayFigures struct {
	source, sink relayEndFigures
	p50, p99     float64 // ms
	packets      int64
}

type relayEndFigures struct {
	msPerMB, corePercent, systemPercent, softPerMB float64
	rss, rssEach, heldEach, logEach, goroutines    float64
}

func newRelayReport(b *relayBench) *relayReport {
	return &relayReport{
		Cores: runtime.NumCPU(), Go: runtime.Version(), BitrateBPS: b.shape.BitrateBPS,
		Seconds: b.duration.Seconds(), Runs: b.runs, runs: map[int][]relayFigures{},
	}
}

// add takes a run.
func (r *relayReport) add(run *relayRun) {
	r.runs[run.streams] = append(r.runs[run.streams], run.figures())
}

// figures works out a run.
func (r *relayRun) figures() relayFigures {
	megabytes := float64(r.load[1].source.Bytes-r.load[0].source.Bytes) / 1e6
	idle, load := between(&r.idle), between(&r.load)
	f := relayFigures{
		source:  load.source.less(idle.source, idle.elapsed, load.elapsed).figures(load.elapsed, megabytes),
		sink:    load.sink.figures(load.elapsed, megabytes),
		p50:     ms(r.delay.P50),
		p99:     ms(r.delay.P99),
		packets: r.got.Packets,
	}
	f.source.hold(&r.fewHeld[0], &r.allHeld[0], r.streams-r.few)
	f.sink.hold(&r.fewHeld[1], &r.allHeld[1], r.streams-r.few)
	return f
}

// relayCPU is processor time of one end.
type relayCPU struct{ all, system, soft time.Duration }

// relayInterval is what was used between two samples.
type relayInterval struct {
	elapsed      time.Duration
	source, sink relayCPU
}

func between(s *[2]relaySample) relayInterval {
	of := func(a, b relayend.Usage, cpu int) relayCPU {
		return relayCPU{b.CPU - a.CPU, b.System - a.System, s[1].soft[cpu] - s[0].soft[cpu]}
	}
	return relayInterval{
		elapsed: s[1].at.Sub(s[0].at),
		source:  of(s[0].source, s[1].source, 0),
		sink:    of(s[0].sink, s[1].sink, 1),
	}
}

// less takes off what the same process used in another time without the relay.
func (c relayCPU) less(idle relayCPU, idleTime, loadTime time.Duration) relayCPU {
	scale := float64(loadTime) / float64(idleTime)
	part := func(d time.Duration) time.Duration { return time.Duration(float64(d) * scale) }
	return relayCPU{c.all - part(idle.all), c.system - part(idle.system), c.soft - part(idle.soft)}
}

func (c relayCPU) figures(elapsed time.Duration, megabytes float64) relayEndFigures {
	return relayEndFigures{
		msPerMB:       ms(c.all) / megabytes,
		corePercent:   100 * float64(c.all) / float64(elapsed),
		systemPercent: 100 * float64(c.system) / float64(c.all),
		softPerMB:     ms(c.soft) / megabytes,
	}
}

// hold works out the memory of a subscription by what more of them took.
func (f *relayEndFigures) hold(few, all *relayend.Memory, more int) {
	each := func(few, all int64) float64 { return float64(all-few) / float64(more) }
	f.rss = float64(all.RSS)
	f.rssEach = each(few.RSS, all.RSS)
	f.heldEach = each(few.Heap+few.Stacks, all.Heap+all.Stacks)
	f.logEach = each(few.Logs, all.Logs)
	f.goroutines = each(int64(few.Goroutines), int64(all.Goroutines))
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// spreadOf is the median of all runs, of an even number the upper one.
func spreadOf(runs []relayFigures, get func(*relayFigures) float64) spread {
	values := make([]float64, len(runs))
	for i := range runs {
		values[i] = get(&runs[i])
	}
	slices.Sort(values)
	return spread{values[len(values)/2], values[0], values[len(values)-1]}
}

func endReport(runs []relayFigures, end func(*relayFigures) *relayEndFigures) relayEndReport {
	of := func(get func(*relayEndFigures) float64) spread {
		return spreadOf(runs, func(f *relayFigures) float64 { return get(end(f)) })
	}
	return relayEndReport{
		MSPerMB:        of(func(f *relayEndFigures) float64 { return f.msPerMB }),
		CorePercent:    of(func(f *relayEndFigures) float64 { return f.corePercent }),
		SystemPercent:  of(func(f *relayEndFigures) float64 { return f.systemPercent }),
		SoftPerMB:      of(func(f *relayEndFigures) float64 { return f.softPerMB }),
		RSS:            of(func(f *relayEndFigures) float64 { return f.rss }),
		RSSPerStream:   of(func(f *relayEndFigures) float64 { return f.rssEach }),
		HeldPerStream:  of(func(f *relayEndFigures) float64 { return f.heldEach }),
		LogPerStream:   of(func(f *relayEndFigures) float64 { return f.logEach }),
		GoroutinesEach: of(func(f *relayEndFigures) float64 { return f.goroutines }),
	}
}

// summarize fills Results.
func (r *relayReport) summarize() {
	r.Results = nil
	for streams, runs := range r.runs {
		e := relayReportEntry{
			Streams: streams,
			Source:  endReport(runs, func(f *relayFigures) *relayEndFigures { return &f.source }),
			Sink:    endReport(runs, func(f *relayFigures) *relayEndFigures { return &f.sink }),
			P50MS:   spreadOf(runs, func(f *relayFigures) float64 { return f.p50 }),
			P99MS:   spreadOf(runs, func(f *relayFigures) float64 { return f.p99 }),
		}
		for i := range runs {
			e.Packets += runs[i].packets
		}
		r.Results = append(r.Results, e)
	}
	slices.SortFunc(r.Results, func(a, b relayReportEntry) int { return a.Streams - b.Streams })
}

func (r *relayReport) print(out io.Writer, format string) error {
	r.summarize()
	if format == "json" {
		if err := json.NewEncoder(out).Encode(r); err != nil {
			return fmt.Errorf("relay: %w", err)
		}
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintf(w, "relay of streams of %.2f Mbit/s over 127.0.0.1, %g s, median (lowest..highest) of %d runs\n",
		float64(r.BitrateBPS)/1e6, r.Seconds, r.Runs)
	fmt.Fprintln(w, "streams\tend\tCPU ms/MB\tcore\tsystem\tksoftirqd ms/MB\tRSS MB\t"+
		"per subscription: RSS KB\theap+stacks KB\tof it log KB\tgoroutines")
	for i := range r.Results {
		e := &r.Results[i]
		e.Source.row(w, e.Streams, "source")
		e.Sink.row(w, e.Streams, "sink")
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("relay: %w", err)
	}
	for i := range r.Results {
		e := &r.Results[i]
		fmt.Fprintf(out, "%d streams: delay p50 %s ms, p99 %s ms; all %d packets came, in order and undamaged\n",
			e.Streams, e.P50MS, e.P99MS, e.Packets)
	}
	return nil
}

// chart shows the CPU per MB of both ends; print or summarize comes first.
func (r *relayReport) chart() *chart {
	c := &chart{title: fmt.Sprintf("Relay: CPU ms per MB, streams of %.2f Mbit/s", float64(r.BitrateBPS)/1e6)}
	for i := range r.Results {
		e := &r.Results[i]
		c.groups = append(c.groups, chartGroup{label: fmt.Sprintf("%d streams", e.Streams), bars: []bar{
			{"source", e.Source.MSPerMB.Median, e.Source.MSPerMB.String()},
			{"sink", e.Sink.MSPerMB.Median, e.Sink.MSPerMB.String()},
		}})
	}
	return c
}

func (e *relayEndReport) row(w io.Writer, streams int, name string) {
	fmt.Fprintf(w, "%d\t%s\t%s\t%.1f %%\t%.0f %%\t%.2f\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\n", streams, name, e.MSPerMB,
		e.CorePercent.Median, e.SystemPercent.Median, e.SoftPerMB.Median, e.RSS.Median/1e6,
		e.RSSPerStream.Median/1e3, e.HeldPerStream.Median/1e3, e.LogPerStream.Median/1e3, e.GoroutinesEach.Median)
}

// String gives the median with the extremes.
func (s spread) String() string { return fmt.Sprintf("%.2f (%.2f..%.2f)", s.Median, s.Min, s.Max) }
