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
