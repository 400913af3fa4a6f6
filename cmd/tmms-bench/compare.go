package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
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
	"text/tabwriter"
	"time"

	"tmms/bench/procstat"
)

const (
	serverCPU    = 0 // the server and, in its turn, the floor
	generatorCPU = 1
	flushMS      = 100 // the app's default flush interval, and the floor's
)

// comparison runs server and floor in turns and collects their figures.
type comparison struct {
	dir     string // holds the binaries
	viewers int
	seconds int
	out     io.Writer
}

// figures of one run.
type figures struct {
	name            string
	usPerViewerSec  float64 // CPU
	msPerMB         float64 // CPU
	p50, p99        float64 // delay in ms
	bytesPerViewer  float64 // resident memory, against the process before the viewers
	delivered, lost float64
	faults          int64
}

func compareCommand(ctx context.Context, flags *flag.FlagSet, args []string, out io.Writer) error {
	c := comparison{out: out}
	flags.IntVar(&c.viewers, "viewers", 1000, "number of viewers")
	flags.IntVar(&c.seconds, "seconds", 10, "counting time of a run")
	pairs := flags.Int("pairs", 3, "runs of each; the medians are printed")
	if err := parse(flags, args); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "tmms-bench-")
	if err != nil {
		return fmt.Errorf("compare: %w", err)
	}
	defer os.RemoveAll(dir)
	c.dir = dir
	if err := c.build(ctx); err != nil {
		return err
	}
	runs := map[string][]figures{}
	for range *pairs {
		for _, one := range []func(context.Context) (figures, error){c.floor, c.tmmsFLV, c.tmmsRTMP} {
			f, err := one(ctx)
			if err != nil {
				return err
			}
			runs[f.name] = append(runs[f.name], f)
		}
	}
	return c.print(runs)
}

func (c *comparison) build(ctx context.Context) error {
	for _, argv := range [][]string{
		{"go", "build", "-o", c.dir, "./cmd/tmms", "./cmd/tmms-bench"},
		{"gcc", "-O2", "-o", filepath.Join(c.dir, "floor"), "bench/floor/floor.c"},
	} {
		if msg, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("compare: run from the project's root: %s: %w\n%s", strings.Join(argv, " "), err, msg)
		}
	}
	return nil
}

// command is a program of c.dir, pinned to a processor, that ends with ctx.
func (c *comparison) command(ctx context.Context, cpu int, name string, args ...string) *exec.Cmd {
	argv := append([]string{"-c", strconv.Itoa(cpu), filepath.Join(c.dir, name)}, args...)
	cmd := exec.CommandContext(ctx, "taskset", argv...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	cmd.Stderr = os.Stderr
	return cmd
}

func (c *comparison) floor(ctx context.Context) (figures, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	port, err := freePort(ctx)
	if err != nil {
		return figures{}, err
	}
	cmd := c.command(ctx, serverCPU, "floor", "-p", port, "-T", strconv.Itoa(flushMS), "-c", congestion())
	if err := cmd.Start(); err != nil {
		return figures{}, fmt.Errorf("compare: floor: %w", err)
	}
	defer func() { cancel(); _ = cmd.Wait() }() // it ends by the signal
	if err := waitTCP(ctx, "127.0.0.1:"+port); err != nil {
		return figures{}, err
	}
	return c.measure(ctx, "C floor, HTTP-FLV", cmd.Process.Pid, "http://127.0.0.1:"+port+"/live/bench.flv")
}

// congestion is the congestion control that the server uses for its viewers, so
// that both send alike: bbr where the system has it.
func congestion() string {
	available, err := os.ReadFile("/proc/sys/net/ipv4/tcp_available_congestion_control")
	if err == nil && slices.Contains(strings.Fields(string(available)), "bbr") {
		return "bbr"
	}
	return "cubic"
}

func (c *comparison) tmmsFLV(ctx context.Context) (figures, error) {
	return c.tmms(ctx, "tmms, HTTP-FLV", "http://127.0.0.1:%[2]s/live/bench.flv")
}

func (c *comparison) tmmsRTMP(ctx context.Context) (figures, error) {
	return c.tmms(ctx, "tmms, RTMP", "rtmp://127.0.0.1:%[1]s/live/bench")
}

// tmms runs the server with a publisher; watch is a format for the RTMP and HTTP ports.
func (c *comparison) tmms(ctx context.Context, name, watch string) (figures, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var ports [3]string
	for i := range ports {
		p, err := freePort(ctx)
		if err != nil {
			return figures{}, err
		}
		ports[i] = p
	}
	server := c.command(ctx, serverCPU, "tmms", "dev", "--rtmp", "127.0.0.1:"+ports[0],
		"--http", "127.0.0.1:"+ports[1], "--admin", "127.0.0.1:"+ports[2])
	if err := server.Start(); err != nil {
		return figures{}, fmt.Errorf("compare: tmms: %w", err)
	}
	defer func() { cancel(); _ = server.Wait() }()
	if err := waitReady(ctx, "http://127.0.0.1:"+ports[2]+"/readyz"); err != nil {
		return figures{}, err
	}
	publisher := c.command(ctx, generatorCPU, "tmms-bench", "publish", "-url", "rtmp://127.0.0.1:"+ports[0]+"/live/bench")
	if err := publisher.Start(); err != nil {
		return figures{}, fmt.Errorf("compare: publish: %w", err)
	}
	defer func() { cancel(); _ = publisher.Wait() }()
	return c.measure(ctx, name, server.Process.Pid, fmt.Sprintf(watch, ports[0], ports[1]))
}

// measure opens the viewers and charges the server's process, and the
// processor's softirq thread, for the time of the counting.
func (c *comparison) measure(ctx context.Context, name string, pid int, url string) (figures, error) {
	before, err := procstat.RSS(pid)
	if err != nil {
		return figures{}, err
	}
	cmd := c.command(ctx, generatorCPU, "tmms-bench", "play", "-o", "json", "-mark", "-url", url,
		"-viewers", strconv.Itoa(c.viewers), "-duration", fmt.Sprintf("%ds", c.seconds))
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return figures{}, fmt.Errorf("compare: play: %w", err)
	}
	if err = cmd.Start(); err != nil {
		return figures{}, fmt.Errorf("compare: play: %w", err)
	}
	lines := bufio.NewScanner(pipe)
	if !lines.Scan() || lines.Text() != "counting" {
		return figures{}, fmt.Errorf("compare: play printed %q: %w", lines.Text(), cmd.Wait())
	}
	start, err := charged(pid)
	if err != nil {
		return figures{}, err
	}
	rss, err := procstat.RSS(pid)
	if err != nil {
		return figures{}, err
	}
	// The viewers are still connected when play prints its result.
	if !lines.Scan() {
		return figures{}, fmt.Errorf("compare: play ended: %w", cmd.Wait())
	}
	end, err := charged(pid)
	if err != nil {
		return figures{}, err
	}
	var r playResult
	if err := errors.Join(json.Unmarshal(lines.Bytes(), &r), cmd.Wait()); err != nil {
		return figures{}, fmt.Errorf("compare: play: %w", err)
	}
	cpu := end - start
	return figures{
		name:           name,
		usPerViewerSec: float64(cpu.Microseconds()) / r.Seconds / float64(r.Viewers),
		msPerMB:        cpu.Seconds() * 1000 / (float64(r.Bytes) / 1e6),
		p50:            r.P50MS, p99: r.P99MS,
		bytesPerViewer: float64(rss-before) / float64(r.Viewers),
		delivered:      r.BitratePerView / 2e6, lost: float64(r.Lost),
		faults: r.Gaps + r.Repeats + r.Damaged + r.Back,
	}, nil
}

// charged is the processor time charged so far.
func charged(pid int) (time.Duration, error) {
	cpu, err := procstat.CPU(pid)
	if err != nil {
		return 0, err
	}
	soft, err := procstat.SoftIRQ(serverCPU)
	return cpu + soft, err
}

func (c *comparison) print(runs map[string][]figures) error {
	w := tabwriter.NewWriter(c.out, 0, 8, 2, ' ', 0)
	fmt.Fprintf(w, "%d viewers x 2 Mbit/s, T = %d ms, medians of %d\n", c.viewers, flushMS, len(runs["C floor, HTTP-FLV"]))
	fmt.Fprintln(w, "server\tCPU us/viewer-s\tCPU ms/MB\t/ floor\tp50 ms\tp99 ms\tRSS/viewer\tdelivered\tlost\tfaults")
	floor := median(runs["C floor, HTTP-FLV"], func(f figures) float64 { return f.msPerMB })
	for _, name := range []string{"C floor, HTTP-FLV", "tmms, HTTP-FLV", "tmms, RTMP"} {
		of := func(get func(figures) float64) float64 { return median(runs[name], get) }
		cost := of(func(f figures) float64 { return f.msPerMB })
		fmt.Fprintf(w, "%s\t%.1f\t%.3f\t%.2f\t%.1f\t%.1f\t%.0f B\t%.1f %%\t%.0f\t%.0f\n", name,
			of(func(f figures) float64 { return f.usPerViewerSec }), cost, cost/floor,
			of(func(f figures) float64 { return f.p50 }), of(func(f figures) float64 { return f.p99 }),
			of(func(f figures) float64 { return f.bytesPerViewer }),
			100*of(func(f figures) float64 { return f.delivered }), of(func(f figures) float64 { return f.lost }),
			of(func(f figures) float64 { return float64(f.faults) }))
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("compare: %w", err)
	}
	return nil
}

func median(runs []figures, get func(figures) float64) float64 {
	values := make([]float64, len(runs))
	for i, f := range runs {
		values[i] = get(f)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

func freePort(ctx context.Context) (string, error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("compare: %w", err)
	}
	defer ln.Close()
	_, port, err := net.SplitHostPort(ln.Addr().String())
	return port, err //nolint:wrapcheck // cannot fail on a listener's address
}

func waitTCP(ctx context.Context, addr string) error {
	return wait(ctx, addr, func() bool {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

func waitReady(ctx context.Context, url string) error {
	return wait(ctx, url, func() bool {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return false
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return false
		}
		defer res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
}

func wait(ctx context.Context, what string, ready func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !ready() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("compare: %s is not ready: %w", what, ctx.Err())
		}
	}
	return nil
}
