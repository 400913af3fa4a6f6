package web

import "testing"

func TestKindOfARequest(t *testing.T) {
	for path, want := range map[string]Kind{
		"/":                            KindPage,
		"/nothing":                     KindOther,
		"/live/a.flv":                  KindFLV,
		"/live/a.ts":                   KindTS,
		"/live/a.m3u8":                 KindMultivariant,
		"/live/a/live.m3u8":            KindPlaylist,
		"/live/a/ll.m3u8":              KindLowLatency,
		"/live/a/7-100.ts":             KindSegment,
		"/live/a/7-100.m4s":            KindSegment,
		"/live/a/7-100.3.m4s":          KindPart,
		"/live/a/init-7-1.mp4":         KindInit,
		"/live/a/what.ever.it.is.html": KindOther,
	} {
		got := parseRoute(path, func(path string) bool { return path == "/" }).kind()
		if got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	names := map[string]bool{}
	for k := range NumKinds {
		names[k.String()] = true
	}
	if len(names) != int(NumKinds) || names[""] {
		t.Errorf("names %v", names)
	}
}

// An answer costs a counter of the loop's own: no memory, and nobody to wait for.
func TestCountingAllocatesNothing(t *testing.T) {
	tallies := &tally{}
	to := route{want: wantFile, name: "7-100.3.m4s"}
	if n := testing.AllocsPerRun(100, func() { tallies.answer(to.kind(), 206) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if n := tallies.answered[KindPart][1].Load(); n != 101 {
		t.Errorf("%d answers counted", n)
	}
}

func BenchmarkTally(b *testing.B) {
	tallies := &tally{}
	to := route{want: wantFile, name: "7-100.3.m4s"}
	for b.Loop() {
		tallies.answer(to.kind(), 200)
	}
}
