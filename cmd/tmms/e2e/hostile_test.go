package e2e

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tmms/bench/hostile"
	"tmms/bench/play"
	"tmms/bench/procstat"
	"tmms/bench/publish"
	"tmms/bench/signal"
)

// TestHostileBytes throws random bytes at every port, before and after the
// handshake, and half-open and slow connections besides, while a viewer plays.
func TestHostileBytes(t *testing.T) {
	s := startDev(t)
	push(t, "av.flv", s.pushURL("calm"))
	s.waitLive(t, "calm")
	before := s.rss(t)
	watch := make(chan error, 1)
	go func() {
		got, err := decode(t, s.url("/live/calm.flv"), 12*time.Second)
		if err == nil && got.video < 280 {
			err = fmt.Errorf("%d video frames in 12 s", got.video)
		}
		watch <- err
	}()
	peak := before
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), 1))
			for range 60 {
				for _, addr := range []string{s.rtmp, s.http, s.admin} {
					attack(addr, rng, nil)
				}
				attack(s.rtmp, rng, handshake)
				attack(s.rtmp, rng, connected)
				attack(s.http, rng, httpHead)
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	for running := true; running; {
		select {
		case <-done:
			running = false
		case <-time.After(200 * time.Millisecond):
			peak = max(peak, s.rss(t))
		}
	}
	if err := <-watch; err != nil {
		t.Errorf("the viewer beside the attack: %v", err)
	}
	if growth := peak - before; growth > 64<<20 {
		t.Errorf("memory grew by %d MiB, the limit is 64", growth>>20)
	}
	select {
	case <-s.exited:
		t.Fatal("the process is gone")
	default:
	}
}

// attack opens a connection, says the polite part and then noise.
func attack(addr string, rng *rand.Rand, polite func(net.Conn) error) {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Second))
	if polite != nil && polite(c) != nil {
		return
	}
	noise := make([]byte, rng.IntN(64<<10))
	for i := range noise {
		noise[i] = byte(rng.Uint32())
	}
	_, _ = c.Write(noise)
}

func handshake(c net.Conn) error {
	hello := make([]byte, 1+1536)
	hello[0] = 3
	if _, err := c.Write(hello); err != nil {
		return err
	}
	answer := make([]byte, 1+2*1536)
	if _, err := io.ReadFull(c, answer); err != nil {
		return err
	}
	_, err := c.Write(answer[1 : 1+1536])
	return err
}

// connected is a handshake and the connect command for app live.
func connected(c net.Conn) error {
	if err := handshake(c); err != nil {
		return err
	}
	body := "\x02\x00\x07connect\x00\x3f\xf0\x00\x00\x00\x00\x00\x00\x03\x00\x03app\x02\x00\x04live\x00\x00\x09"
	head := []byte{3, 0, 0, 0, 0, 0, byte(len(body)), 20, 0, 0, 0, 0}
	_, err := c.Write(append(head, body...))
	return err
}

func httpHead(c net.Conn) error {
	_, err := io.WriteString(c, "GET /live/calm.flv HTTP/1.1\r\nHost: localhost\r\nX: ")
	return err
}

// rss is the process's resident memory in bytes.
func (s *server) rss(t *testing.T) int64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kb << 10
		}
	}
	return 0
}

// TestAttacks runs every attack of bench/hostile, one after the other, beside
// healthy viewers who check every frame.
func TestAttacks(t *testing.T) {
	s := startDev(t)
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	cfg := publish.Config{URL: s.pushURL("calm"), Signal: signal.DefaultConfig()}
	go func() { _ = publish.Run(ctx, cfg, nil) }() // it ends with the context; else the viewers lose it
	s.waitLive(t, "calm")
	laps, counting := make(chan struct{}), make(chan struct{})
	watch := make(chan error, 1)
	go func() {
		cfg := play.DefaultConfig()
		cfg.URL, cfg.Viewers, cfg.Verify, cfg.Laps = s.url("/live/calm.flv"), 20, 1, laps
		r, err := play.Run(ctx, cfg, func() { close(counting) })
		if c := r.Check; err == nil && (r.Lost > 0 || c.Frames == 0 || c.Gaps+c.Repeats+c.Damaged+c.Back > 0) {
			err = fmt.Errorf("%d viewers lost, of %d frames %d missing, %d repeated, %d damaged", r.Lost, c.Frames, c.Gaps, c.Repeats, c.Damaged)
		}
		watch <- err
	}()
	select {
	case <-counting:
	case err := <-watch:
		t.Fatalf("the viewers: %v", err)
	}
	memory, files := s.rss(t), s.descriptors(t)
	peak := memory
	for _, c := range hostile.Cases() {
		r, err := hostile.Run(ctx, hostile.Config{
			Target: hostile.Target{RTMP: s.rtmp, HTTP: s.http, Stream: "calm"}, Case: c.Name,
			Duration: 900 * time.Millisecond, Conns: min(c.Conns, 300), Sources: 50,
		})
		if err != nil || r.Opened == 0 {
			t.Errorf("%s: %+v, %v", c.Name, r, err)
		}
		peak = max(peak, s.rss(t))
	}
	if growth := peak - memory; growth > 64<<20 {
		t.Errorf("memory grew by %d MiB, the limit is 64", growth>>20)
	}
	waitFor(t, 30*time.Second, "the attackers' descriptors to be closed", func() bool { return s.descriptors(t) <= files+4 })
	close(laps)
	if err := <-watch; err != nil {
		t.Errorf("the viewers beside the attacks: %v", err)
	}
}

// descriptors counts the process's open files.
func (s *server) descriptors(t *testing.T) int {
	t.Helper()
	n, err := procstat.FDs(s.cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
