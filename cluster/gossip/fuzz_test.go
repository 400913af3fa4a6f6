package gossip

import (
	"log/slog"
	"strings"
	"testing"
	"time"
)

// Lines of memberlist hold names and addresses that came by the network: whatever
// a line is, the bridge to the log takes it.
func FuzzLogLine(f *testing.F) {
	for _, s := range []string{
		"2026/01/02 03:04:05 [WARN] memberlist: x", "[DEBUG] memberlist: ", "[", "] ", "Err: a", stamp + "[ERR] " + strings.Repeat("y", 5000),
		stamp + "[INFO] memberlist: " + suspected + "n1" + noAcks, stamp + "[ERR] memberlist: " + conflicting + "\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		b := &bridge{log: slog.New(slog.DiscardHandler), suspect: func(string) {}, left: 1, last: time.Now()}
		if n, err := b.Write([]byte(line)); n != len(line) || err != nil {
			t.Errorf("%d of %d bytes, %v", n, len(line), err)
		}
		if _, event := parseLine(line); len(event) > maxEvent {
			t.Errorf("an event of %d bytes", len(event))
		}
	})
}
