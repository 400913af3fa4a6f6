package play

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"tmms/bench/signal"
)

const (
	dialers  = 32
	pollMS   = 100
	pause    = time.Millisecond // between rounds: a batch of readiness costs less than each by itself
	drainMax = 1 << 24
)

// run is one run of viewers.
type run struct {
	cfg     Config
	targets []target // by stream
	epoll   int

	// Owned by the loop.
	viewers []*viewer // by file descriptor
	checks  []*signal.Check
	delays  *Histogram
	joins   *Histogram
	bytes   int64
	lost    int   // since the last reset
	reason  error // why the first viewer was lost
	buf     []byte
	fresh   chan *viewer

	connected int       // at the last reset
	began     time.Time // the last reset
}

// Run opens the viewers, warms up, counts, and closes them. onCount, if not
// nil, is called when counting starts. The error is the first viewer's when
// none could be opened.
func Run(ctx context.Context, cfg Config, onCount func()) (Report, error) {
	if err := cfg.Validate(); err != nil {
		return Report{}, err
	}
	targets, err := parseTargets(cfg.URL, cfg.Streams)
	if err != nil {
		return Report{}, err
	}
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return Report{}, fmt.Errorf("play: epoll: %w", err)
	}
	r := &run{
		cfg: cfg, targets: targets, epoll: epoll, delays: NewHistogram(), joins: NewHistogram(), buf: make([]byte, 256<<10),
		fresh: make(chan *viewer, dialers),
	}
	defer r.closeAll()
	return r.run(ctx, onCount)
}

func (r *run) run(ctx context.Context, onCount func()) (Report, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	opened, dialErr := r.open(ctx)
	if opened == 0 {
		return Report{}, dialErr
	}
	if err := r.loop(ctx, r.cfg.Warmup); err != nil {
		return Report{}, err
	}
	r.connected = opened
	r.reset()
	if onCount != nil {
		onCount()
	}
	err := r.count(ctx)
	if err != nil {
		return Report{}, err
	}
	report := r.report()
	if r.cfg.OnResult != nil {
		if err := r.cfg.OnResult(report); err != nil {
			return report, err
		}
	}
	return report, errors.Join(dialErr, r.reason)
}

// count counts for the duration, or lap by lap.
func (r *run) count(ctx context.Context) error {
	if r.cfg.Laps == nil {
		return r.loop(ctx, r.cfg.Duration)
	}
	for {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("play: %w", err)
		}
		select {
		case _, more := <-r.cfg.Laps:
			if !more {
				return nil
			}
			r.cfg.OnLap(r.report())
			r.reset()
		default:
		}
		if err := r.round(pollMS); err != nil {
			return err
		}
	}
}

// report is what was counted since the last reset.
func (r *run) report() Report {
	report := Report{
		Viewers: r.connected, Lost: r.cfg.Viewers - r.connected + r.lost, Elapsed: time.Since(r.began),
		Bytes: r.bytes, Verified: len(r.checks), Delay: r.delays, Join: r.joins,
	}
	for _, c := range r.checks {
		report.Check.Add(c)
	}
	return report
}

// open dials the viewers at the connect rate while it drains those that are there.
func (r *run) open(ctx context.Context) (opened int, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, 1)
	go r.dialAll(ctx, failed)
	for {
		select {
		case v, more := <-r.fresh:
			if !more {
				select {
				case err = <-failed:
				default:
				}
				return opened, err
			}
			if err = r.add(v); err != nil {
				return opened, err
			}
			opened++
		default:
			if err = r.round(1); err != nil {
				return opened, err
			}
		}
	}
}

// dialAll dials with a few goroutines, at the connect rate, and closes r.fresh
// at the end; the first error goes to failed.
func (r *run) dialAll(ctx context.Context, failed chan<- error) {
	jobs := make(chan int)
	var wg sync.WaitGroup
	for range dialers {
		wg.Go(func() {
			for i := range jobs {
				v, err := r.targets[i%len(r.targets)].dial(ctx, i%r.cfg.Sources, i%r.cfg.Verify == 0)
				if err == nil {
					r.fresh <- v
					continue
				}
				select {
				case failed <- err:
				default:
				}
			}
		})
	}
	start := time.Now()
	for i := range r.cfg.Viewers {
		due := start.Add(time.Duration(i) * time.Second / time.Duration(r.cfg.ConnectRate))
		select {
		case <-time.After(time.Until(due)):
			jobs <- i
		case <-ctx.Done():
		}
	}
	close(jobs)
	wg.Wait()
	close(r.fresh)
}

func (r *run) add(v *viewer) error {
	for len(r.viewers) <= v.fd {
		r.viewers = append(r.viewers, nil)
	}
	r.viewers[v.fd] = v
	if v.stream != nil {
		c := &signal.Check{}
		r.checks = append(r.checks, c)
		v.see = joiner(v.began, r.joins, observer(c, r.delays))
	}
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: int32(v.fd)}
	if err := unix.EpollCtl(r.epoll, unix.EPOLL_CTL_ADD, v.fd, &ev); err != nil {
		return fmt.Errorf("play: epoll: %w", err)
	}
	r.read(v)
	return nil
}

// reset begins the counting; a check goes on from where it is.
func (r *run) reset() {
	r.connected -= r.lost
	r.bytes, r.lost, r.began = 0, 0, time.Now()
	*r.delays = *NewHistogram()
	for _, c := range r.checks {
		c.Restart()
	}
}

func (r *run) loop(ctx context.Context, d time.Duration) error {
	for end := time.Now().Add(d); time.Now().Before(end); {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("play: %w", err)
		}
		if err := r.round(pollMS); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) round(timeoutMS int) error {
	var events [1024]unix.EpollEvent
	n, err := unix.EpollWait(r.epoll, events[:], timeoutMS)
	if err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("play: epoll: %w", err)
	}
	for i := range max(n, 0) {
		r.read(r.viewers[events[i].Fd])
	}
	nap := unix.NsecToTimespec(int64(pause))
	_ = unix.Nanosleep(&nap, nil) // an early return only makes the round shorter
	return nil
}

// read takes all that a socket holds.
func (r *run) read(v *viewer) {
	for !v.closed {
		n, err := r.receive(v)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return
		case errors.Is(err, unix.EINTR):
		case err != nil:
			r.lose(v, err)
		case n == 0:
			r.lose(v, errEOF)
		default:
			r.bytes += int64(n)
		}
	}
}

func (r *run) receive(v *viewer) (int, error) {
	if v.stream == nil && v.ok {
		return drain(v.fd)
	}
	n, _, err := unix.Recvfrom(v.fd, r.buf, unix.MSG_DONTWAIT)
	if err != nil || n == 0 {
		return n, err
	}
	if v.stream == nil {
		v.ok = true
		_, err = responseHead(r.buf[:n])
		return n, err
	}
	reply, err := v.stream.feed(r.buf[:n], time.Now(), v.see)
	if err == nil && len(reply) > 0 {
		_, err = unix.Write(v.fd, reply)
	}
	return n, err
}

// drain drops what a socket holds without copying it (tcp(7), MSG_TRUNC).
func drain(fd int) (int, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), 0, drainMax, unix.MSG_TRUNC|unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

func (r *run) lose(v *viewer, err error) {
	if r.reason == nil {
		r.reason = err
	}
	r.lost++
	v.close()
}

func (v *viewer) close() {
	if !v.closed {
		v.closed = true
		_ = unix.Close(v.fd) // nothing was written that could be lost
	}
}

func (r *run) closeAll() {
	_ = unix.Close(r.epoll) // the sockets go with the viewers
	for _, v := range r.viewers {
		if v != nil {
			v.close()
		}
	}
}
