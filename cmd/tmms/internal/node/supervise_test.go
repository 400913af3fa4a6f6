package node

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestSupervise(t *testing.T) {
	boom := errors.New("boom")
	until := func(ctx context.Context) error { <-ctx.Done(); return nil }
	canceled := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	for _, tc := range []struct {
		name string
		stop bool // the context ends after a second
		part func(context.Context) error
		want error
	}{
		{"asked", true, until, nil},
		{"asked-and-says-so", true, canceled, nil},
		{"fails", false, func(context.Context) error { return boom }, boom},
		{"ends", false, func(context.Context) error { return nil }, errEnded},
		{"fails-at-the-end", true, func(ctx context.Context) error { <-ctx.Done(); return boom }, boom},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if tc.stop {
					time.AfterFunc(time.Second, cancel)
				}
				others := 0
				err := Supervise(ctx, Part{"part", tc.part}, Part{"other", func(ctx context.Context) error {
					<-ctx.Done()
					others++
					return nil
				}})
				if !errors.Is(err, tc.want) || (tc.want == nil) != (err == nil) {
					t.Errorf("err = %v, want %v", err, tc.want)
				}
				if others != 1 {
					t.Error("the other part was not ended")
				}
			})
		})
	}
}

// ending is a context whose end has not come down to those made of it.
type ending struct{ context.Context } //nolint:containedctx // it is one

func (ending) Err() error { return context.Canceled }

// A part that ends because one above it did is told to end, though its own
// context has not heard of it yet.
func TestSuperviseWithin(t *testing.T) {
	for name, err := range map[string]error{"in peace": nil, "by its context": context.Canceled} {
		part := Part{name, func(context.Context) error { return err }}
		if got := Supervise(ending{t.Context()}, part); got != nil {
			t.Errorf("%s: %v", name, got)
		}
	}
}
