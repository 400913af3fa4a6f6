package publish

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tmms/bench/signal"
)

// Roaming is a publisher that comes back when it has lost its server, at the next
// one, as an encoder does: its clock begins anew, with a keyframe. The numbers of
// its frames go on, so what a viewer misses was sent.
type Roaming struct {
	Config // URL is not used

	URLs   []string      // of the same stream at several servers; the first is tried first
	Pause  time.Duration // between the loss of a server and the next try; 10 ms to 1 m
	Number uint32        // of the first frame, a multiple of signal.SourceStep
	// OnReady, if not nil, is called on the publisher's goroutine for each server that
	// has accepted, OnLost for each that was lost or has refused.
	OnReady func(url string)
	OnLost  func(url string, err error)
}

// Validate names the first value out of range.
func (r Roaming) Validate() error {
	switch {
	case len(r.URLs) == 0:
		return errors.New("publish: no URLs")
	case r.Pause < 10*time.Millisecond || r.Pause > time.Minute:
		return fmt.Errorf("publish: a pause of %v is not in 10ms..1m", r.Pause)
	case r.Number%signal.SourceStep != 0:
		return fmt.Errorf("publish: number %d is not a multiple of %d", r.Number, signal.SourceStep)
	}
	return r.Config.Validate()
}

// Run publishes until ctx ends, which is no error; anything that a server does is
// none either.
func (r Roaming) Run(ctx context.Context) error {
	if err := r.Validate(); err != nil {
		return err
	}
	source, err := signal.NewSource(r.Signal)
	if err != nil {
		return err
	}
	source.Number(r.Number)
	for i := 0; ctx.Err() == nil; i++ {
		url := r.URLs[i%len(r.URLs)]
		lost := r.stay(ctx, url, source)
		if ctx.Err() == nil && r.OnLost != nil {
			r.OnLost(url, lost)
		}
		select {
		case <-ctx.Done():
		case <-time.After(r.Pause):
		}
	}
	return nil
}

// stay publishes at one server as long as it can.
func (r Roaming) stay(ctx context.Context, url string, source *signal.Source) error {
	source.Begin()
	cfg := r.Config
	cfg.URL = url
	return follow(ctx, cfg, source, func() {
		if r.OnReady != nil {
			r.OnReady(url)
		}
	})
}
