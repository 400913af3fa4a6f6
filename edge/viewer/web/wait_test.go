package web

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"tmms/cluster/relay"
	"tmms/cluster/state"
	"tmms/edge/fanout"
	"tmms/edge/reactor"
	"tmms/edge/viewer"
	"tmms/media"
	"tmms/media/hls"
)

// TestMain lets the test binary be a crowd of clients too: the descriptors of one
// process do not suffice for both ends.
func TestMain(m *testing.M) {
	if addr := os.Getenv("TMMS_TEST_CROWD"); addr != "" {
		n, err := crowd(addr, os.Getenv("TMMS_TEST_CROWD_SIZE"), os.Getenv("TMMS_TEST_CROWD_PATH"))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Fprintln(os.Stdout, n)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// crowd asks for a playlist by many connections, each once, and counts the playlists.
func crowd(addr, size, path string) (playlists int64, err error) {
	n, err := strconv.Atoi(size)
	if err != nil {
		return 0, err
	}
	var wg sync.WaitGroup
	var good atomic.Int64
	faults := make(chan error, n)
	slots := make(chan struct{}, 64) // dials at once
	for range n {
		slots <- struct{}{}
		c, fault := (&net.Dialer{}).DialContext(context.Background(), "tcp", addr)
		<-slots
		if fault != nil {
			return 0, fault
		}
		if _, err = io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: x\r\nUser-Agent: crowd\r\n"+
			"Accept: */*\r\nAccept-Encoding: identity\r\nReferer: http://x/\r\n\r\n"); err != nil {
			return 0, err
		}
		wg.Go(func() {
			defer c.Close()
			resp, fault := http.ReadResponse(bufio.NewReaderSize(c, 512), nil)
			if fault != nil {
				faults <- fault
				return
			}
			defer resp.Body.Close()
			body, fault := io.ReadAll(resp.Body)
			if fault == nil && resp.StatusCode == http.StatusOK && strings.HasPrefix(string(body), "#EXTM3U") {
				good.Add(1)
			}
		})
	}
	wg.Wait()
	select {
	case err = <-faults:
	default:
	}
	return good.Load(), err
}

// testApps is a config that never changes: the app live of any domain.
type testApps struct{ config *state.Config }

func (a testApps) Config() *state.Config { return a.config }

// station is the server on one loop, which a test looks at in each tick.
type station struct {
	t    *testing.T
	hub  *relay.Hub
	loop *reactor.Loop
	web  *Loop
	addr string

	parked  atomic.Int64 // as of the last tick
	woken   atomic.Int64
	most    atomic.Int64 // answers in one tick
	ticks   atomic.Int64 // that had answers
	parties atomic.Int64

	sent     int64 // of bodies, as of the last tick; the loop's
	mostSent atomic.Int64
}

func startStation(t *testing.T) *station {
	t.Helper()
	config, err := state.NewConfig(1, &state.Document{Domains: []state.DomainDoc{
		{Name: "default", Aliases: []string{"*"}, Apps: []state.AppDoc{{Name: "live"}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	st := &station{t: t, hub: relay.NewHub()}
	server, err := NewServer(Config{
		Hub: st.hub, Apps: testApps{config}, Gate: viewer.NewGate(0), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg := reactor.DefaultConfig()
	cfg.Loops = 1
	r, err := reactor.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	st.loop = r.Loops()[0]
	st.web = server.Loop(st.loop, fanout.New(fanout.Config{Hub: st.hub, Submit: st.loop.Submit}))
	st.loop.OnTick(st.tick)
	addr, err := r.Listen("127.0.0.1:0", st.web.Open)
	if err != nil {
		t.Fatal(err)
	}
	st.addr = addr.String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		server.Close()
		if st.hub.Len() != 0 {
			t.Errorf("%d feeds are left", st.hub.Len())
		}
		if held := server.streams.files.held.Load(); held != 0 {
			t.Errorf("%d bytes of files are left", held)
		}
	})
	return st
}

func (st *station) tick(now time.Duration) (busy bool) {
	st.mostSent.Store(max(st.mostSent.Load(), st.web.sent-st.sent))
	st.sent = st.web.sent
	before := st.web.waits.woken
	busy = st.web.OnTick(now)
	if n := st.web.waits.woken - before; n > 0 {
		st.ticks.Add(1)
		st.most.Store(max(st.most.Load(), n))
	}
	st.woken.Store(st.web.waits.woken)
	st.parked.Store(int64(st.web.waits.count))
	st.parties.Store(int64(len(st.web.waits.parties)))
	return busy
}

// until waits for a condition.
func until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline := time.After(60 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-deadline:
			t.Fatalf("it never came that %s", what)
		case <-tick.C:
		}
	}
}

// gather starts a crowd and waits until all of it is parked.
func (st *station) gather(n int, path string) (answers func() (playlists string)) {
	st.t.Helper()
	self, err := os.Executable()
	if err != nil {
		st.t.Fatal(err)
	}
	cmd := exec.CommandContext(st.t.Context(), self)
	cmd.Env = append(os.Environ(), "TMMS_TEST_CROWD="+st.addr, "TMMS_TEST_CROWD_SIZE="+strconv.Itoa(n), "TMMS_TEST_CROWD_PATH="+path)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err = cmd.Start(); err != nil {
		st.t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	until(st.t, fmt.Sprintf("%d are parked", n), func() bool {
		select {
		case err := <-done:
			st.t.Fatalf("the crowd has gone: %v %s", err, errs.String())
		default:
		}
		return st.parked.Load()+st.woken.Load() >= int64(n)
	})
	return func() string {
		if err := <-done; err != nil {
			st.t.Fatalf("crowd: %v %s", err, errs.String())
		}
		return strings.TrimSpace(out.String())
	}
}

func testIndex(version, msn uint64, n int) *hls.Index {
	x := &hls.Index{Version: version, Listing: version, Epoch: 7, Target: 2 * time.Second, Listed: n, Independent: true}
	for i := range uint64(n) {
		x.Segments = append(x.Segments, &hls.Segment{
			Epoch: 7, MSN: msn + i, Duration: 2 * time.Second, ProgramTime: time.Unix(1_700_000_000+int64(i), 0),
			TS: &hls.Media{Chunks: [][]byte{make([]byte, 1000)}, Size: 1000},
		})
	}
	return x
}

func (st *station) publish(stream string) *relay.Writer {
	st.t.Helper()
	w, err := st.hub.Publish(media.StreamKey{Domain: "default", App: "live", Stream: stream}, 7, relay.LiveOptions{})
	if err != nil {
		st.t.Fatal(err)
	}
	st.t.Cleanup(w.End)
	return w
}

// TestTenThousandParkedRequestsWakeUnderBudget: a crowd is there before its
// stream. All get the playlist, over several ticks, and none of the ticks
// answers more than its budget.
func TestTenThousandParkedRequestsWakeUnderBudget(t *testing.T) {
	n := 10_000
	if testing.Short() {
		n = 1500
	}
	st := startStation(t)
	before := heap()
	answers := st.gather(n, "/live/test/live.m3u8")
	each := (heap() - before) / int64(n)
	w := st.publish("test")
	if woken := st.woken.Load(); woken != 0 {
		t.Fatalf("%d were answered before there was anything", woken)
	}
	start := time.Now()
	w.PublishIndex(testIndex(1, 100, 3))
	until(t, "all are answered", func() bool { return st.woken.Load() == int64(n) })
	t.Logf("%d answers in %v, %d ticks, %d at most in one; %d bytes each while parked",
		n, time.Since(start), st.ticks.Load(), st.most.Load(), each)
	if st.most.Load() > wakeAnswers || st.ticks.Load() < int64(n/wakeAnswers) {
		t.Errorf("%d answers in one tick, %d ticks", st.most.Load(), st.ticks.Load())
	}
	if got := answers(); got != strconv.Itoa(n) {
		t.Errorf("%s playlists, want %d", got, n)
	}
	if each > 2048 {
		t.Errorf("%d bytes each with the connection", each)
	}
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestAParkedRequestIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(waiting{}) + unsafe.Sizeof(conn{}); n > 144+128 {
		t.Errorf("a parked request and its connection have %d bytes", n)
	}
	r := parseHead(t, "GET /live/test/live.m3u8 HTTP/1.1\r\nHost: x\r\nIf-None-Match: \"a\"\r\nIf-None-Match: \"b\"\r\nRange: bytes=1-2\r\n\r\n")
	w := asking{request: r}.wish().clone()
	if !matches(w.match, `"b"`) || w.ranges != "bytes=1-2" || w.headOnly {
		t.Errorf("what is kept is %+v", w)
	}
}

// ask sends a request and gives what reads the answers.
func (st *station) ask(raw string) (net.Conn, *bufio.Reader) {
	st.t.Helper()
	c, err := (&net.Dialer{}).DialContext(st.t.Context(), "tcp", st.addr)
	if err != nil {
		st.t.Fatal(err)
	}
	st.t.Cleanup(func() { c.Close() })
	if err = errors.Join(c.SetDeadline(time.Now().Add(60*time.Second)), writeAll(c, raw)); err != nil {
		st.t.Fatal(err)
	}
	return c, bufio.NewReader(c)
}

func writeAll(c net.Conn, raw string) error {
	_, err := io.WriteString(c, raw)
	return err
}

func (st *station) answer(br *bufio.Reader) (status int, body string) {
	st.t.Helper()
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		st.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		st.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// TestOneStreamsIndexWakesItsOwnOnly: the others' connections are not looked at.
func TestOneStreamsIndexWakesItsOwnOnly(t *testing.T) {
	st := startStation(t)
	_, a := st.ask("GET /live/a/live.m3u8 HTTP/1.1\r\nHost: x\r\n\r\n")
	_, b := st.ask("GET /live/b/live.m3u8 HTTP/1.1\r\nHost: x\r\n\r\n")
	until(t, "both are parked", func() bool { return st.parked.Load() == 2 && st.parties.Load() == 2 })
	st.publish("a").PublishIndex(testIndex(1, 100, 1))
	if status, body := st.answer(a); status != http.StatusOK || !strings.Contains(body, "7-100.ts") {
		t.Errorf("a: %d %s", status, body)
	}
	until(t, "one is left", func() bool { return st.parked.Load() == 1 && st.parties.Load() == 1 })
	st.publish("b").PublishIndex(testIndex(1, 200, 1))
	if status, body := st.answer(b); status != http.StatusOK || !strings.Contains(body, "7-200.ts") {
		t.Errorf("b: %d %s", status, body)
	}
}

// TestParkedRequestsOfOneConnectionAreAnsweredInOrder: pipelined ones, behind one
// that waits, some of which wait in their turn.
func TestParkedRequestsOfOneConnectionAreAnsweredInOrder(t *testing.T) {
	st := startStation(t)
	_, br := st.ask("GET /live/test.m3u8 HTTP/1.1\r\nHost: x\r\n\r\n" +
		"GET /favicon.ico HTTP/1.1\r\nHost: x\r\n\r\n" +
		"GET /live/test/7-102.ts HTTP/1.1\r\nHost: x\r\nRange: bytes=0-1\r\n\r\n" +
		"GET /live/test/live.m3u8 HTTP/1.1\r\nHost: x\r\n\r\n")
	until(t, "it is parked", func() bool { return st.parked.Load() == 1 })
	w := st.publish("test")
	w.PublishIndex(testIndex(1, 100, 2))
	if status, body := st.answer(br); status != http.StatusOK || !strings.Contains(body, "test/live.m3u8") {
		t.Errorf("first: %d %s", status, body)
	}
	if status, body := st.answer(br); status != http.StatusOK || !strings.Contains(body, "</svg>") {
		t.Errorf("second: %d %s", status, body)
	}
	until(t, "the third waits", func() bool { return st.woken.Load() == 1 && st.parked.Load() == 1 })
	w.PublishIndex(testIndex(2, 100, 3))
	if status, body := st.answer(br); status != http.StatusPartialContent || len(body) != 2 {
		t.Errorf("third: %d, %d bytes", status, len(body))
	}
	if status, body := st.answer(br); status != http.StatusOK || !strings.Contains(body, "7-102.ts") {
		t.Errorf("fourth: %d %s", status, body)
	}
}

// TestThoseWhoGoWhileTheyWaitLeaveNothing also has the others keep their seats.
func TestThoseWhoGoWhileTheyWaitLeaveNothing(t *testing.T) {
	st := startStation(t)
	const request = "GET /live/test/live.m3u8 HTTP/1.1\r\nHost: x\r\n\r\n"
	var conns []net.Conn
	var readers []*bufio.Reader
	for range 20 {
		c, br := st.ask(request)
		conns, readers = append(conns, c), append(readers, br)
	}
	until(t, "all are parked", func() bool { return st.parked.Load() == 20 })
	for i := 0; i < 20; i += 2 {
		conns[i].Close()
	}
	until(t, "half of them have gone", func() bool { return st.parked.Load() == 10 })
	st.publish("test").PublishIndex(testIndex(1, 100, 1))
	for i := 1; i < 20; i += 2 {
		if status, _ := st.answer(readers[i]); status != http.StatusOK {
			t.Errorf("%d: %d", i, status)
		}
	}
	until(t, "nobody waits", func() bool { return st.parked.Load() == 0 && st.parties.Load() == 0 })
}
