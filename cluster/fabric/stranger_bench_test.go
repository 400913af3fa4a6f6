package fabric

import (
	"bytes"
	"crypto/rand"
	"net"
	"syscall"
	"testing"
	"time"
)

// BenchmarkStranger says what a packet of a stranger costs a node, in CPU time
// beyond that of sending it to a socket that nobody reads: noise, packets as of
// sessions that are not there, and handshakes that are begun and left.
func BenchmarkStranger(b *testing.B) {
	noise := func(size int, head ...byte) func(int) []byte {
		return func(int) []byte {
			p := make([]byte, size)
			_, _ = rand.Read(p)
			copy(p, head)
			return p
		}
	}
	ca := newCA(b, time.Now())
	firsts := initials(b, 1000)
	for name, packet := range map[string]func(i int) []byte{
		"no-quic":         noise(1200, 0x00),
		"unknown-version": noise(1200, 0xC0, 0xFA, 0xCE, 0xB0, 0x0C, 8),
		"broken-initial":  noise(1200, 0xC0, 0, 0, 0, 1, 8),
		"former-session":  noise(1200, 0x40),
		"initial":         func(i int) []byte { return bytes.Clone(firsts[i%len(firsts)]) },
	} {
		b.Run(name, func(b *testing.B) {
			n := startWith(b, issue(b, ca, "n"), "127.0.0.1:0", fast(), func(f *Fabric) { f.Handle(ALPNControl, echo) })
			<-n.running
			hole, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = hole.Close() }()
			into := func(to net.Addr) time.Duration {
				conn, err := net.DialUDP("udp", nil, to.(*net.UDPAddr))
				if err != nil {
					b.Fatal(err)
				}
				defer func() { _ = conn.Close() }()
				began := cpuTime(b)
				tick := time.NewTicker(time.Millisecond)
				defer tick.Stop()
				for i := range b.N {
					if i%10 == 0 { // 10,000 a second
						<-tick.C
					}
					_, _ = conn.Write(packet(i))
				}
				return cpuTime(b) - began
			}
			floor := into(hole.LocalAddr())
			cost := into(net.UDPAddrFromAddrPort(n.Addr()))
			b.ReportMetric(float64(cost-floor)/float64(b.N)/1e3, "cpu-us/packet")
		})
	}
}

func cpuTime(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
