package relay

import (
	"strconv"
	"syscall"
	"testing"
	"time"

	"tmms/cluster/state"
	"tmms/media"
)

func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkRelay is the CPU time of both ends for a megabyte of streams of
// 1 Mbit/s, 30 pictures and 43 audio frames a second, in real time.
func BenchmarkRelay(b *testing.B) {
	for _, streams := range []int{20, 100, 300} {
		b.Run(strconv.Itoa(streams), func(b *testing.B) {
			for range b.N {
				relayFor(b, streams, 3*time.Second)
			}
		})
	}
}

func relayFor(b *testing.B, streams int, d time.Duration) {
	b.Helper()
	w := newWorld(b)
	owner, edge := w.join("a", PullConfig{}), w.join("b", PullConfig{})
	feeders := make([]*feeder, streams)
	for i := range feeders {
		k := key(strconv.Itoa(i))
		owner.place(k, &state.Placement{Epoch: 7, Owner: owner.id})
		wr, err := owner.hub.Publish(k, 7, LiveOptions{})
		if err != nil {
			b.Fatal(err)
		}
		feeders[i] = &feeder{t: b, w: wr, gop: 60, size: 3900, id: media.PacketID{Epoch: 7}}
		f, _ := edge.hub.Open(k)
		defer f.Close()
	}
	tick := time.NewTicker(11 * time.Millisecond)
	defer tick.Stop()
	start, before := time.Now(), cpuTime()
	sent := 0
	for n := 0; time.Since(start) < d; n++ {
		<-tick.C
		for i, f := range feeders {
			if (n+i)%3 == 0 {
				f.frames(1)
				sent += f.size
			}
		}
	}
	cpu := cpuTime() - before
	b.ReportMetric(cpu.Seconds()*1e3/(float64(sent)/1e6), "cpu-ms/MB")
	b.ReportMetric(float64(sent)*8/1e6/d.Seconds(), "Mbit/s")
	b.ReportMetric(100*cpu.Seconds()/d.Seconds(), "cpu-%")
}
