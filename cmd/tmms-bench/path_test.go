package main

import (
	"encoding/json"
	"errors"
	"flag"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"tmms/bench/shape"
	"tmms/cmd/tmms-bench/internal/relayend"
)

func TestPathRefusesArguments(t *testing.T) {
	for _, args := range [][]string{
		{"path", "-streams", "0"},
		{"path", "-bitrate", "1k"},
		{"path", "-delay", "6s"},
		{"path", "-delay", "-1ms"},
		{"path", "-warmup", "-1s"},
		{"path", "-duration", "1ms"},
		{"path", "-cases", "loss-2"},
		{"path", "-cases", ""},
		{"path", "-cases", "loss 2"},
		{"path", "-cases", "speed 2%"},
		{"path", "-o", "xml"},
		{"path", "more"},
		{"shape"},
		{"shape", "-a", "x"},
		{"shape", "-a", "x", "-b", "x"},
		{"shape", "-a", "x", "-b", "y", "-delay", "5"},
		{"shape", "-a", "x", "-b", "y", "-loss", "2"},
		{"shape", "-a", "x", "-b", "y", "-ab", "loss"},
		{"shape", "-a", "x", "-b", "y", "-addr-a", "10.0.0.1"},
		{"shape", "-a", "x", "-b", "y", "-duration", "-1s"},
		{"shape", "-a", "x", "-b", "y", "-o", "xml"},
	} {
		if err := run(t.Context(), args, io.Discard, io.Discard); !errors.Is(err, errUsage) {
			t.Errorf("%v: %v", args, err)
		}
	}
	for _, command := range []string{"path", "shape"} {
		if err := run(t.Context(), []string{command, "-h"}, io.Discard, io.Discard); !errors.Is(err, flag.ErrHelp) {
			t.Errorf("%s -h: %v", command, err)
		}
	}
}

func TestShapeFlags(t *testing.T) {
	flags := flag.NewFlagSet("shape", flag.ContinueOnError)
	b, err := shapeFlags(flags, strings.Split("-a x -b y -delay 50ms -loss 1% -rate 30M -addr-b 10.1.0.9/24 -addr-b fd00::2/64", " "))
	if err != nil {
		t.Fatal(err)
	}
	want := shape.Params{Delay: 50 * time.Millisecond, Loss: 0.01, Burst: 1, RateBPS: 30_000_000, Queue: 1000}
	if b.link.AtoB != want || b.link.BtoA != want {
		t.Errorf("%+v and %+v, want %+v", b.link.AtoB, b.link.BtoA, want)
	}
	if a, b := b.link.A.Addresses, b.link.B.Addresses; len(a) != 1 || a[0] != defaultAddresses()[0] || len(b) != 2 {
		t.Errorf("addresses %v and %v", a, b)
	}
	flags = flag.NewFlagSet("shape", flag.ContinueOnError)
	b, err = shapeFlags(flags, []string{"-a", "x", "-b", "y", "-delay", "50ms", "-ab", "loss 3% burst 10"})
	if err != nil || b.link.AtoB.Loss != 0.03 || b.link.BtoA.Loss != 0 || b.link.BtoA.Delay != 50*time.Millisecond {
		t.Errorf("%+v, %v", b, err)
	}
}

// The cases of issue 6 are there, and each is a path.
func TestPathCases(t *testing.T) {
	b := pathBench{delay: 50 * time.Millisecond}
	cases := allPathCases()
	if len(cases) != 11 {
		t.Errorf("%d cases", len(cases))
	}
	seen := map[shape.Params]string{}
	for _, c := range cases {
		there, back, err := b.params(c)
		if err != nil {
			t.Errorf("%+v: %v", c, err)
		}
		if there.Delay != 50*time.Millisecond || back.Delay != 50*time.Millisecond || back.Loss != 0 || back.RateBPS != 0 {
			t.Errorf("%+v: %v and back %v", c, there, back)
		}
		if seen[there] != "" {
			t.Errorf("%s is %s too", c.name, seen[there])
		}
		seen[there] = c.name
	}
	picked, err := pickPathCases("narrow, loss-3-bursts ,loss 2% rate 25M")
	if err != nil || len(picked) != 3 || picked[0].link != "rate 30M queue 50" || picked[1].link != "loss 3% burst 10" ||
		picked[2].link != "loss 2% rate 25M" {
		t.Errorf("%+v, %v", picked, err)
	}
}

func TestPathFigures(t *testing.T) {
	when := func(seconds float64, source, sink time.Duration, bytes int64, there, back shape.Counters) pathSample {
		return pathSample{
			at:     time.Unix(0, 0).Add(time.Duration(seconds * float64(time.Second))),
			source: relayend.Usage{CPU: source, Bytes: bytes}, sink: relayend.Usage{CPU: sink}, there: there, back: back,
		}
	}
	r := pathRun{
		idle: [2]pathSample{
			when(0, 0, 0, 0, shape.Counters{}, shape.Counters{}),
			when(2, 100*time.Millisecond, 0, 5e6, shape.Counters{}, shape.Counters{}),
		},
		load: [2]pathSample{
			when(10, time.Second, time.Second, 20e6, shape.Counters{Offered: 1000, OfferedBytes: 1e6, Lost: 7}, shape.Counters{}),
			when(20, 2*time.Second, 1200*time.Millisecond, 30e6,
				shape.Counters{Offered: 11000, OfferedBytes: 12.5e6, Lost: 307, Dropped: 100, Late: 10, Missed: 4},
				shape.Counters{OfferedBytes: 1e6, Missed: 1}),
		},
		delay: relayend.Delay{P50: 60 * time.Millisecond, P99: 200 * time.Millisecond},
		got:   relayend.Got{Packets: 90, Missing: 10, MissingRuns: []relayend.Gap{{Stream: 3, From: 20, To: 30}}},
	}
	r.load[1].socketDrops = 2
	got := r.result(pathCase{"loss-3", "loss 3%"})
	for _, tc := range []struct {
		name      string
		got, want float64
	}{
		{"sent", float64(got.Sent), 100},
		{"delivered", float64(got.Delivered), 90},
		{"overhead: 11.5 MB of 10", got.OverheadPercent, 15},
		{"back: 1 MB of 10", got.BackPercent, 10},
		{"source: 1,000 ms less 10 s of 50 ms for 10 MB", got.SourceMSPerMB, 50},
		{"sink: 200 ms for 10 MB", got.SinkMSPerMB, 20},
		{"lost", got.LossPercent, 3},
		{"dropped", got.DroppedPercent, 1},
		{"late", got.LatePercent, 0.1},
		{"missed", float64(got.MissedPackets), 5},
		{"socket", float64(got.SocketDrops), 2},
		{"p50", got.P50MS, 60},
		{"p99", got.P99MS, 200},
	} {
		if math.Abs(tc.got-tc.want) > 1e-6 {
			t.Errorf("%s: %v, want %v", tc.name, tc.got, tc.want)
		}
	}
	report := newPathReport(&pathBench{streams: 10, shape: relayend.DefaultShape(), duration: 10 * time.Second})
	report.add(pathCase{"loss-3", "loss 3%"}, &r)
	var text, doc strings.Builder
	if err := errors.Join(report.print(&text, "text"), report.print(&doc, "json")); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text.String(), "loss-3: missing stream 3: 20..29") {
		t.Errorf("the missing frames are not named:\n%s", text.String())
	}
	var parsed pathReport
	if err := json.Unmarshal([]byte(doc.String()), &parsed); err != nil || len(parsed.Cases) != 1 || parsed.Cases[0].Missing != 10 {
		t.Errorf("%v in %s", err, doc.String())
	}
	if err := report.verdict(); !errors.Is(err, errMissing) {
		t.Errorf("10 frames are missing: %v", err)
	}
	report.Cases[0].Missing = 0
	if err := report.verdict(); err != nil {
		t.Errorf("nothing is missing: %v", err)
	}
	if svg := string(report.chart().svg()); !strings.Contains(svg, "loss-3") {
		t.Errorf("the chart lacks the case: %s", svg)
	}
}

func TestFairnessVerdict(t *testing.T) {
	r := &fairnessReport{TCPBesideUDP: 19e6, TCPBesideRelay: 11e6, Ratio: 11.0 / 19}
	if err := r.verdict(); !errors.Is(err, errUnfair) {
		t.Errorf("%v", err)
	}
	r.Ratio = 0.6
	var text strings.Builder
	if err := errors.Join(r.verdict(), r.print(&text, "text")); err != nil || !strings.Contains(text.String(), "TCP keeps 60 %") {
		t.Errorf("%v\n%s", err, text.String())
	}
	if svg := string(r.chart().svg()); !strings.Contains(svg, "19.0") {
		t.Errorf("%s", svg)
	}
}
