//go:build linux

package secure

import (
	"context"
	"crypto/tls"
	"net"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"tmms/cluster/certs"
	"tmms/cluster/certs/certstest"
)

const (
	benchViewers = 500
	benchFlush   = 25_000 // bytes: 2 Mbit/s each 100 ms
)

// pair is one viewer: both ends of a TCP connection.
type pair struct {
	server net.Conn
	client *net.TCPConn
	fds    [2]int // server, client
	layer  *layer
}

// pairs makes viewers, with TLS or not.
func pairs(tb testing.TB, n int, secure bool) []*pair {
	tb.Helper()
	files, err := certstest.Write(tb.TempDir(), "a", "localhost")
	if err != nil {
		tb.Fatal(err)
	}
	store, err := certs.Load([]certs.Files{files})
	if err != nil {
		tb.Fatal(err)
	}
	cfg := store.TLS()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer ln.Close()
	all := make([]*pair, n)
	for i := range all {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			tb.Fatal(err)
		}
		s, err := ln.Accept()
		if err != nil {
			tb.Fatal(err)
		}
		p := &pair{server: s, client: c.(*net.TCPConn)}
		tb.Cleanup(func() { c.Close(); s.Close() })
		if secure {
			p.handshake(tb, cfg)
		}
		p.fds = [2]int{fdOf(tb, s), fdOf(tb, c)}
		all[i] = p
	}
	return all
}

func (p *pair) handshake(tb testing.TB, cfg *tls.Config) {
	tb.Helper()
	p.layer = &layer{shim: shim{Conn: p.server}}
	p.layer.conn = tls.Server(&p.layer.shim, cfg)
	done := make(chan error, 1)
	go func() { done <- p.layer.conn.HandshakeContext(context.Background()) }()
	if err := tls.Client(p.client, &tls.Config{InsecureSkipVerify: true}).Handshake(); err != nil {
		tb.Fatal(err)
	}
	if err := <-done; err != nil {
		tb.Fatal(err)
	}
}

func fdOf(tb testing.TB, c net.Conn) (fd int) {
	tb.Helper()
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err == nil {
		err = raw.Control(func(n uintptr) { fd = int(n) })
	}
	if err != nil {
		tb.Fatal(err)
	}
	return fd
}

func sendAll(tb testing.TB, fd int, b []byte) {
	tb.Helper()
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))),
		uintptr(len(b)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	if errno != 0 || int(n) < len(b) {
		tb.Fatalf("sent %d of %d: %v", n, len(b), errno)
	}
}

// drain empties a client's socket without copying.
func drain(fd int) {
	var b [1]byte
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b)), 1<<20,
			unix.MSG_DONTWAIT|unix.MSG_TRUNC, 0, 0)
		if errno != 0 || n == 0 {
			return
		}
	}
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// flushes runs one flush of all viewers an iteration, and reports what a MB costs;
// emptying the clients' sockets is in it, the same for all.
func flushes(b *testing.B, all []*pair, flush func(data []byte)) {
	b.Helper()
	data := make([]byte, benchFlush)
	b.SetBytes(int64(len(all) * len(data)))
	b.ReportAllocs()
	begin := cpuTime()
	for b.Loop() {
		flush(data)
		for _, p := range all {
			drain(p.fds[1])
		}
	}
	mb := float64(b.N*len(all)*len(data)) / 1e6
	b.ReportMetric(float64((cpuTime()-begin).Microseconds())/mb, "cpu-us/MB")
}

// BenchmarkLoop is the way that was taken: one thread, a tls.Conn over memory, and
// one send a viewer.
func BenchmarkLoop(b *testing.B) {
	all := pairs(b, benchViewers, true)
	for _, p := range all {
		p.layer.takeOver(nil)
	}
	scratch := make([]byte, 0, 66<<10)
	flushes(b, all, func(data []byte) {
		for _, p := range all {
			scratch, _ = p.layer.Seal(scratch[:0], data)
			sendAll(b, p.fds[0], scratch)
		}
	})
}

// gatherer turns the records of a flush into one write.
type gatherer struct {
	net.Conn
	buf []byte
}

func (g *gatherer) Write(b []byte) (int, error) {
	g.buf = append(g.buf, b...)
	return len(b), nil
}

// BenchmarkGoroutines is the other way: a goroutine a viewer, each with a tls.Conn
// that gathers a flush.
func BenchmarkGoroutines(b *testing.B) {
	all := pairs(b, benchViewers, true)
	var done, ended sync.WaitGroup
	due := make([]chan []byte, len(all))
	for i, p := range all {
		g := &gatherer{Conn: p.server}
		p.layer.shim.Conn = g
		due[i] = make(chan []byte, 1)
		ended.Go(func() {
			for data := range due[i] {
				g.buf = g.buf[:0]
				_, err := p.layer.conn.Write(data)
				if err == nil {
					_, err = p.server.Write(g.buf)
				}
				if err != nil {
					b.Error(err)
				}
				done.Done()
			}
		})
	}
	flushes(b, all, func(data []byte) {
		done.Add(len(all))
		for _, ch := range due {
			ch <- data
		}
		done.Wait()
	})
	for _, ch := range due {
		close(ch)
	}
	ended.Wait()
}

// BenchmarkPlain is the same without TLS.
func BenchmarkPlain(b *testing.B) {
	all := pairs(b, benchViewers, false)
	flushes(b, all, func(data []byte) {
		for _, p := range all {
			sendAll(b, p.fds[0], data)
		}
	})
}

func inUse() (bytes uint64) {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

// BenchmarkMemory reports what a TLS connection costs on a loop after its
// handshake, the client's end and the tls.Conn of the test left out.
func BenchmarkMemory(b *testing.B) {
	w := start(b, Route{Open: echo})
	exchange(b, w.dial(), "warm up")
	const viewers = 2000
	raws := make([]net.Conn, viewers)
	for range b.N {
		before := inUse()
		for i := range raws {
			raws[i] = w.raw()
			exchange(b, w.over(raws[i]), "hello")
		}
		after := inUse()
		b.ReportMetric(float64(after-before)/viewers, "B/viewer")
	}
}

func TestSealingDoesNotAllocate(t *testing.T) {
	p := pairs(t, 1, true)[0]
	p.layer.takeOver(nil)
	scratch, data := make([]byte, 0, 66<<10), make([]byte, benchFlush)
	var err error
	if n := testing.AllocsPerRun(200, func() {
		scratch, err = p.layer.Seal(scratch[:0], data)
	}); n > 0 || err != nil {
		t.Errorf("%v allocations for a flush, %v", n, err)
	}
}
