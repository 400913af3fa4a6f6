package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The processors: the server has one of its own, so that what it does is not
// mixed with what the generator does.
const (
	ServerCPU    = 0
	GeneratorCPU = 1
)

// Lab holds the programs that are run. It is used by one goroutine.
type Lab struct {
	// ServerCPUs are the processors that servers started from now on may use, as
	// taskset(1) takes them; "" is ServerCPU alone. What a server's other threads
	// use on the generator's processor makes the generator slower.
	ServerCPUs string

	dir string
	err io.Writer
}

// New builds the programs; it must be called in the project's root. What they
// say on standard error goes to errOut. Close removes them.
func New(ctx context.Context, errOut io.Writer) (*Lab, error) {
	dir, err := os.MkdirTemp("", "tmms-bench-")
	if err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	for _, argv := range [][]string{
		{"go", "build", "-o", dir, "./cmd/tmms", "./cmd/tmms-bench"},
		{"gcc", "-O2", "-o", filepath.Join(dir, "floor"), "bench/floor/floor.c"},
	} {
		if msg, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput(); err != nil {
			return nil, errors.Join(
				fmt.Errorf("lab: run from the project's root: %s: %w\n%s", strings.Join(argv, " "), err, msg), os.RemoveAll(dir))
		}
	}
	return &Lab{dir: dir, err: errOut}, nil
}

// Close removes the programs.
func (l *Lab) Close() error { return os.RemoveAll(l.dir) }

// Path is where one of the programs is.
func (l *Lab) Path(name string) string { return filepath.Join(l.dir, name) }

// Command is one of the programs, or another one of the system, pinned to a
// processor; it gets an interrupt when ctx ends.
func (l *Lab) Command(ctx context.Context, cpu int, name string, args ...string) *exec.Cmd {
	return l.command(ctx, strconv.Itoa(cpu), name, args...)
}

func (l *Lab) command(ctx context.Context, cpus, name string, args ...string) *exec.Cmd {
	path := filepath.Join(l.dir, name)
	if _, err := os.Stat(path); err != nil {
		path = name
	}
	cmd := exec.CommandContext(ctx, "taskset", append([]string{"-c", cpus, path}, args...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	cmd.Stderr = l.err
	return cmd
}

// Server is a server that runs.
type Server struct {
	Name  string
	PID   int
	Also  []int  // further processes of the server, charged like PID
	RTMP  string // HOST:PORT, "" without
	HTTP  string // HOST:PORT
	HTTPS string // HOST:PORT, "" without
	Admin string // HOST:PORT of tmms, "" of others
	stop  func()
}

// Stop ends the server and waits for it.
func (s *Server) Stop() { s.stop() }

// FLV is the address of a stream by HTTP-FLV.
func (s *Server) FLV(stream string) string { return "http://" + s.HTTP + "/live/" + stream + ".flv" }

// SecureFLV is its address by HTTPS-FLV.
func (s *Server) SecureFLV(stream string) string {
	return "https://" + s.HTTPS + "/live/" + stream + ".flv"
}

// Play is its address by RTMP.
func (s *Server) Play(stream string) string { return "rtmp://" + s.RTMP + "/live/" + stream }

// URL is its address by "flv" or "rtmp".
func (s *Server) URL(proto, stream string) string {
	if proto == "rtmp" {
		return s.Play(stream)
	}
	return s.FLV(stream)
}

// Floor starts the C program with a stream of its own.
func (l *Lab) Floor(ctx context.Context, flush time.Duration, bitrate int) (*Server, error) {
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	s := &Server{Name: "C floor, HTTP-FLV", HTTP: "127.0.0.1:" + port}
	err = l.start(ctx, s, "floor", "-p", port, "-T", strconv.FormatInt(flush.Milliseconds(), 10),
		"-r", strconv.Itoa(bitrate), "-c", Congestion())
	if err != nil {
		return nil, err
	}
	return s, s.wait(ctx, func() bool { return dials(ctx, s.HTTP) })
}

// TMMS starts the server; settings are keys of its config, as key=value.
func (l *Lab) TMMS(ctx context.Context, name string, settings ...string) (*Server, error) {
	var ports [3]string
	for i := range ports {
		p, err := freePort(ctx)
		if err != nil {
			return nil, err
		}
		ports[i] = "127.0.0.1:" + p
	}
	s := &Server{Name: name, RTMP: ports[0], HTTP: ports[1], Admin: ports[2]}
	args := []string{"dev", "--rtmp", s.RTMP, "--http", s.HTTP, "--admin", s.Admin}
	for _, set := range settings {
		args = append(args, "--set", set)
	}
	if err := l.start(ctx, s, "tmms", args...); err != nil {
		return nil, err
	}
	return s, s.wait(ctx, func() bool { return answers(ctx, "http://"+s.Admin+"/readyz") })
}

func (l *Lab) start(ctx context.Context, s *Server, name string, args ...string) error {
	ctx, cancel := context.WithCancel(ctx)
	cpus := l.ServerCPUs
	if cpus == "" {
		cpus = strconv.Itoa(ServerCPU)
	}
	cmd := l.command(ctx, cpus, name, args...)
	if err := cmd.Start(); err != nil {
		cancel()
		return fmt.Errorf("lab: %s: %w", name, err)
	}
	s.PID = cmd.Process.Pid
	s.stop = func() {
		cancel()
		_ = cmd.Wait() // it ends by the signal
	}
	return nil
}

// wait stops the server if it does not become ready.
func (s *Server) wait(ctx context.Context, ready func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !ready() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			s.Stop()
			return fmt.Errorf("lab: %s is not ready: %w", s.Name, ctx.Err())
		}
	}
	return nil
}

// Congestion is the congestion control that the server uses for its viewers, so
// that both send alike: bbr where the system has it.
func Congestion() string {
	available, err := os.ReadFile("/proc/sys/net/ipv4/tcp_available_congestion_control")
	if err == nil && slices.Contains(strings.Fields(string(available)), "bbr") {
		return "bbr"
	}
	return "cubic"
}

func freePort(ctx context.Context) (string, error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("lab: %w", err)
	}
	defer ln.Close()
	_, port, err := net.SplitHostPort(ln.Addr().String())
	return port, err //nolint:wrapcheck // cannot fail on a listener's address
}

func dials(ctx context.Context, addr string) bool {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err == nil {
		c.Close()
	}
	return err == nil
}

func answers(ctx context.Context, url string) bool {
	body, err := fetch(ctx, url)
	if err == nil {
		body.Close()
	}
	return err == nil
}

// fetch gives the body of a good answer.
func fetch(ctx context.Context, url string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		res.Body.Close()
		return nil, fmt.Errorf("lab: %s answers %s", url, res.Status)
	}
	return res.Body, nil
}
