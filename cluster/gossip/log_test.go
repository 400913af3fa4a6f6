package gossip

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestBridge(t *testing.T) {
	for line, want := range map[string]string{
		"[DEBUG] memberlist: hm":                               "DEBUG hm",
		"[INFO] memberlist: hello":                             "DEBUG hello",
		"[WARN] memberlist: oh":                                "INFO oh",
		"[ERR] memberlist: no":                                 "WARN no",
		"[ERROR] memberlist: no":                               "WARN no",
		"Err: Could not":                                       "WARN Err: Could not",
		"[ERR] memberlist: Conflicting address for n1. Mine: ": "DEBUG Conflicting address for n1. Mine:",
		"[ERR] " + strings.Repeat("x", 1000):                   "WARN " + strings.Repeat("x", maxEvent),
	} {
		var out bytes.Buffer
		b := newBridge(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})), func(string) {})
		if _, err := b.Write([]byte("2026/01/02 03:04:05 " + line + "\n")); err != nil {
			t.Fatal(err)
		}
		level, event, _ := strings.Cut(want, " ")
		if got := out.String(); !strings.Contains(got, "level="+level+" msg=gossip event=") ||
			!strings.Contains(got, event) || strings.Contains(got, event+"x") {
			t.Errorf("%s: got %s, want %s", line, got, want)
		}
	}
}

func TestBridgeHearsSuspects(t *testing.T) {
	var names []string
	b := newBridge(slog.New(slog.DiscardHandler), func(name string) { names = append(names, name) })
	for _, line := range []string{
		"[INFO] memberlist: Suspect n2 has failed, no acks received", "[WARN] memberlist: Suspect memory",
	} {
		fmt.Fprintln(b, "2026/01/02 03:04:05", line)
	}
	fmt.Fprintln(b)
	if len(names) != 1 || names[0] != "n2" {
		t.Errorf("got %q", names)
	}
}

// What strangers cause for each packet is not logged for each packet.
func TestBridgeRate(t *testing.T) {
	b := newBridge(nil, nil)
	now := time.Unix(1000, 0)
	logged := 0
	for range 1000 {
		if _, ok := b.take(now); ok {
			logged++
		}
	}
	if logged != burst {
		t.Errorf("%d of 1000 were logged at once, want %d", logged, burst)
	}
	if swallowed, ok := b.take(now.Add(oneEvery)); !ok || swallowed != 1000-burst {
		t.Errorf("later: %d, %v", swallowed, ok)
	}
	if _, ok := b.take(now.Add(oneEvery)); ok {
		t.Error("two were logged after one period")
	}
}
