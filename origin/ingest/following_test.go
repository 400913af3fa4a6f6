package ingest

import (
	"slices"
	"testing"
	"time"

	"tmms/media"
	"tmms/media/rtmp"
)

// heard is a publisher that remembers what it was given.
type heard struct {
	publisher
	bodies []string
	times  []uint32
}

func (h *heard) Write(m rtmp.Message, _ time.Time) error {
	h.bodies, h.times = append(h.bodies, string(m.Body)), append(h.times, m.Timestamp)
	return nil
}

// A publisher that goes on elsewhere begins with a keyframe, in front of which
// everything is said that is in force.
func TestFollowing(t *testing.T) {
	const (
		config, config2, key, delta = "\x17\x00\x00\x00\x00a", "\x17\x00\x00\x00\x00b", "\x17\x01\x00\x00\x00k", "\x27\x01\x00\x00\x00d"
		aac, sound                  = "\xaf\x00\x12\x10", "\xaf\x01\x21"
		metadata                    = "\x02\x00\x0aonMetaData\x03\x00\x00\x09"
	)
	video := func(body string) rtmp.Message {
		return rtmp.Message{Type: media.TypeVideo, Timestamp: 40, Body: []byte(body)}
	}
	audio := func(body string) rtmp.Message {
		return rtmp.Message{Type: media.TypeAudio, Timestamp: 40, Body: []byte(body)}
	}
	data := rtmp.Message{Type: media.TypeData, Timestamp: 40, Body: []byte(metadata)}
	for _, tt := range []struct {
		name  string
		known []rtmp.Message
		sent  []rtmp.Message
		want  []string
	}{
		{
			"video", []rtmp.Message{data, audio(aac), video(config)},
			[]rtmp.Message{audio(sound), video(delta), video(key), audio(sound), video(delta)},
			[]string{metadata, aac, config, key, sound, delta},
		},
		{
			"a configuration that changes meanwhile", []rtmp.Message{video(config)},
			[]rtmp.Message{video(config2), video(delta), video(key), video(config), video(key)},
			[]string{config2, key, config, key},
		},
		{"sound", []rtmp.Message{audio(aac)}, []rtmp.Message{audio(sound), audio(sound)}, []string{aac, sound, sound}},
		{"nothing is known", nil, []rtmp.Message{video(delta), audio(sound), video(key)}, []string{key}},
		{"malformed", []rtmp.Message{audio(aac), audio("")}, []rtmp.Message{video(""), audio(sound)}, []string{aac, sound}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := &heard{}
			f := &following{publisher: h, waiting: true}
			f.kept.take(tt.known)
			for _, m := range tt.sent {
				if err := f.Write(m, time.Time{}); err != nil {
					t.Fatal(err)
				}
			}
			if !slices.Equal(h.bodies, tt.want) || slices.ContainsFunc(h.times, func(ms uint32) bool { return ms != 40 }) {
				t.Errorf("it was given %q at %v, want %q at 40 ms", h.bodies, h.times, tt.want)
			}
		})
	}
}

// What a hostile publisher sends as headers is kept within bounds.
func TestKeptIsBounded(t *testing.T) {
	var k kept
	for track := range 256 {
		k.take([]rtmp.Message{
			{Type: media.TypeVideo, Body: append([]byte{0x96, 0x00, 'a', 'v', 'c', '1', byte(track)}, 1, 2, 3)},
			{Type: media.TypeAudio, Body: append([]byte{0x95, 0x00, 'm', 'p', '4', 'a', byte(track)}, 1, 2, 3)},
		})
	}
	k.take([]rtmp.Message{{Type: media.TypeVideo, Body: append([]byte{0x17, 0, 0, 0, 0}, make([]byte, media.MaxCodecConfig)...)}})
	if len(k.list) > mostKept || len(k.list) < 2 {
		t.Errorf("%d headers are kept, the limit is %d", len(k.list), mostKept)
	}
	for _, h := range k.list {
		if len(h.Body) > media.MaxCodecConfig {
			t.Errorf("a header of %d bytes is kept", len(h.Body))
		}
	}
}
