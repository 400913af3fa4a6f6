package edge

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tmms/cluster/relay"
	"tmms/media"
	"tmms/media/flv"
)

// paced writes a stream in real time: 25 pictures and 50 sounds a second, a
// keyframe each 2 s; each body names its own time.
type paced struct {
	t     *testing.T
	w     *relay.Writer
	size  int
	id    media.PacketID
	clock atomic.Int64 // ms
}

func (n *node) publishPaced(t *testing.T, stream string, bytesPerSecond int) *paced {
	t.Helper()
	w, err := n.hub.Publish(testKey("live", stream), 7, relay.LiveOptions{Keep: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	p := &paced{t: t, w: w, size: bytesPerSecond / 25, id: media.PacketID{Epoch: 7}}
	p.push(media.TypeAudio, media.KindConfig, audioHeader)
	p.push(media.TypeVideo, media.KindConfig, videoHeader)
	p.picture(0)
	return p
}

func (p *paced) push(typ media.Type, kind media.Kind, body []byte) {
	if kind == media.KindKey {
		p.id.Group++
		p.id.Index = 0
	}
	pkt := media.Packet{ID: p.id, Type: typ, Kind: kind, DTS: p.head(), Body: body}
	p.id.Index++
	if err := p.w.Append(&pkt); err != nil {
		p.t.Error(err)
	}
}

// stamped is a body with its time at an offset.
func (p *paced) stamped(first byte, at, size int) []byte {
	b := make([]byte, size)
	b[0], b[1] = first, 1
	binary.BigEndian.PutUint64(b[at:], uint64(p.head()))
	return b
}

func (p *paced) picture(i int) {
	kind, first := media.KindDelta, byte(0x27)
	if i%50 == 0 {
		kind, first = media.KindKey, 0x17
	}
	p.push(media.TypeVideo, kind, p.stamped(first, 5, p.size))
	for range 2 {
		p.push(media.TypeAudio, media.KindAudio, p.stamped(0xAF, 2, 200))
		p.clock.Add(20)
	}
}

// run goes on for d.
func (p *paced) run(d time.Duration) {
	tick := time.NewTicker(40 * time.Millisecond)
	defer tick.Stop()
	for i := 1; i <= int(d/(40*time.Millisecond)); i++ {
		<-tick.C
		p.picture(i)
	}
}

func (p *paced) head() media.Timestamp { return media.Timestamp(p.clock.Load()) }

// timeOf is the time that a body names; false for configs.
func timeOf(typ media.Type, body []byte) (media.Timestamp, bool) {
	at := 2
	if typ == media.TypeVideo {
		at = 5
	}
	if len(body) < at+8 || body[1] == 0 {
		return 0, false
	}
	return media.Timestamp(binary.BigEndian.Uint64(body[at:])), true
}

// audience is real FLV viewers of one stream in real time, that read as they are
// told to.
type audience struct {
	n     *node
	p     *paced
	group sync.WaitGroup
	stop  chan struct{}
}

// seen is what one of them got.
type seen struct {
	frames   int
	gaps     int           // steps of the clock by 100 ms and more
	back     int           // steps back on a track
	behind   time.Duration // by the stream's time, at worst, in the second half
	offKey   int           // skips to something else than a keyframe
	skips    int
	lastErr  error
	lastTime uint32
}

// watch reads FLV at the pace that wait gives before each tag.
func (a *audience) watch(t *testing.T, s *seen, wait func()) {
	t.Helper()
	c := a.n.dial(a.n.http)
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetReadBuffer(32 << 10)
	}
	fmt.Fprintf(c, "GET /live/slow.flv HTTP/1.0\r\nHost: h\r\n\r\n")
	a.group.Go(func() {
		defer c.Close()
		r := bufio.NewReaderSize(c, 4096)
		res, err := http.ReadResponse(r, nil)
		if err != nil || res.StatusCode != http.StatusOK {
			s.lastErr = fmt.Errorf("%v: %w", res, err)
			return
		}
		defer res.Body.Close()
		defer func() { // the end of the stream is the test's
			select {
			case <-a.stop:
				s.lastErr = nil
			default:
			}
		}()
		s.read(a, bufio.NewReaderSize(res.Body, 4096), wait)
	})
}

func (s *seen) read(a *audience, r io.Reader, wait func()) {
	head := make([]byte, flv.HeaderSize+4)
	if _, s.lastErr = io.ReadFull(r, head); s.lastErr != nil {
		return
	}
	last := map[media.Type]uint32{}
	shift := int64(-1)
	for {
		select {
		case <-a.stop:
			s.lastErr = nil
			return
		default:
		}
		wait()
		b := make([]byte, flv.TagHeaderSize)
		if _, s.lastErr = io.ReadFull(r, b); s.lastErr != nil {
			return
		}
		size := int(b[1])<<16 | int(b[2])<<8 | int(b[3])
		at := uint32(b[4])<<16 | uint32(b[5])<<8 | uint32(b[6]) | uint32(b[7])<<24
		body := make([]byte, size+4)
		if _, s.lastErr = io.ReadFull(r, body); s.lastErr != nil {
			return
		}
		typ := media.Type(b[0])
		dts, ok := timeOf(typ, body[:size])
		if !ok {
			continue
		}
		if before, ok := last[typ]; ok && at < before {
			s.back++
		}
		if s.frames > 0 && int64(at)-int64(s.lastTime) >= 100 {
			s.gaps++
		}
		if now := int64(dts) - int64(at); now != shift {
			if s.frames > 0 {
				s.skips++
				if body[0] != 0x17 {
					s.offKey++
				}
			}
			shift = now
		}
		s.frames++
		last[typ], s.lastTime = at, max(s.lastTime, at)
		if head := a.p.head(); head > 15_000 {
			s.behind = max(s.behind, time.Duration(head-dts)*time.Millisecond)
		}
	}
}

// Stalled, throttled and sawtooth readers among healthy ones.
//
// Requirement: S7
func TestSlowReadersSkipAndOthersDoNot(t *testing.T) {
	if testing.Short() {
		t.Skip("30 s of real time")
	}
	t.Parallel()
	a := &audience{n: startNode(t), stop: make(chan struct{})}
	a.p = a.n.publishPaced(t, "slow", 250_000)
	nothing := func() {}
	healthy := make([]seen, 20)
	for i := range healthy {
		a.watch(t, &healthy[i], nothing)
	}
	var throttled, sawtooth [4]seen
	for i := range throttled {
		a.watch(t, &throttled[i], func() { <-time.After(40 * time.Millisecond) }) // 25 of 75 tags a second
	}
	for i := range sawtooth {
		began := time.Now()
		a.watch(t, &sawtooth[i], func() {
			if time.Since(began) > 9*time.Second { // stops for 8 s, then reads for 1 s
				<-time.After(8 * time.Second)
				began = time.Now().Add(-8 * time.Second)
			}
		})
	}
	a.p.run(30 * time.Second)
	close(a.stop)
	a.p.w.End()
	a.group.Wait()
	for i, s := range healthy {
		if s.skips+s.gaps+s.back > 0 || s.behind > time.Second {
			t.Errorf("healthy viewer %d: %+v", i, s)
		}
	}
	const latency, gop = 3 * time.Second, 2 * time.Second
	for name, list := range map[string][4]seen{"throttled": throttled, "sawtooth": sawtooth} {
		for i, s := range list {
			limit := 2*latency + gop + time.Second // and what is in the kernel
			if name == "sawtooth" {
				limit += 8 * time.Second // it does not look while it sleeps
			}
			if s.skips == 0 || s.offKey+s.gaps+s.back > 0 || s.behind > limit {
				t.Errorf("%s viewer %d: %+v", name, i, s)
			}
		}
	}
}

// 500 viewers that read nothing hold little of the kernel's memory and of ours,
// and healthy ones do not notice.
//
// Requirement: S7
func TestStalledViewersCostLittle(t *testing.T) {
	const stalled = 500
	a := &audience{n: startNode(t), stop: make(chan struct{})}
	a.p = a.n.publishPaced(t, "slow", 250_000)
	var healthy [10]seen
	for i := range healthy {
		a.watch(t, &healthy[i], func() {})
	}
	a.p.run(time.Second)
	kernel, resident := sockMem(t), residentNow(t)
	for range stalled {
		c := a.n.dial(a.n.http)
		if err := c.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(c, "GET /live/slow.flv HTTP/1.0\r\nHost: h\r\n\r\n")
	}
	a.p.run(8 * time.Second)
	const perViewer = 128 << 10
	if grown := sockMem(t) - kernel; grown > stalled*perViewer {
		t.Errorf("%d bytes of sockets' memory a stalled viewer, want at most %d", grown/stalled, perViewer)
	} else {
		t.Logf("%d bytes of sockets' memory a stalled viewer", grown/stalled)
	}
	if grown := residentNow(t) - resident; grown > 16<<20 {
		t.Errorf("the process has grown by %d MiB, want at most 16", grown>>20)
	} else {
		t.Logf("the process has grown by %d KiB", grown>>10)
	}
	close(a.stop)
	a.p.w.End()
	a.group.Wait()
	for i, s := range healthy {
		if s.skips+s.gaps+s.back > 0 || s.lastErr != nil {
			t.Errorf("healthy viewer %d: %+v", i, s)
		}
	}
}

// sockMem is the memory of all TCP sockets of the machine, in bytes.
func sockMem(t *testing.T) int {
	t.Helper()
	return number(t, "/proc/net/sockstat", "TCP:", -1) * os.Getpagesize()
}

// residentNow is the process's resident memory, in bytes, without garbage.
func residentNow(t *testing.T) int {
	t.Helper()
	debug.FreeOSMemory()
	return number(t, "/proc/self/status", "VmRSS:", 1) << 10
}

// number reads a field of the line that begins so; -1 is the last.
func number(t *testing.T, file, line string, field int) int {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for l := range strings.Lines(string(b)) {
		f := strings.Fields(l)
		if len(f) < 2 || f[0] != line {
			continue
		}
		if field < 0 {
			field = len(f) - 1
		}
		n, err := strconv.Atoi(f[field])
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	t.Fatalf("no %s in %s", line, file)
	return 0
}
