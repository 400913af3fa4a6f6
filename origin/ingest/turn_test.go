package ingest

import (
	"testing"

	"tmms/media"
	"tmms/media/rtmp"
	"tmms/origin/session"
)

// A publisher holds in front of what the next owner can begin with, and of nothing else.
func TestTurnsAt(t *testing.T) {
	const (
		config, key, delta = "\x17\x00\x00\x00\x00a", "\x17\x01\x00\x00\x00k", "\x27\x01\x00\x00\x00d"
		key2               = "\x96\x01avc1\x02\x00\x00\x00k" // of the track 2
		aac, sound         = "\xaf\x00\x12\x10", "\xaf\x01\x21"
	)
	for _, tt := range []struct {
		name string
		at   session.Turn
		typ  media.Type
		body string
		want bool
	}{
		{"keyframe", session.Turn{Video: true}, media.TypeVideo, key, true},
		{"keyframe of a later track", session.Turn{Video: true}, media.TypeVideo, key2, false},
		{"keyframe of the first track there is", session.Turn{Video: true, Track: 2}, media.TypeVideo, key2, true},
		{"configuration", session.Turn{Video: true}, media.TypeVideo, config, false},
		{"delta", session.Turn{Video: true}, media.TypeVideo, delta, false},
		{"sound beside a picture", session.Turn{Video: true}, media.TypeAudio, sound, false},
		{"sound alone", session.Turn{}, media.TypeAudio, sound, true},
		{"configuration of sound", session.Turn{}, media.TypeAudio, aac, false},
		{"a picture comes", session.Turn{}, media.TypeVideo, key, true},
		{"malformed", session.Turn{}, media.TypeVideo, "", false},
		{"data", session.Turn{}, media.TypeData, "\x02\x00\x01a", false},
	} {
		if got := turnsAt(tt.at, rtmp.Message{Type: tt.typ, Body: []byte(tt.body)}); got != tt.want {
			t.Errorf("%s: %t", tt.name, got)
		}
	}
}
