package relay

import (
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"testing"

	"tmms/media"
)

// TestSpecTimes: docs/relay.md has the urgencies and times that both ends work with.
func TestSpecTimes(t *testing.T) {
	doc, err := os.ReadFile("../../docs/relay.md")
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewServer(NewHub(), &member{}, Deps{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(`\s+`).ReplaceAllString(string(doc), " ")
	cfg := PullConfig{}.withDefaults()
	for _, want := range []string{
		fmt.Sprintf("| %d | control", urgencyControl), fmt.Sprintf("| %d | groups |", urgencyLive),
		fmt.Sprintf("| %d | segments and indexes |", urgencySegment),
		fmt.Sprintf("Every %d ms the source looks which subscriptions have something new, every %d ms in a session of %d or more",
			sendTick.Milliseconds(), busyTick.Milliseconds(), busySession),
		fmt.Sprintf("nothing was sent for %d ms", idleMark.Milliseconds()),
		fmt.Sprintf("the lag cap (the app's `latency`; %g s if it is not known", defaultMaxLag.Seconds()),
		fmt.Sprintf("not live in %g s", s.times.pending.Seconds()),
		fmt.Sprintf("last segments <= %g s", s.times.last.Seconds()),
		fmt.Sprintf("no reader for %g s", cfg.Linger.Seconds()), fmt.Sprintf("placement gone for %g s", cfg.Gone.Seconds()),
		fmt.Sprintf("sends nothing for %g s", cfg.Stall.Seconds()),
		fmt.Sprintf("at most every %d ms", media.StandbyAckPause.Milliseconds()),
		fmt.Sprintf("at most %d ms behind, and the newest index", media.StandbyHold.Milliseconds()),
		fmt.Sprintf("%g s behind for %d ms", media.StandbyBehind.Seconds(), media.StandbyHold.Milliseconds()),
		fmt.Sprintf("not in sync again for %g s", media.StandbyPause.Seconds()),
		fmt.Sprintf("takes the life over, within %g s", media.StandbyAdopt.Seconds()),
		fmt.Sprintf("Of the newest %d the one", clockSamples), fmt.Sprintf("plus %d millionths", clockDriftPPM),
	} {
		if !strings.Contains(text, want) {
			t.Errorf("docs/relay.md does not say %q", want)
		}
	}
}
