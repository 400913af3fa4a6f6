package hlsplay

import (
	"testing"
	"time"
)

// Whatever a server answers, in pieces of any size, a player takes it or ends
// with an error, and asks for no segment that it was not told of.
func FuzzAnswers(f *testing.F) {
	f.Add([]byte(sample), []byte("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"), byte(4))
	f.Add([]byte("#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:18446744073709551615\n#EXTINF:1,\na.ts\n"), []byte("HTTP/1.1 503 x\r\n"), byte(1))
	f.Add([]byte("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nlive.m3u8\n"), []byte("HTTP/1.1 200 OK\r\n\r\n"), byte(9))
	u := base(f)
	f.Fuzz(func(t *testing.T, list, answer []byte, piece byte) {
		now := time.Unix(100, 0)
		p := &poller{run: &run{}, base: u}
		if p.answered(request{kind: kindMultivariant}, list, 0, now, now) != nil {
			p.media = u
		}
		for range 2 {
			if p.answered(request{kind: kindMedia}, list, 0, now, now) != nil {
				break
			}
		}
		if told, err := parsePlaylist(u, list); err == nil && len(p.queue) > len(told.segments) {
			t.Errorf("%d segments are asked for, %d are listed", len(p.queue), len(told.segments))
		}
		v := &viewer{request: request{kind: kindMedia}}
		for rest := answer; len(rest) > 0 && !v.inBody; {
			n := min(1+int(piece), len(rest))
			if v.feed(rest[:n]) != nil {
				return
			}
			rest = rest[n:]
		}
		if v.left < 0 || v.inBody && int64(len(v.body))+v.left != v.answer.length {
			t.Errorf("%d bytes are here, %d to come of %d", len(v.body), v.left, v.answer.length)
		}
	})
}
