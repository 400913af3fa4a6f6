package fanout

import (
	"testing"
	"time"
	"unsafe"

	"tmms/cluster/relay"
)

// discard takes everything.
type discard struct{ n int }

func (d *discard) Send(b []byte) (int, error) { d.n += len(b); return len(b), nil }

func (d *discard) SendLater(b []byte, to Completion) { d.n += len(b); to.OnSent(len(b), len(b), nil) }

func TestFlushDoesNotAllocate(t *testing.T) {
	for _, f := range []Format{FLV, RTMP, WebSocket} {
		t.Run(f.String(), func(t *testing.T) {
			hub := relay.NewHub()
			p := publish(t, hub).headers()
			p.group()
			r := newRig(t, hub)
			conns, sinks := make([]discard, 100), make([]fakeSink, 100)
			for i := range sinks {
				if err := r.e.Attach(&sinks[i].v, &conns[i], &sinks[i], options(f), 0); err != nil {
					t.Fatal(err)
				}
			}
			r.run(100 * time.Millisecond)
			p.all = nil
			// The view's log allocates a block now and then: it is advanced
			// beforehand, here only the viewers' way is measured.
			for range 100 {
				p.frame(false)
			}
			sinks[0].v.bucket.channel.view.advance()
			if n := testing.AllocsPerRun(20, func() { r.run(Tick) }); n != 0 {
				t.Errorf("%v allocations in a tick", n)
			}
			var sum int
			for i := range conns {
				sum += conns[i].n
			}
			if sum == 0 {
				t.Error("nothing was sent")
			}
		})
	}
}

func TestViewerIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(Viewer{}); n > 128 {
		t.Errorf("a viewer has %d bytes, want at most 128", n)
	}
}

// BenchmarkFlush is a tick's work for 2,000 viewers of a 2 Mbit/s stream,
// without the kernel's part.
func BenchmarkFlush(b *testing.B) {
	for _, f := range []Format{FLV, RTMP, WebSocket} {
		b.Run(f.String(), func(b *testing.B) {
			hub := relay.NewHub()
			p := publish(b, hub).headers()
			p.size = 9000
			p.group()
			r := newRig(b, hub)
			conns, sinks := make([]discard, 2000), make([]fakeSink, 2000)
			for i := range sinks {
				if err := r.e.Attach(&sinks[i].v, &conns[i], &sinks[i], options(f), 0); err != nil {
					b.Fatal(err)
				}
			}
			r.run(100 * time.Millisecond)
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				if i%8 == 0 {
					p.all = p.all[:0]
					p.frame(p.dts%1000 == 0)
				}
				r.run(Tick)
			}
		})
	}
}

// BenchmarkTurn is the flush of 2,000 healthy viewers, each once an operation,
// without the kernel's part and with next to nothing of the stream's.
func BenchmarkTurn(b *testing.B) {
	for _, f := range []Format{FLV, RTMP, WebSocket} {
		b.Run(f.String(), func(b *testing.B) {
			hub := relay.NewHub()
			p := publish(b, hub).headers()
			p.group()
			r := newRig(b, hub)
			conns, sinks := make([]discard, 2000), make([]fakeSink, 2000)
			for i := range sinks {
				if err := r.e.Attach(&sinks[i].v, &conns[i], &sinks[i], options(f), 0); err != nil {
					b.Fatal(err)
				}
			}
			r.run(100 * time.Millisecond)
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				p.all = p.all[:0]
				p.frame(p.dts%1000 == 0)
				r.run(100 * time.Millisecond)
			}
			b.ReportMetric(float64(b.Elapsed())/float64(b.N)/2000, "ns/viewer")
		})
	}
}
