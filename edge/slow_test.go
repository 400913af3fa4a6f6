package edge

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
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

// Of a paced stream, and of the app that it belongs to.
const (
	slowLatency = time.Second
	slowGOP     = time.Second
	slowFrame   = 40 * time.Millisecond
)

// paced writes a stream in real time: 25 pictures and 50 sounds a second, a
// keyframe each second; each body names its own time.
type paced struct {
	t     *testing.T
	w     *relay.Writer
	size  int
	id    media.PacketID
	clock atomic.Int64 // ms
}

func (n *node) publishPaced(t *testing.T, bytesPerSecond int) *paced {
	t.Helper()
	w, err := n.hub.Publish(testKey("brisk", "slow"), 7, relay.LiveOptions{Keep: 10 * time.Second})
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
	if i%25 == 0 {
		kind, first = media.KindKey, 0x17
	}
	p.push(media.TypeVideo, kind, p.stamped(first, 5, p.size))
	for range 2 {
		p.push(media.TypeAudio, media.KindAudio, p.stamped(0xAF, 2, 200))
		p.clock.Add(slowFrame.Milliseconds() / 2)
	}
}

// run goes on for d.
func (p *paced) run(d time.Duration) {
	tick := time.NewTicker(slowFrame)
	defer tick.Stop()
	for i := 1; i <= int(d/slowFrame); i++ {
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
	apart    int           // sound further from the picture than a frame of each
	behind   time.Duration // by the stream's time, at worst
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
	fmt.Fprintf(c, "GET /brisk/slow.flv HTTP/1.0\r\nHost: h\r\n\r\n")
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
	head := make([]byte, flv.HeaderSize)
	if _, s.lastErr = io.ReadFull(r, head); s.lastErr != nil {
		return
	}
	if _, _, s.lastErr = flv.ParseHeader(head); s.lastErr != nil {
		return
	}
	c := clock{seen: s, last: map[media.Type]uint32{}}
	for {
		select {
		case <-a.stop:
			s.lastErr = nil
			return
		default:
		}
		wait()
		tag, err := readTag(r)
		if s.lastErr = err; err != nil {
			return
		}
		dts, ok := timeOf(tag.Type, tag.Body)
		if !ok {
			continue
		}
		c.see(&tag, dts)
		s.behind = max(s.behind, time.Duration(a.p.head()-dts)*time.Millisecond)
	}
}

func readTag(r io.Reader) (flv.Tag, error) {
	b := make([]byte, flv.TagHeaderSize)
	if _, err := io.ReadFull(r, b); err != nil {
		return flv.Tag{}, err
	}
	b = append(b, make([]byte, (int(b[1])<<16|int(b[2])<<8|int(b[3]))+4)...)
	if _, err := io.ReadFull(r, b[flv.TagHeaderSize:]); err != nil {
		return flv.Tag{}, err
	}
	tag, _, err := flv.ParseTag(b)
	return tag, err
}

// clock follows the times of one viewer.
type clock struct {
	*seen

	last  map[media.Type]uint32
	shift int64 // ms that its time is behind the stream's
}

// see counts what a frame of the stream's time dts breaks.
func (c *clock) see(tag *flv.Tag, dts media.Timestamp) {
	at := tag.Timestamp
	if before, ok := c.last[tag.Type]; ok && at < before {
		c.back++
	}
	if c.frames > 0 && int64(at)-int64(c.lastTime) >= 100 {
		c.gaps++
	}
	now := int64(dts) - int64(at)
	if c.frames > 0 && now != c.shift {
		c.skips++
		if tag.Body[0] != 0x17 {
			c.offKey++
		}
	}
	c.shift = now
	c.frames++
	c.last[tag.Type], c.lastTime = at, max(c.lastTime, at)
	video, audio := int64(c.last[media.TypeVideo]), int64(c.last[media.TypeAudio])
	// A skip may come between a picture and its sound, so that a frame of each is missing.
	if c.frames > 3 && max(video-audio, audio-video) > (slowFrame+slowFrame/2).Milliseconds() {
		c.apart++
	}
}

// faults is how often a viewer saw what none may see.
func (s *seen) faults() int { return s.gaps + s.back + s.apart + s.offKey }

// throttled takes 25 of 75 tags a second.
func throttled() { <-time.After(slowFrame) }

// sawtooth stops for so long, then reads for a second.
func sawtooth(pause time.Duration) func() {
	began := time.Now()
	return func() {
		if time.Since(began) > time.Second {
			<-time.After(pause)
			began = time.Now()
		}
	}
}

// Throttled and sawtooth readers among healthy ones.
//
// Requirement: S7
func TestSlowReadersSkipAndOthersDoNot(t *testing.T) {
	t.Parallel()
	a := &audience{n: startNode(t), stop: make(chan struct{})}
	a.p = a.n.publishPaced(t, 250_000)
	healthy := make([]seen, 20)
	for i := range healthy {
		a.watch(t, &healthy[i], func() {})
	}
	const pause = 4 * time.Second
	var slow, teeth [4]seen
	for i := range slow {
		a.watch(t, &slow[i], throttled)
		a.watch(t, &teeth[i], sawtooth(pause))
	}
	a.p.run(16 * time.Second)
	close(a.stop)
	a.p.w.End()
	a.group.Wait()
	for i, s := range healthy {
		if s.skips+s.faults() > 0 || s.lastErr != nil || s.frames < 1000 {
			t.Errorf("healthy viewer %d: %+v", i, s)
		}
	}
	// What is in the kernel comes on top: 32 KiB at a third of the bitrate, and what
	// the receiver's buffer holds, 64 KiB.
	const limit = 2*slowLatency + slowGOP + 2*time.Second
	for i, s := range slow {
		if s.skips == 0 || s.faults() > 0 || s.lastErr != nil || s.behind > limit {
			t.Errorf("throttled viewer %d: %+v, want it at most %v behind", i, s, limit)
		}
	}
	for i, s := range teeth { // behind while it pauses too
		if s.skips == 0 || s.faults() > 0 || s.lastErr != nil || s.behind > limit+pause {
			t.Errorf("sawtooth viewer %d: %+v, want it at most %v behind", i, s, limit+pause)
		}
	}
	t.Logf("throttled: %+v", slow[0])
	t.Logf("sawtooth: %+v", teeth[0])
}

// 500 viewers that read nothing hold little of the kernel's memory and of ours,
// and healthy ones do not notice.
//
// Requirement: S7
func TestStalledViewersCostLittle(t *testing.T) {
	const stalled = 500
	a := &audience{n: startNode(t), stop: make(chan struct{})}
	a.p = a.n.publishPaced(t, 250_000)
	var healthy [10]seen
	for i := range healthy {
		a.watch(t, &healthy[i], func() {})
	}
	a.p.run(time.Second)
	kernel, heap := sockMem(t), heapNow()
	for range stalled {
		c := a.n.dial(a.n.http)
		if err := c.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(c, "GET /brisk/slow.flv HTTP/1.0\r\nHost: h\r\n\r\n")
	}
	a.p.run(8 * time.Second)
	a.n.allLag(t, stalled)
	const perViewer = 128 << 10
	if grown := sockMem(t) - kernel; grown > stalled*perViewer {
		t.Errorf("%d bytes of sockets' memory a stalled viewer, want at most %d", grown/stalled, perViewer)
	} else {
		t.Logf("%d bytes of sockets' memory a stalled viewer", grown/stalled)
	}
	if grown := heapNow() - heap; grown > 16<<20 {
		t.Errorf("the heap has grown by %d MiB, want at most 16", grown>>20)
	} else {
		t.Logf("the heap has grown by %d KiB", grown>>10)
	}
	close(a.stop)
	a.p.w.End()
	a.group.Wait()
	for i, s := range healthy {
		if s.skips+s.faults() > 0 || s.lastErr != nil {
			t.Errorf("healthy viewer %d: %+v", i, s)
		}
	}
}

// allLag wants so many viewers far behind in the listing, and no other.
func (n *node) allLag(t *testing.T, want int) {
	t.Helper()
	list, err := n.edge.Viewers(t.Context(), 2*want)
	if err != nil {
		t.Fatal(err)
	}
	late := 0
	for _, v := range list {
		if v.Lag > time.Second {
			late++
		}
	}
	if late != want {
		t.Errorf("%d of %d viewers are listed as behind, want %d", late, len(list), want)
	}
}

// sockMem is the memory of all TCP sockets of the machine, in bytes.
func sockMem(t *testing.T) int {
	t.Helper()
	return number(t, "/proc/net/sockstat", "TCP:", -1) * os.Getpagesize()
}

// heapNow is the process's heap in use, in bytes, without garbage.
func heapNow() int {
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapInuse)
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
