package node

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tmms/cluster/state"
	"tmms/media"
	"tmms/origin/session"
)

type fakeReleaser struct {
	released []string
	at       time.Time // of the last release
	stale    string    // this stream has a later epoch
}

func (f *fakeReleaser) Release(_ context.Context, key media.StreamKey, epoch uint64) error {
	if key.Stream == f.stale {
		return &state.StaleEpochError{Key: key, Given: epoch, Current: epoch + 1}
	}
	if key.Stream == "broken" {
		return errors.New("no leader")
	}
	f.released, f.at = append(f.released, key.Stream), time.Now()
	return nil
}

// TestSweep: placements of a run that crashed are given back, after the time
// that their publishers have to come back; what was claimed anew is left alone.
func TestSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var left []state.PlacedStream
		for _, s := range []string{"gone", "back", "broken", "gone2"} {
			left = append(left, state.PlacedStream{Key: media.StreamKey{Domain: "d", App: "a", Stream: s}})
		}
		var log bytes.Buffer
		r := &fakeReleaser{stale: "back"}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- sweep(ctx, r, left, slog.New(slog.NewTextHandler(&log, nil))) }()
		start := time.Now()
		time.Sleep(leftoverWait + time.Millisecond)
		synctest.Wait()
		if d := r.at.Sub(start); d != leftoverWait {
			t.Errorf("released after %s, want %s", d, leftoverWait)
		}
		if got := strings.Join(r.released, " "); got != "gone gone2" {
			t.Errorf("released %q, want gone and gone2", got)
		}
		if strings.Count(log.String(), "\n") != 1 || !strings.Contains(log.String(), "d/a/broken") {
			t.Errorf("the log should name only d/a/broken: %s", &log)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestStreamInfo(t *testing.T) {
	now := time.Unix(1000, 0)
	s := session.Info{Key: media.StreamKey{Domain: "d", App: "a", Stream: "s"}, State: "grace", Since: now.Add(-time.Minute), Epoch: 7, Run: 2}
	s.Tracks.Audio.Codec = media.CodecMP3
	got := streamInfo(s, now)
	if got.Key != "d/a/s" || got.State != "grace" || got.Epoch != 7 || got.Run != 2 || got.UptimeSeconds != 60 || got.Publisher != nil {
		t.Errorf("got %+v", got)
	}
	if len(got.Codecs) != 1 || got.Codecs[0] != "mp3" {
		t.Errorf("codecs %v, want mp3 alone", got.Codecs)
	}
}
