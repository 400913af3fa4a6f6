package rtmp

import (
	"fmt"
	"testing"

	"tmms/media"
)

// pushed is what a publisher of 4 Mbit/s sends: pictures of 16 KB and a larger one
// each second, and sound.
func pushed(chunkSize int) (b []byte, messages int) {
	add := func(csid, typ uint8, ts uint32, n int) {
		b = appendMessage(b, csid, header{typ: typ, timestamp: ts, streamID: 1}, body(n), chunkSize)
		messages++
	}
	for i := range uint32(60) {
		n := 16_000
		if i%30 == 0 {
			n = 60_000
		}
		add(csidVideo, typeVideo, i*33, n)
		add(csidAudio, typeAudio, i*33, 370)
		add(csidAudio, typeAudio, i*33+16, 370)
	}
	return b, messages
}

// The way of a publisher's bytes through the parser, one core: at chunk sizes of
// the protocol's default, of encoders, and of our own.
func BenchmarkFeed(b *testing.B) {
	const read = 64 << 10 // bytes of a read
	for _, size := range []int{128, 4096, 65536} {
		b.Run(fmt.Sprintf("chunk=%d", size), func(b *testing.B) {
			in, messages := pushed(size)
			c := publisher(b)
			if err := c.reader.setChunkSize(uint32(size)); err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			seen := 0
			for b.Loop() {
				for rest := in; len(rest) > 0; {
					piece := rest[:min(len(rest), read)]
					rest = rest[len(piece):]
					for len(piece) > 0 {
						n, ev, err := c.Feed(piece)
						if err != nil {
							b.Fatal(err)
						}
						piece = piece[n:]
						if ev.Kind == EventMessage {
							seen++
						}
					}
				}
				c.Sent(len(c.Output()))
			}
			if seen%messages != 0 || seen == 0 {
				b.Fatalf("%d messages, not a multiple of %d", seen, messages)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(seen), "ns/message")
		})
	}
}

// publisher is a connection that publishes.
func publisher(tb testing.TB) *ServerConn {
	tb.Helper()
	c := handshaken(NewServerConn(ServerConfig{Budget: NewBudget(media.MaxPartialBytesProcess)}))
	for _, in := range [][]byte{connectCall(), call(0, "createStream", 2), publishCall(3)} {
		for len(in) > 0 {
			n, ev, err := c.Feed(in)
			if err != nil {
				tb.Fatal(err)
			}
			if ev.Kind == EventPublish {
				c.AcceptPublish()
			}
			in = in[n:]
		}
	}
	c.Sent(len(c.Output()))
	if c.Phase() != PhasePublish {
		tb.Fatalf("phase %v", c.Phase())
	}
	return c
}

// What players get.
func BenchmarkAppendMedia(b *testing.B) {
	m := Message{Type: media.TypeVideo, Timestamp: 0x1000000, Body: body(200_000)}
	out := make([]byte, 0, MediaSize(m))
	b.SetBytes(int64(len(m.Body)))
	b.ReportAllocs()
	for b.Loop() {
		out = AppendMedia(out[:0], m)
	}
}
