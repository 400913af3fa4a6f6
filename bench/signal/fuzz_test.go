package signal

import (
	"testing"
	"time"

	"tmms/media"
)

// Whatever a server sends, a viewer's check counts it and goes on.
func FuzzSee(f *testing.F) {
	s, err := NewSource(DefaultConfig())
	if err != nil {
		f.Fatal(err)
	}
	for range 4 {
		frame := s.Next(time.Unix(1, 0))
		f.Add(uint8(frame.Type), uint32(frame.Due.Milliseconds()), append([]byte(nil), frame.Body...))
	}
	f.Add(uint8(media.TypeVideo), uint32(0), []byte("\x17\x01\x00\x00\x00\x00\x00\x00\x00\x65tmmsmark"))
	f.Fuzz(func(t *testing.T, typ uint8, at uint32, body []byte) {
		var c Check
		_, first := c.See(media.Type(typ), at, body, time.Unix(2, 0))
		_, second := c.See(media.Type(typ), at-1, body, time.Unix(2, 0))
		if first != second || c.Frames > 2 || c.Gaps != 0 || c.Repeats != c.Frames/2 {
			t.Errorf("%+v, marked %v and %v", c, first, second)
		}
	})
}
