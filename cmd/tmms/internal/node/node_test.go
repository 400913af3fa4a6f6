package node

import (
	"testing"
	"time"

	"tmms/media"
	"tmms/origin/session"
)

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
