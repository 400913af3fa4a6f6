package session

import (
	"log/slog"
	"testing"
	"time"

	"tmms/cluster/relay"
	"tmms/media"
	"tmms/media/rtmp"
)

// The way of a message through its stream, HLS aside: header, clock, group, log.
func BenchmarkPacket(b *testing.B) {
	for _, tt := range []struct {
		name       string
		key, delta string
	}{
		{"avc", videoKey, videoDelta},
		{"hvc1", exVideo(1, exCodedX, "hvc1key"), exVideo(2, exCodedX, "hvc1delta")},
		{"multitrack", many(1, exCodedX, "hvc1", track(0, "key"), track(1, "key")), many(2, exCodedX, "hvc1", track(0, "d"), track(1, "d"))},
	} {
		b.Run(tt.name, func(b *testing.B) {
			r, err := New(DefaultConfig(), Deps{
				Hub: relay.NewHub(), Claims: newCluster(), Log: slog.New(slog.DiscardHandler), Now: time.Now,
			})
			if err != nil {
				b.Fatal(err)
			}
			p, err := r.Attach(b.Context(), testKey(), testApp(), PublisherInfo{Close: func(error) {}})
			if err != nil {
				b.Fatal(err)
			}
			filler := make([]byte, 4000)
			bodies := [2][]byte{append([]byte(tt.key), filler...), append([]byte(tt.delta), filler...)}
			if tt.name == "multitrack" { // sizes are in the body
				bodies = [2][]byte{[]byte(tt.key), []byte(tt.delta)}
			}
			now := time.Now()
			b.SetBytes(int64(len(bodies[1])))
			b.ReportAllocs()
			i := uint32(0)
			for b.Loop() {
				m := rtmp.Message{Type: media.TypeVideo, Timestamp: i * 33, Body: bodies[min(i%60, 1)]}
				if err := p.Write(m, now); err != nil {
					b.Fatal(err)
				}
				i++
			}
		})
	}
}
