package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// server is one running tmms process.
type server struct {
	rtmp, http, admin string // host:port
	cmd               *exec.Cmd
	out               *lockedBuffer
	exited            chan struct{} // closed once cmd was waited for
}

// startDev runs "tmms dev" on free ports with more flags, waits until it is
// ready, and ends it with SIGINT when the test is over, which must succeed.
func startDev(t *testing.T, args ...string) *server {
	t.Helper()
	s := &server{rtmp: freeAddr(t), http: freeAddr(t), admin: freeAddr(t), out: &lockedBuffer{}, exited: make(chan struct{})}
	args = append([]string{"dev", "--rtmp", s.rtmp, "--http", s.http, "--admin", s.admin}, args...)
	s.cmd = exec.Command(binary, args...)
	s.cmd.Stdout, s.cmd.Stderr = s.out, s.out
	s.start(t)
	return s
}

func (s *server) start(t *testing.T) {
	t.Helper()
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = s.cmd.Wait()
		close(s.exited)
	}()
	t.Cleanup(func() { s.stop(t) })
	waitFor(t, 20*time.Second, "the server to be ready", func() bool {
		select {
		case <-s.exited:
			t.Fatalf("tmms ended at start:\n%s", s.out)
		default:
		}
		code, _ := get(t, "http://"+s.admin+"/readyz")
		return code == http.StatusOK
	})
}

func (s *server) stop(t *testing.T) {
	t.Helper()
	select {
	case <-s.exited:
	default:
		_ = s.cmd.Process.Signal(syscall.SIGINT)
	}
	select {
	case <-s.exited:
	case <-time.After(10 * time.Second):
		_ = s.cmd.Process.Signal(syscall.SIGQUIT)
		<-s.exited
		t.Errorf("tmms did not end within 10 s of SIGINT")
	}
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("tmms exited with %d, want 0", code)
	}
	if out := s.out.String(); t.Failed() || strings.Contains(out, "panic") || strings.Contains(out, "DATA RACE") {
		t.Logf("tmms printed:\n%s", out)
	}
}

func (s *server) pushURL(stream string) string { return "rtmp://" + s.rtmp + "/live/" + stream }
func (s *server) url(path string) string       { return "http://" + s.http + path }

// streams reads /api/v1/streams.
func (s *server) streams(t *testing.T) []map[string]any {
	t.Helper()
	code, body := get(t, "http://"+s.admin+"/api/v1/streams")
	if code != http.StatusOK {
		t.Fatalf("/api/v1/streams: %d %s", code, body)
	}
	var list struct {
		Streams []map[string]any `json:"streams"`
	}
	if err := json.Unmarshal(body, &list); err != nil {
		t.Fatalf("/api/v1/streams: %v in %s", err, body)
	}
	return list.Streams
}

// waitLive waits until the stream default/live/NAME is live.
func (s *server) waitLive(t *testing.T, name string) {
	t.Helper()
	waitFor(t, 15*time.Second, "stream "+name+" to be live", func() bool {
		for _, st := range s.streams(t) {
			if st["key"] == "default/live/"+name && st["state"] == "live" {
				return true
			}
		}
		return false
	})
}

// waitPlaylist waits until the media playlist of live/NAME lists n segments.
func (s *server) waitPlaylist(t *testing.T, name string, n int) string {
	t.Helper()
	var list string
	waitFor(t, 40*time.Second, fmt.Sprintf("%d segments of %s", n, name), func() bool {
		code, body := get(t, s.url("/live/"+name+"/live.m3u8"))
		list = string(body)
		return code == http.StatusOK && strings.Count(list, "#EXTINF") >= n
	})
	return list
}

func get(t *testing.T, url string) (int, []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, nil
	}
	return res.StatusCode, body
}

// freeAddr gives an address of this machine that nobody listens on, by TCP or UDP.
func freeAddr(t *testing.T) string {
	t.Helper()
	for range 1000 {
		addr := fmt.Sprintf("127.0.0.1:%d", 20_000+rand.IntN(12_000)) // no connection is given one of these
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		ln.Close()
		if pc, err := net.ListenPacket("udp", addr); err == nil {
			_ = pc.Close()
			return addr
		}
	}
	t.Fatal("every port is taken")
	return ""
}

// waitFor polls cond every 50 ms.
func waitFor(t *testing.T, limit time.Duration, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(limit); time.Now().Before(end); <-tick.C {
		if cond() {
			return
		}
	}
	t.Fatalf("waited %v in vain for %s", limit, what)
}

// lockedBuffer collects a process's output while tests read it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// viewers is the number of viewers that /api/v1/viewers counts.
func (s *server) viewers(t *testing.T) int {
	t.Helper()
	code, body := get(t, "http://"+s.admin+"/api/v1/viewers")
	if code != http.StatusOK {
		t.Fatalf("/api/v1/viewers: %d %s", code, body)
	}
	var list struct {
		Total int `json:"total"`
	}
	if err := json.Unmarshal(body, &list); err != nil {
		t.Fatalf("/api/v1/viewers: %v in %s", err, body)
	}
	return list.Total
}
