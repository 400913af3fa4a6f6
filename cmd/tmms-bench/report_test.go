package main

import (
	"strings"
	"testing"

	"tmms/bench/lab"
)

func TestPeerReport(t *testing.T) {
	row := &peerRow{Viewers: 1000, FlushMS: 20}
	row.settle([]lab.Figures{{Name: "nginx-rtmp", P99MS: 30, USPerViewerSec: 400}}, []lab.Figures{{P99MS: 29, USPerViewerSec: 100}})
	late := &peerRow{Viewers: 2000, FlushMS: 5}
	late.settle([]lab.Figures{{Name: "nginx-rtmp", P99MS: 5, USPerViewerSec: 400}}, []lab.Figures{{P99MS: 9, USPerViewerSec: 300}})
	if !row.Equal || row.Ratio != 0.25 || late.Equal {
		t.Errorf("rows are %+v, %+v", row, late)
	}
	r := &peerReport{Bitrate: 2_000_000, Pairs: 1, Rows: []*peerRow{row, late}}
	for _, f := range earlierFigures() {
		r.Earlier = append(r.Earlier, &earlierRow{earlierFigure: f, OverFloorThen: f.USPerViewerSec / f.FloorUS, OverFloorNow: 1})
	}
	var out strings.Builder
	if err := r.print(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"0.25", "p99 is above the peer's", "measured earlier", "1.39", "3.78", "2.91"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if c := r.chart(); len(c.groups) != 5 || c.groups[0].bars[0].name != "nginx-rtmp" {
		t.Errorf("the chart is %+v", c)
	}
}

func TestParseNumbers(t *testing.T) {
	if list, err := parseNumbers("1, 20", 20); err != nil || len(list) != 2 || list[1] != 20 {
		t.Errorf("%v, %v", list, err)
	}
	for _, s := range []string{"", "0", "21", "1,,2", "x"} {
		if _, err := parseNumbers(s, 20); err == nil {
			t.Errorf("%q was accepted", s)
		}
	}
}

func TestStreamsReport(t *testing.T) {
	r := &streamsReport{Viewers: 10, Bitrate: 64_000, Runs: 1}
	r.add(spreadCase{"1 stream", 1, 0}, lab.Figures{LoopMSPerMB: 2, OtherShare: 0.1})
	r.add(spreadCase{"4 streams", 4, 0}, lab.Figures{LoopMSPerMB: 3, OtherShare: 0.4})
	if r.Rows[0].Ratio != 1 || r.Rows[1].Ratio != 1.5 || r.Rows[1].IngestUS != 100_000 {
		t.Errorf("rows are %+v", r.Rows)
	}
	var out strings.Builder
	if err := r.print(&out); err != nil || !strings.Contains(out.String(), "1.50") {
		t.Errorf("%v, %s", err, out.String())
	}
	if c := r.chart(); len(c.groups) != 2 || len(c.groups[0].bars) != 2 {
		t.Errorf("the chart is %+v", c)
	}
}

func TestScaleReport(t *testing.T) {
	r := &scaleReport{Proto: "flv"}
	r.add(lab.Figures{Viewers: 100, HeapBytes: 1000, RSSBytes: 5000}, 1)
	row := r.add(lab.Figures{Viewers: 200, HeapBytes: 31_000, RSSBytes: 105_000}, 2)
	if row.HeapPerView != 300 || row.RSSPerView != 1000 || row.Stretch != 2 {
		t.Errorf("row is %+v", row)
	}
	if c := r.chart(); len(c.groups) != 3 || len(c.groups[2].bars) != 2 {
		t.Errorf("the chart is %+v", c)
	}
}
