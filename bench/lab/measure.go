package lab

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"tmms/bench/play"
	"tmms/bench/procstat"
)

// Load is the viewers of a measurement.
type Load struct {
	URL         string
	Viewers     int
	Verify      int // one in so many; 0 is the default of "play"
	ConnectRate int // a second; 0 is the default of "play"
	Streams     int // viewers are spread over so many, see play.Config; 0 is one
	Duration    time.Duration
	Warmup      time.Duration // 0 is the default of "play"
}

// Figures are what a measurement has found.
type Figures struct {
	Name           string  `json:"name"`
	Viewers        int     `json:"viewers"`
	USPerViewerSec float64 `json:"cpu_us_per_viewer_second"`
	MSPerMB        float64 `json:"cpu_ms_per_mb"`      // of the process, and of its processor's softirq thread
	LoopMSPerMB    float64 `json:"loop_cpu_ms_per_mb"` // of the event loops' threads alone; 0: not known
	BusyShare      float64 `json:"cpu_share"`          // of one processor
	OtherShare     float64 `json:"other_cpu_share"`    // of it all but the event loops' threads; 0: not known
	P50MS          float64 `json:"delay_p50_ms"`
	P99MS          float64 `json:"delay_p99_ms"`
	JoinP99MS      float64 `json:"join_p99_ms"`
	Delivered      float64 `json:"delivered"` // of what the stream has, 0 to 1
	Lost           int     `json:"lost"`
	Faults         int64   `json:"faults"` // gaps, repeats, damage, steps back
	RSSBytes       int64   `json:"rss_bytes"`
	HeapBytes      int64   `json:"heap_and_stacks_bytes"` // after a collection; 0: not known
}

// Measure opens the viewers and charges the server for the time of the
// counting. bitrate is that of the stream, in bits per second.
func (l *Lab) Measure(ctx context.Context, s *Server, load Load, bitrate int) (f Figures, err error) {
	var r play.Result
	f.Name = s.Name
	used, err := l.count(ctx, s, load.args(), &r, func() (err error) {
		var herr, rerr error
		f.HeapBytes, herr = s.heap(ctx)
		f.RSSBytes, rerr = s.rss()
		return errors.Join(herr, rerr)
	})
	if err != nil {
		return Figures{}, err
	}
	mb := float64(r.Bytes) / 1e6
	f.Viewers, f.Lost, f.Faults = r.Viewers, r.Lost, r.Gaps+r.Repeats+r.Damaged+r.Back
	f.USPerViewerSec = float64(used.CPU.Microseconds()) / r.Seconds / float64(r.Viewers)
	f.MSPerMB, f.LoopMSPerMB = used.CPU.Seconds()*1000/mb, used.Loops.Seconds()*1000/mb
	f.BusyShare, f.OtherShare = used.CPU.Seconds()/r.Seconds, used.others().Seconds()/r.Seconds
	f.P50MS, f.P99MS, f.JoinP99MS, f.Delivered = r.P50MS, r.P99MS, r.JoinP99MS, r.BitratePerView/float64(bitrate)
	return f, nil
}

// count runs a command of tmms-bench that opens viewers, takes its result, and
// tells what the server used while they counted. held is called while the
// viewers are still there.
func (l *Lab) count(ctx context.Context, s *Server, args []string, result any, held func() error) (u Usage, err error) {
	cmd := l.Command(ctx, GeneratorCPU, "tmms-bench", args...)
	out, oerr := cmd.StdoutPipe()
	in, ierr := cmd.StdinPipe()
	if err = errors.Join(oerr, ierr); err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return u, fmt.Errorf("lab: %s: %w", args[0], err)
	}
	lines := bufio.NewScanner(out)
	u, err = s.counted(ctx, lines)
	if err == nil {
		// What it says of lost viewers is in the result.
		err = errors.Join(json.Unmarshal(lines.Bytes(), result), held())
	}
	err = errors.Join(err, in.Close(), cmd.Wait())
	if err != nil {
		return u, fmt.Errorf("lab: %s: %w", args[0], err)
	}
	return u, nil
}

// counted reads up to the result, and tells what the server used meanwhile.
func (s *Server) counted(ctx context.Context, lines *bufio.Scanner) (Usage, error) {
	if !lines.Scan() || lines.Text() != "counting" {
		return Usage{}, fmt.Errorf("it printed %q", lines.Text())
	}
	before, err := s.Used(ctx)
	if err != nil {
		return Usage{}, err
	}
	if !lines.Scan() {
		return Usage{}, errors.New("it ended without a result")
	}
	after, err := s.Used(ctx)
	return Usage{after.CPU - before.CPU, after.Loops - before.Loops}, err
}

func (d Load) args() []string {
	args := []string{
		"play", "-o", "json", "-mark", "-url", d.URL, "-viewers", strconv.Itoa(d.Viewers),
		"-duration", d.Duration.String(),
	}
	for _, f := range []struct {
		name string
		n    int
	}{{"-verify", d.Verify}, {"-connect-rate", d.ConnectRate}, {"-streams", d.Streams}} {
		if f.n > 0 {
			args = append(args, f.name, strconv.Itoa(f.n))
		}
	}
	if d.Warmup > 0 {
		args = append(args, "-warmup", d.Warmup.String())
	}
	return args
}

// Usage is the processor time that a server has used, so far or in a time.
type Usage struct {
	CPU   time.Duration // of its processes, and of its processor's softirq thread
	Loops time.Duration // of tmms's event loops' threads
}

// others is what was used but for the event loops; 0 where those are not known.
func (u Usage) others() time.Duration {
	if u.Loops == 0 {
		return 0
	}
	return u.CPU - u.Loops
}

// Used reads what the server has used.
func (s *Server) Used(ctx context.Context) (Usage, error) {
	used, err := procstat.SoftIRQ(ServerCPU)
	for _, pid := range s.processes() {
		cpu, perr := procstat.CPU(pid)
		used, err = used+cpu, errors.Join(err, perr)
	}
	u := Usage{CPU: used}
	if err != nil {
		return Usage{}, fmt.Errorf("lab: %w", err)
	}
	if s.Admin == "" {
		return u, nil
	}
	m, err := s.Metrics(ctx)
	if err != nil {
		return Usage{}, err
	}
	for name, v := range m {
		if strings.HasPrefix(name, "tmms_edge_loop_cpu_seconds_total") {
			u.Loops += time.Duration(v * float64(time.Second))
		}
	}
	return u, nil
}

func (s *Server) processes() []int { return append([]int{s.PID}, s.Also...) }

// rss is the resident memory of all the server's processes, in bytes.
func (s *Server) rss() (sum int64, err error) {
	for _, pid := range s.processes() {
		n, err := procstat.RSS(pid)
		if err != nil {
			return 0, fmt.Errorf("lab: %w", err)
		}
		sum += n
	}
	return sum, nil
}

// heap is what the process's memory holds after a collection: heap in use and
// stacks. 0 where there is no admin port to ask.
func (s *Server) heap(ctx context.Context) (int64, error) {
	if s.Admin == "" {
		return 0, nil
	}
	var stats map[string]int64
	for range 2 { // what pools hold goes with the second collection
		body, err := fetch(ctx, "http://"+s.Admin+"/debug/pprof/heap?gc=1&debug=1")
		if err != nil {
			return 0, err
		}
		stats, err = heapStats(body)
		body.Close()
		if err != nil {
			return 0, fmt.Errorf("lab: %w", err)
		}
	}
	return stats["HeapInuse"] + stats["Stack"], nil
}

// heapStats reads runtime.MemStats, as of right after the collection, from a
// heap profile as text: lines of the form "# HeapInuse = 8241152".
func heapStats(profile io.Reader) (map[string]int64, error) {
	m := map[string]int64{}
	lines := bufio.NewScanner(profile)
	for lines.Scan() {
		name, value, ok := strings.Cut(strings.TrimPrefix(lines.Text(), "# "), " = ")
		value, _, _ = strings.Cut(value, " ") // "Stack = in use / of the system"
		if n, err := strconv.ParseInt(value, 10, 64); ok && err == nil {
			m[name] = n
		}
	}
	if m["HeapInuse"] == 0 || m["Stack"] == 0 {
		return nil, errors.Join(errors.New("a heap profile without HeapInuse and Stack"), lines.Err())
	}
	return m, lines.Err()
}

// Metrics are what the server exposes, by name with labels.
func (s *Server) Metrics(ctx context.Context) (map[string]float64, error) {
	body, err := fetch(ctx, "http://"+s.Admin+"/metrics")
	if err != nil {
		return nil, err
	}
	defer body.Close()
	m := map[string]float64{}
	for lines := bufio.NewScanner(body); lines.Scan(); {
		name, value, ok := strings.Cut(lines.Text(), " ")
		if v, err := strconv.ParseFloat(value, 64); ok && err == nil {
			m[name] = v
		}
	}
	return m, nil
}
