package publish

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"tmms/bench/rawsock"
	"tmms/bench/signal"
	"tmms/media/rtmp"
)

// Fleet is many publishers that one goroutine drives: a write for each stream
// and batch, so that thousands of streams cost the generator little. Frames are
// stamped with the time at which they were due, so delays have the batch in them.
type Fleet struct {
	Config // URL gets -1, -2 ... behind it if there are several streams

	Streams int           // 1 to 10,000
	Batch   time.Duration // 5 ms to 1 s

	// Tally, if not nil, is filled by Run; then at the end of ctx all streams are
	// ended in order, and it is waited until the server has read every byte.
	Tally *Tally
}

const (
	fleetTick    = 5 * time.Millisecond
	fleetDialers = 32
	maxUnsent    = 8 << 20 // bytes of a stream that wait for the server to take them
)

// Validate names the first value out of range.
func (f Fleet) Validate() error {
	switch {
	case f.Streams < 1 || f.Streams > 10_000:
		return fmt.Errorf("publish: %d streams are not in 1..10000", f.Streams)
	case f.Batch < fleetTick || f.Batch > time.Second:
		return fmt.Errorf("publish: batch %v is not in 5ms..1s", f.Batch)
	}
	return f.Config.Validate()
}

// Name is the URL of the stream i of n, counted from 0.
func (c Config) Name(i, n int) string {
	if n == 1 {
		return c.URL
	}
	return fmt.Sprintf("%s-%d", c.URL, i+1)
}

// Run publishes all streams in real time until ctx ends, which is no error, or
// one of them fails. onReady, if not nil, is called on the caller's goroutine for
// each stream that the server has accepted.
func (f Fleet) Run(ctx context.Context, onReady func(url string)) error {
	if err := f.Validate(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	r := &fleetRun{cfg: f, fresh: make(chan *member, fleetDialers), onReady: onReady}
	r.slots = make([][]*member, int(f.Batch/fleetTick))
	var wg sync.WaitGroup
	wg.Go(func() { r.dialAll(ctx, cancel) })
	err := r.loop(ctx)
	cancel(err)
	for m := range r.fresh {
		r.add(m)
	}
	wg.Wait()
	if f.Tally != nil {
		if err == nil {
			err = r.finish()
		}
		*f.Tally = r.tally
	}
	for _, slot := range r.slots {
		for _, m := range slot {
			_ = unix.Close(m.fd) // nothing that was written is waited for
		}
	}
	return err
}

type fleetRun struct {
	cfg     Fleet
	slots   [][]*member // each is sent in the same tick of a batch
	added   int
	fresh   chan *member
	onReady func(url string)
	tally   Tally
	scratch [4096]byte
}

// member is one stream. It belongs to the goroutine that dials, then to the loop.
type member struct {
	url    string
	fd     int
	conn   *rtmp.ClientConn
	form   Form
	source *signal.Source
	start  time.Time
	taken  time.Time // when the server last took something, or nothing waited
}

// dialAll connects the streams and closes r.fresh at the end; a failure cancels all.
func (r *fleetRun) dialAll(ctx context.Context, cancel context.CancelCauseFunc) {
	defer close(r.fresh)
	jobs := make(chan string)
	var wg sync.WaitGroup
	for range min(fleetDialers, r.cfg.Streams) {
		wg.Go(func() {
			for url := range jobs {
				m, err := r.dial(ctx, url)
				if err != nil {
					cancel(err)
					continue
				}
				r.fresh <- m
			}
		})
	}
	for i := range r.cfg.Streams {
		if ctx.Err() != nil {
			break
		}
		jobs <- r.cfg.Name(i, r.cfg.Streams)
	}
	close(jobs)
	wg.Wait()
}

func (r *fleetRun) dial(ctx context.Context, url string) (*member, error) {
	cfg := r.cfg.Config
	cfg.URL = url
	p, err := connect(ctx, cfg)
	if err != nil {
		return nil, err
	}
	p.headers(cfg)
	fd, err := rawsock.Take(p.c)
	if err != nil {
		return nil, fmt.Errorf("publish: %s: %w", url, err)
	}
	return &member{url: url, fd: fd, conn: p.conn, form: cfg.Form, source: p.source}, nil
}

func (r *fleetRun) add(m *member) {
	m.start = time.Now()
	m.taken = m.start
	r.tally.Messages++ // the header of video
	if !r.cfg.Signal.NoAudio {
		r.tally.Messages++
	}
	slot := r.added % len(r.slots)
	r.slots[slot] = append(r.slots[slot], m)
	r.added++
}

// loop sends one slot a tick.
func (r *fleetRun) loop(ctx context.Context) error {
	tick := time.NewTicker(fleetTick)
	defer tick.Stop()
	start, done := time.Now(), int64(0)
	fresh := r.fresh
	for {
		select {
		case <-ctx.Done():
			return cause(ctx)
		case m, more := <-fresh:
			if !more {
				fresh = nil
				continue
			}
			r.add(m)
			if r.onReady != nil {
				r.onReady(m.url)
			}
		case <-tick.C:
			for due := int64(time.Since(start) / fleetTick); done < due; done++ {
				if err := r.visit(r.slots[done%int64(len(r.slots))]); err != nil {
					return err
				}
			}
		}
	}
}

// cause is why ctx ended; its own end is no error.
func cause(ctx context.Context) error {
	err := context.Cause(ctx)
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}

func (r *fleetRun) visit(slot []*member) error {
	now := time.Now()
	for _, m := range slot {
		if err := r.send(m, now); err != nil {
			return fmt.Errorf("publish: %s: %w", m.url, err)
		}
	}
	return nil
}

// send gives the server the frames that are due. What it says meanwhile is not
// needed and dropped, but for its end.
func (r *fleetRun) send(m *member, now time.Time) error {
	for due := m.source.Due(); !m.start.Add(due).After(now); due = m.source.Due() {
		f := m.source.Next(m.start.Add(due))
		m.form.publish(m.conn, rtmp.Message{Type: f.Type, Timestamp: uint32(f.Due.Milliseconds()), Body: f.Body})
		r.tally.Messages++
	}
	if out := m.conn.Output(); len(out) > 0 {
		n, err := rawsock.Send(m.fd, out)
		if err != nil {
			return err
		}
		m.conn.Sent(n)
		r.tally.Bytes += int64(n)
		switch {
		case n > 0:
			m.taken = now
		case len(out) > maxUnsent, now.Sub(m.taken) > timeout:
			return fmt.Errorf("the server took nothing for %v, %d bytes wait", now.Sub(m.taken), len(out))
		}
	}
	n, err := rawsock.Recv(m.fd, r.scratch[:])
	switch {
	case errors.Is(err, unix.EAGAIN):
		return nil
	case err != nil:
		return fmt.Errorf("read: %w", err)
	case n == 0:
		return net.ErrClosed
	}
	return nil
}
