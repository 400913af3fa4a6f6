package session

import (
	"context"
	"sync"
	"time"
)

// background runs what must not hold up its caller, while serve does.
type background struct {
	wake chan struct{} // holds one

	mu   sync.Mutex
	jobs []func(ctx context.Context) // guarded by mu; one of a stream at most
}

func newBackground() *background { return &background{wake: make(chan struct{}, 1)} }

// run has a job run soon. It never blocks.
func (b *background) run(job func(ctx context.Context)) {
	b.mu.Lock()
	b.jobs = append(b.jobs, job)
	b.mu.Unlock()
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// serve runs the jobs, with ctx, until quit is closed, those too that came before,
// and waits for them.
func (b *background) serve(ctx context.Context, quit <-chan struct{}) {
	var running sync.WaitGroup
	defer running.Wait()
	for over := false; ; {
		b.mu.Lock()
		jobs := b.jobs
		b.jobs = nil
		b.mu.Unlock()
		for _, job := range jobs {
			running.Go(func() { job(ctx) })
		}
		if over {
			return
		}
		select {
		case <-b.wake:
		case <-quit:
			over = true
		}
	}
}

// pause waits for d or the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
