package reactor

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// engines are those that this machine has.
func engines(t *testing.T) []Engine {
	t.Helper()
	u, err := newURing(1, 1)
	if err != nil {
		t.Logf("without io_uring, which this machine does not have: %v", err)
		return []Engine{EngineEpoll}
	}
	if err := u.close(); err != nil {
		t.Fatal(err)
	}
	return []Engine{EngineEpoll, EngineURing}
}

// outcomeLog is a Completion.
type outcomeLog struct {
	calls, n, asked int
	err             error
}

func (o *outcomeLog) OnSent(n, asked int, err error) {
	o.calls++
	o.n, o.asked, o.err = n, asked, err
}

// A batch is sent whole, in order for each connection, however many there are;
// full sockets and dead ones have their own outcomes.
func TestBatch(t *testing.T) {
	const conns = 3*maxBatch + 7
	for _, which := range engines(t) {
		t.Run(string(which), func(t *testing.T) {
			var list []*Conn
			var mu sync.Mutex
			cfg := testConfig()
			cfg.Engine = which
			g := start(t, cfg, func(c *Conn) Protocol {
				mu.Lock()
				defer mu.Unlock()
				list = append(list, c)
				return &hooked{}
			})
			peers := make([]net.Conn, conns)
			for i := range peers {
				peers[i] = g.dial()
				defer peers[i].Close()
			}
			eventually(t, "all connections", func() bool {
				mu.Lock()
				defer mu.Unlock()
				return len(list) == conns
			})
			payload := bytes.Repeat([]byte("0123456789abcdef"), 64)
			logs := make([]outcomeLog, conns)
			for range 3 {
				onLoop(t, g.loop(), func() {
					for i, c := range list {
						c.SendLater(payload, &logs[i])
					}
					g.loop().Submit()
				})
			}
			for i, o := range logs {
				if o.calls != 3 || o.n != len(payload) || o.asked != len(payload) || o.err != nil {
					t.Fatalf("connection %d: %+v", i, o)
				}
			}
			got := make([]byte, 3*len(payload))
			for _, p := range peers {
				_ = p.SetReadDeadline(time.Now().Add(5 * time.Second))
				if _, err := io.ReadFull(p, got); err != nil || !bytes.Equal(got, bytes.Repeat(payload, 3)) {
					t.Fatalf("the peer got other bytes, or %v", err)
				}
			}
			eventually(t, "the count of the turn's end", func() bool {
				return g.loop().Stats().BytesSent == uint64(3*conns*len(payload))
			})
		})
	}
}

func TestBatchFullAndDeadSockets(t *testing.T) {
	for _, which := range engines(t) {
		t.Run(string(which), func(t *testing.T) {
			ready, writable := make(chan *Conn, 1), make(chan struct{}, 1)
			cfg := testConfig()
			cfg.Engine = which
			g := start(t, cfg, func(c *Conn) Protocol {
				ready <- c
				return &hooked{writable: func(*Conn) {
					select {
					case writable <- struct{}{}:
					default:
					}
				}}
			})
			peer := g.dial()
			c := receive(t, ready)
			big := make([]byte, 32<<20)
			var o outcomeLog
			onLoop(t, g.loop(), func() { c.SendLater(big, &o); g.loop().Submit() })
			if o.calls != 1 || o.n == 0 || o.n >= len(big) || o.err != nil {
				t.Fatalf("a full socket: %+v", o)
			}
			onLoop(t, g.loop(), func() {
				if !c.Blocked() {
					t.Error("the connection does not know that its socket is full")
				}
			})
			// The kernel may find more room for a while.
			eventually(t, "there is no room at all", func() bool {
				onLoop(t, g.loop(), func() { c.SendLater(big, &o); g.loop().Submit() })
				return o.n == 0 && o.err == nil
			})
			o.calls = 0
			if _, err := io.ReadFull(peer, make([]byte, 1<<20)); err != nil {
				t.Fatal(err)
			}
			receive(t, writable)
			onLoop(t, g.loop(), func() {
				_ = shutdownWrite(int(c.fd))
				c.SendLater(big[:100], &o)
				g.loop().Submit()
			})
			if o.calls != 1 || !errors.Is(o.err, syscall.EPIPE) {
				t.Errorf("a socket that sends no more: %+v", o)
			}
			onLoop(t, g.loop(), func() { c.SendLater(big[:100], &o) }) // it is condemned, or gone
			if o.calls != 2 || !errors.Is(o.err, ErrClosed) {
				t.Errorf("a closed connection: %+v", o)
			}
			peer.Close()
		})
	}
}

// What waits in the queue of Write goes first, and the loop submits by itself.
func TestBatchBehindWrite(t *testing.T) {
	for _, which := range engines(t) {
		t.Run(string(which), func(t *testing.T) {
			cfg := testConfig()
			cfg.Engine = which
			var o outcomeLog
			g := start(t, cfg, func(*Conn) Protocol {
				return &hooked{data: func(c *Conn, _ []byte) {
					_ = c.Write([]byte("one "))
					c.SendLater([]byte("two"), &o)
				}}
			})
			g.loop().Post(func() { g.loop().OnTick(func(time.Duration) bool { return false }) })
			peer := g.dial()
			defer peer.Close()
			send(t, peer, []byte("go"))
			got := make([]byte, 7)
			_ = peer.SetReadDeadline(time.Now().Add(5 * time.Second))
			if _, err := io.ReadFull(peer, got); err != nil || string(got) != "one two" {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

func TestBatchDoesNotAllocate(t *testing.T) {
	for _, which := range engines(t) {
		t.Run(string(which), func(t *testing.T) {
			cfg := testConfig()
			cfg.Engine = which
			result := make(chan float64, 1)
			payload := make([]byte, 1400)
			g := start(t, cfg, func(*Conn) Protocol {
				return &hooked{data: func(c *Conn, _ []byte) {
					var o outcomeLog
					result <- testing.AllocsPerRun(500, func() {
						c.SendLater(payload, &o)
						c.Loop().Submit()
					})
				}}
			})
			c := g.dial()
			done := make(chan struct{})
			go func() {
				defer close(done)
				_, _ = io.Copy(io.Discard, c)
			}()
			send(t, c, []byte("go"))
			if n := receive(t, result); n != 0 {
				t.Errorf("%v allocations a send", n)
			}
			c.Close()
			receive(t, done)
		})
	}
}

const forbiddenEnv = "TMMS_TEST_FORBID_IO_URING"

// TestForbiddenChild is the process of TestForbidden.
func TestForbiddenChild(t *testing.T) {
	if os.Getenv(forbiddenEnv) == "" {
		t.Skip("a part of TestForbidden")
	}
	forbid(t, unix.SYS_IO_URING_SETUP)
	if _, err := newURing(1, 1); !errors.Is(err, unix.EPERM) {
		t.Fatalf("io_uring is not forbidden: %v", err)
	}
	cfg := testConfig()
	g := start(t, cfg, echo)
	c := g.dial()
	defer c.Close()
	send(t, c, []byte("hello"))
	got := make([]byte, 5)
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "hello" {
		t.Errorf("got %q, %v", got, err)
	}
	cfg.Engine = EngineURing
	if _, err := New(cfg); !errors.Is(err, unix.EPERM) {
		t.Errorf("io_uring was asked for and is forbidden: %v", err)
	}
}

// Where io_uring is forbidden, the loops run on epoll.
func TestForbidden(t *testing.T) {
	cmd := exec.Command(os.Args[0], "-test.run=^TestForbiddenChild$", "-test.v")
	cmd.Env = append(os.Environ(), forbiddenEnv+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestForbiddenChild") {
		t.Errorf("%v\n%s", err, out)
	}
}

// forbid makes a system call fail with EPERM for the whole process, as the
// filters of container runtimes do.
func forbid(t *testing.T, number uint32) {
	t.Helper()
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // seccomp_data.nr
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: 0, Jf: 1, K: number},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC,
		uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		t.Fatal(errno)
	}
}

// The structs are the kernel's: the sizes are those of <linux/io_uring.h>.
func TestRingStructs(t *testing.T) {
	if a, b, c := unsafe.Sizeof(ringParams{}), unsafe.Sizeof(sqe{}), unsafe.Sizeof(cqe{}); a != 120 || b != 64 || c != 16 {
		t.Errorf("params, sqe and cqe have %d, %d and %d bytes, want 120, 64 and 16", a, b, c)
	}
	s := sqe{userData: 1}
	if binary.NativeEndian.Uint64(unsafe.Slice((*byte)(unsafe.Pointer(&s)), 64)[32:]) != 1 {
		t.Error("user_data is not at 32")
	}
}
