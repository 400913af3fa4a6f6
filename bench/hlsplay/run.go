package hlsplay

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"tmms/bench/play"
	"tmms/bench/rawsock"
)

const (
	dialers       = 32
	dialTimeout   = 10 * time.Second
	receiveBuffer = 1 << 20
	longestWait   = 100 * time.Millisecond
	pause         = time.Millisecond // between rounds: a batch of readiness costs less than each by itself
)

// run is one run of viewers.
type run struct {
	cfg     Config
	base    *url.URL
	catalog catalog
	epoll   int
	scratch []byte
	fresh   chan int // descriptors

	// Owned by the loop.
	viewers []*viewer // by file descriptor
	waiting waiters
	opened  int
	counts  counts
	delays  *play.Histogram
	answers *play.Histogram
	reason  error // why the first viewer was lost
}

// counts are what is counted.
type counts struct {
	lost                                 int
	requests, playlists, segments, bytes int64
	notFound, serverErrors, otherErrors  int64
	stale, skipped, damaged, verified    int64
	media                                time.Duration
}

// Run connects the viewers, warms up, counts, and closes them. onCount, if not
// nil, is called when counting starts. The error tells why the first viewer was
// lost; the result counts all the same.
func Run(ctx context.Context, cfg Config, onCount func()) (Result, error) {
	if err := cfg.Validate(); err != nil {
		return Result{}, err
	}
	base, err := url.Parse(cfg.URL)
	if err != nil || base.Scheme != "http" || base.Port() == "" {
		return Result{}, fmt.Errorf("hlsplay: %q is not http://HOST:PORT/APP/STREAM.m3u8", cfg.URL)
	}
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return Result{}, fmt.Errorf("hlsplay: epoll: %w", err)
	}
	r := &run{
		cfg: cfg, base: base, epoll: epoll, scratch: make([]byte, 256<<10), fresh: make(chan int, dialers),
		delays: play.NewHistogram(), answers: play.NewHistogram(),
	}
	defer r.closeAll()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := r.open(ctx); err != nil {
		return Result{}, err
	}
	return r.count(ctx, onCount)
}

// count warms up and counts.
func (r *run) count(ctx context.Context, onCount func()) (Result, error) {
	if err := r.loop(ctx, r.cfg.Warmup); err != nil {
		return Result{}, err
	}
	connected := r.opened - r.counts.lost
	if connected == 0 {
		return Result{}, errors.Join(errors.New("hlsplay: no viewer is left after the warm-up"), r.reason)
	}
	r.counts = counts{}
	*r.delays, *r.answers = *play.NewHistogram(), *play.NewHistogram()
	if onCount != nil {
		onCount()
	}
	start := time.Now()
	if err := r.loop(ctx, r.cfg.Duration); err != nil {
		return Result{}, err
	}
	result := r.result(connected, time.Since(start))
	if r.cfg.OnResult != nil {
		if err := r.cfg.OnResult(result); err != nil {
			return result, err
		}
	}
	return result, r.reason
}

func (r *run) result(connected int, elapsed time.Duration) Result {
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	c := &r.counts
	return Result{
		Viewers: connected, Lost: r.cfg.Viewers - connected + c.lost, Seconds: elapsed.Seconds(),
		Requests: c.requests, Playlists: c.playlists, Segments: c.segments, Bytes: c.bytes,
		NotFound: c.notFound, ServerErrors: c.serverErrors, OtherErrors: c.otherErrors,
		Stale: c.stale, Skipped: c.skipped, Damaged: c.damaged, Verified: c.verified,
		Delivered:  c.media.Seconds() / elapsed.Seconds() / float64(connected),
		DelayP50MS: ms(r.delays.Quantile(0.5)), DelayP99MS: ms(r.delays.Quantile(0.99)),
		AnswerP50MS: ms(r.answers.Quantile(0.5)), AnswerP99MS: ms(r.answers.Quantile(0.99)), AnswerMaxMS: ms(r.answers.Max()),
	}
}

// open dials the viewers at the connect rate, while those that are there play.
func (r *run) open(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, 1)
	go r.dialAll(ctx, failed)
	defer func() { // after an error: what is still being dialed
		cancel()
		for fd := range r.fresh {
			_ = unix.Close(fd) // nothing was sent
		}
	}()
	for {
		select {
		case fd, more := <-r.fresh:
			if !more {
				select {
				case r.reason = <-failed:
				default:
				}
				if r.opened == 0 {
					return errors.Join(r.reason, ctx.Err())
				}
				return nil
			}
			if err := r.add(fd); err != nil {
				return err
			}
		default:
			if err := r.round(pause); err != nil {
				return err
			}
		}
	}
}

// dialAll dials with a few goroutines and closes r.fresh at the end; the first
// error goes to failed.
func (r *run) dialAll(ctx context.Context, failed chan<- error) {
	jobs := make(chan struct{})
	var wg sync.WaitGroup
	for range dialers {
		wg.Go(func() {
			for range jobs {
				fd, err := r.dial(ctx)
				if err == nil {
					r.fresh <- fd
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
			jobs <- struct{}{}
		case <-ctx.Done():
		}
	}
	close(jobs)
	wg.Wait()
	close(r.fresh)
}

func (r *run) dial(ctx context.Context) (int, error) {
	d := net.Dialer{Timeout: dialTimeout}
	c, err := d.DialContext(ctx, "tcp", r.base.Host)
	if err != nil {
		return -1, fmt.Errorf("hlsplay: %w", err)
	}
	fd, err := rawsock.Take(c)
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
	}
	return fd, err //nolint:wrapcheck // rawsock's own
}

func (r *run) add(fd int) error {
	v := &viewer{fd: fd, verify: r.opened%r.cfg.Verify == 0, place: -1, player: &poller{run: r, base: r.base}}
	if r.cfg.RateBPS > 0 {
		v.player = &fetcher{run: r, base: r.base, catalog: &r.catalog, n: r.opened}
	}
	for len(r.viewers) <= fd {
		r.viewers = append(r.viewers, nil)
	}
	r.viewers[fd] = v
	r.opened++
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET, Fd: int32(fd)}
	if err := unix.EpollCtl(r.epoll, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		return fmt.Errorf("hlsplay: epoll: %w", err)
	}
	r.plan(v, time.Now())
	return nil
}

// plan gives v its next request, when it is due.
func (r *run) plan(v *viewer, now time.Time) {
	v.request, v.due = v.player.next(now)
	v.inBody = false
	heap.Push(&r.waiting, v)
}

func (r *run) loop(ctx context.Context, d time.Duration) error {
	for end := time.Now().Add(d); time.Now().Before(end); {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("hlsplay: %w", err)
		}
		if err := r.round(longestWait); err != nil {
			return err
		}
	}
	return nil
}

// round asks for what is due, and takes what has come.
func (r *run) round(longest time.Duration) error {
	now := time.Now()
	for len(r.waiting) > 0 && !r.waiting[0].due.After(now) {
		v, _ := heap.Pop(&r.waiting).(*viewer)
		if err := v.ask(r.base.Host, now); err != nil {
			r.lose(v, err)
		}
	}
	if len(r.waiting) > 0 {
		longest = min(longest, r.waiting[0].due.Sub(now))
	}
	var events [1024]unix.EpollEvent
	n, err := unix.EpollWait(r.epoll, events[:], int(longest.Milliseconds()))
	if err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("hlsplay: epoll: %w", err)
	}
	for i := range max(n, 0) {
		r.read(r.viewers[events[i].Fd])
	}
	nap := unix.NsecToTimespec(int64(pause))
	_ = unix.Nanosleep(&nap, nil) // an early return only makes the round shorter
	return nil
}

func (r *run) read(v *viewer) {
	if v == nil {
		return
	}
	if v.place >= 0 { // nothing was asked: an event of what was read already, or the end
		switch n, err := rawsock.Recv(v.fd, r.scratch); {
		case errors.Is(err, unix.EAGAIN):
		case err != nil:
			r.lose(v, fmt.Errorf("hlsplay: between two requests: %w", err))
		case n == 0:
			r.lose(v, errors.New("hlsplay: the server closed a connection between two requests"))
		default:
			r.lose(v, fmt.Errorf("hlsplay: the server sent %d bytes that nobody asked for", n))
		}
		return
	}
	done, err := v.read(r.scratch)
	if err == nil && done {
		err = r.whole(v)
	}
	if err != nil {
		r.lose(v, err)
	}
}

// whole takes v's answer.
func (r *run) whole(v *viewer) error {
	now := time.Now()
	r.counts.requests++
	r.counts.bytes += v.answer.length
	if !ok(v.answer.status) {
		r.refused(v.answer.status)
		v.player.refused(v.request, now)
	} else {
		if v.request.kind == kindSegment {
			r.segment(v, now)
		}
		if err := v.player.answered(v.request, v.body, v.answer.length, v.asked, now); err != nil {
			return err
		}
	}
	if v.answer.closes {
		return errors.New("hlsplay: the server closes the connection")
	}
	r.plan(v, now)
	return nil
}

func (r *run) segment(v *viewer, now time.Time) {
	r.counts.segments++
	r.answers.Add(now.Sub(v.asked))
	if v.verify {
		r.counts.verified++
		if !wholePackets(v.body) {
			r.counts.damaged++
		}
	}
}

func (r *run) refused(status int) {
	switch {
	case status == http.StatusNotFound:
		r.counts.notFound++
	case status >= http.StatusInternalServerError:
		r.counts.serverErrors++
	default:
		r.counts.otherErrors++
	}
}

func (r *run) lose(v *viewer, err error) {
	if r.reason == nil {
		r.reason = err
	}
	r.counts.lost++
	if v.place >= 0 {
		heap.Remove(&r.waiting, v.place)
	}
	r.viewers[v.fd] = nil
	_ = unix.Close(v.fd) // nothing was written that could be lost
}

func (r *run) closeAll() {
	_ = unix.Close(r.epoll) // the sockets go with the viewers
	for _, v := range r.viewers {
		if v != nil {
			_ = unix.Close(v.fd) // nothing was written that could be lost
		}
	}
}
