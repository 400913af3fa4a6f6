package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Whatever the figures and names are, the picture is well-formed.
func TestChart(t *testing.T) {
	c := chart{title: `a < b & "c"`, groups: []chartGroup{
		{label: "all nothing", bars: []bar{{name: "<x>", note: "0"}}, own: true},
		{label: "two", bars: []bar{{"a", 1, "1.0"}, {"b", 2, "2.0"}}},
		{label: "more", bars: []bar{{"a", 4, "4.0"}}},
	}}
	svg := string(c.svg())
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%v in %s", err, svg)
		}
	}
	for _, want := range []string{`width="115"`, `width="230"`, `width="460"`, ">&lt;x&gt;<", ">2.0<"} {
		if !strings.Contains(svg, want) {
			t.Errorf("no %s in %s", want, svg)
		}
	}
}

func TestSaveResults(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	if err := results(dir).save("a", map[string]int{"n": 1}, &chart{title: "t"}); err != nil {
		t.Fatal(err)
	}
	if err := results(dir).save("b", map[string]int{"n": 2}, nil); err != nil {
		t.Fatal(err)
	}
	if err := results("").save("c", nil, nil); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 3 {
		t.Fatalf("%v, %v", files, err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "b.json")); err != nil || string(b) != "{\n  \"n\": 2\n}\n" {
		t.Errorf("%q, %v", b, err)
	}
	if err := results(filepath.Join(dir, "a.json")).save("d", 1, nil); err == nil {
		t.Error("a file was taken for a folder")
	}
}
