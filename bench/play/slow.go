package play

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"tmms/bench/signal"
	"tmms/media"
)

// SlowConfig is the viewers of HTTP-FLV that do not take what they are sent.
type SlowConfig struct {
	URL           string        // http://HOST/APP/STREAM.flv
	Stopped       int           // read nothing at all
	Throttled     int           // read RateBPS
	Sawtooth      int           // read nothing for Pause, then all there is for Read, and again
	RateBPS       int           // bits per second
	Pause, Read   time.Duration // of the sawtooth
	ReceiveBuffer int           // bytes that the kernel may hold for each, as SO_RCVBUF takes it
}

// DefaultSlowConfig is 500 that have stopped, and 50 of each other kind, for the
// stream of the measured figures.
func DefaultSlowConfig() SlowConfig {
	return SlowConfig{
		Stopped: 500, Throttled: 50, Sawtooth: 50, RateBPS: signal.DefaultConfig().BitrateBPS / 2,
		Pause: 8 * time.Second, Read: 2 * time.Second, ReceiveBuffer: 4 << 10,
	}
}

// Validate names the first value out of range.
func (c SlowConfig) Validate() error {
	const most = 10_000
	for _, n := range []int{c.Stopped, c.Throttled, c.Sawtooth} {
		if n < 0 || n > most {
			return fmt.Errorf("play: %d slow viewers are not in 0..%d", n, most)
		}
	}
	switch {
	case c.RateBPS < 1000:
		return fmt.Errorf("play: a rate of %d bit/s is below 1000", c.RateBPS)
	case c.Pause <= 0 || c.Read <= 0:
		return fmt.Errorf("play: a sawtooth of %v and %v must be positive", c.Pause, c.Read)
	case c.ReceiveBuffer < 1024 || c.ReceiveBuffer > receiveBuffer:
		return fmt.Errorf("play: a receive buffer of %d bytes is not in 1024..%d", c.ReceiveBuffer, receiveBuffer)
	}
	return nil
}

// SlowReport is what became of slow viewers. Those that read check what they get.
type SlowReport struct {
	Closed  int   `json:"closed"` // connections that the server has ended; each is opened again
	Bytes   int64 `json:"bytes"`  // that were read
	Frames  int64 `json:"frames"` // of video
	Skips   int64 `json:"skips"`
	OffKey  int64 `json:"skips_not_to_a_keyframe"`
	Steps   int64 `json:"steps_of_100_ms"` // and more, of the clock
	Back    int64 `json:"clock_went_back"`
	Damaged int64 `json:"damaged"`
	LagMS   int64 `json:"worst_lag_ms"` // of the throttled, from the publisher's marker
}

// Periods of the loop of slow viewers.
const (
	slowRound  = 20 * time.Millisecond
	slowSearch = 500 * time.Millisecond // between two looks for closed connections
)

// slowRun is one run of slow viewers. It belongs to one goroutine.
type slowRun struct {
	cfg    SlowConfig
	target target
	report SlowReport
	list   []*slowViewer
	buf    []byte
}

// slowViewer is one of them.
type slowViewer struct {
	viewer

	began  time.Time
	taken  int64                     // bytes since then
	budget func(time.Duration) int64 // bytes that it may have taken so far; nil: none
	lag    bool                      // counts for LagMS
	clock  slowClock
}

// slowClock follows the stream of one connection.
type slowClock struct {
	next    uint32 // marker
	started bool
	head    uint32 // highest time
	last    [2]uint32
	seen    [2]bool
}

// RunSlow opens slow viewers, and those that the server has closed again, until
// ctx is done. onReady, if not nil, is called when all were opened. The error is
// of one that could not be opened.
func RunSlow(ctx context.Context, cfg SlowConfig, onReady func()) (SlowReport, error) {
	if err := cfg.Validate(); err != nil {
		return SlowReport{}, err
	}
	t, err := parseTarget(cfg.URL)
	if err != nil {
		return SlowReport{}, err
	}
	if t.request == nil {
		return SlowReport{}, fmt.Errorf("play: slow viewers take HTTP-FLV, not %q", cfg.URL)
	}
	r := &slowRun{cfg: cfg, target: t, buf: make([]byte, 64<<10)}
	defer r.close()
	if err = r.open(ctx); err != nil {
		return r.report, err
	}
	if onReady != nil {
		onReady()
	}
	err = r.loop(ctx)
	return r.report, err
}

func (r *slowRun) open(ctx context.Context) error {
	for i := range r.cfg.Stopped + r.cfg.Throttled + r.cfg.Sawtooth {
		v := &slowViewer{}
		switch i -= r.cfg.Stopped; {
		case i < 0:
		case i < r.cfg.Throttled:
			v.budget, v.lag = r.rate, true
		default:
			// They do not stop all at once.
			period := r.cfg.Pause + r.cfg.Read
			ahead := time.Duration(i) * period / time.Duration(r.cfg.Throttled+r.cfg.Sawtooth)
			v.budget = func(t time.Duration) int64 { return r.tooth(t + ahead) }
		}
		if err := r.dial(ctx, v); err != nil {
			return err
		}
		r.list = append(r.list, v)
	}
	return nil
}

// rate is what a throttled viewer has taken after so long.
func (r *slowRun) rate(t time.Duration) int64 {
	return int64(t.Seconds() * float64(r.cfg.RateBPS) / 8)
}

// tooth lets a sawtooth viewer take all while it reads.
func (r *slowRun) tooth(t time.Duration) int64 {
	if t%(r.cfg.Pause+r.cfg.Read) < r.cfg.Read {
		return 1 << 62
	}
	return 0
}

// dial connects v, with its small receive buffer from the first packet on.
func (r *slowRun) dial(ctx context.Context, v *slowViewer) error {
	d := net.Dialer{Timeout: dialTimeout, Control: func(_, _ string, raw syscall.RawConn) (err error) {
		cerr := raw.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, r.cfg.ReceiveBuffer)
		})
		return errors.Join(err, cerr)
	}}
	c, err := d.DialContext(ctx, "tcp", r.target.address)
	if err != nil {
		return fmt.Errorf("play: %w", err)
	}
	if _, err = c.Write(r.target.request); err != nil {
		return errors.Join(fmt.Errorf("play: %w", err), c.Close())
	}
	v.viewer = viewer{stream: &flvStream{}}
	v.began, v.taken, v.clock = time.Now(), 0, slowClock{}
	return v.take(c, r.cfg.ReceiveBuffer)
}

func (r *slowRun) loop(ctx context.Context) error {
	tick := time.NewTicker(slowRound)
	defer tick.Stop()
	searched := time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			for _, v := range r.list {
				if v.budget != nil && !v.closed {
					r.read(v, now)
				}
			}
			if now.Sub(searched) < slowSearch {
				continue
			}
			searched = now
			if err := r.reopen(ctx); err != nil && ctx.Err() == nil {
				return err
			}
		}
	}
}

// read takes what the viewer may take.
func (r *slowRun) read(v *slowViewer, now time.Time) {
	for !v.closed {
		limit := min(v.budget(now.Sub(v.began))-v.taken, int64(len(r.buf)))
		if limit <= 0 {
			return
		}
		n, _, err := unix.Recvfrom(v.fd, r.buf[:limit], unix.MSG_DONTWAIT)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return
		case errors.Is(err, unix.EINTR):
		case err != nil, n == 0:
			v.close()
		default:
			v.taken += int64(n)
			r.report.Bytes += int64(n)
			if _, err = v.stream.feed(r.buf[:n], now, func(p signalPacket) { r.see(v, p) }); err != nil {
				r.report.Damaged++
				v.close()
			}
		}
	}
}

// see checks one message.
func (r *slowRun) see(v *slowViewer, p signalPacket) {
	c, s := &v.clock, &r.report
	track := 0
	switch p.Type {
	case media.TypeVideo:
		track = 1
	case media.TypeAudio:
	default:
		return
	}
	if len(p.Body) > 1 && p.Body[1] == 0 { // a config
		return
	}
	if c.seen[track] && int32(p.Timestamp-c.last[track]) < 0 {
		s.Back++
	}
	if c.seen[0] || c.seen[1] {
		if int32(p.Timestamp-c.head) >= 100 {
			s.Steps++
		}
		c.head += uint32(max(0, int32(p.Timestamp-c.head)))
	} else {
		c.head = p.Timestamp
	}
	c.last[track], c.seen[track] = p.Timestamp, true
	if m, ok := signal.Read(p.Body); ok && track == 1 {
		r.frame(v, m, p)
	}
}

func (r *slowRun) frame(v *slowViewer, m signal.Marker, p signalPacket) {
	c, s := &v.clock, &r.report
	s.Frames++
	if !m.Intact {
		s.Damaged++
	}
	if c.started && m.Seq != c.next {
		s.Skips++
		if p.Body[0]>>4 != 1 { // FLV 10.1 annex E.4.3.1: frame type 1 is a keyframe
			s.OffKey++
		}
	}
	c.started, c.next = true, m.Seq+1
	if v.lag {
		s.LagMS = max(s.LagMS, p.now.Sub(m.Sent).Milliseconds())
	}
}

// reopen replaces the connections that the server has ended.
func (r *slowRun) reopen(ctx context.Context) error {
	for _, v := range r.list {
		if !v.closed && hungUp(v.fd) {
			v.close()
		}
		if !v.closed {
			continue
		}
		r.report.Closed++
		if err := r.dial(ctx, v); err != nil {
			if ctx.Err() != nil {
				return nil //nolint:nilerr // the run is over
			}
			return err
		}
	}
	return nil
}

// hungUp tells that the peer has ended the connection, whatever is still to be
// read.
func hungUp(fd int) bool {
	p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
	n, err := unix.Poll(p, 0)
	return err == nil && n > 0 && p[0].Revents&(unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR) != 0
}

func (r *slowRun) close() {
	for _, v := range r.list {
		v.viewer.close()
	}
}
