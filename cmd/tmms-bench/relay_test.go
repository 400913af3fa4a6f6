package main

import (
	"encoding/json"
	"errors"
	"flag"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"tmms/cmd/tmms-bench/internal/relayend"
)

// TestMain lets the ends of a relay be processes of this program.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "relay-end" {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestParseStreams(t *testing.T) {
	for _, tc := range []struct {
		in   string
		want []int // nil: refused
	}{
		{"100,300", []int{100, 300}},
		{" 7 ,2", []int{7, 2}},
		{"", nil},
		{"1", nil},
		{"3,", nil},
		{"3,3", nil},
		{"-5", nil},
		{"1e2", nil},
		{"99999999", nil},
	} {
		got, err := parseStreams(tc.in)
		if (err == nil) != (tc.want != nil) || err == nil && !slices.Equal(got, tc.want) {
			t.Errorf("parseStreams(%q) = %v, %v", tc.in, got, err)
		}
	}
}

func TestParseBitrate(t *testing.T) {
	for in, want := range map[string]int{
		"1M": 1_000_000, "2.5M": 2_500_000, "800k": 800_000, "1000000": 1_000_000,
		"": 0, "M": 0, "-1M": 0, "0": 0, "1G": 0, "1e9M": 0, "NaN": 0, "Infk": 0,
	} {
		got, err := parseBitrate(in)
		if got != want || (err == nil) != (want > 0) {
			t.Errorf("parseBitrate(%q) = %d, %v", in, got, err)
		}
	}
}

func TestRelayRefusesArguments(t *testing.T) {
	for _, args := range [][]string{
		{"-streams", "1"},
		{"-bitrate", "1k"},
		{"-bitrate", "x"},
		{"-duration", "1ms"},
		{"-runs", "0"},
		{"-o", "xml"},
		{"more"},
	} {
		err := run(t.Context(), append([]string{"relay"}, args...), io.Discard, io.Discard)
		if !errors.Is(err, errUsage) {
			t.Errorf("relay %v: %v", args, err)
		}
	}
	if err := run(t.Context(), []string{"relay", "-h"}, io.Discard, io.Discard); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("relay -h: %v", err)
	}
}

// at is a sample with the CPU times of both ends in ms.
func at(seconds float64, source, sourceSystem, sink, sinkSystem float64, bytes int64) relaySample {
	d := func(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }
	return relaySample{
		at:     time.Unix(0, 0).Add(d(seconds * 1000)),
		source: relayend.Usage{CPU: d(source), System: d(sourceSystem), Bytes: bytes},
		sink:   relayend.Usage{CPU: d(sink), System: d(sinkSystem)},
	}
}

func TestRelayFigures(t *testing.T) {
	r := &relayRun{
		streams: 100, few: 10,
		load: [2]relaySample{at(20, 1000, 200, 500, 100, 5e6), at(30, 3000, 1100, 1300, 700, 105e6)},
		// Half as long, and without the relay.
		idle:  [2]relaySample{at(40, 4000, 2000, 0, 0, 200e6), at(45, 4500, 2050, 0, 0, 250e6)},
		delay: relayend.Delay{P50: 9 * time.Millisecond, P99: 21 * time.Millisecond},
		got:   relayend.Got{Packets: 77},
	}
	r.load[1].soft = [2]time.Duration{50 * time.Millisecond, 20 * time.Millisecond}
	r.fewHeld = [2]relayend.Memory{{RSS: 20e6, Heap: 9e6, Stacks: 1e6, Logs: 2e6, Goroutines: 30}, {Goroutines: 10}}
	r.allHeld = [2]relayend.Memory{{RSS: 65e6, Heap: 13e6, Stacks: 6e6, Logs: 2e6, Goroutines: 210}, {Heap: 90e6, Logs: 45e6, Goroutines: 280}}
	f := r.figures()
	for _, tc := range []struct {
		name      string
		got, want float64
	}{
		{"source: 2,000 ms less 2 x 500 for 100 MB", f.source.msPerMB, 10},
		{"source: of a core", f.source.corePercent, 10},
		{"source: 900 ms less 2 x 50 of 1,000 are the kernel's", f.source.systemPercent, 80},
		{"source: softirq", f.source.softPerMB, 0.5},
		{"sink: 800 ms for 100 MB", f.sink.msPerMB, 8},
		{"sink: of a core", f.sink.corePercent, 8},
		{"sink: the kernel's", f.sink.systemPercent, 75},
		{"sink: softirq", f.sink.softPerMB, 0.2},
		{"source: RSS of one of 90", f.source.rssEach, 500e3},
		{"source: heap and stacks of one", f.source.heldEach, 100e3},
		{"source: logs", f.source.logEach, 0},
		{"source: goroutines", f.source.goroutines, 2},
		{"source: RSS", f.source.rss, 65e6},
		{"sink: heap and stacks of one", f.sink.heldEach, 1e6},
		{"sink: logs", f.sink.logEach, 500e3},
		{"sink: goroutines", f.sink.goroutines, 3},
		{"p50", f.p50, 9},
		{"p99", f.p99, 21},
	} {
		if math.Abs(tc.got-tc.want) > 1e-6 {
			t.Errorf("%s: %v, want %v", tc.name, tc.got, tc.want)
		}
	}
	if f.packets != 77 {
		t.Errorf("%d packets", f.packets)
	}
}

func TestSpread(t *testing.T) {
	runs := []relayFigures{{p50: 3}, {p50: 9}, {p50: 1}}
	if s := spreadOf(runs, func(f *relayFigures) float64 { return f.p50 }); s != (spread{3, 1, 9}) {
		t.Errorf("%+v", s)
	}
}

// TestRelayBench is a whole bench, but short, with both ends as processes.
func TestRelayBench(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b := relayBench{
		streams: []int{3}, shape: relayend.Shape{BitrateBPS: 1_000_000, FPS: 30, GOP: 6}, runs: 1, program: program,
		duration: 400 * time.Millisecond, profiles: t.TempDir(),
		phases: relayPhases{fill: 100 * time.Millisecond, watch: 300 * time.Millisecond, calm: 10 * time.Millisecond},
	}
	report, err := b.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var text, doc strings.Builder
	if err := errors.Join(report.print(&text, "text"), report.print(&doc, "json")); err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + text.String())
	var parsed relayReport
	if err := json.Unmarshal([]byte(doc.String()), &parsed); err != nil || len(parsed.Results) != 1 {
		t.Fatalf("%v: %s", err, doc.String())
	}
	e := parsed.Results[0]
	if e.Streams != 3 || e.Packets < 3*20 {
		t.Errorf("%d packets of %d streams", e.Packets, e.Streams)
	}
	for name, end := range map[string]relayEndReport{"source": e.Source, "sink": e.Sink} {
		if end.RSS.Median < 1e6 || !strings.Contains(text.String(), name) {
			t.Errorf("%s: %+v", name, end)
		}
		if fi, err := os.Stat(b.profiles + "/relay-3-" + name + ".pprof"); err != nil || fi.Size() == 0 {
			t.Errorf("no profile of the %s: %v", name, err)
		}
	}
	if e.Sink.MSPerMB.Median <= 0 || e.Sink.GoroutinesEach.Median < 1 || e.Source.GoroutinesEach.Median < 1 {
		t.Errorf("%+v", e)
	}
	if e.P50MS.Median <= 0 || e.P99MS.Median < e.P50MS.Median {
		t.Errorf("delays %v and %v", e.P50MS, e.P99MS)
	}
}

func TestRelayChildThatFails(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cfg := &relayend.Config{Role: relayend.RoleSink, Streams: 3, Shape: relayend.DefaultShape()}
	_, _, err = relayPlace{program: program}.start(t.Context(), cfg)
	if err == nil || !strings.Contains(err.Error(), "sink") { // it has no certificate
		t.Errorf("%v", err)
	}
}
