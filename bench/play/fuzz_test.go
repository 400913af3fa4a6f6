package play

import (
	"testing"
	"time"

	"tmms/bench/signal"
	"tmms/media"
	"tmms/media/flv"
	"tmms/media/rtmp"
)

// Whatever a server answers, in pieces of any size, a viewer takes it or ends
// with an error, and a stream in pieces is the stream in one.
func FuzzStream(f *testing.F) {
	video, audio := signal.Headers()
	body := flv.AppendHeader([]byte("HTTP/1.1 200 OK\r\nContent-Type: video/x-flv\r\n\r\n"), true, true)
	body = flv.AppendTag(body, flv.Tag{Type: media.TypeVideo, Body: video})
	body = flv.AppendTag(body, flv.Tag{Type: media.TypeAudio, Timestamp: 1 << 31, Body: audio})
	f.Add(body, byte(7))
	f.Add([]byte("HTTP/1.1 404 Not Found\r\n\r\n"), byte(1))
	f.Add(rtmp.AppendMedia(nil, rtmp.Message{Type: media.TypeVideo, Timestamp: 40, Body: video}), byte(3))
	f.Fuzz(func(t *testing.T, b []byte, piece byte) {
		now := time.Unix(1, 0)
		read := func(size int) (seen int, err error) {
			s := &flvStream{}
			for rest := b; len(rest) > 0 && err == nil; {
				n := min(size, len(rest))
				_, err = s.feed(rest[:n], now, func(p signalPacket) { seen += 1 + len(p.Body) })
				rest = rest[n:]
			}
			return seen, err
		}
		whole, werr := read(len(b))
		parts, perr := read(1 + int(piece))
		if (werr == nil) != (perr == nil) || werr == nil && whole != parts {
			t.Errorf("%d in one with %v, %d in pieces with %v", whole, werr, parts, perr)
		}
		var check signal.Check
		delays := &Histogram{}
		s := &rtmpStream{conn: rtmp.NewClientConn(rtmp.ClientConfig{})}
		_, _ = s.feed(b, now, joiner(now, delays, observer(&check, delays)))
	})
}
