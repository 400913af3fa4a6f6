package lab

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"tmms/bench/procstat"
)

// Vitals are what a server holds at one moment.
type Vitals struct {
	RSSBytes  int64
	HeapBytes int64 // heap in use and stacks, after a collection
	FDs       int
}

// Vitals collects the server's garbage and reads what is left.
func (s *Server) Vitals(ctx context.Context) (v Vitals, err error) {
	if v.HeapBytes, err = s.heap(ctx); err != nil {
		return v, err
	}
	if v.RSSBytes, err = procstat.RSS(s.PID); err != nil {
		return v, err
	}
	v.FDs, err = procstat.FDs(s.PID)
	return v, err
}

// Alive tells whether the server's process is there; one that has crashed is
// not, nor one that waits to be reaped.
func (s *Server) Alive() bool {
	rss, err := procstat.RSS(s.PID)
	return err == nil && rss > 0 && syscall.Kill(s.PID, 0) == nil
}

// peakInterval is how often Peak looks.
const peakInterval = 100 * time.Millisecond

// Peak looks at the server's memory and at its longest turn until stop is called,
// which gives the most that was seen.
func (s *Server) Peak(ctx context.Context) (stop func() (rss int64, turn time.Duration, err error)) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	var rss int64
	var turn time.Duration
	go func() { ended <- s.peak(ctx, &rss, &turn) }()
	return func() (int64, time.Duration, error) {
		cancel()
		err := <-ended
		return rss, turn, err
	}
}

// turnEvery is how often the longest turn is asked for, in looks: it is that of
// the last second at least.
const turnEvery = 9

func (s *Server) peak(ctx context.Context, rss *int64, turn *time.Duration) error {
	ticker := time.NewTicker(peakInterval)
	defer ticker.Stop()
	for i := 1; ; i++ {
		now, err := procstat.RSS(s.PID)
		if err != nil {
			return err
		}
		*rss = max(*rss, now)
		if i%turnEvery == 0 {
			m, err := s.Metrics(ctx)
			switch {
			case errors.Is(err, context.Canceled):
			case err != nil:
				return fmt.Errorf("lab: %s: %w", s.Name, err)
			default:
				*turn = max(*turn, time.Duration(largest(m, "tmms_edge_loop_longest_turn_seconds")*float64(time.Second)))
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}
